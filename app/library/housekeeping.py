"""Housekeeping of the models folder: duplicates, orphans, moving it.

Knows the library's layout through `app.library.folder`. Removes only what it is asked to.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from app.errors import DamagedModel, DiskFull, LibraryRefused
from app.library.folder import InstalledModel, Library
from app.locks import FileLock
from quant.files import copy_hashed, sync, write_json_atomically
from runtime.progress import CancelToken, OnProgress, Progress, counted_bytes, ignore_progress


@dataclass(frozen=True)
class Duplicate:
    """The same file (by SHA-256) in several models; `wasted` bytes would be saved by keeping one.

    Linked files and hard links to one file on disk waste nothing.
    """

    sha256: str
    size: int
    models: tuple[str, ...]
    paths: tuple[Path, ...]
    wasted: int


@dataclass(frozen=True)
class Orphan:
    """Something in the models folder that no installed model owns.

    "files" without a manifest, a "manifest" without files, an unfinished "download", a "staging"
    folder whose process is gone.
    """

    path: Path
    kind: Literal["files", "manifest", "download", "staging"]
    size: int


def duplicates(library: Library) -> tuple[Duplicate, ...]:
    """Files that are in the library more than once, largest waste first."""
    places: dict[str, list[tuple[str, Path, int, bool]]] = {}
    for model in library.installed():
        for file in model.files:
            places.setdefault(file.sha256, []).append(
                (model.name, file.path, file.size, model.linked)
            )
    found = []
    for digest, copies in places.items():
        if len(copies) < 2 or copies[0][2] == 0:
            continue
        own = {_identity(path) for _, path, _, linked in copies if not linked}
        has_linked = any(linked for *_, linked in copies)
        extra = len(own) if has_linked else len(own) - 1
        found.append(
            Duplicate(
                sha256=digest,
                size=copies[0][2],
                models=tuple(dict.fromkeys(name for name, *_ in copies)),
                paths=tuple(path for _, path, _, _ in copies),
                wasted=copies[0][2] * max(extra, 0),
            )
        )
    return tuple(sorted(found, key=lambda item: -item.wasted))


def disk_use(library: Library) -> int:
    """Bytes the library's own files take; linked models count nothing."""
    return sum(model.size for model in library.installed() if not model.linked)


def orphans(library: Library, active_downloads: Sequence[Path] = ()) -> tuple[Orphan, ...]:
    """Files no model owns. active_downloads: folders of downloads that are still in the queue."""
    root = library.root
    if not root.is_dir():
        return ()
    owned = {path for model in library.installed() for path in (_top(root, model),) if path}
    good = {library.manifest_path(model.name) for model in library.installed()}
    found: list[Orphan] = []
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".json" and path.is_file() and path not in good:
            found.append(Orphan(path, "manifest", path.stat().st_size))
        elif path.suffix != ".json" and path not in owned:
            found.append(Orphan(path, "files", _size_of(path)))
    for model in library.installed():
        if not any(file.path.exists() for file in model.files):
            found.append(Orphan(library.manifest_path(model.name), "manifest", 0))
    active = {path.resolve() for path in active_downloads}
    for path in _children(root / ".downloads"):
        if path.resolve() not in active and not _in_progress(path):
            found.append(Orphan(path, "download", _size_of(path)))
    for path in _children(root / ".staging"):
        pid = path.name.split("-")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            found.append(Orphan(path, "staging", _size_of(path)))
    return tuple(found)


def _in_progress(download: Path) -> bool:
    """Whether a process is filling this download now."""
    for path in download.rglob("*.part.lock"):
        lock = FileLock(path)
        if not lock.try_acquire():
            return True
        lock.release()
    return False


def remove_orphans(library: Library, found: Sequence[Orphan]) -> int:
    """Delete orphans that still are; returns the bytes freed."""
    freed = 0
    for orphan in found:
        if library.root not in orphan.path.parents:
            raise LibraryRefused(path=str(orphan.path), reason="outside")
        if orphan.path.is_dir() and not orphan.path.is_symlink():
            shutil.rmtree(orphan.path, ignore_errors=True)
        else:
            orphan.path.unlink(missing_ok=True)
        freed += orphan.size
    return freed


def move_library(
    library: Library,
    new_root: Path,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Library:
    """Move all models to `new_root`, one at a time; returns the library there.

    A model is removed from the old place only when its copy is complete and verified, so a stop in
    the middle leaves every model in one of the two. Unfinished downloads and the trash follow: hold
    the queue meanwhile. Raises DiskFull, DamagedModel, Cancelled.
    """
    cancel = cancel or CancelToken()
    old, new = library.root.absolute(), new_root.absolute()
    if new == old:
        return library
    if old in new.parents or new in old.parents:
        raise LibraryRefused(path=str(new), reason="nested")
    new.mkdir(parents=True, exist_ok=True)
    models = library.installed()
    target = Library(new)
    for model in models:
        if target.find(model.name) is not None:
            raise LibraryRefused(path=str(new), name=model.name, reason="name_taken")
    total = disk_use(library)
    same_disk = os.stat(new).st_dev == os.stat(old).st_dev
    available = shutil.disk_usage(new).free
    if not same_disk and total > available:
        raise DiskFull(path=str(new), needed=total, available=available, reserve=0)
    done = 0
    for model in models:
        cancel.raise_if_cancelled()
        _move_model(library, target, model, same_disk, (done, total), on_progress, cancel)
        done += 0 if model.linked else model.size
    for name in (".downloads", ".trash"):
        for path in _children(old / name):
            (new / name).mkdir(exist_ok=True)
            shutil.move(path, new / name / path.name)
    on_progress(Progress("move", total, total, "bytes"))
    return target


def _move_model(
    library: Library,
    target: Library,
    model: InstalledModel,
    same_disk: bool,
    progress: tuple[int, int],
    on_progress: OnProgress,
    cancel: CancelToken,
) -> None:
    manifest = library.manifest_path(model.name)
    record = json.loads(manifest.read_text(encoding="utf-8"))
    with FileLock(target.root / ".lock"):
        if "directory" not in record:
            write_json_atomically(target.manifest_path(model.name), record)
            manifest.unlink()
            return
        source = library.root / str(record["directory"])
        place = target.directory_for(model.name)
        if same_disk:
            os.replace(source, place)
        else:
            staged = target.root / ".staging" / f"{os.getpid()}-move"
            try:
                _copy_verified(model, source, staged, progress, on_progress, cancel)
                os.replace(staged, place)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        write_json_atomically(target.manifest_path(model.name), record | {"directory": place.name})
        manifest.unlink()
        shutil.rmtree(source, ignore_errors=True)


def _copy_verified(
    model: InstalledModel,
    source: Path,
    staged: Path,
    progress: tuple[int, int],
    on_progress: OnProgress,
    cancel: CancelToken,
) -> None:
    done, total = progress
    for file in model.files:
        target = staged / file.path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        on_bytes = counted_bytes(on_progress, cancel, "move", total, done, model.name)
        with file.path.open("rb") as reading, target.open("wb") as writing:
            digest = copy_hashed(reading, writing, on_bytes)
            sync(writing)
        done += file.size
        if digest != file.sha256:
            raise DamagedModel(
                name=model.name,
                path=str(file.path),
                expected=file.sha256,
                got=digest,
            )


def _top(root: Path, model: InstalledModel) -> Path | None:
    """The entry of the models folder that holds a model's files; None for a linked one."""
    if model.linked:
        return None
    return root / model.files[0].path.relative_to(root).parts[0]


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        state = path.stat()
    except OSError:
        return path
    return state.st_dev, state.st_ino


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size_of(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(p.lstat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
