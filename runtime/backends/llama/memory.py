"""What a placement takes, by llama.cpp's own simulated allocation: no weights are read.

Imports the native library, so job processes only. The engine reports through its log; weight bytes
stay those of the file's header, which are exact already.
"""

import ctypes
import re

from runtime.backends.llama.backend import context_params, model_params
from runtime.backends.llama.binding import native
from runtime.backends.llama.native import NativeLog, start_engine
from runtime.errors import CorruptFile, UnusableFile
from runtime.plan import Placement
from runtime.planning.exact_memory import MemoryReport

_KV_LINE = re.compile(r"llama_kv_cache\w*: size =\s+(?P<mib>[\d.]+) MiB")
_HOST_SUFFIX = "_host"


class _Log(NativeLog):
    """Also adds up the KV caches' sizes, which are the only ones reported without allocation."""

    def __init__(self) -> None:
        self.kv_cache = 0
        super().__init__()

    def _receive(self, level: int, text: bytes | None, user_data: object) -> None:
        super()._receive(level, text, user_data)
        found = _KV_LINE.search((text or b"").decode("utf-8", "replace"))
        if found:
            self.kv_cache += round(float(found["mib"]) * 1024 * 1024)


def simulate(path: str, placement: Placement) -> MemoryReport:
    """Raises CorruptFile, ModelFileError, DeviceUnavailable."""
    log = _Log()
    start_engine()
    params, keep_alive = model_params(placement)
    params.no_alloc = True
    params.load_mode = native.LLAMA_LOAD_MODE_NONE  # mapping is an allocation to the engine
    model = native.llama_model_load_from_file(path.encode(), params)
    del keep_alive
    if not model:
        raise CorruptFile(path=path, reason="refused", detail=" ".join(log.errors[-1:]) or None)
    context = native.llama_init_from_model(model, context_params(placement))
    if not context:
        raise UnusableFile(path=path, reason="no_context", detail=" ".join(log.errors[-2:]) or None)
    native.llama_free(context)
    native.llama_model_free(model)
    native.llama_log_set(native.llama_log_callback(0), ctypes.c_void_p(0))
    compute: dict[str, int] = {}
    for name, parts in log.buffers.items():
        device = name.lower()
        if device.endswith(_HOST_SUFFIX):
            device = "cpu"
        size = parts.get("compute", 0) + parts.get("output", 0)
        compute[device] = compute.get(device, 0) + size
    return MemoryReport(compute, log.kv_cache)
