"""The errors of the runtime layer. They carry facts; `app.wording.explain` alone words them.

EngineError
├── ModelFileError            a file that cannot be used: path, detail
│   ├── CorruptFile
│   └── UnsupportedModel
├── BackendUnavailable        engine missing or refused: backend, reason
├── DeviceUnavailable         device id, reason
├── DoesNotFit                needed, available, device, suggestion, smaller_model
├── OutOfMemory               device, needed, suggestion, smaller_model
├── DraftRefused              draft, code, and the facts that disagree
├── ContextOverflow           n_tokens, n_ctx
├── EvaluationFailed          code, tokens, log
├── StageFailed               stage, device, detail
├── TemplateFailed            reason, detail
├── InvalidRequest            field, reason
│   └── ContextTooLong        n_ctx, longest, device, why
├── InternalError             detail: a fault of the program, its traceback is in the log
└── WorkerError               the worker process: kind, facts
    ├── WorkerStartFailed
    ├── ProtocolMismatch
    ├── WorkerStalled
    └── WorkerDied            exit: see runtime.process.client.WorkerExit

Every class is registered by name, so an error can cross the pipe as {type, facts} and be rebuilt.
"""

from typing import Any, ClassVar


class EngineError(Exception):
    """Base of all runtime errors; `facts` are JSON values."""

    registry: ClassVar[dict[str, type["EngineError"]]] = {}

    def __init__(self, **facts: Any) -> None:
        super().__init__(", ".join(f"{key}={value!r}" for key, value in facts.items()))
        self.facts: dict[str, Any] = facts

    def __init_subclass__(cls) -> None:
        EngineError.registry[cls.__name__] = cls

    def to_json(self) -> dict[str, Any]:
        return {"type": type(self).__name__, "facts": self.facts}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "EngineError":
        """Rebuild an error that crossed the pipe; an unknown type becomes EngineError."""
        cls = EngineError.registry.get(str(data.get("type")), EngineError)
        return cls(**data.get("facts", {}))


class ModelFileError(EngineError):
    """facts: path, detail, and tensor where one is to blame."""


class CorruptFile(ModelFileError):
    """The file's bytes contradict its format."""


class UnsupportedModel(ModelFileError):
    """The file is sound, but of a kind no engine here can run."""


class BackendUnavailable(EngineError):
    """facts: backend, reason."""


class DeviceUnavailable(EngineError):
    """facts: device, reason."""


class DoesNotFit(EngineError):
    """facts: device, needed, available (bytes), suggestion (JSON of the nearest plan or None), and
    smaller_model (a name) where one of the same family fits."""


class OutOfMemory(EngineError):
    """facts: device, needed (bytes of the allocation that failed, None where the engine does not
    say), suggestion and smaller_model as in DoesNotFit. The engine said so; a process killed for
    memory is a WorkerDied."""


class DraftRefused(EngineError):
    """facts: draft (its name), code (of `runtime.answer.speculation.vocabulary_mismatch`, or
    draft_engine, draft_device, draft_not_smaller, draft_does_not_fit), and what that code is
    about."""


class ContextOverflow(EngineError):
    """facts: n_tokens, n_ctx."""


class EvaluationFailed(EngineError):
    """facts: code (the engine's return value), tokens, log (its last error line). Defined here and
    not beside the engine, so that a parent that never imports an engine can rebuild it."""


class StageFailed(EngineError):
    """facts: stage, device, detail. A stage raised, or its numbers were not finite."""


class TemplateFailed(EngineError):
    """A chat template could not be used. facts: reason, detail.

    reason is "syntax", "raised" (the template itself refused), "limit" or "error".
    """


class InvalidRequest(EngineError):
    """facts: field, reason."""


class ContextTooLong(InvalidRequest):
    """facts: n_ctx (asked for), longest (what is possible), device, why: "trained" (the model's own
    limit), "exported" (the file's) or "compiled" (that of its body for the device)."""


class InternalError(EngineError):
    """facts: detail."""


class WorkerError(EngineError):
    """Base of what can go wrong with the worker process itself."""


class WorkerStartFailed(WorkerError):
    """facts: command, reason, stderr_tail."""


class ProtocolMismatch(WorkerError):
    """facts: expected, got."""


class WorkerStalled(WorkerError):
    """facts: seconds, doing."""


class WorkerDied(WorkerError):
    """facts: kind, signal, exit_code, stderr_tail (see runtime.process.client.WorkerExit)."""
