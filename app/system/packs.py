"""Add-on packs: wheels with what an accelerator needs, checked by hash, unpacked, removable.

A pack is an ordinary wheel: one of ours with a library of llama.cpp (CUDA, Vulkan), or a provider
of ONNX Runtime from its makers (OpenVINO, QNN). Knows wheels and one folder; fetches nothing.
"""

import base64
import os
import platform
import re
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.errors import ChecksumMismatch, DiskFull, PackRefused
from quant.files import copy_hashed, hash_file
from runtime.machine.packs import VARIABLE
from runtime.progress import CancelToken, OnProgress, counted_bytes, ignore_progress

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENGINE_PACK = re.compile(r"stillroom[-_]llama[-_]", re.IGNORECASE)
_SYSTEMS = {"linux": "linux", "win32": "win", "darwin": "macosx"}
_RESERVE = 64 << 20  # bytes left free on the disk


@dataclass(frozen=True)
class Pack:
    """An installed pack. size: bytes on disk; fits: whether it is of the engine's version, which
    libraries of llama.cpp must be."""

    name: str
    version: str
    folder: Path
    size: int
    fits: bool


def installed(folder: Path) -> tuple[Pack, ...]:
    """The packs below `folder`, by name."""
    if not folder.is_dir():
        return ()
    return tuple(_pack(path) for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name))


def environment_of(folder: Path) -> dict[str, str]:
    """What workers must find in their environment to use the packs below `folder` that fit."""
    folders = os.pathsep.join(str(pack.folder) for pack in installed(folder) if pack.fits)
    return {VARIABLE: folders} if folders else {}


def stated_hash(wheel: Path) -> str | None:
    """The SHA-256 in the file NAME.sha256 beside a wheel, as `sha256sum` writes it."""
    try:
        words = Path(f"{wheel}.sha256").read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0].lower() if words else None


def install(
    wheel: Path,
    sha256: str,
    folder: Path,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Pack:
    """Unpack a wheel below `folder`, in place of an earlier version of it.

    The file must have this SHA-256, and each file inside the one its RECORD states.
    Raises PackRefused, ChecksumMismatch, DiskFull, Cancelled.
    """
    cancel = cancel or CancelToken()
    if not wheel.is_file() or not zipfile.is_zipfile(wheel):
        raise PackRefused(path=str(wheel), reason="no_wheel")
    _require_fitting(wheel)
    got = hash_wheel(wheel, on_progress, cancel)
    if got != sha256.lower():
        raise ChecksumMismatch(path=wheel.name, expected=sha256, got=got, size=wheel.stat().st_size)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        unpacked = Path(temporary) / "pack"
        with zipfile.ZipFile(wheel) as archive:
            _unpack(archive, unpacked, on_progress, cancel)
        name = _pack(unpacked).name
        if not _NAME.fullmatch(name):
            raise PackRefused(path=str(wheel), reason="no_name")
        target = folder / name
        if target.exists():
            target.rename(Path(temporary) / "old")
        unpacked.rename(target)
    return _pack(target)


def hash_wheel(wheel: Path, on_progress: OnProgress, cancel: CancelToken) -> str:
    """SHA-256 of a pack's file, hex. Raises Cancelled."""
    size = wheel.stat().st_size
    return hash_file(wheel, counted_bytes(on_progress, cancel, "verify", size, detail=wheel.name))


def remove(name: str, folder: Path) -> None:
    """Delete a pack. Raises PackRefused where there is none of this name."""
    for pack in installed(folder):
        if pack.name.lower() == name.lower():
            gone = folder / f".{pack.folder.name}.removed"
            pack.folder.rename(gone)
            shutil.rmtree(gone)
            return
    raise PackRefused(path=name, reason="not_installed")


def _require_fitting(wheel: Path) -> None:
    """By its name: wheels end in PYTHON-ABI-PLATFORM."""
    system = wheel.stem.rsplit("-", 1)[-1]
    machine = platform.machine().lower()
    name, version = wheel.stem.split("-")[:2] if "-" in wheel.stem else (wheel.stem, "")
    if not _fits_engine(name, version):
        raise PackRefused(
            path=str(wheel), reason="other_engine", found=version, wanted=engine_version()
        )
    if system != "any" and not (_SYSTEMS[sys.platform] in system and machine in system):
        raise PackRefused(path=str(wheel), reason="other_machine", found=system, wanted=machine)


def _unpack(
    archive: zipfile.ZipFile, folder: Path, on_progress: OnProgress, cancel: CancelToken
) -> None:
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    total = sum(entry.file_size for entry in files)
    free = shutil.disk_usage(folder.parent).free
    if free < total + _RESERVE:
        raise DiskFull(path=str(folder), needed=total, available=free, reserve=_RESERVE)
    stated = _record(archive)
    done = 0
    for entry in files:
        cancel.raise_if_cancelled()
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
            raise PackRefused(path=entry.filename, reason="leaves_folder")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        on_bytes = counted_bytes(on_progress, cancel, "unpack", total, done, path.name)
        with archive.open(entry) as source, target.open("wb") as out:
            digest = copy_hashed(source, out, on_bytes)
        done += entry.file_size
        got = base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
        own = path.name == "RECORD" and path.parent.name.endswith(".dist-info")
        if not own and stated.get(entry.filename) != got:
            expected = stated.get(entry.filename, "")
            raise ChecksumMismatch(path=path.name, expected=expected, got=got, size=entry.file_size)


def _record(archive: zipfile.ZipFile) -> dict[str, str]:
    """File name -> SHA-256 as the wheel's RECORD states it (base64 without padding)."""
    names = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    if len(names) != 1:
        raise PackRefused(path=str(archive.filename), reason="no_record")
    rows = (line.rsplit(",", 2) for line in archive.read(names[0]).decode("utf-8").splitlines())
    return {row[0].strip('"'): row[1].removeprefix("sha256=") for row in rows if len(row) == 3}


def _pack(folder: Path) -> Pack:
    from email.parser import HeaderParser  # slow to import: not for the start of the window

    facts = next(folder.glob("*.dist-info/METADATA"), None)
    headers = HeaderParser().parsestr(facts.read_text(encoding="utf-8") if facts else "")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    name, version = headers.get("Name", folder.name), headers.get("Version", "")
    return Pack(name, version, folder, size, _fits_engine(name, version))


def _fits_engine(name: str, version: str) -> bool:
    """Libraries of llama.cpp have no stable interface: another version's may crash the engine."""
    return not _ENGINE_PACK.match(name) or version == engine_version()


def engine_version() -> str:
    """The version of the llama.cpp binding inside, "" without one."""
    from importlib import metadata  # brings email and csv: not for the start of the window

    try:
        return metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return ""
