"""The devices onnxruntime-genai reaches: CUDA GPUs, where its wheel for CUDA is installed.

For child processes.
"""

import re
import subprocess
from collections.abc import Sequence

from runtime.devices import Device, Surroundings
from runtime.machine.providers import installed_version

_NVIDIA_LINE = re.compile(r"(?P<index>\d+), *(?P<name>.+?), *(?P<total>\d+), *(?P<free>\d+)")
_NVIDIA_SMI_SECONDS = 10


def devices(found: Sequence[Device], here: Surroundings) -> list[Device]:
    """See `runtime.engine.DeviceLister`. The CUDA devices that another engine lists; the driver's
    own where none does: llama.cpp may be built for Vulkan, or for no GPU."""
    if not installed_version("onnxruntime_genai", "onnxruntime-genai-cuda"):
        return []
    cuda = [device for device in found if device.library == "CUDA"]
    return cuda or _driver_devices()


def _driver_devices() -> list[Device]:
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
            found.append(Device(f"cuda{match['index']}", "GPU", "CUDA", match["name"], total, free))
    return found
