"""A whole weight matrix quantized with error feedback, given the moments of its inputs.

Cuts wide matrices into groups of columns and many rows into pieces for a few threads. Knows
formats and arrays; no file and no model.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from quant.blocks.encoders import RowQuantizer
from quant.feedback.grids import GgufGrid, OnnxGrid
from quant.feedback.moments import Moments
from quant.feedback.solver import Factor, Grid, factor, round_rows
from quant.formats import format_named
from quant.onnx.blocks import PackedRows, pack_codes, pack_zeros, square_sum

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
G = TypeVar("G", bound=Grid)


@dataclass(frozen=True)
class FeedbackSettings:
    """Constants found on the starter (benchmarks/results/feedback-tuning.txt).

    `damping` is added to the moments, in mean diagonals; `aim` is the share of the way back to
    full precision's outputs that weights are moved before they are rounded; `first_weight` see
    `input_moments`; `head_ridge` is the damping of a tied LM head, whose rows are embeddings too.
    """

    damping: float = 0.05
    aim: float = 0.5
    first_weight: float = 0.3
    head_ridge: float = 0.1
    widest: int = 3072
    piece: int = 1024


SETTINGS = FeedbackSettings()


@dataclass(frozen=True)
class Prepared:
    """What matrices with one input and one span of blocks share: groups of columns (padded to
    whole spans) with their factors, and the moments to aim by, if any."""

    groups: tuple[tuple[slice, Factor], ...]
    aim: Moments | None


def prepare(
    moments: Sequence[Moments], span: int, settings: FeedbackSettings = SETTINGS
) -> Prepared:
    """Factors of the moments of each group of columns (see `column_groups`) for blocks of `span`
    weights. Aiming needs all columns, so what is in groups is not aimed."""
    groups, start = [], 0
    for one in moments:
        k = len(one.second)
        padded = -(-k // span) * span
        second = np.zeros((padded, padded))
        second[:k, :k] = one.second
        groups.append((slice(start, start + padded), factor(second, span, settings.damping)))
        start += padded
    whole = moments[0] if len(moments) == 1 and moments[0].shift is not None else None
    return Prepared(tuple(groups), whole)


def _aimed(rows: F32, moments: Moments, settings: FeedbackSettings) -> F32:
    """Weights whose outputs on the quantized model's inputs come nearest to `aim` of the way to
    full precision's: W + aim W S (H + damping)^-1 with the shift S."""
    if moments.shift is None:
        return rows
    damped = moments.second.copy()
    damped[np.diag_indices(len(damped))] += settings.damping * float(np.diagonal(damped).mean())
    # The moments are symmetric, so their solution serves from the right.
    moved = np.linalg.solve(damped, settings.aim * moments.shift.T).T
    nearer: F32 = rows + rows @ moved.astype(np.float32)
    return nearer


def _round_all(
    rows: F32,
    prepared: Prepared,
    grid: Callable[[int, int], G],
    pool: Executor,
    settings: FeedbackSettings,
) -> tuple[F32, list[list[G]]]:
    """What is stored [n, k], and the grids by piece of rows and group of columns."""
    aimed = rows if prepared.aim is None else _aimed(rows, prepared.aim, settings)
    width = prepared.groups[-1][0].stop
    if width != rows.shape[1]:
        aimed = np.pad(aimed, ((0, 0), (0, width - rows.shape[1])))

    def piece(start: int) -> tuple[list[F32], list[G]]:
        part = aimed[start : start + settings.piece]
        grids = [grid(len(part), found.stop - found.start) for found, _ in prepared.groups]
        stored = [
            round_rows(part[:, columns], solved, one)
            for (columns, solved), one in zip(prepared.groups, grids, strict=True)
        ]
        return stored, grids

    done = list(pool.map(piece, range(0, len(rows), settings.piece)))
    stored = np.concatenate([np.concatenate(parts, axis=1) for parts, _ in done])
    return stored[:, : rows.shape[1]], [grids for _, grids in done]


def quantize_gguf_matrix(
    format_name: str,
    rows: F32,
    prepared: Prepared,
    scales: RowQuantizer,
    pool: Executor,
    settings: FeedbackSettings = SETTINGS,
) -> tuple[U8, F32]:
    """`rows` [n, k] as blocks [n, bytes per row] of a format of LAYOUTS, and what they hold."""
    grid = partial(GgufGrid, format_name, scales)
    stored, pieces = _round_all(rows, prepared, grid, pool, settings)
    blocks = [np.concatenate([one.blocks() for one in grids], axis=1) for grids in pieces]
    return np.concatenate(blocks), stored


def quantize_onnx_matrix(
    format_name: str,
    rows: F32,
    prepared: Prepared,
    pool: Executor,
    settings: FeedbackSettings = SETTINGS,
) -> tuple[PackedRows, F32]:
    """`rows` [n, k] in the layout of MatMulNBits, and what they hold."""
    block = format_named(format_name).block_size
    symmetric = not format_name.endswith("-asym")
    grid = partial(OnnxGrid, block, symmetric)
    stored, pieces = _round_all(rows, prepared, grid, pool, settings)

    def joined(part: Callable[[OnnxGrid], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        across = [np.concatenate([part(one) for one in grids], axis=1) for grids in pieces]
        return np.concatenate(across)

    count, scales = len(rows), joined(lambda one: one.scales)
    packed = pack_codes(joined(lambda one: one.codes).reshape(-1, block))
    return (
        PackedRows(
            packed.reshape(count, -1, block // 2),
            scales,
            None if symmetric else pack_zeros(joined(lambda one: one.zeros)),
            square_sum(rows - stored),
            square_sum(rows),
        ),
        stored,
    )
