"""Commands about stored conversations: export, and the import of what was exported."""

from argparse import Namespace
from datetime import datetime
from pathlib import Path

from app.cli.commands.console import Console, table
from app.errors import UnknownConversation
from app.history.export import SUFFIXES, export_to, exported
from app.history.export_reader import import_file
from app.history.records import Conversation
from app.history.store import Store
from app.library.folder import safe_name
from app.session.session import Session

FORMATS = {"markdown": ".md", "json": ".json", "html": ".html"}


def export(session: Session, args: Namespace, console: Console) -> None:
    """List the conversations, or write one to a file or to stdout."""
    store = session.store
    if args.conversation is None:
        found = store.conversations()
        console.result(found, listing(found))
        return
    conversation = named(store, args.conversation)
    messages = store.messages(conversation.id)
    if args.output is None:
        suffix = FORMATS[args.format or "markdown"]
        text = exported(conversation, messages, suffix)
        value = {"conversation": conversation.id, "title": conversation.title, "text": text}
        console.result(value, text.rstrip("\n"))
        return
    path, suffix = target(args.output, args.format, conversation.title)
    export_to(path, conversation, messages, suffix)
    value = {"conversation": conversation.id, "title": conversation.title, "path": str(path)}
    console.result(value, f"“{conversation.title}” was exported to {path}.")


def is_export(path: Path) -> bool:
    """Whether a file is to be read as an exported conversation: no model has such a name."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def import_conversation(session: Session, path: Path, console: Console) -> None:
    """Store what was exported as a new conversation."""
    made = import_file(session.store, path)
    console.result(made, f"“{made.title}” is conversation {made.id} now.")


def listing(found: list[Conversation]) -> str:
    """The conversations as a person reads them, the latest first."""
    if not found:
        return "There are no conversations yet."
    rows = [
        (str(each.id), f"{datetime.fromtimestamp(each.updated):%Y-%m-%d %H:%M}", each.title)
        for each in found
    ]
    return (
        f"{table(('NUMBER', 'CHANGED', 'TITLE'), rows)}\n\n`stillroom export NUMBER` exports one."
    )


def named(store: Store, text: str) -> Conversation:
    """The conversation of a number, of a title, or of words of one title.

    Raises UnknownConversation where there is none, or more than one.
    """
    found = store.conversations()
    wanted = text.casefold().strip()
    for matching in (
        [each for each in found if str(each.id) == wanted],
        [each for each in found if each.title.casefold() == wanted],
        [each for each in found if wanted and wanted in each.title.casefold()],
    ):
        if len(matching) > 1:
            raise UnknownConversation(name=text, reason="several")
        if matching:
            return matching[0]
    raise UnknownConversation(name=text, reason="missing")


def target(output: Path, format_name: str | None, title: str) -> tuple[Path, str]:
    """The file to write and its kind (".md", ".json", ".html"): as told, else as the file's ending
    says, else Markdown. In a folder the file is named after the conversation."""
    ending = output.suffix.lower()
    suffix = FORMATS[format_name] if format_name else ending if ending in SUFFIXES else ".md"
    if output.is_dir():
        return output / (safe_name(title or "conversation") + suffix), suffix
    return output, suffix
