"""What goes wrong in a request, as HTTP: status, OpenAI's error type and code, our words.

Knows statuses; the wording is `app.wording.explain`'s.
"""

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from app.errors import AppError, UnknownModel
from app.unexpected import is_fault
from app.wording.explain import explain
from quant.error_base import LogOnly, StillroomError
from runtime.errors import (
    BackendUnavailable,
    ContextOverflow,
    ContextTooLong,
    CorruptFile,
    DeviceUnavailable,
    DoesNotFit,
    EvaluationFailed,
    InvalidRequest,
    OutOfMemory,
    StageFailed,
    TemplateFailed,
    TokenizerFailed,
    UnsupportedModel,
    WorkerDied,
    WorkerStalled,
)
from runtime.progress import Cancelled
from runtime.tracebacks import summary_of

if TYPE_CHECKING:  # the command line imports this module for each of its commands
    import asyncio

RefusalCode = Literal[
    "not_found",
    "wrong_host",
    "cross_origin",
    "invalid_api_key",
    "unsupported_media_type",
    "body_too_large",
    "timeout",
    "invalid_request",
    "invalid_json",
]

logger = logging.getLogger(__name__)


class RequestRefused(AppError):
    """Refused before it runs. `status` is HTTP's, `limit` in MiB, `detail` what the
    library that read the request says."""

    status: LogOnly[int]
    code: RefusalCode
    limit: int | None = None
    detail: str = ""


class Busy(AppError):
    """Too many requests are already waiting; `retry_after` is in seconds."""

    retry_after: float


class PortTaken(AppError):
    """`detail` is the system's own words."""

    host: str
    port: int
    detail: str


class NotConfirmed(AppError):
    """Opening to the network was not confirmed."""

    host: str


@dataclass(frozen=True)
class Fault:
    """An error as it is sent."""

    status: int
    body: dict[str, dict[str, str | None]]
    headers: dict[str, str]


# Errors whose own sentence a client is told: HTTP's status and OpenAI's code. It names no path.
_STATUS: dict[type[StillroomError], tuple[int, str]] = {
    UnknownModel: (404, "model_not_found"),
    ContextOverflow: (400, "context_length_exceeded"),
    ContextTooLong: (400, "context_length_exceeded"),
    InvalidRequest: (400, "invalid_request"),
    TemplateFailed: (400, "invalid_messages"),
    Busy: (429, "rate_limit_exceeded"),
    DoesNotFit: (503, "model_does_not_fit"),
    OutOfMemory: (503, "model_does_not_fit"),
    WorkerDied: (503, "engine_stopped"),
    WorkerStalled: (503, "engine_stalled"),
    CorruptFile: (503, "model_unavailable"),
    UnsupportedModel: (503, "model_unavailable"),
    BackendUnavailable: (503, "engine_unavailable"),
    DeviceUnavailable: (503, "device_unavailable"),
    StageFailed: (500, "engine_failed"),
    EvaluationFailed: (500, "engine_failed"),
    TokenizerFailed: (500, "engine_failed"),
}
_RETRY = {DoesNotFit: 10.0, OutOfMemory: 10.0, WorkerDied: 1.0, WorkerStalled: 1.0}


def fault_of(error: Exception) -> Fault:
    """How an error is reported to a client."""
    if isinstance(error, RequestRefused):
        return _fault(error.status, error.code, str(explain(error).sentence))
    known = next((cls for cls in type(error).__mro__ if cls in _STATUS), None)
    if known is None:
        return _fault(500, "internal_error", "Something went wrong; the log has the details.")
    status, code = _STATUS[known]
    param = error.field if isinstance(error, InvalidRequest) else None
    fault = _fault(status, code, str(explain(error).sentence), param)
    retry = error.retry_after if isinstance(error, Busy) else _RETRY.get(known)
    if retry is not None:
        fault.headers["retry-after"] = str(math.ceil(retry))
    return fault


def log_fault(error: Exception) -> None:
    """Log what was reported to a client as our failure; a bug with its traceback.

    A cancelled answer is not one: its client has disconnected.
    """
    if isinstance(error, Cancelled) or fault_of(error).status < 500:
        return
    if is_fault(error):
        logger.error("a request failed", exc_info=error)
    else:
        logger.error("a request failed: %s", summary_of(error))


def log_loop_fault(_loop: "asyncio.AbstractEventLoop", context: dict[str, Any]) -> None:
    """The event loop's exception handler. asyncio's own would print futures with their exceptions'
    texts, which may quote a prompt."""
    logger.error("in the server's loop: %s", context["message"], exc_info=context.get("exception"))


def _fault(status: int, code: str, message: str, param: str | None = None) -> Fault:
    kind = "invalid_request_error" if status < 500 else "server_error"
    if status == 429:
        kind = "rate_limit_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Fault(status, {"error": error}, {})
