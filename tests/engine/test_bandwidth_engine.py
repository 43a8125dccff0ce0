"""The profiler on this very machine: real kernels, and a reading by other means beside it."""

import ctypes
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant.formats import FORMATS
from runtime.backends.onnx.descriptor import PRODUCTS as ONNX_PRODUCTS
from runtime.backends.onnx.descriptor import REFERENCE_PRODUCT as ONNX_PRODUCT
from runtime.planning.bandwidth import Curve
from runtime.process.job_values import ProfileArgs
from runtime.progress import Progress, ignore_progress
from runtime.tasks.profile import (
    BRIEF_FORMATS,
    BUSY_CORES,
    FULL,
    MIB,
    QUICK,
    OtherLoad,
    Schedule,
    add_onnx_products,
    beyond_caches,
    profile_job,
)
from runtime.tasks.profile_kernels import Ggml, PlainRead, Products, attention_seconds
from runtime.tasks.profile_kernels_onnx import (
    WIDTH,
    BlockProducts,
    all_products,
    block_products,
    matrix_bytes,
    seconds_of,
)
from tests.helpers.busy import burning

BLOCKS_OF_32 = FORMATS[ONNX_PRODUCT]
MATRIX_BYTES = matrix_bytes(BLOCKS_OF_32)
SUM = """
#include <stddef.h>
#include <stdint.h>
uint64_t total(const uint64_t *data, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += data[i];
    return sum;
}
"""


def test_products_take_longer_over_more_matrices() -> None:
    ggml = Ggml("CPU", 1)
    kernel = Products(ggml, "Q4_0", 8, 512, 512)
    assert kernel.matrix_bytes == 512 * 512 // 32 * 18
    one, eight = kernel.seconds(1, 1, 0.02), kernel.seconds(8, 1, 0.02)
    assert eight > 3 * one > 0
    kernel.close()
    short = attention_seconds(ggml, 256, 1, 4, 2, 128, 0.01)
    assert attention_seconds(ggml, 2048, 1, 4, 2, 128, 0.01) > 3 * short
    with pytest.raises(ValueError, match="no device"):
        Ggml("CUDA77")
    ggml.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_quick_profile_of_this_machine() -> None:
    steps: list[Progress] = []
    started = time.perf_counter()
    profile = profile_job(ProfileArgs("quick"), steps.append)
    seconds = time.perf_counter() - started
    assert seconds < 10 or not profile.trusted  # a busy machine takes longer, and says so
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].total
    host = profile.device("cpu")
    assert host is not None
    assert host.read_rate("Q4_0", 1 << 28, 1) > 0.5e9
    assert {*BRIEF_FORMATS, *ONNX_PRODUCTS, "Q4_K"} <= set(host.products)
    assert set(host.products) == set(host.cost(1).prefill_flops)
    assert host.cost(1).attention_seconds(128) > 0
    quiet = profile.facts["other_load_cores"] <= BUSY_CORES
    assert ("busy" in profile.doubts) == (not quiet)


def test_the_other_engines_products_take_longer_over_more_matrices(tmp_path: Path) -> None:
    products = BlockProducts(tmp_path, 8, BLOCKS_OF_32)
    one, eight = (seconds_of(products.session(n, 1), 1, 0.02) for n in (1, 8))
    assert eight > 3 * one > 0
    sizes = MATRIX_BYTES, 3 * MATRIX_BYTES
    curves, flops = block_products(BLOCKS_OF_32, (1, 2), sizes, 8, 0.01)
    assert [curve.threads for curve in curves] == [1, 2] == list(flops)
    assert [p.working_set for p in curves[0].points] == [MATRIX_BYTES, 3 * MATRIX_BYTES]
    assert min(flops.values()) > 1e8


