"""Finds what this machine has, in a short-lived child: a broken driver costs the child, not us.

Knows /sys and what the installed engine lists. Every device found but not usable is kept,
with a reason code that `app.wording.explain` words.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runtime.backends.onnx.hardware import npus_here
from runtime.devices import Device, DeviceKind
from runtime.jobs import OnProgress
from runtime.machine.host import cpu_device
from runtime.machine.providers import installed_version, provider_devices
from runtime.process.job_values import ProbeAnswer, ProbeArgs

SYS = Path("/sys")
_PCI_GPU_CLASS = "0x03"
_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x1022": "AMD"}
_GGML_KINDS: dict[int, tuple[DeviceKind, bool]] = {1: ("GPU", False), 2: ("GPU", True)}
_NVIDIA_LINE = re.compile(r"(?P<index>\d+), *(?P<name>.+?), *(?P<total>\d+), *(?P<free>\d+)")
_NVIDIA_SMI_SECONDS = 10
_LIBRARIES = ("CUDA", "ROCm", "Vulkan", "Metal", "SYCL", "RPC")


def engine_devices() -> list[Device]:
    """GPUs the installed llama.cpp lists. Imports the engine: child processes only."""
    from runtime.backends.llama import native as llama_native

    genai = _genai_has_cuda()
    found = []
    for device in llama_native.devices():
        if device.kind not in _GGML_KINDS:
            continue
        kind, integrated = _GGML_KINDS[device.kind]
        library = next((n for n in _LIBRARIES if device.name.upper().startswith(n.upper())), "")
        found.append(
            Device(
                id=device.name.lower(),
                kind=kind,
                library=library or device.name,
                name=device.description,
                memory_total=device.memory_total,
                memory_free=device.memory_free,
                integrated=integrated,
                engines=("llamacpp", "genai") if library == "CUDA" and genai else ("llamacpp",),
            )
        )
    return found


def _genai_has_cuda() -> bool:
    return bool(installed_version("onnxruntime_genai", "onnxruntime-genai-cuda"))


def genai_devices(listed: list[Device]) -> list[Device]:
    """CUDA devices for onnxruntime-genai where the installed llama.cpp lists none: it may be built
    for Vulkan, or for no GPU."""
    if not _genai_has_cuda() or any(device.library == "CUDA" for device in listed):
        return []
    fields = ",".join(("index", "name", "memory.total", "memory.free"))
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_NVIDIA_SMI_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return cuda_devices(answer.stdout)


def cuda_devices(listing: str) -> list[Device]:
    """Devices of a listing of nvidia-smi, a line each: index, name, MiB in all, MiB free. A line
    that is none (a GPU that does not tell its memory) is left out."""
    found = []
    for line in listing.splitlines():
        match = _NVIDIA_LINE.fullmatch(line.strip())
        if match:
            total, free = (int(match[part]) << 20 for part in ("total", "free"))
            found.append(
                Device(f"cuda{match['index']}", "GPU", "CUDA", match["name"], total, free,
                       engines=("genai",))
            )  # fmt: skip
    return found


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
    """All devices, the CPU last: first those an engine lists, then hardware none can use, and the
    devices of the RPC servers at the addresses `rpc`."""
    usable, hardware, cpu = engine_devices(), hardware_gpus(), cpu_device()
    usable += genai_devices(usable)
    vendors = " ".join(device.name for device in usable)
    unused = [gpu for gpu in hardware if not re.search(gpu.facts["vendor"], vendors)]
    gpus = frozenset(gpu.facts["vendor"].lower() for gpu in hardware)
    through = provider_devices(npus_here(), gpus, cpu.memory_total, cpu.memory_free)
    return [*usable, *unused, *through, *_rpc_devices(rpc), cpu]


def _rpc_devices(addresses: Sequence[str]) -> list[Device]:
    if not addresses:
        return []
    from runtime.backends.llama import rpc as llama_rpc

    return llama_rpc.rpc_devices(addresses)


def probe_job(args: ProbeArgs, _on_progress: OnProgress) -> ProbeAnswer:
    """See `probe`."""
    return ProbeAnswer(tuple(probe(args.rpc)))
