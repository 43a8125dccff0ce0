"""Error feedback on matrices whose inputs are known: codes, factors, groups, padding."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quant.blocks.encoders import decode
from quant.blocks.native import NativeQuantizer, open_native
from quant.feedback.finished import FinishedMatrices
from quant.feedback.layouts import LAYOUTS
from quant.feedback.matrices import (
    SETTINGS,
    prepare,
    quantize_gguf_matrix,
    quantize_onnx_matrix,
)
from quant.feedback.moments import column_groups, input_moments
from quant.feedback.solver import factor
from quant.onnx.blocks import dequantize_rows, quantize_rows

F32 = npt.NDArray[np.float32]

COUNT, ROWS, COLUMNS = 40, 48, 512


@pytest.fixture(scope="module")
def native() -> NativeQuantizer:
    return open_native()


@pytest.fixture(scope="module")
def rows() -> F32:
    random = np.random.default_rng(3)
    return (random.standard_normal((ROWS, COLUMNS)) * 0.02).astype(np.float32)


@pytest.fixture(scope="module")
def inputs() -> F32:
    """Inputs whose columns depend on each other, as a model's do: 40 sequences of 64."""
    random = np.random.default_rng(5)
    mix = np.eye(COLUMNS) + 0.05 * random.standard_normal((COLUMNS, COLUMNS))
    return (random.standard_normal((COUNT * 64, COLUMNS)) @ mix).astype(np.float32)


def output_error(inputs: F32, rows: F32, stored: F32) -> float:
    return float(np.square(inputs @ (rows - stored).T).mean())


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_blocks_hold_what_is_said_to_be_stored_and_lose_less(
    name: str, native: NativeQuantizer, rows: F32, inputs: F32
) -> None:
    moments = input_moments(inputs, 64)
    prepared = prepare([moments], LAYOUTS[name].span)
    with ThreadPoolExecutor(2) as pool:
        blocks, stored = quantize_gguf_matrix(
            name, rows, prepared, native, pool, replace(SETTINGS, piece=20)
        )
    np.testing.assert_allclose(decode(name, blocks, COLUMNS), stored, atol=1e-8)
    importance = np.diagonal(moments.second).astype(np.float32)
    plain = decode(name, native.encode(name, rows, importance), COLUMNS)
    assert output_error(inputs, rows, stored) < 0.75 * output_error(inputs, rows, plain)


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize("kind", ["", "-asym"])
def test_onnx_rows_hold_what_is_said_to_be_stored_and_lose_less(
    block: int, kind: str, rows: F32, inputs: F32
) -> None:
    cut, seen = rows[:, :448], inputs[:, :448]  # no whole number of blocks of 128
    prepared = prepare([input_moments(seen, 64)], block)
    with ThreadPoolExecutor(2) as pool:
        packed, stored = quantize_onnx_matrix(f"onnx-q4-b{block}{kind}", cut, prepared, pool)
    np.testing.assert_allclose(dequantize_rows(packed, 448), stored, atol=1e-7)
    searched = quantize_rows(
        cut,
        block,
        symmetric=not kind,
        importance=np.square(seen).mean(axis=0),
    )
    before = output_error(seen, cut, dequantize_rows(searched, 448))
    assert output_error(seen, cut, stored) < 0.75 * before
    assert packed.squared_error == pytest.approx(float(np.square(cut - stored).sum()), rel=1e-5)


def test_a_factor_rebuilds_the_moments() -> None:
    random = np.random.default_rng(1)
    half = random.standard_normal((64, 300)) * np.linspace(0.1, 3, 64)[:, None]
    moments = half @ half.T
    found = factor(moments, 16, 0.0)
    unit = found.upper.astype(np.float64) + np.eye(64)
    rebuilt = (unit * found.weights) @ unit.T
    np.testing.assert_allclose(rebuilt, moments[np.ix_(found.order, found.order)], rtol=1e-3)
    assert list(found.order[:16]) == list(range(48, 64))  # the largest inputs come first


def test_wide_matrices_are_taken_in_groups_of_columns(
    native: NativeQuantizer, rows: F32, inputs: F32
) -> None:
    parts = column_groups(COLUMNS, 300)
    assert parts == [slice(0, 256), slice(256, 512)]
    assert [part.stop for part in column_groups(8960, 3072)] == [3072, 5888, 8960]
    assert column_groups(576, 3072) == [slice(0, 576)]
    prepared = prepare([input_moments(inputs[:, part], 64) for part in parts], 32)
    with ThreadPoolExecutor(2) as pool:
        blocks, stored = quantize_gguf_matrix("Q4_0", rows, prepared, native, pool)
    np.testing.assert_allclose(decode("Q4_0", blocks, COLUMNS), stored, atol=1e-8)
    plain = decode("Q4_0", native.encode("Q4_0", rows, None), COLUMNS)
    assert output_error(inputs, rows, stored) < 0.75 * output_error(inputs, rows, plain)


def test_moments_weigh_first_positions_by_themselves() -> None:
    random = np.random.default_rng(2)
    inputs = random.standard_normal((6 * 4, 8)).astype(np.float32)
    first, rest = inputs[::4], np.delete(inputs, slice(None, None, 4), axis=0)
    found = input_moments(inputs, 4, first_weight=0.5)
    expected = rest.T @ rest / 18 + 0.5 * first.T @ first / 6
    np.testing.assert_allclose(found.second, expected, rtol=1e-5)
    plain = input_moments(inputs, 4)
    np.testing.assert_allclose(plain.second, inputs.T @ inputs / 24, rtol=1e-5)


def test_weights_aim_at_what_full_precision_would_put_out(
    native: NativeQuantizer, rows: F32, inputs: F32
) -> None:
    """The quantized model's inputs are the original's at nine tenths: larger weights make up."""
    strayed = (inputs * np.float32(0.9)).astype(np.float32)
    moments = input_moments(strayed, 64, full=inputs)
    settings = replace(SETTINGS, aim=1.0, damping=1e-4)
    with ThreadPoolExecutor(2) as pool:
        _, aimed = quantize_gguf_matrix(
            "Q6_K", rows, prepare([moments], 256, settings), native, pool, settings
        )
    wanted, got = inputs @ rows.T, strayed @ aimed.T
    assert np.square(got - wanted).mean() < 0.05 * np.square(0.1 * wanted).mean()


def test_finished_matrices_come_back_by_name(tmp_path: Path, rows: F32) -> None:
    finished = FinishedMatrices(tmp_path)
    blocks = np.arange(12, dtype=np.uint8).reshape(3, 4)
    finished.put_blocks("blk.0/../odd name.weight", blocks)
    packed = quantize_rows(rows, 32, symmetric=False)
    finished.put_packed("x", packed)
    found = finished.packed("x")
    assert found is not None
    assert found.zeros is not None
    assert packed.zeros is not None
    assert np.array_equal(found.packed, packed.packed)
    assert np.array_equal(found.zeros, packed.zeros)
    assert found.squared_error == packed.squared_error
    kept = finished.blocks("blk.0/../odd name.weight")
    assert kept is not None
    assert np.array_equal(kept, blocks)
    assert finished.blocks("x other") is None
    assert finished.packed("blk.0") is None
