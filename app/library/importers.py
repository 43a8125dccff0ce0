"""Models the user already has: files of other programs, found by reading their folders.

Knows where LM Studio, Ollama, Jan, GPT4All and the hub's cache keep models, what makes a folder a
checkpoint or an ONNX model, and how either is linked or copied into the library. Never writes to a
folder of another program.
"""

import errno
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.errors import DiskFull, ImportRefused
from app.library.folder import InstalledModel, Library, ModelFormat, safe_name
from quant.files import copy_hashed, hash_file, sync
from runtime.progress import CancelToken, OnProgress, counted_bytes, ignore_progress

Origin = Literal["LM Studio", "Ollama", "Jan", "GPT4All", "hub cache", "file"]
Mode = Literal["link", "copy"]

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)$", re.IGNORECASE)
_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_MAX_MANIFEST = 1 << 20
_MAX_INDEX = 32 << 20
_CHECKPOINT_FILES = (".safetensors", ".json", ".model", ".jinja", ".txt")
_MAX_DEPTH = 6


@dataclass(frozen=True)
class FoundModel:
    """A model on this machine that is not in the library.

    `files` are all its files (shards in order; of a folder, weights first), `size` their bytes.
    `folder` is what their names start from where the model is a folder, else None. `sha256` is
    known where the other program names files by it. `repo` and `revision` where the folders tell.
    """

    origin: Origin
    name: str
    files: tuple[Path, ...]
    size: int
    sha256: str | None = None
    repo: str | None = None
    revision: str | None = None
    format: ModelFormat = "gguf"
    folder: Path | None = None


def default_folders(home: Path, environment: Mapping[str, str]) -> tuple[tuple[Origin, Path], ...]:
    """Where the other programs keep models for the user whose home is `home`."""
    if sys.platform == "win32":
        local = Path(environment.get("LOCALAPPDATA", home / "AppData" / "Local"))
        roaming = Path(environment.get("APPDATA", home / "AppData" / "Roaming"))
        share, config = local, roaming
    elif sys.platform == "darwin":
        share = config = home / "Library" / "Application Support"
    else:
        share = Path(environment.get("XDG_DATA_HOME", home / ".local" / "share"))
        config = Path(environment.get("XDG_CONFIG_HOME", home / ".config"))
    cache = Path(environment.get("HF_HOME", home / ".cache" / "huggingface"))
    ollama = Path(environment.get("OLLAMA_MODELS", home / ".ollama" / "models"))
    return (
        ("LM Studio", home / ".lmstudio" / "models"),
        ("LM Studio", home / ".cache" / "lm-studio" / "models"),
        ("Ollama", ollama),
        ("Ollama", Path("/usr/share/ollama/.ollama/models")),
        ("Jan", config / "Jan" / "data"),
        ("Jan", share / "Jan" / "data"),
        ("GPT4All", share / "nomic.ai" / "GPT4All"),
        ("hub cache", Path(environment.get("HF_HUB_CACHE", cache / "hub"))),
    )


def find_models(
    folders: tuple[tuple[Origin, Path], ...], library: Library | None = None
) -> tuple[FoundModel, ...]:
    """What is in these folders and not in `library` yet; unreadable folders are skipped."""
    finders = {"Ollama": _find_ollama, "hub cache": _find_hub_cache}
    found: list[FoundModel] = []
    for origin, folder in folders:
        finder = finders.get(origin)
        models = [*(finder(folder) if finder else _find_plain(folder, origin))]
        if origin == "file":
            models += _find_folders(folder, origin)
        found += sorted(models, key=lambda model: model.name.casefold())
    known = _known_files(library) if library is not None else set()
    unique: dict[Path, FoundModel] = {}
    for model in found:
        real = _real(model.files[0])
        if real not in known:
            unique.setdefault(real, model)
    return tuple(unique.values())


