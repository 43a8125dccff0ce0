"""What the profiler measured of this machine's memories and kernels, as values with lookup.

Knows curves, interpolation and the machine's fingerprint. Measures nothing:
`runtime.tasks.profile` does that, in a child process.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import psutil

from runtime.shape import base_format

ProfileMode = Literal["quick", "full"]
_CACHE = "cache_level_"

# Formats that were not measured take the curve of the nearest relative, as the engine unpacks them.
RELATIVES: Mapping[str, tuple[str, ...]] = {
    "Q4_0": ("Q4_K", "Q8_0"),
    "Q4_1": ("Q4_0", "Q8_0"),
    "IQ4_NL": ("Q4_0",),
    "IQ4_XS": ("Q4_K", "Q4_0"),
    "MXFP4": ("IQ4_NL", "Q4_0"),
    "Q4_K": ("Q4_0",),
    "Q5_0": ("Q4_1", "Q6_K"),
    "Q5_1": ("Q4_1", "Q6_K"),
    "Q5_K": ("Q6_K", "Q4_K"),
    "Q6_K": ("Q8_0", "Q4_K"),
    "Q3_K": ("Q6_K", "Q4_K"),
    "Q2_K": ("Q4_K",),
    "Q8_0": ("Q6_K", "Q4_0"),
    "BF16": ("F16", "Q8_0"),
    "F16": ("Q8_0",),
    "F32": ("F16", "Q8_0"),
}


@dataclass(frozen=True)
class CurvePoint:
    """Sustained bytes per second over a working set of so many bytes."""

    working_set: int
    bytes_per_second: float


@dataclass(frozen=True)
class Curve:
    """Read rate against working set, at one thread count (0 on devices without threads)."""

    threads: int
    points: tuple[CurvePoint, ...]

    def at(self, working_set: float) -> float:
        """Bytes per second, log-linear between points and flat beyond them."""
        points = self.points
        if working_set <= points[0].working_set:
            return points[0].bytes_per_second
        for low, high in pairwise(points):
            if working_set <= high.working_set:
                share = math.log(working_set / low.working_set) / math.log(
                    high.working_set / low.working_set
                )
                rates = math.log(low.bytes_per_second), math.log(high.bytes_per_second)
                return math.exp(rates[0] + share * (rates[1] - rates[0]))
        return points[-1].bytes_per_second

    def through(self, point: CurvePoint) -> "Curve":
        """A curve of this shape that passes `point`: what stands for a kernel that was timed at one
        working set only."""
        ratio = point.bytes_per_second / self.at(point.working_set)
        scaled = (CurvePoint(p.working_set, ratio * p.bytes_per_second) for p in self.points)
        return Curve(self.threads, tuple(scaled))


ATTENTION_CELLS = 512, 4096  # cached tokens over which attention is timed: near, and far
ATTENTION_KV_HEADS = 4
ATTENTION_CELL_BYTES = 2 * 2 * ATTENTION_KV_HEADS  # keys and values in half precision, per value


@dataclass(frozen=True)
class ThreadCosts:
    """What one thread count costs: seconds per graph operation, per multiply-add of attention.

    Attention is kept by head length ("64", "128"): builds for processors with half-precision
    arithmetic have vector code for multiples of 128 only, and are eight times slower at the rest.
    It is timed over ATTENTION_CELLS cached tokens: the cache of a block that outgrows the nearest
    caches costs up to three times as much for each multiply-add (`attention_far`, empty where it
    was not timed).
    `prefill_flops` maps a weight format to multiply and add operations per second at batch 512.
    """

    threads: int
    operation_seconds: float
    attention_decode: dict[str, float]
    attention_prefill: dict[str, float]
    prefill_flops: dict[str, float]
    attention_far: dict[str, float] = field(default_factory=dict)

    def attention_seconds(
        self, length: int, cached: float = 0.0, *, prefill: bool = False
    ) -> float:
        """Seconds per multiply-add with heads of `length` values, where one block's KV cache has
        `cached` bytes: log-linear between the timed sizes and flat beyond them."""
        near = _by_length(self.attention_prefill if prefill else self.attention_decode, length)
        if prefill or not self.attention_far or cached <= 0:
            return near
        few, many = (ATTENTION_CELL_BYTES * length * cells for cells in ATTENTION_CELLS)
        share = math.log(cached / few) / math.log(many / few)
        far = _by_length(self.attention_far, length)
        return float(near * (far / near) ** min(1.0, max(0.0, share)))


@dataclass(frozen=True)
class DeviceProfile:
    """Measurements of one device: plain reads, products by weight format, costs by threads."""

    device: str
    plain: tuple[Curve, ...]
    products: dict[str, tuple[Curve, ...]]
    costs: tuple[ThreadCosts, ...]
    host_copy: float = 0.0  # bytes per second from host memory; 0 for the host itself

    def read_rate(self, block_format: str, working_set: float, threads: int) -> float:
        """Bytes per second at which a decode step of `threads` threads reads weights."""
        curves = self.products[self.measured_format(block_format)]
        rates = {curve.threads: curve.at(working_set) for curve in curves}
        return between_threads(rates, threads)

    def measured_format(self, block_format: str) -> str:
        """The measured format that stands for `block_format`: itself where possible."""
        name = base_format(block_format)
        for candidate in (block_format, name, *RELATIVES.get(name, ()), *self.products):
            if candidate in self.products:
                return candidate
        raise ValueError(f"no products were measured on {self.device}")

    def cost(self, threads: int) -> ThreadCosts:
        """The costs at `threads`, between measured counts where it was not measured."""
        first = self.costs[0]
        formats = first.prefill_flops

        def at(values: Mapping[int, float]) -> float:
            return between_threads(values, threads)

        return ThreadCosts(
            threads,
            at({c.threads: c.operation_seconds for c in self.costs}),
            _by_name([(c.threads, c.attention_decode) for c in self.costs], threads),
            _by_name([(c.threads, c.attention_prefill) for c in self.costs], threads),
            {name: at({c.threads: c.prefill_flops[name] for c in self.costs}) for name in formats},
            _by_name([(c.threads, c.attention_far) for c in self.costs], threads),
        )

    def prefill_rate(self, block_format: str, threads: int) -> float:
        """Operations per second of prompt processing in a weight format."""
        return self.cost(threads).prefill_flops[self.measured_format(block_format)]


@dataclass(frozen=True)
class BandwidthProfile:
    """One profiling of one machine. `doubts` are reasons not to trust it.

    `spread` is the relative half-width between repeated readings of the same kernel (80 % of them).
    """

    fingerprint: dict[str, str]
    measured_at: str
    mode: ProfileMode
    spread: float
    devices: tuple[DeviceProfile, ...]
    doubts: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        return not self.doubts

    @property
    def caches(self) -> dict[int, int]:
        """Bytes of the processor's caches by level, as they were when it was measured."""
        known = sorted(name for name in self.facts if name.startswith(_CACHE))
        return {int(name.removeprefix(_CACHE)): int(self.facts[name]) for name in known}

    @property
    def identity(self) -> str:
        """Identifies this profiling of this machine: corrections to one do not apply to another."""
        told = json.dumps([self.measured_at, self.fingerprint], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def missing(self, devices: Iterable[str]) -> tuple[str, ...]:
        """Those of some devices (ids) that were not measured."""
        return tuple(device for device in devices if self.device(device) is None)

    def device(self, device: str) -> DeviceProfile | None:
        return next((entry for entry in self.devices if entry.device == device), None)


def cache_facts(levels: Mapping[int, int]) -> dict[str, float]:
    """Cache sizes as a profile's facts."""
    return {f"{_CACHE}{level}": float(size) for level, size in levels.items()}


def between_threads(values: Mapping[int, float], threads: float) -> float:
    """A value measured at some thread counts, linear between them, flat beyond."""
    known = sorted(values)
    if threads <= known[0]:
        return values[known[0]]
    for low, high in pairwise(known):
        if threads <= high:
            share = (threads - low) / (high - low)
            return values[low] + share * (values[high] - values[low])
    return values[known[-1]]


def _by_length(measured: Mapping[str, float], length: int) -> float:
    """Whole multiples of 128 values at the one rate, what is left over at the other."""
    rest = length % 128
    return ((length - rest) * measured["128"] + rest * measured["64"]) / length


def _by_name(entries: Sequence[tuple[int, Mapping[str, float]]], threads: int) -> dict[str, float]:
    """Seconds by name between thread counts: rates, not seconds, grow evenly with threads."""
    return {
        name: 1 / between_threads({count: 1 / costs[name] for count, costs in entries}, threads)
        for name in entries[0][1]
    }


def machine_fingerprint(engine: str = "") -> dict[str, str]:
    """What must stay the same for a profile to hold: processor, cores, memory, system, engine."""
    return {
        "processor": _processor_name(),
        "cores": str(psutil.cpu_count(logical=False) or 0),
        "threads": str(psutil.cpu_count() or 0),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "system": f"{platform.system()} {platform.machine()}",
        "engine": engine,
    }


def cache_levels(root: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[int, int]:
    """Bytes of the processor's data caches by level; empty where the system does not say."""
    levels: dict[int, int] = {}
    for folder in root.glob("index*"):
        kind, level, size = (_attribute(folder / name) for name in ("type", "level", "size"))
        unit = {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1:], 1)
        digits = size.rstrip("KMG")
        if kind != "Instruction" and digits.isdigit() and level.isdigit():
            levels[int(level)] = int(digits) * unit
    return levels


def _attribute(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def spread_of(readings: Sequence[float]) -> float:
    """Relative half-width of the middle 80 % of readings."""
    if len(readings) < 3:
        return 0.0
    ordered = sorted(readings)
    tenth = (len(ordered) - 1) / 10
    low, high = ordered[round(tenth)], ordered[round(len(ordered) - 1 - tenth)]
    return (high - low) / 2 / ordered[len(ordered) // 2]


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
