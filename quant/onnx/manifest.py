"""The manifest of an exported folder: what is in it, and the size and SHA-256 of every file.

Writes, reads and verifies; every fault found names the file. Knows no onnx and no engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from quant.errors import CorruptCheckpoint, UnsupportedFormat
from quant.files import OnBytes, hash_file, write_json_atomically
from quant.json_types import Json
from quant.onnx.spec import DecoderSpec

MANIFEST = "stillroom.json"
VERSION = 1


@dataclass(frozen=True)
class FileEntry:
    """Size in bytes and SHA-256 (hex) of one file of the folder."""

    size: int
    sha256: str


@dataclass(frozen=True)
class StaticBody:
    """One fixed-shape body graph."""

    file: str
    rows: int
    context: int


@dataclass(frozen=True)
class FolderManifest:
    """Everything a runner must know of an exported folder. `rope_context` is how many positions
    the rotary tables cover: no longer context can run. `model` describes the model the way
    `runtime.model.info.ModelInfo` does, for whoever lists models without running them."""

    spec: DecoderSpec
    recipe: str
    block_size: int
    symmetric: bool
    rope_context: int
    weights: str
    embeddings: str
    body: str
    lm_head: str
    static_bodies: tuple[StaticBody, ...]
    bos_token_id: int | None
    end_token_ids: tuple[int, ...]
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        return {"format": "stillroom-onnx", "version": VERSION, **asdict(self)}

    @property
    def digest(self) -> str:
        """SHA-256 over the hashes of all files: the identity of the folder's content."""
        lines = "".join(f"{name} {entry.sha256}\n" for name, entry in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def file_entry(path: Path) -> FileEntry:
    """What the manifest says of the file at `path`, which is read and hashed."""
    return FileEntry(path.stat().st_size, hash_file(path))


def write_manifest(folder: Path, manifest: FolderManifest) -> None:
    """Write the manifest file into `folder`, durably and whole."""
    write_json_atomically(folder / MANIFEST, manifest.to_json())


def read_manifest(folder: Path) -> FolderManifest:
    """The manifest of `folder`. Raises CorruptCheckpoint or UnsupportedFormat naming the file."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CorruptCheckpoint(path=str(path), reason="missing") from None
    except (OSError, ValueError) as error:
        raise CorruptCheckpoint(path=str(path), reason="unreadable", detail=str(error)) from error
    if not isinstance(data, dict) or data.get("format") != "stillroom-onnx":
        raise UnsupportedFormat(path=str(path), reason="not_manifest")
    if data.get("version") != VERSION:
        raise UnsupportedFormat(
            path=str(path), reason="manifest_version", found=str(data.get("version"))[:40]
        )
    try:
        return _parse(data, str(path))
    except msgspec.ValidationError as error:
        raise CorruptCheckpoint(
            path=str(path), reason="impossible_value", detail=str(error)
        ) from error


def _parse(data: Json, path: str) -> FolderManifest:
    manifest = msgspec.convert(data, FolderManifest)
    for name in manifest.files:
        if Path(name).name != name or name in ("", ".", ".."):
            raise CorruptCheckpoint(path=path, reason="outside_folder", key=name[:80])
    needed = [manifest.weights, manifest.embeddings, manifest.body, manifest.lm_head]
    for name in needed + [body.file for body in manifest.static_bodies]:
        if name not in manifest.files:
            raise CorruptCheckpoint(path=path, reason="not_listed", key=name[:80])
    return manifest


def check_sizes(folder: Path, manifest: FolderManifest) -> None:
    """Every listed file is there with its size. Raises CorruptCheckpoint naming the first fault."""
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError:
            raise CorruptCheckpoint(path=str(path), reason="missing") from None
        if size != entry.size:
            raise CorruptCheckpoint(
                path=str(path), reason="wrong_size", found=size, wanted=entry.size
            )


def verify(folder: Path, manifest: FolderManifest, on_bytes: OnBytes) -> None:
    """Sizes, then SHA-256 of every listed file. Raises CorruptCheckpoint naming the first fault."""
    check_sizes(folder, manifest)
    for name, entry in manifest.files.items():
        if hash_file(folder / name, on_bytes) != entry.sha256:
            raise CorruptCheckpoint(path=str(folder / name), reason="wrong_hash")
