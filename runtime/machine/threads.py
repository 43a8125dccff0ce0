"""Thread counts that follow the machine's load while a model runs.

A decode step has a barrier after every operation, so one preempted thread makes all others wait:
with as many threads as cores and one other busy process speed falls to a half, with two to a
hundredth (measured; see docs/architecture.md). Using no more threads than cores are free is the
cure, and only while the load lasts. Knows processor time; knows no engine.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from runtime.machine.cores import allowed_cores, logical_cores

INTERVAL_SECONDS = 0.25
# A core counts as free when at least this much of it is. Lower, and a busy process goes unseen: n
# threads beside it on n cores still get n*n/(n+1) of them. Higher, and small noise costs a thread.
FREE_SHARE = 0.55
SHORTEST_WINDOW = 0.1  # seconds; the system counts processor time in hundredths
_SAMPLES, _SAMPLE_SECONDS = 3, 0.001  # a passing kernel thread is not load
_LOADAVG = Path("/proc/loadavg")
_OWN_THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class CpuSample:
    """Processor time so far, in core-seconds: the idle time of the cores that this process may use,
    and its own."""

    at: float
    idle: float
    own: float


def read_sample() -> CpuSample:
    """The current counters of the cores that this process may use."""
    allowed = allowed_cores()
    times = [psutil.cpu_times()]
    if len(allowed) < (os.cpu_count() or 1):
        every = psutil.cpu_times(percpu=True)
        times = [every[core] for core in allowed if core < len(every)] or times
    idle = sum(each.idle + getattr(each, "iowait", 0.0) for each in times)
    return CpuSample(time.monotonic(), idle, time.process_time())


def usable_cores(before: CpuSample, after: CpuSample) -> float:
    """Cores this process had or could have had between two samples: its own plus the idle ones."""
    elapsed = after.at - before.at
    return (after.idle - before.idle + after.own - before.own) / elapsed


def read_other_threads() -> int | None:
    """Threads of other processes on the whole machine that run or could run now; None where the
    system does not say. Our own do not count: after an answer, the engine's threads wait for work
    for a while before they sleep."""
    try:
        running = int(_LOADAVG.read_text().split()[3].partition("/")[0])
        return max(0, running - own_running_threads())
    except (OSError, ValueError, IndexError):
        return None


def own_running_threads() -> int:
    """Threads of this process that run or could run now, the caller's included."""
    running = 0
    for task in _OWN_THREADS.iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            running += state == "R"
    return running


class ThreadGovernor:
    """Watches the load from a thread of its own; `n_threads` is the count to use now."""

    def __init__(
        self,
        most: int,
        sample: Callable[[], CpuSample] = read_sample,
        others: Callable[[], int | None] = read_other_threads,
        *,
        watch: bool = True,
    ) -> None:
        self.most = max(1, most)
        self.n_threads = self.most
        self._sample = sample
        self._others = others
        self._before = sample()
        self._stopped = threading.Event()
        if watch and self.most > 1:
            threading.Thread(target=self._watch, name="threads", daemon=True).start()

    def update(self) -> int:
        """Take a sample and set the count for the coming window."""
        after = self._sample()
        if after.at - self._before.at >= SHORTEST_WINDOW:
            available = usable_cores(self._before, after)
            self._before = after
            self._set(int(available + 1 - FREE_SHARE))
        return self.n_threads

    def sample_now(self) -> int:
        """Set the count by what runs at this moment, before work begins that cannot be split anew:
        a prompt's first step may be all of it, and the last window may have ended with another
        program's work, or with the click that started ours."""
        seen = []
        for attempt in range(_SAMPLES):
            time.sleep(_SAMPLE_SECONDS if attempt else 0)
            others = self._others()
            if others is None:
                return self.n_threads
            seen.append(others)
        self._before = self._sample()
        # Others are counted on the whole machine: assume that they run first where we may not.
        self._set(min(logical_cores(), (os.cpu_count() or 1) - min(seen)))
        return self.n_threads

    def _set(self, cores: int) -> None:
        self.n_threads = min(self.most, max(1, cores))

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            self.update()
