"""Block quantizers: their bytes are ggml's, their search never loses to plain rounding."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from gguf.quants import dequantize, quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant.blocks.blockwise import ROUNDINGS, SEARCHES, error_weights
from quant.blocks.encoders import Encoder, decode
from quant.blocks.native import NativeQuantizer, open_native
from quant.errors import NativeQuantizerFailed
from quant.formats import format_named, ggml_type

F32 = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def native() -> NativeQuantizer:
    return open_native()


def weights(rows: int, columns: int, seed: int = 0) -> F32:
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.03)
    values[random.random(values.shape) < 0.01] *= 20
    return values


def squared_error(blocks: npt.NDArray[np.uint8], rows: F32, name: str) -> F32:
    error = dequantize(blocks, ggml_type(name)) - rows
    total: F32 = (error.reshape(-1, 32).astype(np.float64) ** 2).sum(axis=1)
    return total


@pytest.mark.parametrize("name", list(ROUNDINGS))
@pytest.mark.parametrize("shape", [(1, 32), (3, 64), (17, 96), (256, 1536)])
def test_rounding_is_ggml_and_gguf_to_the_byte(
    name: str, shape: tuple[int, int], native: NativeQuantizer
) -> None:
    rows = weights(*shape)
    ours = ROUNDINGS[name](rows)
    assert ours.tobytes() == native.encode(name, rows).tobytes()
    assert ours.tobytes() == quantize(rows, ggml_type(name)).tobytes()


ROWS = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: arrays(
        np.float32,
        (shape[0], 32 * shape[1]),
        elements=st.one_of(
            st.floats(-1000, 1000, width=32),
            st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-126), 2.0**-24]),
        ),
    )
)


@pytest.mark.parametrize("name", list(SEARCHES))
@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_search_is_never_worse_than_rounding(name: str, rows: F32) -> None:
    found, plain = SEARCHES[name](rows, None), ROUNDINGS[name](rows)
    assert found.shape == plain.shape == (len(rows), rows.shape[1] // 32 * _bytes(name))
    best, usual = (weighted_error(blocks, rows, name) for blocks in (found, plain))
    assert (best <= usual * (1 + 1e-4) + 1e-30).all()


def weighted_error(blocks: npt.NDArray[np.uint8], rows: F32, name: str) -> F32:
    """The error the search minimises without an importance matrix."""
    error = (dequantize(blocks, ggml_type(name)) - rows).reshape(-1, 32).astype(np.float64)
    total: F32 = (error_weights(rows, None).astype(np.float64) * error**2).sum(axis=1)
    return total


def _bytes(name: str) -> int:
    return format_named(name).block_bytes


@pytest.mark.parametrize(
    "encode", [*ROUNDINGS.values(), *(lambda r, s=s: s(r, None) for s in SEARCHES.values())]
)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_every_block_decodes_to_finite_weights_near_its_own(
    encode: Callable[[F32], npt.NDArray[np.uint8]], rows: F32
) -> None:
    blocks = encode(rows)
    name = {18: "Q4_0", 20: "Q4_1", 34: "Q8_0"}[blocks.shape[1] * 32 // rows.shape[1]]
    decoded = dequantize(blocks, ggml_type(name))
    assert np.isfinite(decoded).all()
    largest = np.abs(rows.reshape(-1, 32)).max(axis=1)
    error = np.abs(decoded - rows).reshape(-1, 32).max(axis=1)
    # No weight is off by more than the widest step of its block, scale rounding included.
    assert (error <= largest * 0.27 + 2.0**-20).all()


@pytest.mark.parametrize("name", list(SEARCHES))
def test_zero_rows_stay_zero(name: str) -> None:
    rows = np.zeros((2, 64), dtype=np.float32)
    assert not dequantize(SEARCHES[name](rows, None), ggml_type(name)).any()


@pytest.mark.parametrize("name", list(SEARCHES))
def test_search_lowers_the_error_of_real_looking_weights(name: str) -> None:
    rows = np.random.default_rng(3).standard_normal((64, 512), dtype=np.float32)
    found = squared_error(SEARCHES[name](rows, None), rows, name).sum()
    plain = squared_error(ROUNDINGS[name](rows), rows, name).sum()
    assert found < 0.97 * plain


def test_importance_moves_the_error_to_columns_that_matter_less() -> None:
    rows = weights(64, 512)
    importance = np.full(512, 0.01, dtype=np.float32)
    importance[::4] = 100
    plain, weighted = SEARCHES["Q4_0"](rows, None), SEARCHES["Q4_0"](rows, importance)

    def error(blocks: npt.NDArray[np.uint8]) -> float:
        values = dequantize(blocks, ggml_type("Q4_0"))
        return float((importance * (values - rows) ** 2).sum())

    assert error(weighted) < error(plain)


@pytest.mark.parametrize(
    "name", ["Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F32", "F16", "BF16"]
)
def test_encoder_makes_rows_of_the_format_s_size_that_decode_back(
    name: str, native: NativeQuantizer
) -> None:
    rows = weights(5, 512)
    for method in ("llama.cpp", "round", "search"):
        data = Encoder(method, native).encode(name, rows)
        block = format_named(name)
        assert data.shape == (5, 512 // block.block_size * block.block_bytes)
        error = np.abs(decode(name, data, 512) - rows).max()
        assert error < 0.15


def test_native_kernels_refuse_what_they_would_abort_on(native: NativeQuantizer) -> None:
    with pytest.raises(NativeQuantizerFailed, match="needs_importance"):
        native.encode("IQ2_XXS", weights(1, 256))
    with pytest.raises(NativeQuantizerFailed, match=r"row_length.*found=33"):
        native.encode("Q4_0", weights(1, 33))
