"""The NPUs of this machine: from files on Linux, from onnxruntime's hardware list on Windows.

For child processes: the list is made by onnxruntime. Knows no provider.
"""

import importlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.machine.npus import ListedHardware, NpuHardware, find_npus, npus_listed

if TYPE_CHECKING:
    import onnxruntime as ort


def npus_here() -> tuple[NpuHardware, ...]:
    """NPUs the system lists, whether or not a provider for them is installed."""
    return npus_listed(hardware()) if sys.platform == "win32" else find_npus()


def hardware() -> tuple[ListedHardware, ...]:
    """Every device onnxruntime sees. Its package exports no such function, so this asks the module
    behind it; a version without it lists nothing."""
    importlib.import_module("runtime.backends.onnx.native")  # telemetry off, before the import
    native = importlib.import_module("onnxruntime.capi._pybind_state")
    listed: Iterable[ort.OrtHardwareDevice] = getattr(native, "get_hardware_devices", tuple)()
    return tuple(
        ListedHardware(
            device.type.name, int(device.vendor_id), int(device.device_id), dict(device.metadata)
        )
        for device in listed
    )
