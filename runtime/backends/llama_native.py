"""What the llama.cpp adapter needs below its public Python binding: devices, buffer types, the log.

Imports the native library, so worker and job processes only. Knows nothing of plans or sampling.
"""

import ctypes
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native

logger = logging.getLogger("llama.cpp")

_BUFFER_LINE = re.compile(
    r"(?P<device>\S+)\s+(?P<part>model|KV|compute|output|RS)\s+buffer size =\s+(?P<mib>[\d.]+) MiB"
)
_PART_NAMES = {
    "model": "weights",
    "KV": "kv_cache",
    "RS": "kv_cache",
    "compute": "compute",
    "output": "output",
}
_DEBUG, _INFO, _WARN, _ERROR = 1, 2, 3, 4
_LEVELS = {_INFO: logging.INFO, _WARN: logging.WARNING, _ERROR: logging.ERROR}

# The engine keeps the pointer to the last log callback for as long as the process lives: one that
# was collected with its owner would be called all the same.
_KEPT: list[object] = []


class BufferOverride(ctypes.Structure):
    """struct llama_model_tensor_buft_override: a regular expression of names, a buffer type."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


@dataclass(frozen=True)
class NativeDevice:
    """One ggml device: handle, name such as CPU or CUDA0, description, bytes free and in all."""

    handle: int
    name: str
    description: str
    kind: int  # 0 CPU, 1 GPU, 2 integrated GPU, 3 accelerator
    memory_free: int
    memory_total: int


class NativeLog:
    """Routes the engine's log to `logging` and collects the buffer sizes it reports.

    llama.cpp has no call that returns the sizes it allocated; its log lines are the only source
    (ggml-org/llama.cpp, src/llama-model.cpp `load_tensors`, src/llama-context.cpp).
    """

    def __init__(self) -> None:
        self.buffers: dict[str, dict[str, int]] = {}
        self.errors: list[str] = []
        callback = native.llama_log_callback(self._receive)
        native.llama_log_set(callback, ctypes.c_void_p(0))
        _KEPT.append(callback)

    def _receive(self, level: int, text: bytes | None, _user_data: object) -> None:
        if level == _DEBUG or not text:
            return
        line = text.decode("utf-8", "replace").rstrip("\n")
        if not line or line == ".":
            return
        logger.log(_LEVELS.get(level, logging.INFO), "%s", line)
        if level == _ERROR:
            self.errors.append(line)
        found = _BUFFER_LINE.search(line)
        if found:
            parts = self.buffers.setdefault(found["device"], {})
            part = _PART_NAMES[found["part"]]
            parts[part] = parts.get(part, 0) + round(float(found["mib"]) * 1024 * 1024)


def _text(value: Any) -> str:
    return bytes(value or b"").decode("utf-8", "replace")


def _function(name: str, restype: object, *argtypes: object) -> Callable[..., Any]:
    """A ggml function through libllama's own handle: another handle may be a second copy of the
    library with a second device registry (abetlen/llama-cpp-python#2069)."""
    function = getattr(native._lib, name)
    function.restype = restype
    function.argtypes = list(argtypes)
    callable_function: Callable[..., Any] = function
    return callable_function


def devices() -> list[NativeDevice]:
    """Every device the loaded ggml backends offer."""
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    count = _function("ggml_backend_dev_count", size)
    get = _function("ggml_backend_dev_get", pointer, size)
    name = _function("ggml_backend_dev_name", ctypes.c_char_p, pointer)
    description = _function("ggml_backend_dev_description", ctypes.c_char_p, pointer)
    kind = _function("ggml_backend_dev_type", ctypes.c_int, pointer)
    memory = _function(
        "ggml_backend_dev_memory", None, pointer, ctypes.POINTER(size), ctypes.POINTER(size)
    )
    found = []
    for index in range(count()):
        handle = get(index)
        free, total = size(), size()
        memory(handle, ctypes.byref(free), ctypes.byref(total))
        found.append(
            NativeDevice(
                handle,
                _text(name(handle)),
                _text(description(handle)),
                kind(handle),
                free.value,
                total.value,
            )
        )
    return found


def cpu_buffer_type() -> int:
    """Handle of the plain CPU buffer type, for tensor overrides."""
    return int(_function("ggml_backend_cpu_buffer_type", ctypes.c_void_p)())


def overrides(patterns: dict[str, int]) -> "ctypes.Array[BufferOverride]":
    """A NULL-terminated override array; keep it alive until the model is loaded."""
    rows = [BufferOverride(pattern.encode(), handle) for pattern, handle in patterns.items()]
    rows.append(BufferOverride(None, None))
    return (BufferOverride * len(rows))(*rows)


def device_array(handles: list[int]) -> "ctypes.Array[ctypes.c_void_p]":
    """A NULL-terminated device array; an array of NULL alone means the CPU only."""
    return (ctypes.c_void_p * (len(handles) + 1))(*handles, None)


class AbortFlag:
    """A flag that llama.cpp polls between graph nodes without entering Python.

    The abort callback has the signature `bool (*)(void *)`. libc's `strlen` over a two-byte buffer
    is such a function: 0 while the buffer is empty, 1 once a byte is set. A Python callback would
    take the interpreter lock about a thousand times a token.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self._strlen = ctypes.cast(
            ctypes.CDLL(None if os.name == "posix" else "msvcrt").strlen, native.ggml_abort_callback
        )

    def attach(self, context: object) -> None:
        native.llama_set_abort_callback(
            context, self._strlen, ctypes.cast(self._buffer, ctypes.c_void_p)
        )

    def set(self) -> None:
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        self._buffer[0] = b"\x00"
