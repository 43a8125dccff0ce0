"""The errors of the runtime layer. They carry facts; `app.wording.explain` alone words them.

EngineError
├── ModelFileError            a file that cannot be used
│   ├── UnusableFile
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
├── ContextTooLong
├── InternalError             a fault of the program, its traceback is in the log
├── UnrecognizedEngineError   of another package's engine
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

from quant.error_base import LogOnly, StillroomError, UnrecognizedError
from quant.errors import FileDamage, UnknownKind

DraftCode = Literal[
    "draft_engine",
    "draft_device",
    "draft_not_smaller",
    "draft_does_not_fit",
    "draft_tokenizer_differs",
    "draft_vocabulary_size_differs",
    "draft_bos_differs",
    "draft_eos_differs",
    "draft_token_differs",
]
RequestCode = Literal[
    "not_offered",
    "no_tokens",
    "out_of_range",
    "at_least",
    "above_zero",
    "one_of",
    "nothing_evaluated",
    "not_in_vocabulary",
    "grammar_unreadable",
    "one_device",
    "not_host_port",
    "no_split",
    "beyond_training",
    "indivisible_heads",
    "unknown_job",
    "already_loaded",
    "no_model_loaded",
    "ended_at_once",
    "ended_early",
    "no_room",
    "not_text",
    "empty",
    "needs_model",
    "needs_prompt",
    "needs_source",
    "needs_size",
    "no_limit",
    "not_a_saved_run",
    "other_version",
    "cannot_continue",
    "name_one",
    "tools_and_json",
    "no_such_tool",
    "schema_too_large",
    "schema_too_deep",
    "schema_not_object",
    "schema_too_many_parts",
    "schema_foreign_reference",
    "schema_dangling_reference",
    "schema_circular_reference",
    "schema_unsupported",
    "schema_unknown_type",
    "schema_properties",
    "schema_required",
    "schema_counts",
    "schema_bounds",
    "schema_alternatives",
]
Stage = Literal["model", "embeddings", "body", "lm_head"]
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
    """Base of the errors of a model's file or folder; `path` is "" where it is not known."""

    path: str = ""


class UnusableFile(ModelFileError):
    """It cannot be opened, or not used as asked. `tokens` is how many the engine had no room for,
    `detail` what the engine or the system says."""

    reason: Literal[
        "missing",
        "unreadable",
        "refused",
        "no_context",
        "no_embeddings",
        "not_tokenized",
    ]
    tokens: int | None = None
    detail: str | None = None


class CorruptFile(ModelFileError, FileDamage):
    """The file's bytes contradict its format."""


class UnsupportedModel(ModelFileError, UnknownKind):
    """The file is sound, but of a kind no engine here can run."""


def corrupt_file(damage: FileDamage, path: str) -> CorruptFile:
    """The same damage, of the model at `path`."""
    return CorruptFile(
        path=path,
        reason=damage.reason,
        tensor=damage.tensor,
        key=damage.key,
        found=damage.found,
        wanted=damage.wanted,
        detail=damage.detail,
    )


def unsupported_model(kind: UnknownKind, path: str) -> UnsupportedModel:
    """The same kind, of the model at `path`."""
    return UnsupportedModel(
        path=path,
        reason=kind.reason,
        tensor=kind.tensor,
        key=kind.key,
        found=kind.found,
        wanted=kind.wanted,
        detail=kind.detail,
    )


class BackendUnavailable(EngineError):
    """`formats` are those at hand, `library` is a file's name; `detail` is what the import or the
    libraries' self-tests said."""

    backend: str
    reason: Literal[
        "unknown_engine",
        "import_failed",
        "library_refused",
        "no_library_works",
        "built_without_it",
        "no_context",
        "reads_no_format",
        "scores_no_format",
        "simulates_no_memory",
    ]
    formats: list[str] | None = None
    library: str | None = None
    detail: str | None = None


class NoEngineRan(EngineError):
    """No engine could be measured with the model. `failed` has the error name of each."""

    failed: dict[str, str]


class DeviceUnavailable(EngineError):
    """`reason` is a code of `app.wording.sentences.UNAVAILABLE`, which devices carry as well;
    `known` are the devices that there are, `cosine` is what a self-test measured."""

    device: str
    reason: str
    detail: str | None = None
    known: list[str] | None = None
    path: LogOnly[str | None] = None
    package: LogOnly[str | None] = None
    cosine: LogOnly[float | None] = None


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
    needed: LogOnly[int | None] = None
    suggestion: Suggestion | None = None
    smaller_model: str | None = None


class DraftRefused(EngineError):
    """`code` is one of `runtime.answer.speculation.vocabulary_mismatch`, or draft_engine,
    draft_device, draft_not_smaller, draft_does_not_fit; the facts after it are what it is about."""

    draft: str
    code: DraftCode
    engine: LogOnly[str | None] = None
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
    """A stage raised, or its numbers were not finite; `detail` is the engine's own words."""

    stage: Stage
    device: str
    detail: str


class TemplateFailed(EngineError):
    """A chat template could not be used; it "raised" where the template itself refused, which it
    says in `detail`."""

    reason: Literal["syntax", "raised", "limit", "too_long", "error"]
    detail: str = ""


class TokenizerFailed(EngineError):
    """The tokenizer refused a text of `length` bytes or characters."""

    length: int


class InvalidRequest(EngineError):
    """`value` is what was given; `choices`, `minimum` and `maximum` are what is possible; `detail`
    is what the system says."""

    field: str
    reason: RequestCode
    value: str | int | float | None = None
    choices: list[str] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    detail: str | None = None


class ContextTooLong(EngineError):
    """`n_ctx` was asked for, `longest` is possible; `why`: the model's own limit, the file's, or
    that of its body for the device."""

    n_ctx: int
    longest: int
    device: str
    why: ContextLimit


class InternalError(EngineError):
    detail: str


class UnrecognizedEngineError(UnrecognizedError, EngineError):
    """An error that only the adapter of another package's engine knows."""


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
    """`cause` is what ended it, or what the system says."""

    command: LogOnly[list[str]]
    reason: Literal["refused", "ended", "silent"]
    cause: str = ""
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
