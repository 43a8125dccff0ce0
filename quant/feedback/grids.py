"""The grids of the stored formats: scales by each format's own search, codes by error feedback.

A GGUF block's scales are read from what llama.cpp's quantizer stores for it, an ONNX block's are
those of our search; only the codes are chosen here. Knows no file.
"""

import numpy as np
import numpy.typing as npt

from quant.blocks.encoders import RowQuantizer
from quant.blocks.scale_search import reciprocal, symmetric_scales, zero_point_scales
from quant.feedback.layouts import LAYOUTS, BlockLayout
from quant.formats import format_named

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


class GgufGrid:
    """Collects the blocks of `count` rows of `columns` weights."""

    def __init__(self, format_name: str, scales: RowQuantizer, count: int, columns: int) -> None:
        self._layout = LAYOUTS[format_name]
        self._scales = scales
        self._bytes = format_named(format_name).block_bytes
        self._shape = (count, columns // self.span)
        self._fitted: dict[int, _GgufBlocks] = {}

    @property
    def span(self) -> int:
        return self._layout.span

    def fit(self, first: int, rows: F32, weights: F32) -> "_GgufBlocks":
        blocks = self._scales.encode(self._layout.format, np.ascontiguousarray(rows), weights)
        fitted = self._fitted[first // self.span] = _GgufBlocks(self._layout, blocks)
        return fitted

    def blocks(self) -> U8:
        """Stored rows [count, bytes per row], once every span is rounded."""
        count, across = self._shape
        whole = np.empty((count, across, self._bytes), np.uint8)
        for index in range(across):
            whole[:, index] = self._fitted[index].blocks()
        return whole.reshape(count, across * self._bytes)


class _GgufBlocks:
    def __init__(self, layout: BlockLayout, blocks: U8) -> None:
        self._layout = layout
        self._blocks = blocks
        levels = layout.levels(blocks)
        # Columns are rounded one after another, so a sub-block's scales of all rows lie together.
        self._scale = np.ascontiguousarray(levels.scale.T)
        self._offset = np.ascontiguousarray(levels.offset.T)
        self._inverse = reciprocal(self._scale)
        self._codes = np.empty((layout.span, len(blocks)), np.uint8)
        self._highest = np.float32((1 << layout.bits) - 1)
        book = layout.codebook
        self._between = None if book is None else (book[1:] + book[:-1]) / 2

    def round(self, column: int, values: F32) -> F32:
        sub = column // self._layout.sub
        scale, offset = self._scale[sub], self._offset[sub]
        level = (values - offset) * self._inverse[sub]
        if self._between is None or self._layout.codebook is None:
            np.rint(level, out=level)
            np.clip(level, 0, self._highest, out=level)
            self._codes[column] = level
            plain: F32 = level * scale + offset
            return plain
        codes = np.searchsorted(self._between, level)
        self._codes[column] = codes
        stored: F32 = self._layout.codebook[codes] * scale
        return stored

    def blocks(self) -> U8:
        return self._layout.with_codes(self._blocks, np.ascontiguousarray(self._codes.T))


class OnnxGrid:
    """Collects codes, scales and zero points of `count` rows for MatMulNBits."""

    def __init__(self, block: int, symmetric: bool, count: int, columns: int) -> None:
        self.span = block
        self._symmetric = symmetric
        self.codes = np.empty((count, columns), np.uint8)
        self.scales = np.empty((count, columns // block), np.float32)
        self.zeros = np.full((count, columns // block), 8, np.float32)

    def fit(self, first: int, rows: F32, weights: F32) -> "_OnnxBlocks":
        cut = np.ascontiguousarray(rows)
        counts = np.broadcast_to(weights / (float(weights.max()) or 1.0), cut.shape)
        index = first // self.span
        if self._symmetric:
            self.scales[:, index] = symmetric_scales(cut, counts)
        else:
            self.scales[:, index], self.zeros[:, index] = zero_point_scales(cut, counts)
        codes = self.codes[:, first : first + self.span]
        return _OnnxBlocks(self.scales[:, index].copy(), self.zeros[:, index].copy(), codes)


class _OnnxBlocks:
    def __init__(self, scale: F32, zero: F32, codes: U8) -> None:
        self._scale, self._zero, self._codes = scale, zero, codes
        self._inverse = reciprocal(scale)

    def round(self, column: int, values: F32) -> F32:
        code = np.rint(values * self._inverse + self._zero)
        np.clip(code, 0, 15, out=code)
        self._codes[:, column] = code
        stored: F32 = (code - self._zero) * self._scale
        return stored
