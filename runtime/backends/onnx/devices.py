"""The devices ONNX Runtime reaches through provider plug-ins. For child processes.

Knows which providers are installed and what hardware the system lists; loads no provider.
"""

from collections.abc import Sequence

from runtime.backends.onnx.hardware import npus_here
from runtime.devices import Device, Surroundings
from runtime.machine.npus import NpuHardware
from runtime.machine.providers import (
    TARGETS,
    ProviderTarget,
    installed_version,
    resolve_target,
    static_facts,
)


def devices(found: Sequence[Device], here: Surroundings) -> list[Device]:
    """See `runtime.engine.DeviceLister`."""
    vendors = frozenset(gpu.facts["vendor"].lower() for gpu in here.gpus)
    return list(provider_devices(npus_here(), vendors, here.cpu.memory_total, here.cpu.memory_free))


def provider_devices(
    npus: tuple[NpuHardware, ...], gpu_vendors: frozenset[str], host_memory: int, host_free: int
) -> tuple[Device, ...]:
    """What provider plug-ins reach: NPUs, a GPU of Intel's, and stand-ins used on request.

    An NPU has its first missing fact as the reason it cannot be used. The self-test is no such
    fact: it runs when a model is loaded, and a failure leads to another device, which is told.
    The others are listed where their plug-in is installed.
    """

    def device(identity: str, target: ProviderTarget, facts: dict[str, str], why: str) -> Device:
        return Device(
            id=identity,
            kind=target.kind,
            library=target.library,
            name=target.name,
            memory_total=host_memory,
            memory_free=host_free,
            integrated=True,
            unavailable_reason=why,
            on_request=target.on_request,
            facts={"target": target.id, **facts},
        )

    devices = []
    for npu in npus:
        target = resolve_target(npu.id, npus)
        known = static_facts(target, (npu,), host_free).facts
        why = next((f"{fact.name}:{fact.code}" for fact in known if fact.ok is False), "")
        devices.append(device(npu.id, target, {"driver": npu.driver, "node": npu.node}, why))
    for target in TARGETS.values():
        there = target.on_request or (target.kind == "GPU" and "intel" in gpu_vendors)
        if there and installed_version(target.module, target.distribution):
            devices.append(device(target.id, target, {}, ""))
    return tuple(devices)
