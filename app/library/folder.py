"""The models installed on this machine: one directory and one manifest file per model.

Knows the folder's layout and keeps it consistent under crashes and between processes. Does not know
where models come from, what is inside their files, or how to word an error.

    ROOT/NAME.json        the manifest: writing it installs the model, removing it removes the model
    ROOT/NAME/            the files; a later version of the same model is at NAME~1, NAME~2 ...
    ROOT/.staging/PID-X/  files on their way in, ROOT/.trash/ files on their way out
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from app.errors import AlreadyInstalled, DamagedModel, LibraryError, LibraryRefused
from app.locks import FileLock
from quant.files import hash_file, write_json_atomically
from quant.json_types import Json
from runtime.progress import CancelToken, OnProgress, counted_bytes, ignore_progress

# "safetensors" is a checkpoint to quantize from: no engine here runs it.
ModelFormat = Literal["gguf", "onnx", "genai", "safetensors"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)]
)
_MANIFEST_VERSION = 1


@dataclass(frozen=True)
class InstalledFile:
    """One file of an installed model; size in bytes, sha256 in lower-case hex."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class InstalledModel:
    """One installed model.

    `path` is what an engine is given: the GGUF file (the first of a sharded one) or the ONNX
    folder. `size` is bytes of all files. `sha256` is the file's when there is one file, else the
    SHA-256 of the lines "<sha256>  <relative path>\\n" sorted by path. `source` is a catalog id, a
    repository "owner/name", "import", or "quantized from NAME". `installed_at` is UTC, ISO 8601.
    `linked` files belong to the user or to another program and are never changed or removed.
    `verified` is False for a download whose source named no checksum to compare with.
    """

    name: str
    path: Path
    format: ModelFormat
    size: int
    sha256: str
    source: str
    revision: str | None
    licence: str | None
    installed_at: str
    recipe: str | None
    files: tuple[InstalledFile, ...] = ()
    linked: bool = False
    verified: bool = True


@dataclass(frozen=True)
class TrashedModel:
    """A removed model that can still be restored; `key` is what `restore` takes."""

    key: str
    name: str
    size: int
    removed_at: str


