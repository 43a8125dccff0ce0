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

from runtime.backends.onnx.descriptor import PRODUCT as ONNX_PRODUCT
from runtime.planning.bandwidth import Curve
from runtime.process.job_values import ProfileArgs
from runtime.progress import Progress, ignore_progress
from runtime.tasks.profile import (
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
    MATRIX_BYTES,
    WIDTH,
    BlockProducts,
    block_products,
    seconds_of,
)
from tests.helpers.busy import burning

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
    assert seconds < 5.5 or not profile.trusted  # a busy machine takes longer, and says so
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].total
    host = profile.device("cpu")
    assert host is not None
    assert host.read_rate("Q4_0", 1 << 28, 1) > 0.5e9
    assert host.cost(1).attention_seconds(128) > 0
    quiet = profile.facts["other_load_cores"] <= BUSY_CORES
    assert ("busy" in profile.doubts) == (not quiet)


def test_the_other_engines_products_take_longer_over_more_matrices(tmp_path: Path) -> None:
    products = BlockProducts(tmp_path, 8)
    one, eight = (seconds_of(products.session(n, 1), 1, 0.02) for n in (1, 8))
    assert eight > 3 * one > 0
    curves, flops = block_products((1, 2), (MATRIX_BYTES, 3 * MATRIX_BYTES), 8, 0.01)
    assert [curve.threads for curve in curves] == [1, 2] == list(flops)
    assert [p.working_set for p in curves[0].points] == [MATRIX_BYTES, 3 * MATRIX_BYTES]
    assert min(flops.values()) > 1e8


def test_no_two_of_the_other_engine_s_matrices_are_alike(tmp_path: Path) -> None:
    """onnxruntime packs matrices of equal content once, whatever their names."""
    BlockProducts(tmp_path, 40)
    data = (tmp_path / "products.data").read_bytes()
    size = len(data) // 40
    assert size == MATRIX_BYTES
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    packed = {piece[: WIDTH * WIDTH // 2] for piece in pieces}
    assert len(packed) == len(set(pieces)) == 40


def test_the_full_profile_has_the_other_engines_products() -> None:
    products: dict[str, tuple[Curve, ...]] = {}
    quick: dict[str, tuple[Curve, ...]] = {}
    flops: dict[int, dict[str, float]] = {1: {}, 2: {}}
    add_onnx_products(replace(FULL, onnx_sizes=(8,)), (1, 2), products, flops)
    assert [curve.threads for curve in products[ONNX_PRODUCT]] == [1, 2]
    assert all(rates[ONNX_PRODUCT] > 1e8 for rates in flops.values())
    add_onnx_products(QUICK, (1, 2), quick, flops)
    assert quick == {}  # five seconds have no room for it


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_full_profile_of_this_machine() -> None:
    started = time.perf_counter()
    profile = profile_job(ProfileArgs("full"), ignore_progress)
    seconds = time.perf_counter() - started
    assert seconds < 60 or not profile.trusted  # a busy machine takes longer, and says so
    host = profile.device("cpu")
    assert host is not None
    assert {"Q4_0", "Q8_0", "F16", ONNX_PRODUCT} <= set(host.products)
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
    assert tops(QUICK, 480) == (384, 384)  # five seconds are not enough for more
    assert tops(FULL, 480) == (1920, 1920)
    assert beyond_caches(FULL, {}) == FULL
    assert min(FULL.plain_sizes) == min(QUICK.plain_sizes) == 1


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
