"""Gives a single token the arithmetic it has in a batch, at any number of threads.

Over more than 256 cached tokens llama.cpp shares out a lone token's attention among its threads by
positions and adds the parts up in half precision (`use_split_kv_path`, ggml-cpu/ops.cpp). Several
tokens at once are shared out by heads instead. With the engine's reference mode a lone token is,
too: its logits are then those of the same token in a batch, bit for bit, and of any thread count.
The mode also leaves out a fusion that changes no bit, and tiles that only long batches use.

Knows the engine's context; knows no tokens. The context's scheduler is reached by a C++ name, which
Windows libraries do not export: there nothing changes.
"""

import ctypes
from collections.abc import Callable

from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native

SPLIT_FROM = 256  # cached tokens before a lone one from which its attention is shared by positions
_GET_SCHEDULER = "_ZNK13llama_context9get_schedEv"  # llama_context::get_sched() const
_MOST_BACKENDS = 16


class LoneRows:
    """The arithmetic of single tokens in one context."""

    def __init__(self, context: native.llama_context_p) -> None:
        self._backend = _cpu_backend(context)
        self._set = _setter(self._backend) if self._backend is not None else None
        self._as_in_batches = False

    @property
    def available(self) -> bool:
        """Whether this engine supports it."""
        return self._set is not None

    def use(self, *, as_in_batches: bool) -> None:
        """Evaluate from now on as in batches, or in the engine's own way."""
        if self._set is not None and as_in_batches != self._as_in_batches:
            self._set(self._backend, as_in_batches)
            self._as_in_batches = as_in_batches


def _setter(backend: int) -> Callable[[int | None, bool], None] | None:
    """Asked for by name, because the CPU's library may be one that was loaded by itself."""
    pointer = ctypes.c_void_p
    device = llama_native.function("ggml_backend_get_device", pointer, pointer)(backend)
    registry = llama_native.function("ggml_backend_dev_backend_reg", pointer, pointer)(device)
    address = llama_native.function(
        "ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p
    )(registry, b"ggml_backend_cpu_set_use_ref")
    if not address:
        return None
    return ctypes.CFUNCTYPE(None, pointer, ctypes.c_bool)(address)


def _cpu_backend(context: native.llama_context_p) -> int | None:
    """The CPU backend of a context's scheduler."""
    find = getattr(native._lib, _GET_SCHEDULER, None)
    if find is None:
        return None
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    scheduler = find(ctypes.cast(context, ctypes.c_void_p))
    pointer = ctypes.c_void_p
    count = llama_native.function("ggml_backend_sched_get_n_backends", ctypes.c_int, pointer)
    get = llama_native.function("ggml_backend_sched_get_backend", pointer, pointer, ctypes.c_int)
    name = llama_native.function("ggml_backend_name", ctypes.c_char_p, pointer)
    for index in range(min(count(scheduler), _MOST_BACKENDS)):
        if name(get(scheduler, index)) == b"CPU":
            return int(get(scheduler, index))
    return None
