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

from quant.errors import IncompatibleShape
from quant.storable import refuse_unstorable

Method = Literal["round", "search"]
FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

# Below this a scale's reciprocal overflows float32: such a block is stored as zeros.
_SMALLEST_SCALE = np.float32(1e-37)
# Rows on which a search's gain over plain rounding is measured.
_SAMPLE = 16
# Trial scales of the search, as divisors of a block's extreme value. 8 is plain rounding.
_SYMMETRIC_DIVISORS = (8.0, 7.2, 7.6, 8.4, 8.8)
_ASYMMETRIC_SHRINKS = (1.0, 0.97, 0.94, 0.91, 0.87)


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

    "round" takes the scale from the extreme value; "search" tries a few scales around it, refits
    each by least squares and keeps the smallest squared error, weighted by the weights' own size
    and by `importance` [K] where given. Raises NonFiniteWeights (see quant.storable) and, for a bad
    importance, IncompatibleShape.
    """
    n, k = rows.shape
    refuse_unstorable(tensor, rows, f"onnx-q4-b{block}")
    if importance is not None and importance.shape != (k,):
        raise IncompatibleShape(tensor=tensor, shape=list(importance.shape), detail=f"[{k}]")
    blocks = -(-k // block)
    padded = rows
    if k % block:
        padded = np.zeros((n, blocks * block), np.float32)
        padded[:, :k] = rows
    cut = padded.reshape(n * blocks, block)
    weight = None if method == "round" else _error_weights(cut, n, importance)
    quantize = _symmetric if symmetric else _asymmetric
    q, scales, zeros = quantize(cut, method, weight)
    error = cut - (q - zeros[:, None]) * scales[:, None]
    codes = q.astype(np.uint8)
    packed: ByteArray = codes[:, 0::2] | (codes[:, 1::2] << np.uint8(4))
    square, plain_error = _square_sum(cut), 0.0
    if method == "search":
        plain = quantize_rows(rows[:_SAMPLE], block, symmetric=symmetric, method="round")
        plain_error = plain.squared_error / plain.squared_sum * square if plain.squared_sum else 0.0
    return PackedRows(
        packed.reshape(n, blocks, block // 2),
        scales.reshape(n, blocks),
        None if symmetric else _pack_zeros(zeros.reshape(n, blocks)),
        _square_sum(error),
        square,
        plain_error,
    )


def _square_sum(values: FloatArray) -> float:
    return float(np.einsum("ij,ij->", values, values, dtype=np.float64))


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
    """What an error counts, [n * blocks, block], as `quant.blockwise.error_weights` has it: without
    the factor for size the search made the starter worse than plain rounding does."""
    squares = (cut * cut).reshape(n, -1)
    weights: FloatArray = np.sqrt(squares.mean(axis=1, keepdims=True) + squares)
    if importance is not None:
        weights[:, : importance.size] *= importance
    weights = weights.reshape(cut.shape)
    # Only the ratios within a block matter; near 1 no sum underflows.
    weights /= np.maximum(weights.max(axis=1, keepdims=True), _SMALLEST_SCALE)
    return weights


def _pack_zeros(zeros: FloatArray) -> ByteArray:
    n, blocks = zeros.shape
    even = np.zeros((n, blocks + blocks % 2), np.uint8)
    even[:, :blocks] = zeros.astype(np.uint8)
    packed: ByteArray = even[:, 0::2] | (even[:, 1::2] << np.uint8(4))
    return packed


def _reciprocal(scales: FloatArray) -> FloatArray:
    usable = np.abs(scales) >= _SMALLEST_SCALE
    return np.where(usable, 1 / np.where(usable, scales, 1), 0).astype(np.float32)


def _codes(cut: FloatArray, scales: FloatArray, zeros: FloatArray) -> FloatArray:
    """Nearest code of each weight, halves rounded up as onnxruntime's quantizer does."""
    q = cut * _reciprocal(scales)[:, None]
    q += zeros[:, None] + np.float32(0.5)
    np.floor(q, out=q)
    return np.clip(q, 0, 15, out=q)


def _weighted_sum(a: FloatArray, b: FloatArray, weight: FloatArray) -> FloatArray:
    sums: FloatArray = np.einsum("ij,ij,ij->i", a, b, weight)
    return sums


def _symmetric(
    cut: FloatArray, method: Method, weight: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    highest, lowest = cut.max(axis=1), cut.min(axis=1)
    extreme = np.where(highest > -lowest, highest, lowest)
    zeros = np.full(len(cut), 8, np.float32)
    trials = [extreme / np.float32(-8)]
    if method == "search":
        trials = [extreme / np.float32(-divisor) for divisor in _SYMMETRIC_DIVISORS]
    return _best_trial(cut, [(t, zeros) for t in trials], weight)


def _asymmetric(
    cut: FloatArray, method: Method, weight: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    highest = np.maximum(cut.max(axis=1), 0)
    lowest = np.minimum(cut.min(axis=1), 0)
    shrinks = _ASYMMETRIC_SHRINKS if method == "search" else (1.0,)
    trials = []
    for shrink in shrinks:
        scales = ((highest - lowest) * np.float32(shrink / 15)).astype(np.float32)
        zeros = np.floor(-lowest * np.float32(shrink) * _reciprocal(scales) + np.float32(0.5))
        trials.append((scales, np.clip(zeros, 0, 15).astype(np.float32)))
    return _best_trial(cut, trials, weight)


def _best_trial(
    cut: FloatArray,
    trials: list[tuple[FloatArray, FloatArray]],
    weight: FloatArray | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Codes, scales and zero points [blocks] of the trial with the smallest squared error; of the
    first without weights, which is plain rounding.

    For given codes d = q - zero the best scale is <w, d> / <d, d>, and with it the error falls by
    <w, d>^2 / <d, d>: comparing that gain needs no dequantization.
    """
    if weight is None:
        scales, zeros = trials[0]
        return _codes(cut, scales, zeros), _flushed(scales), zeros
    best_gain = np.full(len(cut), -1, np.float32)
    best_scale = np.zeros(len(cut), np.float32)
    best_zero = np.zeros(len(cut), np.float32)
    best_codes = np.empty_like(cut)
    for scales, zeros in trials:
        q = _codes(cut, scales, zeros)
        d = q - zeros[:, None]
        cross, square = _weighted_sum(cut, d, weight), _weighted_sum(d, d, weight)
        fitted = np.where(square > 0, cross / np.where(square > 0, square, 1), scales)
        gain = cross * fitted
        better = gain > best_gain
        best_gain = np.where(better, gain, best_gain)
        best_scale = np.where(better, fitted, best_scale)
        best_zero = np.where(better, zeros, best_zero)
        np.copyto(best_codes, q, where=better[:, None])
    return best_codes, _flushed(best_scale), best_zero


def _flushed(scales: FloatArray) -> FloatArray:
    usable = np.abs(scales) >= _SMALLEST_SCALE
    return np.where(usable, scales, 0).astype(np.float32)
