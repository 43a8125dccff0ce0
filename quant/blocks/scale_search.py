"""The scale of a block's 4-bit codes with the least error, found by trials and refitting.

Works on arrays only, one block a row. Knows no format: how scales are rounded and codes packed is
the caller's.

For given codes d the best scale is <x, d> / <d, d>, products weighted, and with it the error falls
by <x, d>^2 / <d, d>: comparing that gain needs no dequantization.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

# Weights worked on at once: the float32 copies of so many stay in the second-level cache.
_SLICE = 1 << 16
# Below this a reciprocal overflows float32.
_SMALLEST = np.float32(1e-37)
# Trial scales: the extreme weight divided by these. 8 is plain rounding; negative ones put the
# extreme on the side that reaches only 7.
_SYMMETRIC_STEPS = (8.0, 7.0, 7.3, 7.6, 8.4, 8.8, 9.3, 10.0, -6.6, -7.0, -7.4, -7.8, -8.4, -9.0)
# Trial ranges around a zero point: how much of the span from smallest to largest 15 steps cover.
# More than all of it pays, because zero points are whole.
_SPANS = (1.14, 1.1, 1.07, 1.05, 1.03, 1.01, 0.99, 0.97, 0.95, 0.93, 0.91, 0.87, 0.82, 0.76)
_REFITS = 2


def reciprocal(values: F32) -> F32:
    """1 / values, and 0 where that would overflow."""
    usable = np.abs(values) >= _SMALLEST
    inverse: F32 = np.where(usable, np.float32(1) / np.where(usable, values, 1), 0)
    return inverse.astype(np.float32, copy=False)


def symmetric_scales(blocks: F32, weights: F32) -> F32:
    """Scales [n] for codes -8..7 of blocks [n, k]; `weights` [n, k] say what an error counts, the
    largest of a block being near 1. A scale is negative where the extreme reaches -8."""
    scales = np.empty(len(blocks), np.float32)
    space = _space(blocks)
    for piece in _pieces(blocks):
        trials = _Trials(blocks[piece], weights[piece], space)
        highest, lowest = trials.highest(), trials.lowest()
        inverse = reciprocal(np.where(highest >= -lowest, highest, lowest))
        for step in _SYMMETRIC_STEPS:
            trials.take(inverse * np.float32(-step))
        trials.refit()
        scales[piece] = trials.scale
    return scales


def zero_point_scales(blocks: F32, weights: F32) -> tuple[F32, F32]:
    """Scales and whole zero points 0..15, both [n], for codes 0..15 less the zero point."""
    scales, zeros = np.empty(len(blocks), np.float32), np.empty(len(blocks), np.float32)
    space = _space(blocks)
    for piece in _pieces(blocks):
        trials = _Trials(blocks[piece], weights[piece], space)
        low = np.minimum(trials.lowest(), 0)
        span = np.maximum(trials.highest(), 0) - low
        inverse = reciprocal(span)
        for covered in _SPANS:
            start = low + span * np.float32((1 - covered) / 2)
            trial = inverse * np.float32(15 / covered)
            trials.take(trial, np.rint(-start * trial))
        trials.refit()
        scales[piece], zeros[piece] = trials.scale, trials.zero
    return scales, zeros


def _piece(blocks: F32) -> int:
    return max(1, _SLICE // int(blocks.shape[1]))


def _pieces(blocks: F32) -> Iterator[slice]:
    for start in range(0, len(blocks), _piece(blocks)):
        yield slice(start, start + _piece(blocks))


def _space(blocks: F32) -> F32:
    """Room for what `_Trials` keeps of one piece: fresh memory costs more than the work in it."""
    return np.empty((5, blocks.shape[1], min(len(blocks), _piece(blocks))), np.float32)


class _Trials:
    """The best scale of each block so far, and its zero point where there are any.

    Holds blocks as columns: what differs by block lies along the rows, where numpy is quick.
    """

    def __init__(self, blocks: F32, weights: F32, space: F32) -> None:
        self._blocks, self._weights, self._weighted, self._codes, self._product = space[
            :, :, : len(blocks)
        ]
        self._blocks[:], self._weights[:] = blocks.T, weights.T
        np.multiply(self._blocks, self._weights, out=self._weighted)
        self._gain = np.full(len(blocks), -1, np.float32)
        self.scale = np.zeros(len(blocks), np.float32)
        self.zero: F32 | None = None

    def highest(self) -> F32:
        found: F32 = self._blocks.max(axis=0)
        return found

    def lowest(self) -> F32:
        found: F32 = self._blocks.min(axis=0)
        return found

    def take(self, inverse: F32, zero: F32 | None = None) -> None:
        """Fit the codes that the scale 1 / `inverse` gives, and keep the fit where it gains."""
        if zero is not None:
            zero = np.clip(zero, 0, 15)
        fitted, gain = self._fit(inverse, zero)
        better = gain > self._gain
        np.copyto(self._gain, gain, where=better)
        np.copyto(self.scale, fitted, where=better)
        if zero is not None:
            self.zero = zero if self.zero is None else np.where(better, zero, self.zero)

    def refit(self) -> None:
        """Codes of the best scale, its fit, and again: the error cannot rise."""
        for _ in range(_REFITS):
            self.scale, _ = self._fit(reciprocal(self.scale), self.zero)

    def _fit(self, inverse: F32, zero: F32 | None) -> tuple[F32, F32]:
        codes = np.multiply(self._blocks, inverse, out=self._codes)
        np.rint(codes, out=codes)
        if zero is None:
            np.clip(codes, -8, 7, out=codes)
        else:
            np.maximum(codes, -zero, out=codes)  # np.clip is slow with bounds that differ
            np.minimum(codes, 15 - zero, out=codes)
        across = np.einsum("ij,ij->j", self._weighted, codes)
        norm = np.einsum("ij,ij->j", np.multiply(self._weights, codes, out=self._product), codes)
        fitted: F32 = across * reciprocal(norm)
        return fitted, across * fitted
