"""What the llama.cpp adapter needs below its public Python binding: devices, buffer types, the log.

Imports the native library, so worker and job processes only. Knows nothing of plans or sampling.
"""

import ctypes
import functools
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.backends.llama.binding import native
from runtime.errors import BackendUnavailable
from runtime.machine.packs import device_libraries, pack_libraries
from runtime.process.cpu_library import VARIABLE, cpu_libraries, engine_folder

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
_FOLDER = engine_folder() or Path(native.__file__).parent
_BUILD_FUNCTIONS = ("ggml_version", "ggml_commit")
_DEBUG, _INFO, _WARN, _ERROR = 1, 2, 3, 4
_LEVELS = {_INFO: logging.INFO, _WARN: logging.WARNING, _ERROR: logging.ERROR}

# The engine keeps the pointer to the last log callback for as long as the process lives: one that
# was collected with its owner would be called all the same.
_CALLBACKS: list[object] = []


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
        _CALLBACKS.append(callback)

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


def _text(value: bytes | None) -> str:
    return bytes(value or b"").decode("utf-8", "replace")


def function(name: str, restype: object, *argtypes: object) -> Callable[..., Any]:
    """A ggml function with its types, through libllama's own handle: another handle may be a second
    copy of the library with a second device registry (abetlen/llama-cpp-python#2069)."""
    found = next(getattr(library, name) for library in _libraries() if hasattr(library, name))
    found.restype = restype
    found.argtypes = list(argtypes)
    callable_function: Callable[..., Any] = found
    return callable_function


@functools.cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    """Where ggml functions are found. Windows does not look into what a library depends on, but
    has each only once."""
    if os.name != "nt":
        return (native._lib,)
    return tuple(ctypes.CDLL(str(_FOLDER / name)) for name in ("ggml-base.dll", "ggml.dll"))


@functools.cache
def start_engine() -> None:
    """Make the engine ready, once in a process. Raises BackendUnavailable.

    An engine with a library per processor generation loads none by itself: here the chosen one, or
    without a choice the one it ranks highest, and what it has for other devices.
    """
    native.llama_backend_init()
    chosen = os.environ.get(VARIABLE)
    if chosen:
        for library in (Path(chosen), *_device_libraries()):
            load = function("ggml_backend_load", ctypes.c_void_p, ctypes.c_char_p)
            if load(os.fsencode(library)):
                continue
            if library == Path(chosen):
                raise BackendUnavailable(
                    backend="llamacpp", reason="library_refused", library=library.name
                )
            logger.error("%s does not load: its devices are missing", library)
    elif cpu_libraries(_FOLDER):
        load_all = function("ggml_backend_load_all_from_path", None, ctypes.c_char_p)
        load_all(os.fsencode(_FOLDER))


def _device_libraries() -> list[Path]:
    """Libraries for other devices than the CPU, in an engine that keeps them apart."""
    if not cpu_libraries(_FOLDER):
        return []
    return [*device_libraries(_FOLDER), *pack_libraries()]


def build() -> dict[str, str]:
    """What the engine says of its build: versions, commit, its library for the CPU ("own" where it
    has but one) and the instructions that uses."""
    start_engine()
    told = {name: _text(function(name, ctypes.c_char_p)()) for name in _BUILD_FUNCTIONS}
    library = Path(os.environ.get(VARIABLE) or "own").name
    features = _text(native.llama_print_system_info()).strip(" |")
    return {**told, "cpu_library": library, "cpu_features": features}


def devices() -> list[NativeDevice]:
    """Every device the loaded ggml backends offer."""
    start_engine()
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    count = function("ggml_backend_dev_count", size)
    get = function("ggml_backend_dev_get", pointer, size)
    name = function("ggml_backend_dev_name", ctypes.c_char_p, pointer)
    description = function("ggml_backend_dev_description", ctypes.c_char_p, pointer)
    kind = function("ggml_backend_dev_type", ctypes.c_int, pointer)
    memory = function(
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
    cpu = next(device.handle for device in devices() if device.kind == 0)
    buffer_type = function("ggml_backend_dev_buffer_type", ctypes.c_void_p, ctypes.c_void_p)
    return int(buffer_type(cpu))


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
