"""Reads a model's header before it is downloaded: fetched by ranges, parsed in a child.

Knows which bytes of which files are needed. Parses nothing itself: what comes from outside goes to
a child process as files. A 40 GB model costs a few megabytes and a second.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from app.errors import BadRemoteHeader
from app.hub.values import RemoteFile, Variant
from runtime.model.info import ModelInfo
from runtime.process.job import Answer, Args, Job
from runtime.process.job_table import INSPECT_CHECKPOINT, INSPECT_PREFIX
from runtime.process.job_values import CheckpointArgs, HeaderPart, PrefixArgs
from runtime.progress import CancelToken

# Bytes asked for, one step after another, until the header is whole. The vocabulary is the bulk of
# it: 6 MB for Qwen, 8 MB for Llama 3. A first step that holds nearly all spares a second parse.
_GGUF_STEPS = tuple(step << 20 for step in (8, 15, 32, 64, 96))
_SHARD_STEP = 256 << 10  # shards after the first hold only tensor tables
_SAFETENSORS_STEP = 128 << 10
_MAX_SAFETENSORS_HEADER = 64 << 20
_MAX_JSON = 32 << 20
_AT_ONCE = 4


class Reader(Protocol):
    """What is needed of the hub."""

    def read_range(
        self, file: RemoteFile, start: int, stop: int, cancel: CancelToken | None = None
    ) -> bytes: ...


class RunJob(Protocol):
    """Runs a job in a child process (`runtime.process.client.run_job`)."""

    def __call__(self, job: Job[Args, Answer], args: Args, cancel: CancelToken, /) -> Answer: ...


@dataclass(frozen=True)
class RemoteModel:
    """What the header of a remote model says, and how many bytes were read for it."""

    info: ModelInfo
    bytes_read: int


def inspect_remote(
    reader: Reader, variant: Variant, run_job: RunJob, cancel: CancelToken | None = None
) -> RemoteModel:
    """ModelInfo of a variant on the hub, the same as its files would give on disk.

    Raises BadRemoteHeader, other HubErrors, CorruptFile and UnsupportedModel (as for local files),
    Cancelled.
    """
    cancel = cancel or CancelToken()
    with tempfile.TemporaryDirectory(prefix="stillroom-header-") as folder:
        counting = _Counting(reader, cancel)
        if variant.format == "gguf":
            info = _inspect_gguf(counting, variant, run_job, Path(folder))
        elif variant.format == "safetensors":
            info = _inspect_safetensors(counting, variant, run_job, Path(folder))
        else:
            file = variant.files[0]
            raise BadRemoteHeader(repo=file.repo, path=file.path, reason="onnx_folder")
        return RemoteModel(info, counting.total)


class _Counting:
    """Reads ranges and counts bytes."""

    def __init__(self, reader: Reader, cancel: CancelToken) -> None:
        self._reader = reader
        self.cancel = cancel
        self.total = 0

    def read(self, file: RemoteFile, start: int, stop: int) -> bytes:
        data = self._reader.read_range(file, start, min(stop, _size(file)), self.cancel)
        self.total += len(data)
        return data


def _inspect_gguf(reader: _Counting, variant: Variant, run_job: RunJob, folder: Path) -> ModelInfo:
    paths = [folder / f"part-{index}" for index in range(len(variant.files))]

    def extend(index: int, stop: int) -> None:
        file = variant.files[index]
        with paths[index].open("ab") as stream:
            have = stream.tell()
            stream.write(reader.read(file, have, min(stop, _size(file))))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        steps = [_GGUF_STEPS[0]] + [_SHARD_STEP] * (len(paths) - 1)
        list(pool.map(extend, range(len(paths)), steps))
    parts = (HeaderPart(path, _size(file)) for path, file in zip(paths, variant.files, strict=True))
    args = PrefixArgs(_name(variant), tuple(parts))
    for _ in range(len(_GGUF_STEPS) * len(paths)):
        answer = run_job(INSPECT_PREFIX, args, reader.cancel)
        if answer.more is None:
            assert answer.info is not None
            return answer.info
        index, needed = answer.more.part, answer.more.needed
        have = paths[index].stat().st_size
        step = next((s for s in _GGUF_STEPS if s > have and s >= needed), None)
        if step is None or have >= _size(variant.files[index]):
            break
        extend(index, step)
    file = variant.files[0]
    raise BadRemoteHeader(
        repo=file.repo,
        path=file.path,
        reason="header_too_large",
        size=file.size,
        largest=_GGUF_STEPS[-1],
    )


def _inspect_safetensors(
    reader: _Counting, variant: Variant, run_job: RunJob, folder: Path
) -> ModelInfo:
    """The headers as files with a hole for the weights, beside config.json and the index."""
    wanted = [
        file
        for file in variant.files
        if file.path.endswith((".safetensors", "config.json", ".safetensors.index.json"))
        and PurePosixPath(file.path).name not in ("tokenizer_config.json", "generation_config.json")
    ]

    def fetch(file: RemoteFile) -> None:
        target = folder / PurePosixPath(file.path).name
        if not file.path.endswith(".safetensors"):
            if _size(file) > _MAX_JSON:
                raise _too_large(file, "too_large", _size(file), _MAX_JSON)
            target.write_bytes(reader.read(file, 0, _size(file)))
            return
        data = reader.read(file, 0, _SAFETENSORS_STEP)
        header = 8 + int.from_bytes(data[:8], "little")
        if header > min(_size(file), _MAX_SAFETENSORS_HEADER):
            most = min(_size(file), _MAX_SAFETENSORS_HEADER)
            raise _too_large(file, "header_too_large", header, most)
        if header > len(data):
            data += reader.read(file, len(data), header)
        with target.open("wb") as stream:
            stream.write(data)
            stream.truncate(_size(file))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, wanted))
    return run_job(INSPECT_CHECKPOINT, CheckpointArgs(folder, _name(variant)), reader.cancel)


def _name(variant: Variant) -> str:
    """What errors and values call the model: hub:OWNER/REPO/FILE, as on the command line."""
    first = variant.files[0]
    return f"hub:{first.repo}/{first.path}" if variant.format == "gguf" else f"hub:{first.repo}"


def _size(file: RemoteFile) -> int:
    if file.size is None:
        raise BadRemoteHeader(repo=file.repo, path=file.path, reason="no_size")
    return file.size


def _too_large(
    file: RemoteFile, reason: Literal["too_large", "header_too_large"], size: int, largest: int
) -> BadRemoteHeader:
    return BadRemoteHeader(
        repo=file.repo, path=file.path, reason=reason, size=size, largest=largest
    )
