"""4-bit block-wise weights in the layout of onnxruntime's MatMulNBits, vectorised.

A row of K weights is cut into blocks of B along K (the last block padded with zeros when K is no
multiple of B). Symmetric: weight = (q - 8) * scale, with the scale's sign chosen so that the
largest magnitude lands on q = 0, the side with one more level. Asymmetric: (q - zero) * scale.
Knows arrays only: no file, no graph, no tensor names except to report one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quant.blocks.scale_search import reciprocal, symmetric_scales, zero_point_scales
from quant.checkpoint.storable import refuse_unstorable
from quant.errors import IncompatibleShape

Method = Literal["round", "search"]
FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

# Rows on which a search's gain over plain rounding is measured.
_SAMPLE = 16


@dataclass(frozen=True)
class PackedRows:
    """Quantized rows. packed uint8 [n, blocks, B/2] (low nibble first), scales float32
    [n, blocks], zeros uint8 [n, ceil(blocks/2)] when asymmetric. `squared_error` and
    `squared_sum` are sums over all weights, for the report; `plain_error` is what plain rounding
    would err, estimated from a few rows, for a search only (else 0)."""

    packed: ByteArray
    scales: FloatArray
    zeros: ByteArray | None
    squared_error: float
    squared_sum: float
    plain_error: float = 0.0


def quantize_rows(
    rows: FloatArray,
    block: int,
    *,
    symmetric: bool = True,
    method: Method = "search",
    importance: FloatArray | None = None,
    tensor: str = "",
) -> PackedRows:
    """Quantize `rows` [n, K] in blocks of `block` weights.

    "round" takes the scale from the extreme value; "search" the one of least squared error (see
    quant.blocks.scale_search), weighted by the weights' own size and by `importance` [K] where
    given. Raises NonFiniteWeights (see quant.checkpoint.storable) and, for a bad importance,
    IncompatibleShape.
    """
    n, k = rows.shape
    refuse_unstorable(tensor, rows, f"onnx-q4-b{block}")
    if importance is not None and importance.shape != (k,):
        raise IncompatibleShape(
            reason="importance", tensor=tensor, shape=list(importance.shape), wanted=str([k])
        )
    blocks = -(-k // block)
    padded = rows
    if k % block:
        padded = np.zeros((n, blocks * block), np.float32)
        padded[:, :k] = rows
    cut = padded.reshape(n * blocks, block)
    weight = None if method == "round" else _error_weights(cut, n, importance)
    quantize = _symmetric if symmetric else _asymmetric
    scales, zeros = quantize(cut, weight)
    q = _codes(cut, scales, zeros)
    packed = pack_codes(q)
    q -= zeros[:, None]
    q *= scales[:, None]
    error = np.subtract(cut, q, out=q)
    square, plain_error = square_sum(cut), 0.0
    if method == "search":
        plain = quantize_rows(rows[:_SAMPLE], block, symmetric=symmetric, method="round")
        plain_error = plain.squared_error / plain.squared_sum * square if plain.squared_sum else 0.0
    return PackedRows(
        packed.reshape(n, blocks, block // 2),
        scales.reshape(n, blocks),
        None if symmetric else pack_zeros(zeros.reshape(n, blocks)),
        square_sum(error),
        square,
        plain_error,
    )


def square_sum(values: FloatArray) -> float:
    """The sum of the squares of [n, k], in float64 over rows."""
    return float(np.einsum("ij,ij->i", values, values).sum(dtype=np.float64))


def pack_codes(codes: FloatArray) -> ByteArray:
    """Codes [n, k] as bytes [n, k / 2], the earlier one in the low half."""
    pairs = codes.astype(np.uint8).view("<u2")
    packed: ByteArray = (pairs | (pairs >> np.uint16(4))).astype(np.uint8)
    return packed


def dequantize_rows(rows: PackedRows, k: int) -> FloatArray:
    """The float32 weights [n, k] that onnxruntime computes with."""
    n, blocks, half = rows.packed.shape
    q = np.empty((n, blocks, half * 2), np.float32)
    q[..., 0::2] = rows.packed & 15
    q[..., 1::2] = rows.packed >> 4
    zeros = np.full((1, 1, 1), 8, np.float32)
    if rows.zeros is not None:
        both = np.stack([rows.zeros & 15, rows.zeros >> 4], axis=-1).reshape(n, -1)
        zeros = both[:, :blocks, None].astype(np.float32)
    weights: FloatArray = (q - zeros) * rows.scales[..., None]
    return weights.reshape(n, blocks * half * 2)[:, :k]


def _error_weights(cut: FloatArray, n: int, importance: FloatArray | None) -> FloatArray:
    """What an error counts, [n * blocks, block], as `quant.blocks.blockwise.error_weights` has it:
    without the factor for size the search made the starter worse than plain rounding does."""
    weights: FloatArray = (cut * cut).reshape(n, -1)
    weights += weights.mean(axis=1, keepdims=True)
    np.sqrt(weights, out=weights)
    if importance is not None:
        weights[:, : importance.size] *= importance
    weights = weights.reshape(cut.shape)
    # Only the ratios within a block matter; near 1 no sum underflows.
    weights *= reciprocal(weights.max(axis=1))[:, None]
    return weights


def pack_zeros(zeros: FloatArray) -> ByteArray:
    """Zero points [n, blocks] as bytes [n, ceil(blocks / 2)], the earlier one in the low half."""
    n, blocks = zeros.shape
    even = np.zeros((n, blocks + blocks % 2), np.uint8)
    even[:, :blocks] = zeros.astype(np.uint8)
    packed: ByteArray = even[:, 0::2] | (even[:, 1::2] << np.uint8(4))
    return packed


def _codes(cut: FloatArray, scales: FloatArray, zeros: FloatArray) -> FloatArray:
    """Nearest code of each weight, halves rounded up as onnxruntime's quantizer does."""
    q = cut * reciprocal(scales)[:, None]
    q += zeros[:, None] + np.float32(0.5)
    np.floor(q, out=q)
    return np.clip(q, 0, 15, out=q)


def _symmetric(cut: FloatArray, weight: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Scales and zero points [blocks]: plain rounding's without weights, else those searched."""
    zeros = np.full(len(cut), 8, np.float32)
    if weight is not None:
        return _flushed(symmetric_scales(cut, weight)), zeros
    highest, lowest = cut.max(axis=1), cut.min(axis=1)
    extreme = np.where(highest > -lowest, highest, lowest)
    return _flushed(extreme / np.float32(-8)), zeros


def _asymmetric(cut: FloatArray, weight: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    if weight is not None:
        scales, zeros = zero_point_scales(cut, weight)
        return _flushed(scales), zeros
    highest = np.maximum(cut.max(axis=1), 0)
    lowest = np.minimum(cut.min(axis=1), 0)
    scales = ((highest - lowest) / np.float32(15)).astype(np.float32)
    zeros = np.floor(-lowest * reciprocal(scales) + np.float32(0.5))
    return _flushed(scales), np.clip(zeros, 0, 15).astype(np.float32)


def _flushed(scales: FloatArray) -> FloatArray:
    """Scales whose reciprocal overflows are stored as zero."""
    return np.where(reciprocal(scales) != 0, scales, 0).astype(np.float32)
