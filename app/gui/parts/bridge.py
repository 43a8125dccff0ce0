"""Blocking calls off the window's thread, their outcome back on it. Knows threads, no pages.

A job's signals are always delivered on the window's thread; nothing comes after the last one.
"""

import logging
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal

from app.unexpected import is_fault, log_unexpected
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress

log = logging.getLogger(__name__)

Work = Callable[[OnProgress, CancelToken], object]
_PROGRESS_SECONDS = 0.05  # faster than anyone can read


class Job(QObject):
    """One piece of work. Ends with exactly one of `finished`, `failed` or `cancelled`."""

    progressed = Signal(Progress)
    finished = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()
    _posted = Signal(str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.token = CancelToken()
        self.running = True
        self.error: Exception | None = None
        self._posted.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def cancel(self) -> None:
        """Ask the work to stop; `cancelled` follows when it has."""
        self.token.cancel()

    def post(self, kind: str, value: object) -> None:
        """Called by the working thread."""
        self._posted.emit(kind, value)

    def _deliver(self, kind: str, value: object) -> None:
        if kind == "progress":
            self.progressed.emit(value)
            return
        self.running = False
        if kind == "finished":
            self.finished.emit(value)
        elif kind == "failed":
            assert isinstance(value, Exception)
            self.error = value
            self.failed.emit(value)
        else:
            self.cancelled.emit()
        self.ended.emit()


class _Runnable(QRunnable):
    def __init__(self, job: Job, work: Work) -> None:
        super().__init__()
        self._job = job
        self._work = work
        self._last = (0.0, "")

    def run(self) -> None:
        try:
            self._job.token.raise_if_cancelled()
            result = self._work(self._report, self._job.token)
        except Cancelled:
            self._post("cancelled", None)
        except Exception as error:
            log_unexpected(log, error, "a job of the window")
            self._post("failed", error)
        else:
            self._post("finished", result)

    def _report(self, progress: Progress) -> None:
        now = time.monotonic()
        done = progress.total is not None and progress.done >= progress.total
        if progress.phase == self._last[1] and not done and now - self._last[0] < _PROGRESS_SECONDS:
            return
        self._last = (now, progress.phase)
        self._post("progress", progress)

    def _post(self, kind: str, value: object) -> None:
        try:
            self._job.post(kind, value)
        except RuntimeError:
            log.debug("the window is gone; %s is dropped", kind)


class Bridge(QObject):
    """Runs work in a pool of threads. `close` cancels what runs and waits for it.

    `fault` follows the `failed` of a job that the program itself is to blame for.
    """

    fault = Signal(object)

    def __init__(self, parent: QObject | None = None, threads: int = 8) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(threads)
        self._jobs: set[Job] = set()

    def run(self, work: Work) -> Job:
        """Start `work(on_progress, cancel)`; connect to the job before going back to Qt."""
        job = Job(self)
        self._jobs.add(job)
        job.ended.connect(lambda: self._forget(job))
        self._pool.start(_Runnable(job, work))
        return job

    def call(self, function: Callable[[], object]) -> Job:
        """`run` for work that neither reports nor stops."""
        return self.run(lambda _progress, _cancel: function())

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def cancel_all(self) -> None:
        """Ask every running job to stop."""
        for job in list(self._jobs):
            job.cancel()

    def close(self, milliseconds: int = 10_000) -> bool:
        """Cancel everything and wait; returns whether all threads ended in time."""
        self.cancel_all()
        return self._pool.waitForDone(milliseconds)

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
        if job.error is not None and is_fault(job.error):
            self.fault.emit(job.error)
        job.deleteLater()
