"""Commands about add-on packs and newer versions: packs, update."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from app import __version__
from app.cli.commands.console import Console, table
from app.errors import PackRefused
from app.session.session import Session
from app.system import packs as add_ons
from app.system.pack_index import install_known, known_packs
from app.system.packs import Pack
from app.system.updates import newest_release
from app.wording.units import format_bytes
from runtime.progress import CancelToken

_NOT_USED = "not used: built for another version of the engine"


def packs(session: Session, args: Namespace, console: Console) -> None:
    """List the add-on packs, or install one from a file or by its name, or remove one."""
    folder = session.paths.packs
    if args.remove is not None:
        add_ons.remove(args.remove, folder)
        console.result({"removed": args.remove}, f"{args.remove} has been removed.")
        return
    if args.wheel is None:
        found = add_ons.installed(folder)
        console.result(found, _listed(found))
        return
    wheel = Path(args.wheel).expanduser()
    if not wheel.exists() and args.wheel in known_packs():
        pack = install_known(
            args.wheel, folder, console.progress, CancelToken(), offline=session.settings.offline
        )
    else:
        pack = _from_file(wheel, args.sha256, folder, console)
    console.end_progress()
    text = f"{pack.name} {pack.version} is installed. `stillroom devices` shows what it adds."
    console.result(pack, text)


def _listed(found: Sequence[Pack]) -> str:
    rows = [
        (pack.name, pack.version, format_bytes(pack.size), "" if pack.fits else _NOT_USED)
        for pack in found
    ]
    lines = [table(("PACK", "VERSION", "SIZE", ""), rows) if rows else "No packs installed.", ""]
    there = {pack.name.lower().replace("_", "-") for pack in found}
    offered = [pack for pack in known_packs().values() if pack.name not in there]
    lines += [f"To add: stillroom packs {pack.name}   {pack.about}" for pack in offered]
    return "\n".join(lines).rstrip()


def _from_file(wheel: Path, stated: str | None, folder: Path, console: Console) -> Pack:
    sha256 = stated or add_ons.stated_hash(wheel)
    if sha256 is None:
        raise PackRefused(path=str(wheel), reason="no_hash")
    return add_ons.install(wheel, sha256, folder, console.progress, CancelToken())


def update(session: Session, _args: Namespace, console: Console) -> None:
    """Ask whether there is a newer version, and show its release notes. Downloads nothing."""
    release = newest_release(session.settings, session.paths.hub)
    if release.is_newer:
        lines = [f"Version {release.version} is available; this is {__version__}.", release.page]
        text = "\n".join([*filter(None, lines), "", release.notes])
    else:
        text = f"You have the latest version, {__version__}."
    console.result(release, text)
