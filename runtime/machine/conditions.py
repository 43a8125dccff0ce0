"""The conditions a run took place in: other load, page faults, swapping, clocks, limits.

Samples the operating system while a process works; knows no model and draws no conclusions.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from runtime.machine.cores import available_cores

INTERVAL_SECONDS = 0.25
CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


@dataclass(frozen=True)
class Conditions:
    """Means and sums over one run. Shares are 0..1; None means the system does not report it."""

    seconds: float
    cores: int  # physical ones it may keep busy, by affinity and quota
    shared_cores: int  # physical ones its affinity allows: what it shares with other processes
    other_load_cores: float  # of those, what other processes kept busy
    own_cores: float  # what the process itself kept busy
    major_faults: int  # pages that had to come from disk
    blocked_seconds: (
        float | None
    )  # waiting for disk: of the process, or of any where only that is reported
    read_bytes: int  # bytes the process read from disk, its mapped files included
    swap_in_bytes: int
    memory_limit_share: float | None  # control group's use of its own limit, at the highest
    throttled_share: float | None  # time a CPU quota stopped the process
    clock_share: float | None  # mean clock over the highest this processor reports
    on_battery: bool | None
    free_memory: int  # bytes available at the lowest


@dataclass(frozen=True)
class Counters:
    """One reading of everything that only grows."""

    at: float
    busy: float
    own: float
    major_faults: int
    blocked: float | None
    read_bytes: int
    swap_in: int
    throttled: float | None


class ConditionsSampler:
    """Watches one process from a thread of its own between `start` and `stop`."""

    def __init__(self, pid: int, read: Callable[[int], Counters] | None = None) -> None:
        self._pid = pid
        self._read = read or read_counters
        self._stopped = threading.Event()
        self._clocks: list[float] = []
        self._free: list[int] = []
        self._limits: list[float] = []
        self._thread: threading.Thread | None = None
        self._first: Counters | None = None

    def start(self) -> None:
        self._first = self._read(self._pid)
        self._thread = threading.Thread(target=self._watch, name="conditions", daemon=True)
        self._thread.start()

    def stop(self) -> Conditions:
        """End the watch and sum it up. Call once, after `start`."""
        self._stopped.set()
        assert self._thread is not None
        assert self._first is not None
        self._thread.join()
        self._sample()
        return self._sum(self._first, self._read(self._pid))

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            self._sample()

    def _sample(self) -> None:
        clock = clock_share()
        if clock is not None:
            self._clocks.append(clock)
        limit = memory_limit_share(self._pid)
        if limit is not None:
            self._limits.append(limit)
        self._free.append(psutil.virtual_memory().available)

    def _sum(self, first: Counters, last: Counters) -> Conditions:
        seconds = max(last.at - first.at, 1e-6)
        own = last.own - first.own
        throttled = None
        if first.throttled is not None and last.throttled is not None:
            throttled = min(1.0, (last.throttled - first.throttled) / seconds)
        blocked = None
        if first.blocked is not None and last.blocked is not None:
            blocked = last.blocked - first.blocked
        allowed = len(allowed_processors(self._pid)) or None
        return Conditions(
            seconds=seconds,
            cores=available_cores(allowed=allowed),
            shared_cores=available_cores(allowed=allowed, quota=0.0),
            other_load_cores=max(0.0, (last.busy - first.busy - own) / seconds),
            own_cores=own / seconds,
            major_faults=last.major_faults - first.major_faults,
            blocked_seconds=blocked,
            read_bytes=last.read_bytes - first.read_bytes,
            swap_in_bytes=last.swap_in - first.swap_in,
            memory_limit_share=max(self._limits) if self._limits else None,
            throttled_share=throttled,
            clock_share=sum(self._clocks) / len(self._clocks) if self._clocks else None,
            on_battery=on_battery(),
            free_memory=min(self._free),
        )


def read_counters(pid: int) -> Counters:
    """The counters now; those of a process that has ended read as zero."""
    own, faults, blocked = 0.0, 0, None
    with contextlib.suppress(psutil.Error):
        used = psutil.Process(pid).cpu_times()
        own = used.user + used.system
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # proc(5): majflt is field 12, delayacct_blkio_ticks field 42; the list starts at field 3.
        faults = int(fields[9])
        blocked = _block_delay(int(fields[39]))
    swapped = int(psutil.swap_memory().sin)
    read = _read_bytes(pid)
    return Counters(
        time.monotonic(), _busy(pid), own, faults, blocked, read, swapped, _throttled(pid)
    )


def allowed_processors(pid: int) -> tuple[int, ...]:
    """Logical processors that a process may run on; empty where the system does not say."""
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        return tuple(psutil.Process(pid).cpu_affinity())
    return ()


def _busy(pid: int) -> float:
    """Seconds so far that the processors a process may run on were busy, with anything."""
    each = psutil.cpu_times(percpu=True)
    allowed = [number for number in allowed_processors(pid) if number < len(each)]
    chosen = [each[number] for number in allowed] or each
    return sum(_busy_seconds(times) for times in chosen)


def _busy_seconds(times: "psutil._ntuples.scputimes") -> float:
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - guests)


def _read_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / str(pid) / "io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    return 0


def _block_delay(ticks: int) -> float | None:
    """Seconds of waiting for disk: the process's own where the kernel counts them (delay
    accounting), else those in which any process waited (pressure stall information)."""
    with contextlib.suppress(OSError):
        if (PROC / "sys/kernel/task_delayacct").read_text().strip() == "1":
            return ticks / 100
    with contextlib.suppress(OSError, ValueError, IndexError):
        some = (PROC / "pressure/io").read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) * 1e-6
    return None


def control_groups(pid: int, controller: str, root: Path = CGROUP_ROOT) -> Iterator[Path]:
    """Folders of the control groups a process is in, its own first, for one controller.

    Inside a container the path may not exist below `root`; then `root` is the container's group.
    """
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "cgroup").read_text().splitlines():
            number, names, path = line.split(":", 2)
            if number != "0" and controller not in names.split(","):
                continue
            top = root if number == "0" else root / controller
            folder = top / path.lstrip("/")
            while folder != top and top in folder.parents:
                yield folder
                folder = folder.parent
    yield root
    yield root / controller


def _throttled(pid: int) -> float | None:
    """Seconds this process's control groups were held back by their CPU quotas so far."""
    found = []
    for folder in control_groups(pid, "cpu"):
        with contextlib.suppress(OSError, ValueError):
            for line in (folder / "cpu.stat").read_text().splitlines():
                name, _, value = line.partition(" ")
                if name in ("throttled_usec", "throttled_time"):
                    found.append(int(value) * (1e-6 if name == "throttled_usec" else 1e-9))
    return max(found, default=None)


def memory_limit_share(pid: int, root: Path = CGROUP_ROOT) -> float | None:
    """Use of the tightest memory limit around a process, 0..1; None without a limit."""
    pairs = (("memory.current", "memory.max"), ("memory.usage_in_bytes", "memory.limit_in_bytes"))
    most, shares = psutil.virtual_memory().total, []
    for folder in control_groups(pid, "memory", root):
        for used, limit in pairs:
            with contextlib.suppress(OSError, ValueError):
                allowed = int((folder / limit).read_text())
                if 0 < allowed < most:
                    shares.append(int((folder / used).read_text()) / allowed)
    return max(shares, default=None)


def on_battery() -> bool | None:
    """Whether the machine runs on its battery; None without one, or where the system does not say
    (containers without /sys)."""
    with contextlib.suppress(OSError, NotImplementedError, AttributeError):
        battery = psutil.sensors_battery()
        if battery is not None:
            return not battery.power_plugged
    return None


def clock_share() -> float | None:
    """Current over highest processor clock; None where the system does not say."""
    with contextlib.suppress(OSError, NotImplementedError, AttributeError):
        frequency = psutil.cpu_freq()
        if frequency and frequency.max:
            return float(frequency.current / frequency.max)
    return None
