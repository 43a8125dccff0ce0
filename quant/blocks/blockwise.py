"""Reference block-wise quantizers in numpy: plain rounding, and a search for the scale with the
least squared error. Their bytes are what ggml, and so every GGUF engine, decodes.

Works on arrays only: rows in, block bytes out. Knows no file, no tensor and no recipe.

Formats (ggml): Q4_0 is a float16 scale d and 32 4-bit q, weight = d (q - 8); Q4_1 a float16 scale
and minimum m, weight = d q + m; Q8_0 a float16 scale and 32 int8 q. Nibble j of byte i is weight
i + 16 j.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from quant.blocks.scale_search import symmetric_scales

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

BLOCK = 32
# Blocks worked on at once: their float32 copies stay in the second-level cache.
_SLICE = 2048
# A scale smaller than this is zero as float16, and its reciprocal may overflow.
_SMALLEST_SCALE = np.float32(2.0**-25)
_FLOAT16_MAX = np.float32(np.finfo(np.float16).max)
# Trial ranges of Q4_1: how much of the span from smallest to largest the 15 steps cover.
_AFFINE_SPANS = (1.0, 0.97, 0.94, 0.91, 0.87, 0.82, 0.76)
_REFITS = 2


def as_blocks(rows: F32) -> F32:
    """Rows [n, k] as blocks [n * k / 32, 32]."""
    return np.ascontiguousarray(rows, dtype=np.float32).reshape(-1, BLOCK)


def _reciprocal(scale: F32) -> F32:
    tiny = np.abs(scale) < _SMALLEST_SCALE
    inverse: F32 = np.where(
        tiny, np.float32(0), np.float32(1) / np.where(tiny, np.float32(1), scale)
    )
    return inverse


def _signed_extreme(blocks: F32) -> F32:
    """The weight of largest magnitude in each block, with its sign; the first of equals."""
    where = np.abs(blocks).argmax(axis=1)
    extreme: F32 = blocks[np.arange(len(blocks)), where]
    return extreme


def _pack(codes: npt.NDArray[np.uint8], *halves: F32) -> U8:
    """Float16 fields and then 32 nibbles, [n, 2 * fields + 16] bytes."""
    fields = [half.astype("<f2").reshape(-1, 1).view(np.uint8) for half in halves]
    nibbles = codes[:, :16] | codes[:, 16:] << 4
    return np.concatenate([*fields, nibbles], axis=1)


def _round_symmetric(blocks: F32) -> tuple[npt.NDArray[np.uint8], F32]:
    scale: F32 = _signed_extreme(blocks) / np.float32(-8)
    codes = np.trunc(blocks * _reciprocal(scale)[:, None] + np.float32(8.5))
    return np.minimum(codes, 15).astype(np.uint8), scale


def _round_affine(blocks: F32) -> tuple[npt.NDArray[np.uint8], F32, F32]:
    low = blocks.min(axis=1)
    scale: F32 = (blocks.max(axis=1) - low) / np.float32(15)
    codes = np.trunc((blocks - low[:, None]) * _reciprocal(scale)[:, None] + np.float32(0.5))
    return np.minimum(codes, 15).astype(np.uint8), scale, low


def round_q4_0(rows: F32) -> U8:
    """Plain rounding to Q4_0: [n, k] to [n, k / 32 * 18] bytes."""
    codes, scale = _round_symmetric(as_blocks(rows))
    return _pack(codes, scale).reshape(len(rows), -1)


def round_q4_1(rows: F32) -> U8:
    """Plain rounding to Q4_1: [n, k] to [n, k / 32 * 20] bytes."""
    codes, scale, low = _round_affine(as_blocks(rows))
    return _pack(codes, scale, low).reshape(len(rows), -1)


def round_q8_0(rows: F32) -> U8:
    """Plain rounding to Q8_0: [n, k] to [n, k / 32 * 34] bytes. Halves round away from zero."""
    blocks = as_blocks(rows)
    scale: F32 = np.abs(blocks).max(axis=1) / np.float32(127)
    scaled = blocks * _reciprocal(scale)[:, None]
    codes = (np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))).astype(np.int8)
    half = scale.astype("<f2").reshape(-1, 1).view(np.uint8)
    return np.concatenate([half, codes.view(np.uint8)], axis=1).reshape(len(rows), -1)


def search_q4_0(rows: F32, importance: F32 | None = None) -> U8:
    """Q4_0 with, per block, the scale of least squared error found (weighted where `importance`
    [k] is given); never worse than plain rounding. [n, k] to [n, k / 32 * 18] bytes."""
    return _sliced(_search_symmetric, rows, importance, 18)


def search_q4_1(rows: F32, importance: F32 | None = None) -> U8:
    """Q4_1 with, per block, the scale and minimum of least squared error found, as `search_q4_0`.
    [n, k] to [n, k / 32 * 20] bytes."""
    return _sliced(_search_affine, rows, importance, 20)


def _sliced(search: Callable[[F32, F32], U8], rows: F32, importance: F32 | None, width: int) -> U8:
    blocks = as_blocks(rows)
    weights = error_weights(rows, importance)
    out = np.empty((len(blocks), width), dtype=np.uint8)
    for start in range(0, len(blocks), _SLICE):
        piece = slice(start, start + _SLICE)
        out[piece] = search(blocks[piece], weights[piece])
    return out.reshape(len(rows), -1)


def error_weights(rows: F32, importance: F32 | None) -> F32:
    """What an error counts, [blocks, 32]: sqrt(mean square + w^2), for large weights carry more of
    the output, times the mean square of the column's input where an importance matrix tells it.

    Measured on the starter: without the factor for size the search lowers the weights' error and
    raises the model's divergence; with it both fall.
    """
    mean = np.mean(rows * rows, axis=1, keepdims=True, dtype=np.float32)
    weights: F32 = np.sqrt(mean + rows * rows)
    if importance is not None:
        weights *= importance.astype(np.float32)
    # A column never seen active still counts a little, or its weights would become arbitrary.
    weights += np.float32(1e-6) * weights.mean() + np.float32(1e-30)
    weights = weights.reshape(-1, BLOCK)
    # Only the ratios within a block matter; near 1 no sum of squares underflows.
    relative: F32 = weights / weights.max(axis=1, keepdims=True)
    return relative


def _dot(a: F32, b: F32) -> F32:
    total: F32 = np.einsum("ij,ij->i", a, b)
    return total


def _search_symmetric(blocks: F32, weights: F32) -> U8:
    plain, plain_scale = _round_symmetric(blocks)
    stored = _float16(symmetric_scales(blocks, weights))
    codes = _symmetric_codes(blocks, stored)
    plain_stored = _float16(plain_scale)
    plain_error = blocks - (plain.astype(np.float32) - 8) * plain_stored[:, None]
    error = blocks - codes * stored[:, None]
    worse = _dot(weights * error, error) >= _dot(weights * plain_error, plain_error)
    chosen = np.where(worse[:, None], plain, (codes + 8).astype(np.uint8))
    return _pack(chosen, np.where(worse, plain_scale, stored))


def _symmetric_codes(blocks: F32, scale: F32) -> F32:
    codes = blocks * _reciprocal(scale)[:, None]
    np.rint(codes, out=codes)
    return np.clip(codes, -8, 7, out=codes)


def _search_affine(blocks: F32, weights: F32) -> U8:
    plain, plain_scale, plain_low = _round_affine(blocks)
    low, span = blocks.min(axis=1), blocks.max(axis=1) - blocks.min(axis=1)
    total, weighted = weights.sum(axis=1), blocks * weights
    sum_x = weighted.sum(axis=1)
    candidates = [_half(plain_scale, plain_low)]
    for covered in _AFFINE_SPANS:
        inset = span * np.float32((1 - covered) / 2)
        scale, start = span * np.float32(covered / 15), low + inset
        for _ in range(_REFITS):
            codes = _affine_codes(blocks, scale, start)
            sum_q, sum_qq = _dot(weights, codes), _dot(weights * codes, codes)
            sum_qx = _dot(weighted, codes)
            scale = (total * sum_qx - sum_q * sum_x) * _reciprocal(total * sum_qq - sum_q * sum_q)
            start = (sum_x - scale * sum_q) * _reciprocal(total)
        candidates.append(_half(scale, start))
    return _best_affine(blocks, weights, plain, candidates)


def _float16(scale: F32) -> F32:
    """Scales as they are once stored."""
    stored: F32 = np.clip(scale, -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16).astype(np.float32)
    return stored


def _half(scale: F32, low: F32) -> tuple[F32, F32]:
    """Both as they are once stored in float16."""
    stored = np.clip([scale, low], -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16)
    values: F32 = stored.astype(np.float32)
    return values[0], values[1]


def _affine_codes(blocks: F32, scale: F32, low: F32) -> F32:
    codes = (blocks - low[:, None]) * _reciprocal(scale)[:, None]
    np.rint(codes, out=codes)
    return np.clip(codes, 0, 15, out=codes)


def _best_affine(blocks: F32, weights: F32, plain: U8, candidates: list[tuple[F32, F32]]) -> U8:
    codes = plain
    scale, low = candidates[0]
    error = blocks - (plain * scale[:, None] + low[:, None])
    best = _dot(weights * error, error)
    for trial_scale, trial_low in candidates[1:]:
        trial = _affine_codes(blocks, trial_scale, trial_low)
        error = blocks - (trial * trial_scale[:, None] + trial_low[:, None])
        squared = _dot(weights * error, error)
        better = squared < best
        best = np.where(better, squared, best)
        codes = np.where(better[:, None], trial.astype(np.uint8), codes)
        scale, low = np.where(better, trial_scale, scale), np.where(better, trial_low, low)
    return _pack(codes, scale, low)


ROUNDINGS: Mapping[str, Callable[[F32], U8]] = {
    "Q4_0": round_q4_0,
    "Q4_1": round_q4_1,
    "Q8_0": round_q8_0,
}
SEARCHES: Mapping[str, Callable[[F32, F32 | None], U8]] = {
    "Q4_0": search_q4_0,
    "Q4_1": search_q4_1,
}
