"""Bugs: which errors are some, and that each leaves its traceback in the log.

A StillroomError says what went wrong; anything else was not thought of. `log_unexpected` is for
places that catch broadly, `runtime.tracebacks.log_uncaught` for what nobody catches. Knows classes
and loggers; words nothing.
"""

import logging

from app.errors import SystemRefused, Unexpected
from quant.error_base import StillroomError
from runtime.errors import InternalError
from runtime.progress import Cancelled

_LOGGED = (Unexpected, InternalError)  # bugs whose traceback is in a log already


def is_fault(error: BaseException) -> bool:
    """Whether it is a bug, so that a report is worth sending. What the operating system refuses
    (OSError) is none."""
    return isinstance(error, _LOGGED) or not isinstance(error, StillroomError | Cancelled | OSError)


def log_unexpected(log: logging.Logger, error: BaseException, doing: str) -> None:
    """Log an error that is none of ours with its traceback; ours are reported by who asked.

    doing: what failed, in a few words without a name or a path.
    """
    if not isinstance(error, StillroomError | Cancelled):
        level = logging.ERROR if is_fault(error) else logging.INFO
        log.log(level, "%s failed", doing, exc_info=error)


def stored_form(error: Exception) -> StillroomError:
    """An error that can be kept as JSON and worded later: ours as it is, others as SystemRefused or
    Unexpected."""
    if isinstance(error, StillroomError):
        return error
    if isinstance(error, OSError):
        return SystemRefused(detail=error.strerror or str(error))
    return Unexpected(name=type(error).__name__, detail=str(error))
