"""NPUs as the operating system lists them.

Knows Linux's device files and the hardware list that onnxruntime makes on Windows, as values;
`runtime.machine.providers` knows which provider serves an NPU. Imports no engine.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PCI_VENDORS = {"0x8086": "intel", "0x1022": "amd", "0x17cb": "qualcomm"}
# Windows lists Qualcomm's NPU not on PCI but by its ACPI vendor, "QCOM" read as a number.
_QCOM = 0x4D4F4351
_VENDORS = {0x8086: "intel", 0x1022: "amd", 0x1002: "amd", 0x17CB: "qualcomm", _QCOM: "qualcomm"}
_WINDOWS_DRIVER = "Windows driver"  # Windows puts a device into this list by its driver's class
DRIVERS = {"intel": "intel_vpu", "amd": "amdxdna", "qualcomm": "fastrpc"}


@dataclass(frozen=True)
class NpuHardware:
    """An NPU the operating system lists. `driver` is empty where none is bound; `node` is the
    device file, or the device's name where the system has no such files; `accessible` whether this
    user may read and write it."""

    id: str
    vendor: str
    driver: str
    node: str
    accessible: bool


@dataclass(frozen=True)
class ListedHardware:
    """A device of onnxruntime's hardware list: kind "CPU", "GPU" or "NPU"; PCI or ACPI vendor."""

    kind: str
    vendor_id: int
    device_id: int
    metadata: Mapping[str, str] = field(default_factory=dict)


def find_npus(root: Path = Path("/")) -> tuple[NpuHardware, ...]:
    """NPUs of a Linux system from /sys/class/accel and Qualcomm's fastrpc device files."""
    found: list[NpuHardware] = []
    for entry in sorted((root / "sys/class/accel").glob("accel*")):
        vendor = _PCI_VENDORS.get(_text(entry / "device/vendor"), "")
        if vendor:
            link = entry / "device/driver"
            driver = os.path.basename(os.readlink(link)) if link.is_symlink() else ""
            found.append(_hardware(len(found), vendor, driver, root / "dev/accel" / entry.name))
    for node in sorted((root / "dev").glob("fastrpc-cdsp*"))[:1]:
        found.append(_hardware(len(found), "qualcomm", "fastrpc", node))
    return tuple(found)


def npus_listed(hardware: Iterable[ListedHardware]) -> tuple[NpuHardware, ...]:
    """NPUs of known makers in a hardware list. Written against onnxruntime's source for Windows and
    untested there."""
    npus = [each for each in hardware if each.kind == "NPU" and each.vendor_id in _VENDORS]
    return tuple(
        NpuHardware(
            f"npu{index}",
            _VENDORS[each.vendor_id],
            _WINDOWS_DRIVER,
            each.metadata.get("Description") or f"device {each.device_id:#06x}",
            True,
        )
        for index, each in enumerate(npus)
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _hardware(index: int, vendor: str, driver: str, node: Path) -> NpuHardware:
    return NpuHardware(f"npu{index}", vendor, driver, str(node), os.access(node, os.R_OK | os.W_OK))
