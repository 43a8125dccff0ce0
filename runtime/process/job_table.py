"""The jobs a child process can run, as data: where each is, what it takes and what it answers.

A job runs in a process of its own: a crash in native code or an endless parse ends only the child.
Its module is imported by the child alone; cancelling a job ends its process, so jobs write to
temporary names.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from quant.quality.figures import PairedReport, QualityReport, SchemesReport
from quant.recipe import QuantReport
from runtime.errors import InvalidRequest
from runtime.machine.providers import Preflight
from runtime.model.info import ModelInfo
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.exact_memory import MemoryReport
from runtime.process.job import Job
from runtime.process.job_values import (
    CheckpointArgs,
    EnginesAnswer,
    EnginesArgs,
    ExportArgs,
    ImatrixAnswer,
    ImatrixArgs,
    InspectArgs,
    LibrariesAnswer,
    LibrariesArgs,
    LibraryAnswer,
    LibraryArgs,
    MemoryArgs,
    Nothing,
    PairArgs,
    PrefixAnswer,
    PrefixArgs,
    PreflightArgs,
    PreflightsAnswer,
    ProbeAnswer,
    ProbeArgs,
    ProfileArgs,
    QualityArgs,
    QuantizeArgs,
    ReadRateAnswer,
    ReadRateArgs,
    RpcServerArgs,
    SchemesArgs,
    SizeArgs,
    VocabulariesAnswer,
    VocabulariesArgs,
)
from runtime.progress import OnProgress

_TASKS = "runtime.tasks"
_LLAMA = "runtime.backends.llama"
_ONNX = "runtime.backends.onnx"

INSPECT = Job(f"{_TASKS}.inspect:inspect_job", InspectArgs, ModelInfo)
INSPECT_PREFIX = Job(f"{_TASKS}.inspect:inspect_prefix_job", PrefixArgs, PrefixAnswer)
INSPECT_CHECKPOINT = Job(f"{_TASKS}.inspect:inspect_checkpoint_job", CheckpointArgs, ModelInfo)
COMPARE_VOCABULARIES = Job(
    f"{_LLAMA}.vocabulary:compare_vocabularies_job", VocabulariesArgs, VocabulariesAnswer
)
PROBE = Job(f"{_TASKS}.probe:probe_job", ProbeArgs, ProbeAnswer)
RPC_SERVER = Job(f"{_LLAMA}.rpc:rpc_server_job", RpcServerArgs, Nothing)
SIMULATE_MEMORY = Job(f"{_TASKS}.simulate_memory:simulate_memory_job", MemoryArgs, MemoryReport)
SCORE_CPU_LIBRARIES = Job(
    f"{_LLAMA}.self_test:score_cpu_libraries_job", LibrariesArgs, LibrariesAnswer
)
CHECK_CPU_LIBRARY = Job(f"{_LLAMA}.self_test:check_cpu_library_job", LibraryArgs, LibraryAnswer)
PREFLIGHT_TARGETS = Job(f"{_ONNX}.preflight:preflight_targets_job", Nothing, PreflightsAnswer)
PREFLIGHT = Job(f"{_ONNX}.preflight:preflight_job", PreflightArgs, Preflight)
PROFILE = Job(f"{_TASKS}.profile:profile_job", ProfileArgs, BandwidthProfile)
READ_RATE = Job(f"{_TASKS}.profile:read_rate_job", ReadRateArgs, ReadRateAnswer)
MEASURE_ENGINES = Job(f"{_TASKS}.measure_engines:measure_engines_job", EnginesArgs, EnginesAnswer)
QUANTIZE_GGUF = Job(f"{_TASKS}.convert:quantize_gguf_job", QuantizeArgs, QuantReport)
QUANTIZE_TO_SIZE = Job(f"{_TASKS}.size:quantize_to_size_job", SizeArgs, QuantReport)
EXPORT_ONNX = Job(f"{_TASKS}.convert:export_onnx_job", ExportArgs, QuantReport)
QUALITY = Job(f"{_TASKS}.quality:quality_job", QualityArgs, QualityReport)
QUALITY_PAIR = Job(f"{_TASKS}.quality:pair_job", PairArgs, PairedReport)
SCHEMES = Job(f"{_TASKS}.quality:schemes_job", SchemesArgs, SchemesReport)
IMATRIX = Job(f"{_TASKS}.quality:imatrix_job", ImatrixArgs, ImatrixAnswer)


class Runnable(Protocol):
    """A job, whatever it takes and answers."""

    @property
    def name(self) -> str: ...

    def run(self, args: msgspec.Raw, on_progress: OnProgress) -> msgspec.Raw: ...


_ALL: tuple[Runnable, ...] = (
    INSPECT,
    INSPECT_PREFIX,
    INSPECT_CHECKPOINT,
    COMPARE_VOCABULARIES,
    PROBE,
    RPC_SERVER,
    SIMULATE_MEMORY,
    SCORE_CPU_LIBRARIES,
    CHECK_CPU_LIBRARY,
    PREFLIGHT_TARGETS,
    PREFLIGHT,
    PROFILE,
    READ_RATE,
    MEASURE_ENGINES,
    QUANTIZE_GGUF,
    QUANTIZE_TO_SIZE,
    EXPORT_ONNX,
    QUALITY,
    QUALITY_PAIR,
    SCHEMES,
    IMATRIX,
)
JOBS: Mapping[str, Runnable] = {job.name: job for job in _ALL}


def find_job(name: str) -> Runnable:
    """The job of a name. Raises InvalidRequest for an unknown one."""
    job = JOBS.get(name)
    if job is None:
        raise InvalidRequest(field="job", reason="unknown_job", value=name)
    return job
