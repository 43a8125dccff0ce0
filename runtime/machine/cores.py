"""How many cores this process may really use: affinity and control-group quotas respected.

Knows the operating system's limits; knows nothing about engines.
"""

import os
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")


def cgroup_cores(root: Path = CGROUP_ROOT) -> float | None:
    """Cores granted by a CPU quota (control groups v2 or v1); None without one."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def allowed_cores() -> set[int]:
    """Numbers of the logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def logical_cores() -> int:
    """How many logical processors this process may run on."""
    return len(allowed_cores())


def available_cores(
    physical: int | None = None,
    logical: int | None = None,
    allowed: int | None = None,
    quota: float | None = None,
) -> int:
    """Physical cores this process may keep busy, at least 1.

    Arguments replace what the system says. Of `allowed` logical processors only the share that
    physical cores have of all logical ones counts: two hardware threads are one core. A `quota` of
    0 stands for none.
    """
    logical = logical or psutil.cpu_count() or 1
    physical = physical or psutil.cpu_count(logical=False) or logical
    if allowed is None:
        allowed = logical_cores() if hasattr(os, "sched_getaffinity") else logical
    cores = min(physical, allowed)
    if allowed < logical and logical > physical:
        cores = max(1, min(cores, round(allowed * physical / logical)))
    quota = cgroup_cores() if quota is None else quota
    if quota:
        cores = min(cores, max(1, int(quota)))
    return max(1, cores)


def thread_counts(cores: int) -> tuple[int, ...]:
    """The thread counts worth measuring: 1, 2, 4 ... and all cores."""
    powers = [1]
    while powers[-1] * 2 < cores:
        powers.append(powers[-1] * 2)
    return tuple(dict.fromkeys((*powers, cores)))
