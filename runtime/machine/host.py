"""The processor and main memory of this machine, within the limits of its control group.

Knows /proc and control groups. Knows no accelerator; `runtime.tasks.probe` looks for those.
"""

import platform
from pathlib import Path

import psutil

from runtime.devices import Device
from runtime.machine.cores import available_cores

CPUINFO = Path("/proc/cpuinfo")
# What decides which kernels an engine can use.
FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni",
    "avx512_bf16", "amx_tile", "amx_int8", "neon", "asimd", "asimddp", "i8mm", "sve",
)  # fmt: skip


def cpu_device() -> Device:
    """The processor and main memory. Works without any engine."""
    memory = psutil.virtual_memory()
    limit = memory_limit()
    total = min(memory.total, limit) if limit else memory.total
    return Device(
        id="cpu",
        kind="CPU",
        library="CPU",
        name=_cpu_name(),
        memory_total=total,
        memory_free=min(memory.available, (memory_left() if limit else None) or total),
        cores=available_cores(),
        threads=psutil.cpu_count() or 1,
        features=_cpu_features(),
    )


def memory_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes this process may use by its control group; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            value = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if value != "max" and int(value) < 1 << 60:
            return int(value)
    return None


def memory_left(cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes the control group still grants: its limit less what is used and cannot be dropped."""
    limit = memory_limit(cgroup)
    try:
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    droppable = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
    return None if limit is None else max(0, limit - used + droppable)


def _cpu_name() -> str:
    for line in _lines(CPUINFO):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_features() -> tuple[str, ...]:
    for line in _lines(CPUINFO):
        if line.lower().startswith(("flags", "features")):
            present = set(line.partition(":")[2].split())
            return tuple(name for name in FEATURES if name in present)
    return ()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
