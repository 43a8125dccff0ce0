"""The jobs that read headers, of files here and of the beginnings of files elsewhere.

For a child process, as the bytes are untrusted: time and memory for foreign bytes are
limited here. `runtime.model` knows the formats; nothing is fetched.
"""

import sys
from dataclasses import replace
from pathlib import Path

import psutil

from quant.checkpoint.gguf_header import HeaderError, HeaderTruncated, read_header
from quant.errors import CorruptCheckpoint, UnsupportedFormat
from runtime import registry
from runtime.errors import corrupt_file, unsupported_model
from runtime.model.headers import checkpoint_info, joined
from runtime.model.info import ModelInfo, gguf_info, inspect
from runtime.process.job_values import (
    CheckpointArgs,
    InspectArgs,
    NeededBytes,
    PrefixAnswer,
    PrefixArgs,
)
from runtime.progress import OnProgress

CPU_SECONDS = 60
MEMORY_BYTES = 3 << 30  # more than the process has when the job begins


def inspect_job(args: InspectArgs, on_progress: OnProgress) -> ModelInfo:
    """A model here. A checkpoint is one only where an engine runs it. Raises CorruptFile,
    UnsupportedModel, ModelFileError."""
    if registry.reading(("safetensors",)) and _is_checkpoint(args.path):
        info = inspect_checkpoint_job(CheckpointArgs(args.path, str(args.path)), on_progress)
    else:
        info = inspect(args.path)
    return replace(info, tensors=()) if args.brief else info


def _is_checkpoint(path: Path) -> bool:
    if any(path.glob("*.onnx")):
        return False
    return (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def inspect_prefix_job(args: PrefixArgs, _on_progress: OnProgress) -> PrefixAnswer:
    """A GGUF file from its first bytes, or those of its shards. Raises CorruptFile,
    UnsupportedModel."""
    _limit_resources()
    headers = []
    for index, part in enumerate(args.parts):
        try:
            headers.append(read_header(part.path.read_bytes(), part.size))
        except HeaderTruncated as error:
            if error.needed > part.size:
                raise corrupt_file(error, args.name) from error
            return PrefixAnswer(more=NeededBytes(index, error.needed))
        except HeaderError as error:
            raise corrupt_file(error, args.name) from error
    size = sum(part.size for part in args.parts)
    return PrefixAnswer(gguf_info(joined(headers, args.name), args.name, size))


def inspect_checkpoint_job(args: CheckpointArgs, _on_progress: OnProgress) -> ModelInfo:
    """A safetensors checkpoint from its headers. Raises CorruptFile, UnsupportedModel."""
    _limit_resources()
    try:
        return checkpoint_info(args.folder, args.name)
    except CorruptCheckpoint as error:
        raise corrupt_file(error, args.name) from error
    except UnsupportedFormat as error:
        raise unsupported_model(error, args.name) from error


def _limit_resources() -> None:
    """Bound what a hostile header can cost this process, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    used = psutil.Process().memory_info().vms
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for kind, limit in (
        (resource.RLIMIT_AS, used + MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(spent) + CPU_SECONDS),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (allowed, hard))
