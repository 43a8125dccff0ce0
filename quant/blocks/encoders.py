"""From float32 rows to stored blocks: one call for every format and every method.

Chooses who rounds (llama.cpp's kernels, plain rounding, our scale search). Knows no file.
"""

from typing import Protocol

import ml_dtypes
import numpy as np
import numpy.typing as npt
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from quant.blocks.blockwise import ROUNDINGS, SEARCHES
from quant.formats import ggml_type
from quant.recipe import Method

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


class RowQuantizer(Protocol):
    """Rows [n, row_length] to blocks [n, bytes per row], weighing columns by `importance`."""

    def encode(self, format_name: str, rows: F32, importance: F32 | None = None) -> U8: ...


class Encoder:
    """Encodes rows by one method. "round" and "search" fall back on the native kernels for formats
    they do not cover."""

    def __init__(self, method: Method, native: RowQuantizer) -> None:
        self._method = method
        self._native = native

    def searches(self, format_name: str) -> bool:
        """Whether this format is encoded by a search instead of plain rounding."""
        return self._method == "search" and format_name in SEARCHES

    def encode(self, format_name: str, rows: F32, importance: F32 | None = None) -> U8:
        """Rows [n, row_length] as bytes [n, bytes per row]. Values must be finite."""
        plain = _encode_float(format_name, rows)
        if plain is not None:
            return plain
        if self.searches(format_name):
            return SEARCHES[format_name](rows, importance)
        if self._method == "round" and format_name in ROUNDINGS:
            return ROUNDINGS[format_name](rows)
        return self._native.encode(format_name, rows, importance)


def _encode_float(format_name: str, rows: F32) -> U8 | None:
    if format_name == "F32":
        return np.ascontiguousarray(rows, dtype="<f4").view(np.uint8)
    if format_name == "F16":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(rows.astype("<f2")).view(np.uint8)
    if format_name == "BF16":
        return np.ascontiguousarray(rows.astype(ml_dtypes.bfloat16)).view(np.uint8)
    return None


def decode(format_name: str, blocks: U8, row_length: int) -> F32:
    """Blocks [n, bytes per row] back as float32 rows [n, row_length]."""
    if format_name == "BF16":
        values: F32 = blocks.view(ml_dtypes.bfloat16).astype(np.float32)
    else:
        values = dequantize(blocks, GGMLQuantizationType(ggml_type(format_name)))
    return values.reshape(len(blocks), row_length)
