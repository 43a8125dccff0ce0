"""Devices as values: what can hold weights and compute, and the reason for each one left out.

Knows the vocabulary only; `runtime.tasks.probe` finds them in a short-lived child process.
"""

from dataclasses import dataclass, field
from typing import Literal

DeviceKind = Literal["CPU", "GPU", "NPU", "RPC"]


@dataclass(frozen=True)
class Device:
    """One device. Bytes are integers; memory_free is what was free when it was probed.

    `id` is stable within a machine: "cpu", "cuda0", "vulkan0", "npu0", "rpc:HOST:PORT".
    A device that cannot be used has `unavailable_reason` set (a code). One that is `on_request`
    (a simulator, or the processor once more through a provider) is used only when it is named.
    """

    id: str
    kind: DeviceKind
    library: str  # CPU, CUDA, ROCm, Vulkan, Metal, OpenVINO, QNN, RPC ...
    name: str
    memory_total: int
    memory_free: int
    integrated: bool = False
    cores: int = 0  # physical cores, CPU only
    threads: int = 0
    features: tuple[str, ...] = ()  # instruction sets, driver facts
    unavailable_reason: str = ""
    engines: tuple[str, ...] = ()  # names of those that reach it; every engine reaches the CPU
    on_request: bool = False
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return not self.unavailable_reason


@dataclass(frozen=True)
class Surroundings:
    """What is known before an engine is asked for its devices."""

    gpus: tuple[Device, ...]  # graphics hardware that the system lists, its vendor among the facts
    cpu: Device
    rpc: tuple[str, ...] = ()  # addresses of RPC servers to ask