def import_model(
    found: FoundModel,
    library: Library,
    mode: Mode = "link",
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    name: str = "",
    licence: str | None = None,
) -> InstalledModel:
    """Put a found model into the library, linked where it lies or copied.

    Both read all of it once, for its checksum. Raises ImportRefused for what is no model,
    AlreadyInstalled, DiskFull, Cancelled.
    """
    cancel = cancel or CancelToken()
    for path in found.files:
        if found.format == "gguf":
            _require_gguf(path)
    facts: dict[str, Any] = {
        "name": _free_name(library, name or found.name),
        "format": found.format,
        "source": found.repo or "import",
        "revision": found.revision,
        "licence": licence,
    }
    if mode == "copy":
        with library.staging() as staging:
            digests = _copy(found, staging, on_progress, cancel)
            main = _names(found)[0] if found.folder is None else None
            return library.add(staging, main=main, digests=digests, **facts)
    folder = found.folder or found.files[0].parent
    if any(folder not in path.parents for path in found.files):
        raise ImportRefused(path=str(found.files[0]), reason="several_folders")
    digests = {}
    done = 0
    for path in found.files:
        name_inside = path.relative_to(folder).as_posix()
        on_bytes = counted_bytes(on_progress, cancel, "verify", found.size, done, path.name)
        digests[name_inside] = hash_file(path, on_bytes)
        done += path.stat().st_size
    only = tuple(digests)
    main = only[0] if found.folder is None else None
    return library.add(folder, link=True, only=only, main=main, digests=digests, **facts)


def found_file(path: Path) -> FoundModel:
    """A file the user chose, with its other shards. Raises ImportRefused."""
    _require_gguf(path)
    match = _SHARD.search(path.name)
    files: tuple[Path, ...] = (path,)
    if match is not None:
        stem = path.name[: match.start()]
        count = int(match[2])
        files = tuple(
            path.with_name(f"{stem}-{number:05}-of-{match[2]}{match[3]}")
            for number in range(1, min(count, 1000) + 1)
        )
        missing = [file for file in files if not file.is_file()]
        if missing or count > 1000:
            raise ImportRefused(path=str(path), reason="part_missing", name=missing[0].name)
    size = sum(file.stat().st_size for file in files)
    return FoundModel("file", _plain_name(files[0]), files, size)


def found_folder(folder: Path, origin: Origin = "file") -> FoundModel | None:
    """The model that a folder as a whole is: a checkpoint of safetensors files, or an ONNX folder
    of ours or of onnxruntime-genai; None for any other. Raises ImportRefused where a file that
    belongs to it is missing."""
    format = _folder_format(folder)
    if format is None:
        return None
    if format == "safetensors":
        inside = [path for path in _children(folder) if path.name.endswith(_CHECKPOINT_FILES)]
        missing = _missing_weights(folder)
        if missing:
            raise ImportRefused(path=str(folder), reason="file_missing", name=str(missing[0]))
    else:
        inside = list(_walk(folder, 0))
    heavy = (".safetensors", ".onnx")
    files = sorted((p for p in inside if p.is_file()), key=lambda p: not p.name.endswith(heavy))
    size = sum(path.stat().st_size for path in files)
    name = safe_name(folder.name)
    return FoundModel(origin, name, tuple(files), size, format=format, folder=folder)


def _folder_format(folder: Path) -> ModelFormat | None:
    names = {path.name for path in _children(folder)}
    if "stillroom.json" in names:
        return "onnx"
    if "genai_config.json" in names:
        return "genai"
    weights = any(name.endswith(".safetensors") for name in names)
    return "safetensors" if weights and "config.json" in names else None


def _missing_weights(folder: Path) -> list[str]:
    """Files that the checkpoint's index names and that are not there."""
    index = _small_json(folder / "model.safetensors.index.json", _MAX_INDEX)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    named = {str(name) for name in weights.values()} if isinstance(weights, dict) else set()
    return sorted(name for name in named if not (folder / name).is_file())


# ---- the programs' folders ----


def _find_folders(folder: Path, origin: Origin, depth: int = 0) -> Iterator[FoundModel]:
    """Folders below `folder`, and itself, that are a model as a whole."""
    try:
        model = found_folder(folder, origin)
    except (ImportRefused, OSError):
        return
    if model is not None:
        yield model
        return
    for path in _children(folder):
        if depth < _MAX_DEPTH and path.is_dir() and not path.is_symlink():
            yield from _find_folders(path, origin, depth + 1)


def _find_plain(folder: Path, origin: Origin) -> Iterator[FoundModel]:
    """GGUF files anywhere below a folder: LM Studio (publisher/model/file), Jan, GPT4All."""
    for path in _walk(folder, 0):
        name = path.name.lower()
        if not name.endswith(".gguf") or name.startswith("mmproj") or not _has_magic(path):
            continue
        match = _SHARD.search(path.name)
        if match is not None and int(match[1]) != 1:
            continue
        try:
            model = found_file(path)
        except (ImportRefused, OSError):
            continue
        parts = path.relative_to(folder).parts
        repo = "/".join(parts[:2]) if origin == "LM Studio" and len(parts) == 3 else None
        yield FoundModel(origin, model.name, model.files, model.size, repo=repo)