@pytest.mark.parametrize("name", ONNX_PRODUCTS)
def test_no_two_of_the_other_engine_s_matrices_are_alike(tmp_path: Path, name: str) -> None:
    """onnxruntime packs matrices of equal content once, whatever their names."""
    BlockProducts(tmp_path, 40, FORMATS[name])
    data = (tmp_path / "products.data").read_bytes()
    size = len(data) // 40
    assert size == matrix_bytes(FORMATS[name])
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    packed = {piece[: WIDTH * WIDTH // 2] for piece in pieces}
    assert len(packed) == len(set(pieces)) == 40


def test_the_other_engine_s_formats_are_told_apart() -> None:
    """Every block format has a product of its own, at each thread count."""
    products: dict[str, tuple[Curve, ...]] = {}
    flops: dict[int, dict[str, float]] = {1: {}, 2: {}}
    add_onnx_products(replace(QUICK, onnx_sizes=(), brief_size=8), (1, 2), products, flops)
    assert set(products) == set(ONNX_PRODUCTS) == set(flops[1]) == set(flops[2])
    assert all([c.threads for c in curves] == [1, 2] for curves in products.values())
    assert all(rate > 1e8 for rates in flops.values() for rate in rates.values())


def test_a_format_timed_once_is_the_reference_in_another_ratio() -> None:
    brief = 3 * MATRIX_BYTES
    found = all_products((1, 2), (MATRIX_BYTES, brief), brief, 8, 0.01)
    (one, two), _ = found[ONNX_PRODUCT]
    for curves, _ in found.values():
        ratios = {
            round(mine.bytes_per_second / known.bytes_per_second, 6)
            for mine_curve, known_curve in zip(curves, (one, two), strict=True)
            for mine, known in zip(mine_curve.points, known_curve.points, strict=True)
        }
        assert len(ratios) == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_full_profile_of_this_machine() -> None:
    started = time.perf_counter()
    profile = profile_job(ProfileArgs("full"), ignore_progress)
    seconds = time.perf_counter() - started
    assert seconds < 60 or not profile.trusted  # a busy machine takes longer, and says so
    host = profile.device("cpu")
    assert host is not None
    whole = {"Q4_0", "Q8_0", "F16"}
    assert {*whole, *BRIEF_FORMATS, *ONNX_PRODUCTS} <= set(host.products)
    sizes = [point.working_set for point in host.plain[-1].points]
    assert sizes[0] == MIB
    assert sizes[-1] >= min(4 * max(profile.caches.values(), default=0), 1 << 30)
    assert host.prefill_rate(ONNX_PRODUCT, 1) > 1e9


def test_a_device_that_cannot_be_timed_is_missing_from_the_profile() -> None:
    profile = profile_job(ProfileArgs("quick", ("cuda77",)), ignore_progress)
    assert profile.missing(["cuda77"]) == ("cuda77",)
    assert profile.devices == ()


def test_working_sets_reach_beyond_the_last_cache() -> None:
    def tops(schedule: Schedule, cache: int) -> tuple[int, int]:
        reaching = beyond_caches(schedule, {1: 48 << 10, 3: cache * MIB})
        return max(reaching.plain_sizes), max(reaching.product_sizes)

    assert tops(QUICK, 32) == (256, 256)  # eight times that cache already
    assert tops(QUICK, 80) == (320, 320)
    assert tops(QUICK, 480) == (384, 384)  # too long for a quick profile
    assert tops(FULL, 480) == (1920, 1920)
    assert beyond_caches(FULL, {}) == FULL
    assert min(FULL.plain_sizes) == min(QUICK.plain_sizes) == 1
    briefs = [beyond_caches(QUICK, {3: cache * MIB}).brief_size for cache in (8, 32, 60, 480)]
    assert briefs == [64, 64, 120, 192]


def test_other_load_is_that_of_other_processes() -> None:
    load = OtherLoad()
    with burning(1):
        time.sleep(0.5)
    assert load.cores() > 0.3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_busy_machine_is_not_trusted() -> None:
    with burning(1):
        profile = profile_job(ProfileArgs("quick"), ignore_progress)
    assert profile.facts["other_load_cores"] > 0.5
    assert "busy" in profile.doubts
    assert not profile.trusted


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc for the loop beside it")
def test_plain_read_agrees_with_a_compiled_loop(tmp_path: Path) -> None:
    (tmp_path / "sum.c").write_text(SUM)
    library = tmp_path / "sum.so"
    command = ["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, str(tmp_path / "sum.c")], check=True)
    total = ctypes.CDLL(os.fspath(library)).total
    total.restype = ctypes.c_uint64
    data = np.ones(1 << 27, dtype=np.uint64)  # 1 GiB
    pointer = data.ctypes.data_as(ctypes.c_void_p)
    reader = PlainRead(data.view(np.uint8), 1)
    load = OtherLoad()
    ours, theirs = [], []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(3):
            assert total(pointer, ctypes.c_size_t(data.size)) == data.size
        theirs.append(3 * data.nbytes / (time.perf_counter() - start))
        ours.append(reader.bytes_per_second(0.3))
    if load.cores() > 0.15:
        pytest.skip("other programs keep the machine busy")
    assert max(ours) == pytest.approx(max(theirs), rel=0.1)
