"""The devices llama.cpp reaches: GPUs that its build lists, and RPC servers.

For child processes.
"""

from collections.abc import Sequence

from runtime.backends.llama import native
from runtime.backends.llama.rpc import rpc_devices
from runtime.devices import Device, DeviceKind, Surroundings

_KINDS: dict[int, tuple[DeviceKind, bool]] = {1: ("GPU", False), 2: ("GPU", True)}
_LIBRARIES = ("CUDA", "ROCm", "Vulkan", "Metal", "SYCL", "RPC")


def devices(found: Sequence[Device], here: Surroundings) -> list[Device]:
    """See `runtime.engine.DeviceLister`."""
    return [*_gpus(), *(rpc_devices(list(here.rpc)) if here.rpc else ())]


def _gpus() -> list[Device]:
    listed = []
    for device in native.devices():
        if device.kind not in _KINDS:
            continue
        kind, integrated = _KINDS[device.kind]
        library = next((n for n in _LIBRARIES if device.name.upper().startswith(n.upper())), "")
        listed.append(
            Device(
                id=device.name.lower(),
                kind=kind,
                library=library or device.name,
                name=device.description,
                memory_total=device.memory_total,
                memory_free=device.memory_free,
                integrated=integrated,
            )
        )
    return listed
