"""The hub's data as values: queries, search hits, repositories, files, variants.

Pure: knows the hub's field and tag names and how model files are named; knows no network.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo
    from huggingface_hub.hf_api import RepoFile

WeightFormat = Literal["gguf", "safetensors", "onnx"]
Sort = Literal["downloads", "likes", "lastModified", "createdAt", "trendingScore"]

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(\.[A-Za-z0-9]+)$")
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:I?Q|TQ)\d(?:_[0-9]|_K(?:_?(?:XXS|XS|XL|S|M|L|P))?|_(?:XXS|XS|S|M|NL|XL))*"
    r"|BF16|FP?16|FP?32|MXFP4|NVFP4)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[\w.-]{1,96})?")
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")


@dataclass(frozen=True)
class SearchQuery:
    """What to look for. Empty text and None mean "any".

    `min_parameters` and `max_parameters` count parameters; `distilled_from` is a teacher or base
    model, as "owner/name" or as part of one; `quantization` is a label such as "Q4_K_M".
    """

    text: str = ""
    format: WeightFormat | None = "gguf"
    architecture: str = ""
    min_parameters: int | None = None
    max_parameters: int | None = None
    quantization: str = ""
    licence: str = ""
    distilled_from: str = ""
    gated: bool | None = None
    sort: Sort = "downloads"
    limit: int = 20


@dataclass(frozen=True)
class SearchHit:
    """One repository found. Sizes of files are never in search results; `files` has names only."""

    repo: str
    downloads: int | None
    likes: int | None
    gated: bool
    licence: str | None
    parameters: int | None
    architecture: str | None
    context_length: int | None
    last_modified: str | None
    commit: str | None
    base_models: tuple[str, ...]
    tags: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def quantizations(self) -> tuple[str, ...]:
        """Labels of the GGUF variants, in the order of the files."""
        labels = (quantization_of(name) for name in self.files if name.lower().endswith(".gguf"))
        return tuple(dict.fromkeys(label for label in labels if label))


@dataclass(frozen=True)
class SearchPage:
    """Some hits. `next_page` continues the search; `cached_at` (UTC) is set on a stored answer."""

    hits: tuple[SearchHit, ...]
    next_page: str | None = None
    cached_at: str | None = None


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository at a commit. LFS files have `sha256`, small ones only `blob_id`,
    the git object id sha1("blob <size>\\0" + data). A mirror may hide the size."""

    repo: str
    commit: str
    path: str
    size: int | None
    sha256: str | None = None
    blob_id: str | None = None


@dataclass(frozen=True)
class RepoDetails:
    """One repository at a commit."""

    repo: str
    commit: str
    url: str
    gated: bool
    licence: str | None
    base_models: tuple[str, ...]
    tags: tuple[str, ...]
    downloads: int | None
    likes: int | None
    last_modified: str | None
    parameters: int | None
    architecture: str | None
    context_length: int | None
    files: tuple[RemoteFile, ...]
    cached_at: str | None = None


@dataclass(frozen=True)
class Variant:
    """Files that together are one way to get the model: a GGUF file or all its shards, the
    safetensors weights with their configuration, or a folder of ONNX files."""

    label: str
    format: WeightFormat
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int | None:
        """Bytes to download; None when the hub hides one of the sizes."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def bits_per_weight(self, parameters: int | None) -> float | None:
        """Stored bits per parameter, or None when either number is unknown."""
        if not parameters or self.size is None:
            return None
        return self.size * 8 / parameters


def is_repo_name(text: str) -> bool:
    """Whether `text` can be a repository's name ("owner/name", or an old bare "name")."""
    return _REPO.fullmatch(text) is not None and ".." not in text and "--" not in text


def is_revision(text: str) -> bool:
    """Whether `text` can be a branch, tag or commit."""
    return _REVISION.fullmatch(text) is not None and ".." not in text


def is_safe_path(text: str) -> bool:
    """Whether a path named by the hub stays inside the folder it is put in, on any system."""
    if not text or len(text) > 1024 or any(ord(char) < 32 for char in text):
        return False
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    if posix.is_absolute() or windows.drive or windows.root or "\\" in text or ":" in text:
        return False
    parts = posix.parts
    return bool(parts) and all(
        part not in ("..", ".") and not part.endswith((".", " ")) for part in parts
    )


