"""What goes wrong in a request, as HTTP: status, OpenAI's error type and code, our words.

Knows statuses; the wording is `app.wording.explain`'s.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any

from app.errors import AppError
from app.wording.explain import explain
from runtime.jobs import Cancelled

logger = logging.getLogger(__name__)


class RequestRefused(AppError):
    """facts: status, code, reason, param (may be None). Refused before it runs."""

    def __init__(self, status: int, code: str, reason: str, param: str | None = None) -> None:
        super().__init__(status=status, code=code, reason=reason, param=param)


class Busy(AppError):
    """facts: retry_after (seconds). Too many requests are already waiting."""


class PortTaken(AppError):
    """facts: host, port, reason."""


class NotConfirmed(AppError):
    """facts: host. Opening to the network was not confirmed."""


@dataclass(frozen=True)
class Fault:
    """An error as it is sent."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


_STATUS = {
    "UnknownModel": (404, "model_not_found"),
    "ContextOverflow": (400, "context_length_exceeded"),
    "InvalidRequest": (400, "invalid_request"),
    "TemplateFailed": (400, "invalid_messages"),
    "Busy": (429, "rate_limit_exceeded"),
    "DoesNotFit": (503, "model_does_not_fit"),
    "OutOfMemory": (503, "model_does_not_fit"),
    "WorkerDied": (503, "engine_stopped"),
    "WorkerStalled": (503, "engine_stalled"),
}
_RETRY = {"DoesNotFit": 10.0, "OutOfMemory": 10.0, "WorkerDied": 1.0, "WorkerStalled": 1.0}


def fault_of(error: Exception) -> Fault:
    """How an error is reported to a client."""
    if isinstance(error, RequestRefused):
        facts = error.facts
        return _fault(facts["status"], facts["code"], facts["reason"], facts["param"])
    names = [cls.__name__ for cls in type(error).__mro__]
    known = next((name for name in names if name in _STATUS), None)
    if known is None:
        return _fault(500, "internal_error", "Something went wrong; the log has the details.")
    status, code = _STATUS[known]
    facts = getattr(error, "facts", {})
    param = facts.get("field") if known == "InvalidRequest" else None
    fault = _fault(status, code, str(explain(error).sentence), param)
    retry = facts.get("retry_after") or _RETRY.get(known)
    if retry is not None:
        fault.headers["retry-after"] = str(math.ceil(retry))
    return fault


def log_fault(error: Exception) -> None:
    """Log an unexpected error by its type and place only; its text may quote a prompt.

    A cancelled answer is not one: its client has disconnected.
    """
    if isinstance(error, Cancelled) or fault_of(error).status < 500:
        return
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    logger.error("%s at %s", type(error).__name__, " > ".join(places[-6:]))


def _fault(status: int, code: str, message: str, param: str | None = None) -> Fault:
    kind = "invalid_request_error" if status < 500 else "server_error"
    if status == 429:
        kind = "rate_limit_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Fault(status, {"error": error}, {})
