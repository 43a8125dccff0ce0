"""Second moments of a matrix's inputs, and how far the inputs have strayed from full precision's.

Sums over rows of inputs; knows no model.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Rows multiplied at once: float32 products lose nothing that matters over so few.
_ROWS = 4096
_CUT = 256  # the longest block, and a multiple of all others


@dataclass(frozen=True)
class Moments:
    """`second` is E[x x^T] [k, k] of the inputs that the quantized model makes, `shift`
    E[(x* - x) x^T] with x* those of full precision (None where they were not asked for)."""

    second: F64
    shift: F64 | None = None


def column_groups(columns: int, widest: int) -> list[slice]:
    """Columns in groups of at most about `widest`, cut where every format's blocks may be cut.

    The moments between groups are left out: sums grow with the square of the width, and a factor's
    cost with its cube.
    """
    count = -(-columns // widest)
    edges = [round(i * columns / _CUT / count) * _CUT for i in range(count)]
    return [slice(a, b) for a, b in itertools.pairwise([*edges, columns])]


def input_moments(
    inputs: F32, length: int, first_weight: float | None = None, full: F32 | None = None
) -> Moments:
    """Moments of `inputs` [sequences * length, k], one sequence after another.

    `first_weight` is the share that the first positions' moments count beside all others' 1; None
    counts every position alike. The first token is what most attention falls on (Xiao et al. 2023,
    arXiv:2309.17453), so an error in its queries, keys and values spoils every position, while it
    is one row of `length`. `full` holds full precision's inputs in the same order; first positions
    take no part in `shift`, their size would decide it alone.
    """
    k = inputs.shape[1]
    by_sequence = inputs.reshape(-1, length, k)
    first = by_sequence[:, 0].astype(np.float64)
    count = len(first) * (length - 1)
    second = np.zeros((k, k))
    for rows in _rests(by_sequence):
        second += rows.T @ rows
    of_first = first.T @ first
    if first_weight is None:
        second = (second + of_first) / (count + len(first))
    else:
        second = second / count + first_weight / len(first) * of_first
    if full is None:
        return Moments(second)
    shift = np.zeros((k, k))
    for rows, aims in zip(
        _rests(by_sequence), _rests(full.reshape(by_sequence.shape)), strict=True
    ):
        shift += (aims - rows).T @ rows
    return Moments(second, shift / count)


def _rests(by_sequence: F32) -> Iterator[F32]:
    """All positions but the first, [rows, k], a few sequences at a time."""
    _, length, k = by_sequence.shape
    step = max(1, _ROWS // length)
    for start in range(0, len(by_sequence), step):
        yield by_sequence[start : start + step, 1:].reshape(-1, k)