def _find_ollama(folder: Path) -> Iterator[FoundModel]:
    """manifests/HOST/NAMESPACE/MODEL/TAG name the layers, blobs/sha256-HEX hold them."""
    for manifest in _walk(folder / "manifests", 0):
        record = _small_json(manifest)
        layers = record.get("layers") if isinstance(record, dict) else None
        for layer in layers if isinstance(layers, list) else []:
            if not isinstance(layer, dict) or layer.get("mediaType") != _OLLAMA_MODEL:
                continue
            digest = str(layer.get("digest", "")).removeprefix("sha256:").lower()
            blob = folder / "blobs" / f"sha256-{digest}"
            if not re.fullmatch(r"[0-9a-f]{64}", digest) or not _has_magic(blob):
                continue
            model, tag = manifest.parts[-2:]
            name = safe_name(model if tag == "latest" else f"{model}-{tag}")
            yield FoundModel("Ollama", name, (blob,), blob.stat().st_size, sha256=digest)


def _find_hub_cache(folder: Path) -> Iterator[FoundModel]:
    """models--OWNER--NAME/snapshots/COMMIT/PATH, usually links to ../../blobs/DIGEST."""
    for repository in _children(folder):
        parts = repository.name.split("--")
        if len(parts) < 2 or parts[0] != "models":
            continue
        repo = "/".join(parts[1:])
        for snapshot in _children(repository / "snapshots"):
            for model in _find_plain(snapshot, "hub cache"):
                blob = _real(model.files[0]).name
                digest = blob if re.fullmatch(r"[0-9a-f]{64}", blob) else None
                yield FoundModel(
                    "hub cache",
                    model.name,
                    model.files,
                    model.size,
                    sha256=digest if len(model.files) == 1 else None,
                    repo=repo,
                    revision=snapshot.name,
                )
            for model in _find_folders(snapshot, "hub cache"):
                name = safe_name(parts[-1])
                yield replace(model, name=name, repo=repo, revision=snapshot.name)


# ---- inside ----


def _copy(
    found: FoundModel, staging: Path, on_progress: OnProgress, cancel: CancelToken
) -> dict[str, str]:
    """Copy all files, hashing on the way: SHA-256 by name."""
    available = shutil.disk_usage(staging).free
    if available < found.size:
        raise DiskFull(path=str(staging), needed=found.size, available=available, reserve=0)
    digests: dict[str, str] = {}
    on_bytes = counted_bytes(on_progress, cancel, "copy", found.size, detail=found.name)
    for path, name in zip(found.files, _names(found), strict=True):
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as reading, (staging / name).open("wb") as writing:
            try:
                digests[name] = copy_hashed(reading, writing, on_bytes)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise DiskFull(
                    path=str(staging), needed=found.size, available=0, reserve=0
                ) from error
            sync(writing)
    return digests


def _names(found: FoundModel) -> list[str]:
    """The names copies get: an Ollama blob has none of its own."""
    if found.folder is not None:
        return [path.relative_to(found.folder).as_posix() for path in found.files]
    names = [path.name for path in found.files]
    return names if names[0].lower().endswith(".gguf") else [f"{found.name}.gguf"]


def _free_name(library: Library, wanted: str) -> str:
    name = safe_name(wanted)
    number = 2
    while library.find(name) is not None:
        name = f"{safe_name(wanted)}-{number}"
        number += 1
    return name


def _plain_name(path: Path) -> str:
    return safe_name(_SHARD.sub(r"\3", path.name).removesuffix(".gguf").removesuffix(".GGUF"))


def _require_gguf(path: Path) -> None:
    if not path.is_file():
        raise ImportRefused(path=str(path), reason="no_such_file")
    if not _has_magic(path):
        raise ImportRefused(path=str(path), reason="not_gguf")


def _has_magic(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"GGUF"
    except OSError:
        return False


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """Files below `folder`, in order; no links to folders, no deeper than models ever are."""
    for path in _children(folder):
        try:
            if path.is_dir():
                if depth < _MAX_DEPTH and not path.is_symlink():
                    yield from _walk(path, depth + 1)
            elif path.is_file():
                yield path
        except OSError:
            continue


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _small_json(path: Path, most: int = _MAX_MANIFEST) -> Any:
    try:
        if path.stat().st_size > most:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except OSError:
        return path


def _known_files(library: Library) -> set[Path]:
    return {_real(file.path) for model in library.installed() for file in model.files}
