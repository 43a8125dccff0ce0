"""How often a streaming answer is drawn. Knows processor time; knows no Qt and no engine.

An engine that uses all cores waits, after each of its operations, for the one that the window took
to draw: then fewer frames are drawn.
"""

import time
from collections.abc import Callable

import psutil

from runtime.machine.cores import logical_cores

FULL_MILLISECONDS = 28  # 35 frames a second: smooth to read, cheap to draw
SPARING_MILLISECONDS = 66  # 15 a second, each with a few words
SAMPLE_SECONDS = 0.25
PAUSE_SECONDS = 2.0  # without a frame, the engine's use since then means nothing
FREE_CORES = 0.6  # with fewer free, drawing slows the engine


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has used; None when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


class FrameRate:
    """Ask `milliseconds` at every frame; it looks at the engine's process four times a second."""

    def __init__(
        self,
        cores: int | None = None,
        used: Callable[[int], float | None] = processor_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cores = cores or logical_cores()
        self._used = used
        self._clock = clock
        self._before: tuple[int, float, float] | None = None  # process, moment, its seconds
        self._milliseconds = FULL_MILLISECONDS

    def milliseconds(self, pid: int | None) -> int:
        """The time from one frame to the next, while the process `pid` answers."""
        now = self._clock()
        if pid is None:
            return FULL_MILLISECONDS
        if self._before is not None and self._before[0] == pid:
            elapsed = now - self._before[1]
            if elapsed < SAMPLE_SECONDS:
                return self._milliseconds
            used = self._used(pid)
            if used is not None and elapsed < PAUSE_SECONDS:
                free = self._cores - (used - self._before[2]) / elapsed
                sparing = free < FREE_CORES
                self._milliseconds = SPARING_MILLISECONDS if sparing else FULL_MILLISECONDS
        else:
            used = self._used(pid)
            self._milliseconds = FULL_MILLISECONDS
        self._before = None if used is None else (pid, now, used)
        return self._milliseconds
