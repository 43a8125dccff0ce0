"""A node of llama.cpp's graph as its callbacks hand it over: operation, type, shape, name, data.

Knows the structure of the pinned library.
"""

import ctypes
import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.backends.llama import native as llama_native


class GraphTensor(ctypes.Structure):
    """struct ggml_tensor of the pinned library (ggml.h)."""

    @staticmethod
    def at(pointer: int) -> "GraphTensor":
        """The tensor that the engine points to."""
        return ctypes.cast(pointer, ctypes.POINTER(GraphTensor)).contents


GraphTensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(GraphTensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]

F32_TYPE, I32_TYPE = 0, 26


@functools.cache
def _operation(number: int) -> str:
    name_of = llama_native.function("ggml_op_name", ctypes.c_char_p, ctypes.c_int)
    return (name_of(number) or b"").decode()


def operation_name(node: GraphTensor) -> str:
    """What a graph node does, e.g. MUL_MAT."""
    return _operation(node.op)


def weight_name(node: GraphTensor) -> str | None:
    """The name of the weight tensor that a node of two sources works with; None without one."""
    if not node.src[0] or not node.src[1]:
        return None
    name = bytes(node.src[0].contents.name).decode("utf-8", "replace")
    return name if name.endswith(".weight") else None


def array_of(tensor: GraphTensor) -> npt.NDArray[Any]:
    """A view of a host tensor in numpy order [ne3, ne2, ne1, ne0]."""
    kind = np.dtype(np.int32) if tensor.type == I32_TYPE else np.dtype(np.float32)
    shape = tuple(int(n) for n in tensor.ne)[::-1]
    strides = tuple(int(n) for n in tensor.nb)[::-1]
    extent = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + kind.itemsize
    memory = (ctypes.c_char * extent).from_address(tensor.data)
    flat = np.frombuffer(memoryview(memory), dtype=np.uint8)
    return np.lib.stride_tricks.as_strided(flat[: kind.itemsize].view(kind), shape, strides)