def safe_name(text: str) -> str:
    """`text` reduced to what may be a model's name (letters, digits, `.`, `_`, `-`)."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:120]
    return cleaned if _is_name(cleaned) else f"model-{cleaned}".rstrip("-._")


class Library:
    """The models folder. Cheap to make; holds no state but its root, so any number may exist."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # ---- looking ----

    def installed(self) -> tuple[InstalledModel, ...]:
        """All installed models by name. A manifest that cannot be read is left out, not raised."""
        found = []
        for manifest in sorted(self.root.glob("*.json"), key=lambda path: path.name.casefold()):
            try:
                found.append(self._read(manifest))
            except (LibraryError, FileNotFoundError):
                continue  # removed meanwhile, or damaged: `housekeeping.orphans` lists those
        return tuple(found)

    def find(self, name_or_path: str | Path) -> InstalledModel | None:
        """The installed model of that name (in any case) or whose file or folder this is."""
        wanted = str(name_or_path)
        models = self.installed()
        for model in models:
            if model.name.casefold() == wanted.casefold():
                return model
        path = Path(wanted).absolute()
        for model in models:
            if path == model.path.absolute() or any(path == file.path for file in model.files):
                return model
        return None

    def manifest_path(self, name: str) -> Path:
        """Where the manifest of the model `name` is, or would be. LibraryError for a bad name."""
        if not _is_name(name):
            raise LibraryRefused(path=str(self.root), name=name, reason="bad_name")
        return self.root / f"{name}.json"

    def directory_for(self, name: str) -> Path:
        """A directory that does not exist yet and that `add` would give to the model `name`."""
        self.manifest_path(name)
        candidate = self.root / name
        number = 0
        while os.path.lexists(candidate):
            number += 1
            candidate = self.root / f"{name}~{number}"
        return candidate

    # ---- changing ----

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A fresh directory on the library's file system to write a new model into.

        Whatever is still in it at the end is removed, so nothing half-done stays behind.
        """
        directory = self.root / ".staging" / f"{os.getpid()}-{secrets.token_hex(4)}"
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def add(
        self,
        files: Path,
        *,
        name: str,
        format: ModelFormat,
        source: str,
        main: str | None = None,
        revision: str | None = None,
        licence: str | None = None,
        recipe: str | None = None,
        digests: Mapping[str, str] | None = None,
        link: bool = False,
        only: Sequence[str] | None = None,
        replace: bool = False,
        verified: bool = True,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a file or a directory as the model `name`, in one step.

        files: on the library's file system (see `staging`); it is moved. With `link` it stays.
        main: path inside the directory of what an engine is given; by default the first .gguf file,
            or the directory for ONNX.
        digests: SHA-256 by relative path, of files that the caller has already verified; the others
            are read and hashed here.
        only: with `link`, the files of the directory that belong to the model (names in it).
        replace: put this in the place of an installed model; the old one goes when this one is in.
        verified: False where there was no checksum to verify the bytes with.
        Raises AlreadyInstalled, LibraryError, runtime.progress.Cancelled.
        """
        manifest = self.manifest_path(name)
        if not replace and self.find(name) is not None:
            raise AlreadyInstalled(path=str(self.root), name=name)
        entries = _measure(files, only, digests or {}, on_progress, cancel or CancelToken())
        record: dict[str, Json] = {
            "version": _MANIFEST_VERSION,
            "name": name,
            "format": format,
            "source": source,
            "revision": revision,
            "licence": licence,
            "recipe": recipe,
            "installed_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "main": _main_path(files, format, main, [entry.path for entry in entries]),
            "files": [asdict(entry) for entry in entries],
        }
        if not verified:
            record["verified"] = False
        with FileLock(self.root / ".lock"):
            previous = self.find(name)
            if previous is not None and not replace:
                raise AlreadyInstalled(path=str(self.root), name=name)
            old = self._own_directory(previous) if previous else None
            if link:
                record["linked"] = str((files if files.is_dir() else files.parent).absolute())
            else:
                record["directory"] = self._move_in(files, name).name
            if previous is not None and previous.name != name:
                self.manifest_path(previous.name).unlink(missing_ok=True)
            write_json_atomically(manifest, record)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        return self._read(manifest)

    def remove(self, name: str) -> TrashedModel:
        """Move a model to the library's trash: `restore` brings it back, `empty_trash` frees it.

        Linked files stay where they are; only the entry goes.
        """
        with FileLock(self.root / ".lock"):
            model = self._require(name)
            key = f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(3)}"
            place = self.root / ".trash" / key
            place.mkdir(parents=True)
            own = self._own_directory(model)
            os.replace(self.manifest_path(model.name), place / "manifest.json")
            if own is not None and own.exists():
                os.replace(own, place / "files")
        return self._read_trashed(place)

    def trash(self) -> tuple[TrashedModel, ...]:
        """What was removed and not yet emptied, oldest first."""
        places = sorted((self.root / ".trash").glob("*/manifest.json"))
        return tuple(self._read_trashed(place.parent) for place in places)

    def restore(self, key: str) -> InstalledModel:
        """Restore a removed model. AlreadyInstalled when its name has been taken."""
        place = self.root / ".trash" / key
        with FileLock(self.root / ".lock"):
            record = _load_json(place / "manifest.json")
            name = str(record["name"])
            if self.find(name) is not None:
                raise AlreadyInstalled(path=str(self.root), name=name)
            if "directory" in record:
                target = self.directory_for(name)
                os.replace(place / "files", target)
                record["directory"] = target.name
            write_json_atomically(self.manifest_path(name), record)
            shutil.rmtree(place)
        return self._require(name)

    def empty_trash(self) -> int:
        """Delete what was removed; returns the bytes freed."""
        freed = sum(model.size for model in self.trash())
        shutil.rmtree(self.root / ".trash", ignore_errors=True)
        return freed

    def verify(
        self,
        model: InstalledModel,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        """Read every file again and compare size and SHA-256. Raises DamagedModel."""
        cancel = cancel or CancelToken()
        done = 0
        for file in model.files:
            size = file.path.stat().st_size if file.path.is_file() else None
            if size != file.size:
                raise DamagedModel(
                    name=model.name, path=str(file.path), expected=file.size, got=size or 0
                )
            on_bytes = counted_bytes(
                on_progress, cancel, "verify", model.size, done, file.path.name
            )
            digest = hash_file(file.path, on_bytes)
            if digest != file.sha256:
                raise DamagedModel(
                    name=model.name, path=str(file.path), expected=file.sha256, got=digest
                )
            done += file.size

    # ---- inside ----

    def _require(self, name: str) -> InstalledModel:
        model = self.find(name)
        if model is None:
            raise LibraryRefused(path=str(self.root), name=name, reason="not_installed")
        return model

    def _own_directory(self, model: InstalledModel) -> Path | None:
        """The model's directory in this library; None for a linked one."""
        record = _load_json(self.manifest_path(model.name))
        return self.root / str(record["directory"]) if "directory" in record else None

    def _move_in(self, files: Path, name: str) -> Path:
        target = self.directory_for(name)
        if files.is_dir():
            os.replace(files, target)
        else:
            target.mkdir()
            os.replace(files, target / files.name)
        return target

    def _read(self, manifest: Path) -> InstalledModel:
        record = _load_json(manifest)
        if str(record.get("name")) != manifest.stem or not _is_name(manifest.stem):
            raise LibraryRefused(path=str(manifest), reason="other_name")
        try:
            return _to_model(record, self.root)
        except ValueError as error:
            raise LibraryRefused(
                path=str(manifest), reason="bad_manifest", detail=str(error)
            ) from error

    def _read_trashed(self, place: Path) -> TrashedModel:
        record = _load_json(place / "manifest.json")
        kept = msgspec.convert(record, _Manifest)
        size = sum(entry.size for entry in kept.files) if kept.directory is not None else 0
        removed_at = datetime.strptime(place.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return TrashedModel(place.name, kept.name, size, removed_at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _is_name(text: str) -> bool:
    return (
        _NAME.fullmatch(text) is not None
        and not text.endswith(".")
        and text.casefold().split(".")[0] not in _RESERVED
    )


def _load_json(path: Path) -> dict[str, Json]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise LibraryRefused(path=str(path), reason="unreadable", detail=str(error)) from error
    if not isinstance(record, dict):
        raise LibraryRefused(path=str(path), reason="not_object")
    return record


def _measure(
    files: Path,
    only: Sequence[str] | None,
    digests: Mapping[str, str],
    on_progress: OnProgress,
    cancel: CancelToken,
) -> "list[_Entry]":
    """Relative path, size and SHA-256 of every file, sorted by path."""
    base = files if files.is_dir() else files.parent
    paths = [files]
    if files.is_dir():
        inside = (base / name for name in only) if only is not None else base.rglob("*")
        paths = sorted(path for path in inside if path.is_file())
    if not paths or not all(path.is_file() for path in paths):
        raise LibraryRefused(path=str(files), reason="no_such_file")
    total = sum(path.stat().st_size for path in paths)
    entries = []
    done = 0
    for path in paths:
        relative = path.relative_to(base).as_posix()
        size = path.stat().st_size
        on_bytes = counted_bytes(on_progress, cancel, "verify", total, done, path.name)
        digest = digests.get(relative) or hash_file(path, on_bytes)
        done += size
        entries.append(_Entry(relative, size, digest.lower()))
    return entries


@dataclass(frozen=True)
class _Entry:
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class _Manifest:
    """What is read of a manifest: `linked` is the folder of files that are not ours, `directory`
    the name of one in the library."""

    name: str
    format: ModelFormat
    source: str
    installed_at: str
    main: str
    files: tuple[_Entry, ...]
    revision: str | None = None
    licence: str | None = None
    recipe: str | None = None
    verified: bool = True
    linked: str | None = None
    directory: str | None = None


def _main_path(files: Path, format: ModelFormat, main: str | None, relative: list[str]) -> str:
    if main is not None:
        if main != "." and main not in relative:
            raise LibraryRefused(path=str(files), name=main, reason="no_main_file")
        return main
    if format != "gguf":
        return "."
    weights = [path for path in relative if path.lower().endswith(".gguf")] or relative
    return weights[0]


def _to_model(record: Mapping[str, Json], root: Path) -> InstalledModel:
    """Raises ValueError for a manifest that is not ours, or leads outside the library."""
    kept = msgspec.convert(record, _Manifest)
    if kept.linked is None and kept.directory is None:
        raise ValueError("it names no directory")
    base = Path(kept.linked) if kept.linked is not None else root / str(kept.directory)
    if kept.linked is None and base.parent != root:
        raise ValueError("its directory is outside the library")
    if not kept.files:
        raise ValueError("no files")
    for path in (*(entry.path for entry in kept.files), kept.main):
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError("a path leaves the model's directory")
    return InstalledModel(
        name=kept.name,
        path=base / kept.main,
        format=kept.format,
        size=sum(entry.size for entry in kept.files),
        sha256=_digest_of(kept.files),
        source=kept.source,
        revision=kept.revision,
        licence=kept.licence,
        installed_at=kept.installed_at,
        recipe=kept.recipe,
        files=tuple(InstalledFile(base / e.path, e.size, e.sha256) for e in kept.files),
        linked=kept.linked is not None,
        verified=kept.verified,
    )


def _digest_of(entries: Sequence[_Entry]) -> str:
    if len(entries) == 1:
        return entries[0].sha256
    lines = "".join(f"{entry.sha256}  {entry.path}\n" for entry in entries)
    return hashlib.sha256(lines.encode()).hexdigest()
