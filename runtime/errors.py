"""The errors of the runtime layer. They carry facts; `app.wording.explain` alone words them.

EngineError
├── ModelFileError            a file that cannot be used
│   ├── CorruptFile
│   └── UnsupportedModel
├── BackendUnavailable        engine missing or refused
├── NoEngineRan
├── DeviceUnavailable
├── DoesNotFit                memory, by the plan
├── OutOfMemory               memory, by the engine
├── DraftRefused
├── ContextOverflow
├── EvaluationFailed
├── StageFailed
├── TemplateFailed
├── TokenizerFailed
├── InvalidRequest
│   └── ContextTooLong
├── InternalError             a fault of the program, its traceback is in the log
├── JobMismatch               a fault of the program too
└── WorkerError               the worker process
    ├── WorkerStartFailed
    ├── ProtocolMismatch
    ├── WorkerStalled
    └── WorkerDied

All are defined here and none beside an engine, so that a parent that never imports an engine can
rebuild what crosses the pipe.
"""

from typing import Literal, TypedDict

from quant.error_base import LogOnly, StillroomError

ContextLimit = Literal["trained", "exported", "compiled"]
ExitKind = Literal[
    "clean",  # asked to end
    "cancelled",  # ended by us because a cancel was not answered in time
    "stalled",  # ended by us because it went silent
    "crashed",  # a fault in native or Python code
    "killed",  # ended by the system or another program
    "out_of_memory",
    "lost_protocol",  # sent something that is not in the protocol
]


class Suggestion(TypedDict, total=False):
    """The request closest to a refused one that fits, see `runtime.planning.nearest_fit`; of a
    cluster, how many machines would do. `needed` in bytes, `gives_up` names what differs."""

    n_ctx: int
    kv_type: str
    policy: str
    device: str
    blocks_off_cpu: int
    blocks: int
    accelerators: str
    needed: int
    gives_up: list[str]
    machines: int | None


class EngineError(StillroomError):
    """Base of all runtime errors."""


class ModelFileError(EngineError):
    """`tensor` is None where no single one is the cause."""

    path: str
    detail: str
    tensor: str | None = None


class CorruptFile(ModelFileError):
    """The file's bytes contradict its format."""


class UnsupportedModel(ModelFileError):
    """The file is sound, but of a kind no engine here can run."""


class BackendUnavailable(EngineError):
    backend: str
    reason: str


class NoEngineRan(EngineError):
    """No engine could be measured with the model. `failed` has the error name of each."""

    failed: dict[str, str]


class DeviceUnavailable(EngineError):
    """`reason` is a code that `app.wording` has words for. What a provider's self-test found is
    told by `finding` (a code), `cosine` and `seconds`."""

    device: str
    reason: str
    detail: str | None = None
    path: LogOnly[str | None] = None
    package: str | None = None
    known: list[str] | None = None
    finding: str | None = None
    cosine: float | None = None
    seconds: float | None = None


class DoesNotFit(EngineError):
    """Amounts in bytes. `smaller_model` names one of the same family that fits."""

    device: str
    needed: int
    available: int
    suggestion: Suggestion | None = None
    smaller_model: str | None = None


class OutOfMemory(EngineError):
    """Reported by the engine; a process killed for memory is a WorkerDied. `needed` is in bytes, of
    the allocation that failed; None where the engine does not say."""

    device: str
    needed: int | None = None
    suggestion: Suggestion | None = None
    smaller_model: str | None = None


class DraftRefused(EngineError):
    """`code` is one of `runtime.answer.speculation.vocabulary_mismatch`, or draft_engine,
    draft_device, draft_not_smaller, draft_does_not_fit; the facts after it are what it is about."""

    draft: str
    code: str
    engine: str | None = None
    device: str | None = None
    needed: int | None = None
    token: int | None = None
    target: str | int | None = None
    theirs: str | int | None = None


class ContextOverflow(EngineError):
    n_tokens: int
    n_ctx: int


class EvaluationFailed(EngineError):
    """`code` is the engine's return value, `log` its last error line."""

    code: int
    tokens: int
    log: LogOnly[str]


class StageFailed(EngineError):
    """A stage raised, or its numbers were not finite."""

    stage: str
    device: str
    detail: str


class TemplateFailed(EngineError):
    """A chat template could not be used; it "raised" where the template itself refused."""

    reason: Literal["syntax", "raised", "limit", "error"]
    detail: str


class TokenizerFailed(EngineError):
    """The tokenizer refused a text of `length` bytes or characters."""

    length: int


class InvalidRequest(EngineError):
    field: str
    reason: str


class ContextTooLong(InvalidRequest):
    """`n_ctx` was asked for, `longest` is possible; `why`: the model's own limit, the file's, or
    that of its body for the device."""

    field: str = "n_ctx"
    reason: str = "too_long"
    n_ctx: int
    longest: int
    device: str
    why: ContextLimit


class InternalError(EngineError):
    detail: str


class JobMismatch(EngineError):
    """A job's arguments, which the process reads, or its answer, which its parent reads, are not
    what the job's values say. `field` is dotted, "" for the whole."""

    job: str
    side: LogOnly[Literal["arguments", "answer"]]
    field: str
    detail: str


class WorkerError(EngineError):
    """Base of what can go wrong with the worker process itself."""


class WorkerStartFailed(WorkerError):
    command: LogOnly[list[str]]
    reason: str
    stderr_tail: LogOnly[str]


class ProtocolMismatch(WorkerError):
    expected: int
    got: int | None


class WorkerStalled(WorkerError):
    seconds: float
    stderr_tail: LogOnly[str]


class WorkerDied(WorkerError):
    """How it ended: see `runtime.process.exit.classify`. `suggestion` and `smaller_model` are there
    where memory ran out, as in DoesNotFit."""

    kind: ExitKind
    exit_code: int
    cause: str = ""
    stderr_tail: LogOnly[str] = ""
    suggestion: Suggestion | None = None
    smaller_model: str | None = None
