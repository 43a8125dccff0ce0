"""Makes a memory estimate exact with what the engine reports without allocating.

Knows no engine (each names its own `simulator`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runtime.plan import MemoryEstimate


@dataclass(frozen=True)
class MemoryReport:
    """What the engine would allocate, in bytes: compute buffers by device, and the KV caches on all
    devices together."""

    compute: Mapping[str, int]
    kv_cache: int


def exact_memory(estimate: MemoryEstimate, report: MemoryReport) -> MemoryEstimate:
    """The estimate with the report's compute buffers and KV cache; weights are exact already.

    The report has one figure for all KV caches: devices keep their shares of it.
    """
    total = sum(device.kv_cache for device in estimate.devices)
    factor = report.kv_cache / total if total else 1.0
    devices = tuple(
        replace(
            device,
            kv_cache=round(device.kv_cache * factor),
            compute_buffer=report.compute.get(device.device, device.compute_buffer),
        )
        for device in estimate.devices
    )
    return MemoryEstimate(devices, exact=True)
