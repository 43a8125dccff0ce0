"""One shape for all long work: progress values and a cancel token.

Knows nothing about what the work is, and nothing about threads or widgets.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "tensors", "tokens", "steps", "fraction"]


class Cancelled(Exception):
    """The work was stopped on request. Deliberately outside every error tree."""


@dataclass(frozen=True)
class Progress:
    """How far one job is.

    `done` never falls within a phase; `total` is None while it is unknown.
    With unit "fraction", `done` and `total` are thousandths (0..1000).
    """

    phase: str
    done: int
    total: int | None
    unit: Unit
    detail: str = ""


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The OnProgress of a caller that needs no progress."""


def counted_bytes(
    on_progress: OnProgress,
    cancel: "CancelToken",
    phase: str,
    total: int | None,
    done: int = 0,
    detail: str = "",
) -> Callable[[int], None]:
    """A callback that takes the bytes of each step and reports their sum, from `done` on.

    It raises Cancelled once `cancel` was called.
    """

    def on_bytes(count: int) -> None:
        nonlocal done
        cancel.raise_if_cancelled()
        done += count
        on_progress(Progress(phase, done, total, "bytes", detail))

    return on_bytes


class CancelToken:
    """A flag set by one thread and watched by another."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask the work to stop. Safe to call from any thread, any number of times."""
        if self._event.is_set():
            return
        self._event.set()
        for callback in list(self._callbacks):
            callback()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled once `cancel` was called."""
        if self._event.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`, less if cancelled meanwhile; returns whether it was."""
        return self._event.wait(seconds)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` (from the cancelling thread) on cancel; at once if already cancelled."""
        self._callbacks.append(callback)
        if self._event.is_set():
            callback()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """`on_cancel` within a block. For work that a token outlives, which would else keep alive
        all that its callbacks hold."""
        self.on_cancel(callback)
        try:
            yield
        finally:
            self._callbacks.remove(callback)
