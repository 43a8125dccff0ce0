"""4-bit blocks: error bounds, exactness, importance, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant.errors import IncompatibleShape, NonFiniteWeights
from quant.onnx.blocks import dequantize_rows, quantize_rows

FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=True)


@pytest.mark.parametrize("block", [32, 64, 128])
@pytest.mark.parametrize("symmetric", [True, False])
def test_exactly_representable_weights_come_back_unchanged(block: int, symmetric: bool) -> None:
    random = np.random.default_rng(0)
    q = random.integers(0, 16, (6, 3, block)).astype(np.float32)
    q[..., 0], q[..., 1] = 0, 15
    rows = ((q - 8) * np.float32(0.25)).reshape(6, 3 * block)
    packed = quantize_rows(rows, block, symmetric=symmetric, method="round")
    np.testing.assert_array_equal(dequantize_rows(packed, rows.shape[1]), rows)
    assert packed.squared_error == 0


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 5).flatmap(
        lambda n: st.integers(1, 100).flatmap(lambda k: arrays(np.float32, (n, k), elements=FLOATS))
    ),
    block=st.sampled_from([32, 64, 128]),
    symmetric=st.booleans(),
)
def test_error_is_bounded_by_a_block_s_own_size(
    rows: np.ndarray, block: int, symmetric: bool
) -> None:
    """No weight moves by more than a step, whatever the row length: zeros, denormals included."""
    n, k = rows.shape
    packed = quantize_rows(rows, block, symmetric=symmetric, method="round")
    back = dequantize_rows(packed, k)
    padded = np.zeros((n, -(-k // block) * block), np.float32)
    padded[:, :k] = rows
    largest = np.abs(padded.reshape(n, -1, block)).max(axis=-1)
    step = largest / 8 if symmetric else 2 * largest / 15
    error = np.abs(padded.reshape(n, -1, block)[..., :block] - _padded(back, block))
    assert (error <= step[..., None] * 1.001 + 1e-35).all()


def _padded(rows: np.ndarray, block: int) -> np.ndarray:
    n, k = rows.shape
    padded = np.zeros((n, -(-k // block) * block), np.float32)
    padded[:, :k] = rows
    return padded.reshape(n, -1, block)


@pytest.mark.parametrize("symmetric", [True, False])
def test_search_is_never_worse_than_rounding_in_sum(symmetric: bool) -> None:
    rows = np.random.default_rng(2).standard_normal((64, 256)).astype(np.float32)
    plain = quantize_rows(rows, 32, symmetric=symmetric, method="round")
    searched = quantize_rows(rows, 32, symmetric=symmetric, method="search")
    assert searched.squared_error < 0.95 * plain.squared_error


def test_reported_error_is_the_error_of_what_is_stored() -> None:
    rows = np.random.default_rng(3).standard_normal((16, 96)).astype(np.float32)
    packed = quantize_rows(rows, 32, method="search")
    error = ((dequantize_rows(packed, 96) - rows).astype(np.float64) ** 2).sum()
    assert packed.squared_error == pytest.approx(error, rel=1e-4)


def test_importance_moves_the_error_to_columns_that_matter_less() -> None:
    rows = np.random.default_rng(4).standard_normal((64, 64)).astype(np.float32)
    importance = np.ones(64, np.float32)
    importance[:8] = 100
    plain = dequantize_rows(quantize_rows(rows, 32), 64) - rows
    weighted = dequantize_rows(quantize_rows(rows, 32, importance=importance), 64) - rows
    assert (weighted[:, :8] ** 2).sum() < 0.9 * (plain[:, :8] ** 2).sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_weights_are_refused_by_name(bad: float) -> None:
    rows = np.zeros((2, 32), np.float32)
    rows[1, 3] = bad
    with pytest.raises(NonFiniteWeights) as caught:
        quantize_rows(rows, 32, tensor="blk.3.ffn_up.weight")
    assert caught.value.facts == {"tensor": "blk.3.ffn_up.weight", "count": 1}


def test_importance_of_another_length_is_refused() -> None:
    with pytest.raises(IncompatibleShape):
        quantize_rows(np.zeros((2, 32), np.float32), 32, importance=np.ones(31, np.float32))


def test_a_block_of_zeros_and_one_of_denormals() -> None:
    rows = np.zeros((1, 64), np.float32)
    rows[0, 32:] = np.float32(1e-42)
    packed = quantize_rows(rows, 32, method="search")
    assert np.isfinite(packed.scales).all()
    np.testing.assert_array_equal(dequantize_rows(packed, 64), np.zeros((1, 64)))
