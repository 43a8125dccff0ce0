"""Commands about the models folder: import, restore, clean, move-models.

`import` takes exported conversations as well.
"""

from argparse import Namespace
from pathlib import Path

from app.cli.commands import conversations
from app.cli.commands.console import Console, table
from app.errors import UnknownModel
from app.library.importers import FoundModel, Mode, import_model
from app.session.models_folder import FolderSurvey, clean, importable, move_models, survey
from app.session.session import Session
from app.wording.units import format_bytes
from runtime.progress import CancelToken

_KINDS = {
    "files": "files without a model",
    "manifest": "entry without files",
    "download": "unfinished download",
    "staging": "left over from an interrupted process",
}


def import_models(session: Session, args: Namespace, console: Console) -> None:
    """List the models other programs have here, or take one, all, or the user's own file: a model,
    or an exported conversation."""
    if args.path is not None and conversations.is_export(path := Path(args.path).expanduser()):
        conversations.import_conversation(session, path, console)
        return
    mode: Mode = "copy" if args.copy else "link"
    if args.path is None or args.all:
        found = importable(session)
        if not args.all:
            console.result(found, found_text(found))
            return
    else:
        found = _named(session, args.path)
    models = [import_model(each, session.library, mode, console.progress) for each in found]
    console.end_progress()
    how = "copied" if mode == "copy" else "linked: the files stay where they are"
    lines = [f"{model.name} is in the library ({format_bytes(model.size)}, {how})."
             for model in models]  # fmt: skip
    console.result(models, "\n".join(lines) or "Nothing found to import.")


def _named(session: Session, text: str) -> tuple[FoundModel, ...]:
    """The models of a path, or the one of another program with this name."""
    path = Path(text).expanduser()
    if path.exists() or "/" in text or path.suffix == ".gguf":
        return importable(session, path)
    found = importable(session)
    named = tuple(each for each in found if each.name.casefold() == text.casefold())
    if not named:
        raise UnknownModel(name=text, suggestions=[each.name for each in found])
    return named[:1]


def found_text(found: tuple[FoundModel, ...]) -> str:
    """What can be imported, as a person reads it."""
    if not found:
        return "No models from other programs were found."
    rows = [(each.name, each.origin, format_bytes(each.size), str(each.files[0])) for each in found]
    listed = table(("MODEL", "FROM", "SIZE", "FILE"), rows)
    return (
        f"{listed}\n\n`stillroom import MODEL` imports one, `stillroom import --all` all of them."
    )


def restore(session: Session, args: Namespace, console: Console) -> None:
    """Bring a removed model back: the one of that name that was removed last."""
    trash = session.library.trash()
    for trashed in reversed(trash):
        if trashed.name.casefold() == args.name.casefold():
            model = session.library.restore(trashed.key)
            console.result(model, f"{model.name} has been restored.")
            return
    raise UnknownModel(name=args.name, suggestions=[each.name for each in trash])


def clean_up(session: Session, args: Namespace, console: Console) -> None:
    """Show what nobody needs in the models folder; with --yes delete it and empty the trash."""
    state = survey(session)
    if not args.yes:
        console.result(state, survey_text(state))
        return
    freed = clean(session)
    console.result({"freed": freed}, f"{format_bytes(freed)} freed.")


def survey_text(state: FolderSurvey) -> str:
    """The state of the models folder as a person reads it."""
    lines = [f"{state.folder}: {format_bytes(state.use)} used by models"]
    rows = [(_KINDS[o.kind], format_bytes(o.size), o.path.name) for o in state.orphans]
    rows += [("removed, in the trash", format_bytes(t.size), t.name) for t in state.trash]
    if rows:
        lines.append(table(("WHAT", "SIZE", "NAME"), rows))
        lines.append(f"`stillroom clean --yes` frees {format_bytes(state.removable)}.")
    else:
        lines.append("Nothing to clean up.")
    for twin in state.duplicates:
        names = ", ".join(twin.models)
        lines.append(f"Duplicate file in {names}: {format_bytes(twin.wasted)} could be saved.")
    return "\n".join(lines)


def move(session: Session, args: Namespace, console: Console) -> None:
    """Move all models to another folder and keep them there from now on."""
    settings = move_models(session, args.folder, console.progress, CancelToken())
    console.end_progress()
    console.result({"folder": settings.models_folder}, f"Models are in {settings.models_folder}.")