def quantization_of(name: str) -> str | None:
    """The quantization label in a GGUF file's name, in upper case, if it has one."""
    found = _QUANT.findall(_SHARD.sub(r"\3", PurePosixPath(name).name))
    if not found:
        return None
    label: str = found[-1].upper()
    return {"FP16": "F16", "FP32": "F32"}.get(label, label)


def variants(files: tuple[RemoteFile, ...]) -> tuple[Variant, ...]:
    """The ways to get this model, smallest first. Incomplete shard sets are left out."""
    found = [*_gguf_variants(files), *_safetensors_variants(files), *_onnx_variants(files)]
    return tuple(sorted(found, key=lambda variant: (variant.size is None, variant.size or 0)))


def _gguf_variants(files: tuple[RemoteFile, ...]) -> list[Variant]:
    groups: dict[str, list[RemoteFile]] = {}
    for file in files:
        name = PurePosixPath(file.path).name.lower()
        if name.endswith(".gguf") and not name.startswith(("mmproj", "imatrix")):
            groups.setdefault(_SHARD.sub(r"\3", file.path), []).append(file)
    found = []
    for stem, group in groups.items():
        shards = sorted(group, key=lambda file: file.path)
        match = _SHARD.search(shards[0].path)
        if match is not None and len(shards) != int(match[2]):
            continue
        label = quantization_of(stem) or PurePosixPath(stem).stem
        found.append(Variant(label, "gguf", tuple(shards)))
    return found


def _safetensors_variants(files: tuple[RemoteFile, ...]) -> list[Variant]:
    weights = [file for file in files if file.path.endswith(".safetensors")]
    weights = [file for file in weights if "/" not in file.path]
    if not weights:
        return []
    extra = (".json", ".model", ".jinja", ".txt")
    beside = [file for file in files if "/" not in file.path and file.path.endswith(extra)]
    return [Variant("safetensors", "safetensors", (*weights, *beside))]


def _onnx_variants(files: tuple[RemoteFile, ...]) -> list[Variant]:
    folders = {str(PurePosixPath(f.path).parent) for f in files if f.path.endswith(".onnx")}
    found = []
    for folder in sorted(folders):
        inside = tuple(f for f in files if str(PurePosixPath(f.path).parent) == folder)
        found.append(Variant("onnx" if folder == "." else folder, "onnx", inside))
    return found


def search_parameters(query: SearchQuery) -> list[tuple[str, str]]:
    """The query string of GET /api/models, for the part of the query that the hub can answer."""
    pairs: list[tuple[str, str]] = [("filter", query.format)] if query.format else []
    if query.licence:
        pairs.append(("filter", f"license:{query.licence}"))
    if "/" in query.distilled_from:
        pairs.append(("filter", f"base_model:{query.distilled_from}"))
    if query.text:
        pairs.append(("search", query.text))
    if query.gated is not None:
        pairs.append(("gated", "true" if query.gated else "false"))
    bounds = [("min", query.min_parameters), ("max", query.max_parameters)]
    limits = [f"{name}:{value}" for name, value in bounds if value is not None]
    if limits:
        pairs.append(("num_parameters", ",".join(limits)))
    pairs += [("sort", query.sort), ("limit", str(query.limit))]
    wanted = "downloads likes gated gguf safetensors siblings lastModified tags sha".split()
    return pairs + [("expand", name) for name in wanted]


def matches(hit: SearchHit, query: SearchQuery) -> bool:
    """Whether a hit meets the query; asks again what the hub was asked, as mirrors ignore some."""
    sizes = hit.parameters
    tests = (
        query.gated is None or hit.gated == query.gated,
        not query.licence or hit.licence is None or hit.licence == query.licence,
        query.min_parameters is None or sizes is None or sizes >= query.min_parameters,
        query.max_parameters is None or sizes is None or sizes <= query.max_parameters,
        not query.quantization or query.quantization.upper() in hit.quantizations,
        not query.architecture or _has_architecture(hit, query.architecture.lower()),
        not query.distilled_from or _comes_from(hit, query.distilled_from.lower()),
    )
    return all(tests)


