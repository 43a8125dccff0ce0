"""The scale search beside trying everything."""

import numpy as np
import numpy.typing as npt
import pytest

from quant.blocks.scale_search import symmetric_scales, zero_point_scales

F32 = npt.NDArray[np.float32]


def random_blocks(kind: str, size: int) -> tuple[F32, F32]:
    random = np.random.default_rng(size)
    blocks = random.standard_normal((60, size)).astype(np.float32)
    if kind == "outliers":
        blocks = (blocks**3).astype(np.float32)
    elif kind == "shifted":
        blocks += np.float32(1.5)
    weights = np.sqrt((blocks**2).mean(axis=1, keepdims=True) + blocks**2)
    return blocks, weights / weights.max(axis=1, keepdims=True)


def errors(blocks: F32, weights: F32, scales: F32, zeros: F32) -> F32:
    """The weighted squared error of each block with its nearest codes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.nan_to_num(np.rint(blocks / scales[:, None]))
    codes = np.clip(codes, -zeros[:, None], 15 - zeros[:, None])
    found: F32 = (weights * (blocks - codes * scales[:, None]) ** 2).sum(axis=1)
    return found


def least(blocks: F32, weights: F32, zeros: range) -> F32:
    """The least error of each block over a fine grid of scales of both signs."""
    extreme = np.abs(blocks).max(axis=1)
    best = np.full(len(blocks), np.inf, np.float32)
    for zero in zeros:
        at = np.full(len(blocks), zero, np.float32)
        for divisor in np.linspace(5, 14, 100, dtype=np.float32):
            for sign in (1, -1):
                np.minimum(best, errors(blocks, weights, sign * extreme / divisor, at), out=best)
    return best


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("kind", ["normal", "outliers", "shifted"])
def test_symmetric_scales_come_close_to_the_best_there_are(kind: str, size: int) -> None:
    blocks, weights = random_blocks(kind, size)
    eight = np.full(len(blocks), 8, np.float32)
    found = errors(blocks, weights, symmetric_scales(blocks, weights), eight)
    extreme = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(axis=1)]
    assert (found <= errors(blocks, weights, extreme / -8, eight) * 1.0001).all()
    assert found.sum() < 1.01 * least(blocks, weights, range(8, 9)).sum()


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("kind", ["normal", "outliers", "shifted"])
def test_zero_points_come_close_to_the_best_there_are(kind: str, size: int) -> None:
    blocks, weights = random_blocks(kind, size)
    scales, zeros = zero_point_scales(blocks, weights)
    assert ((zeros == np.rint(zeros)) & (zeros >= 0) & (zeros <= 15)).all()
    found = errors(blocks, weights, scales, zeros)
    assert found.sum() < 1.01 * least(blocks, weights, range(16)).sum()


def test_blocks_of_one_weight_and_of_none() -> None:
    blocks = np.zeros((3, 32), np.float32)
    blocks[1, 4], blocks[2, 4] = 3.0, -3.0
    weights = np.ones_like(blocks)
    eight = np.full(3, 8, np.float32)
    assert errors(blocks, weights, symmetric_scales(blocks, weights), eight).max() < 1e-12
    scales, zeros = zero_point_scales(blocks, weights)
    assert errors(blocks, weights, scales, zeros).max() < 1e-12
