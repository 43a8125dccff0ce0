"""Finds what this machine has, in a short-lived child: a broken driver ends the child, not us.

Knows /sys, and asks each engine what it reaches. Every device found but not usable is kept,
with a reason code that `app.wording.explain` words.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime import registry
from runtime.devices import Device, Surroundings
from runtime.engine import DeviceLister, EngineDescriptor
from runtime.machine.host import cpu_device
from runtime.process.job_values import ProbeAnswer, ProbeArgs
from runtime.progress import OnProgress

SYS = Path("/sys")
_PCI_GPU_CLASS = "0x03"
_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x1022": "AMD"}


def hardware_gpus(sys_root: Path = SYS) -> list[Device]:
    """Graphics hardware the system knows of, whether or not an engine can use it."""
    found = []
    for folder in sorted((sys_root / "bus" / "pci" / "devices").glob("*")):
        vendor, pci_class = _attribute(folder / "vendor"), _attribute(folder / "class")
        if not pci_class.startswith(_PCI_GPU_CLASS) or vendor not in _VENDORS:
            continue
        found.append(
            Device(
                id=f"gpu-{folder.name}",
                kind="GPU",
                library="none",
                name=f"{_VENDORS[vendor]} {_attribute(folder / 'device')}",
                memory_total=0,
                memory_free=0,
                unavailable_reason="engine_lacks_gpu",
                facts={"vendor": _VENDORS[vendor], "driver": _driver(folder)},
            )
        )
    return found


def _attribute(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _driver(folder: Path) -> str:
    try:
        return (folder / "driver").resolve(strict=True).name
    except OSError:
        return ""


def probe(rpc: Sequence[str]) -> list[Device]:
    """All devices, the CPU last: those that engines reach, each with the names of those engines,
    then hardware that none can use. `rpc`: addresses of RPC servers to ask."""
    here = Surroundings(tuple(hardware_gpus()), cpu_device(), tuple(rpc))
    found = reached(registry.engines(), here)
    # A provider's device shares its name with hardware that other engines may still lack.
    listed = (device for device in found if device.kind == "GPU" and "target" not in device.facts)
    vendors = " ".join(device.name for device in listed)
    unused = [gpu for gpu in here.gpus if not re.search(gpu.facts["vendor"], vendors)]
    return [*found, *unused, here.cpu]


def reached(engines: Sequence[EngineDescriptor], here: Surroundings) -> list[Device]:
    """The devices that engines reach beside the CPU. One that several reach is listed once, as the
    first of them tells it."""
    found: dict[str, Device] = {}
    for engine in engines:
        for device in _listed(engine, tuple(found.values()), here):
            known = found.get(device.id, replace(device, engines=()))
            found[device.id] = replace(known, engines=(*known.engines, engine.name))
    return list(found.values())


def _listed(
    engine: EngineDescriptor, found: tuple[Device, ...], here: Surroundings
) -> list[Device]:
    if not engine.devices:
        return []
    lister: DeviceLister = registry.function(engine.devices)
    return lister(found, here)


def probe_job(args: ProbeArgs, _on_progress: OnProgress) -> ProbeAnswer:
    """See `probe`."""
    return ProbeAnswer(tuple(probe(args.rpc)))