def _has_architecture(hit: SearchHit, architecture: str) -> bool:
    if hit.architecture is not None:
        return hit.architecture.lower() == architecture
    return architecture in (tag.lower() for tag in hit.tags)


def _comes_from(hit: SearchHit, origin: str) -> bool:
    return origin in hit.repo.lower() or any(origin in base.lower() for base in hit.base_models)


def hit_from_info(info: "ModelInfo") -> SearchHit:
    """A SearchHit from huggingface_hub's ModelInfo. TypeError or ValueError for nonsense."""
    tags = _texts(info.tags)
    gguf = info.gguf if isinstance(info.gguf, Mapping) else {}
    files = tuple(str(sibling.rfilename) for sibling in info.siblings or [])
    if not is_repo_name(info.id):
        raise ValueError(f"repository name {str(info.id)[:80]!r}")
    return SearchHit(
        repo=info.id,
        downloads=_whole(info.downloads),
        likes=_whole(info.likes),
        gated=bool(info.gated),
        licence=_tagged(tags, "license:"),
        parameters=_parameters(info, gguf),
        architecture=_text(gguf.get("architecture")),
        context_length=_whole(gguf.get("context_length")),
        last_modified=_moment(info.last_modified),
        commit=_text(info.sha),
        base_models=_base_models(tags),
        tags=tags,
        files=tuple(name for name in files if is_safe_path(name)),
    )


def details_from_info(info: "ModelInfo", url: str, revision: str) -> RepoDetails:
    """RepoDetails from huggingface_hub's ModelInfo asked for with files_metadata=True.

    revision: what was asked for; stands in for the commit where a mirror hides it.
    """
    hit = hit_from_info(info)
    commit = hit.commit or revision
    files = tuple(
        RemoteFile(
            repo=hit.repo,
            commit=commit,
            path=sibling.rfilename,
            size=_whole(sibling.size),
            sha256=_hexadecimal(sibling.lfs.sha256, 64) if sibling.lfs else None,
            blob_id=None if sibling.lfs else _hexadecimal(sibling.blob_id, 40),
        )
        for sibling in info.siblings or []
        if is_safe_path(sibling.rfilename)
    )
    return RepoDetails(
        repo=hit.repo,
        commit=commit,
        url=url,
        gated=hit.gated,
        licence=hit.licence,
        base_models=hit.base_models,
        tags=hit.tags,
        downloads=hit.downloads,
        likes=hit.likes,
        last_modified=hit.last_modified,
        parameters=hit.parameters,
        architecture=hit.architecture,
        context_length=hit.context_length,
        files=files,
    )


def file_from_tree(entry: "RepoFile", repo: str, commit: str) -> RemoteFile:
    """A RemoteFile from huggingface_hub's RepoFile (one row of a tree listing)."""
    lfs = entry.lfs
    return RemoteFile(
        repo=repo,
        commit=commit,
        path=entry.path,
        size=_whole(entry.size),
        sha256=_hexadecimal(lfs.sha256, 64) if lfs else None,
        blob_id=None if lfs else _hexadecimal(entry.blob_id, 40),
    )


def _parameters(info: "ModelInfo", gguf: Mapping[str, object]) -> int | None:
    counted = _whole(gguf.get("total"))
    return counted if counted is not None else _whole(getattr(info.safetensors, "total", None))


def _whole(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Iterable[object] | None) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if value else ()


def _moment(value: datetime | None) -> str | None:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value is not None else None


def _hexadecimal(value: object, length: int) -> str | None:
    if isinstance(value, str) and re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
        return value.lower()
    return None


def _tagged(tags: tuple[str, ...], prefix: str) -> str | None:
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def _base_models(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Base models from tags "base_model:owner/name" and "base_model:RELATION:owner/name"."""
    names = (tag.split(":")[-1] for tag in tags if tag.startswith("base_model:"))
    return tuple(dict.fromkeys(name for name in names if "/" in name))
