"""Commands about add-on packs and newer versions: packs, update."""

from argparse import Namespace
from pathlib import Path

from app import __version__
from app import packs as add_ons
from app.console import Console, table
from app.errors import PackRefused
from app.session import Session
from app.units import format_bytes
from app.updates import newest_release
from runtime.jobs import CancelToken


def packs(session: Session, args: Namespace, console: Console) -> None:
    """List the add-on packs, or with a file install it, or remove one."""
    folder = session.paths.packs
    if args.remove is not None:
        add_ons.remove(args.remove, folder)
        console.result({"removed": args.remove}, f"{args.remove} is removed.")
        return
    if args.wheel is None:
        found = add_ons.installed(folder)
        rows = [(pack.name, pack.version, format_bytes(pack.size)) for pack in found]
        console.result(found, table(("PACK", "VERSION", "SIZE"), rows) if rows else "No packs.")
        return
    wheel = Path(args.wheel).expanduser()
    sha256 = args.sha256 or add_ons.stated_hash(wheel)
    if sha256 is None:
        reason = "its SHA-256 is needed: --sha256, or a .sha256 file beside it"
        raise PackRefused(path=str(wheel), reason=reason)
    pack = add_ons.install(wheel, sha256, folder, console.progress, CancelToken())
    console.end_progress()
    text = f"{pack.name} {pack.version} is installed. `stillroom devices` shows what it adds."
    console.result(pack, text)


def update(session: Session, _args: Namespace, console: Console) -> None:
    """Ask whether there is a newer version, and show its release notes. Downloads nothing."""
    release = newest_release(session.settings, session.paths.hub)
    if release.is_newer:
        lines = [f"Version {release.version} is there; this is {__version__}.", release.page]
        text = "\n".join([*filter(None, lines), "", release.notes])
    else:
        text = f"This is the newest version, {__version__}."
    console.result(release, text)
