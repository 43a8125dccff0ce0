"""Makes a memory estimate exact with what the engine reports without allocating.

Knows the report's form; knows no engine (see `runtime.backends.llama.memory`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runtime.plan import MemoryEstimate


def exact_memory(estimate: MemoryEstimate, report: Mapping[str, Any]) -> MemoryEstimate:
    """The estimate with the report's compute buffers and KV cache; weights are exact already.

    The report has one figure for all KV caches: devices keep their shares of it.
    """
    total = sum(device.kv_cache for device in estimate.devices)
    factor = int(report["kv_cache"]) / total if total else 1.0
    devices = tuple(
        replace(
            device,
            kv_cache=round(device.kv_cache * factor),
            compute_buffer=int(report["compute"].get(device.device, device.compute_buffer)),
        )
        for device in estimate.devices
    )
    return MemoryEstimate(devices, exact=True)
