"""Rounding column by column, each error passed on to the columns after it.

For inputs x of a matrix W [n, k] with second moments H = E[x x^T], the output's mean squared error
of quantized weights is tr(E H E^T) with E = W - W'. With H = (U + I) D (U + I)^T, U strictly upper
triangular and D diagonal, it is the sum over columns of D_j |E_j + E_{<j} U_{<j,j}|^2, so column j
is best rounded from W_j + E_{<j} U_{<j,j}: GPTQ (Frantar et al. 2022, arXiv:2210.17323) in the form
of LDLQ (Chee et al. 2023, arXiv:2307.13304), which needs one Cholesky factor and no inverse. D_j is
what a rounding error of column j counts, by which scales are chosen.

Knows arrays; how a block is fitted and rounded is the grid's.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


class Fitted(Protocol):
    """Blocks of one span of columns with their scales chosen."""

    def round(self, column: int, values: F32) -> F32:
        """What is stored for one column [n] of the span; its codes are remembered."""
        ...


class Grid(Protocol):
    """A format's way to fit scales, `span` columns at a time."""

    @property
    def span(self) -> int: ...

    def fit(self, first: int, rows: F32, weights: F32) -> Fitted:
        """Scales for rows [n, span], columns from `first` of the matrix; `weights` [span] say what
        a squared error in each column counts."""
        ...


@dataclass(frozen=True)
class Factor:
    """H of a matrix's inputs, its columns taken in `order` [k]: `upper` is U [k, k], `weights` D
    [k]."""

    order: Index
    upper: F32
    weights: F32


def factor(moments: F64, span: int, damping: float) -> Factor:
    """The factor of `moments` [k, k] with `damping` times its mean diagonal added; k is a multiple
    of `span`. Spans of columns are taken in the order of their inputs' size, the largest first:
    the later a column, the more errors it makes good."""
    k = len(moments)
    diagonal = np.diagonal(moments)
    spans = np.argsort(-diagonal.reshape(-1, span).sum(axis=1), kind="stable")
    order = (spans[:, None] * span + np.arange(span)).reshape(-1)
    damped = moments[np.ix_(order, order)]
    damped[np.arange(k), np.arange(k)] += damping * (float(diagonal.mean()) or 1.0)
    # numpy factors into lower triangles; with rows and columns reversed that is an upper one.
    upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    roots = np.diagonal(upper).copy()
    unit = (upper / roots).astype(np.float32)
    np.fill_diagonal(unit, 0)
    return Factor(order, unit, np.square(roots).astype(np.float32))


def round_rows(rows: F32, factor: Factor, grid: Grid) -> F32:
    """Round `rows` [n, k] into the grid; what is stored for them [n, k]."""
    order, span = factor.order, grid.span
    wanted = np.ascontiguousarray(rows.T[order])  # a column of the matrix is a row here
    error = np.empty_like(wanted)
    for start in range(0, len(order), span):
        stop = start + span
        target = wanted[start:stop] + factor.upper[:start, start:stop].T @ error[:start]
        fitted = grid.fit(int(order[start]), target.T, factor.weights[start:stop])
        within = factor.upper[start:stop, start:stop]
        for column in range(span):
            earlier = error[start : start + column]
            aimed = target[column] + within[:column, column] @ earlier
            error[start + column] = wanted[start + column] - fitted.round(column, aimed)
    stored = np.empty_like(error)
    stored[order] = wanted - error
    return np.ascontiguousarray(stored.T)
