"""Memory formulas against the engine's own report, kept as numbers, and against each other."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.backends.llama.memory_formula import compute_buffer_bytes
from runtime.devices import Device
from runtime.plan import KvCacheType, LayerRange, Placement, PlanModel, PlanRequest
from runtime.planning.memory import estimate, memory_table
from runtime.planning.placement import plan
from runtime.shape import ModelShape, kv_cache_bytes, padded_context, weight_bytes
from tests.helpers import shapes

MIB = 2**20
HOST = Device("cpu", "CPU", "CPU", "host", 24 << 30, 20 << 30, cores=2, threads=2)
GPU = Device("cuda0", "GPU", "CUDA", "gpu", 8 << 30, 7 << 30, engines=("llamacpp",))


# "compute buffer size" lines of llama.cpp (llama-cpp-python 0.3.36), allocation simulated.
@pytest.mark.parametrize(
    ("shape", "n_ctx", "n_ubatch", "flash", "outputs", "reported"),
    [
        (shapes.SMOLLM2_135M, 4096, 512, True, 512, 98.25),
        (shapes.SMOLLM2_135M, 4096, 512, True, 1, 17.51),
        (shapes.SMOLLM2_135M, 16384, 512, False, 1, 326.38),
        (shapes.R1_QWEN_1_5B, 4096, 512, True, 512, 302.75),
        (shapes.R1_QWEN_1_5B, 4096, 128, True, 1, 17.13),
        (shapes.R1_QWEN_1_5B, 16384, 512, True, 1, 80.51),
        (shapes.R1_QWEN_1_5B, 4096, 512, False, 1, 120.01),
        (shapes.R1_QWEN_7B, 16384, 512, True, 1, 155.01),
        (shapes.R1_QWEN_7B, 512, 512, False, 1, 135.01),
        (shapes.R1_LLAMA_8B, 4096, 512, True, 1, 120.01),
        (shapes.DEEPSEEK_LLM_7B, 4096, 512, True, 1, 100.51),
        (shapes.DEEPSEEK_LLM_7B, 16384, 128, False, 1, 278.0),
        (shapes.DEEPSEEK_V2_LITE, 4096, 512, True, 1, 93.01),
        (shapes.QWEN2_0_5B, 16384, 512, True, 1, 51.51),
    ],
)
def test_compute_buffer_within_two_percent(
    shape: ModelShape, n_ctx: int, n_ubatch: int, flash: bool, outputs: int, reported: float
) -> None:
    predicted = compute_buffer_bytes(shape, n_ubatch, n_ctx, flash, n_outputs=outputs)
    assert predicted / MIB == pytest.approx(reported, rel=0.02)


def test_quantized_cache_needs_less_scratch() -> None:
    predicted = compute_buffer_bytes(shapes.R1_QWEN_7B, 512, 4096, type_k="q8_0")
    assert predicted / MIB == pytest.approx(136.09, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "kv_type", "reported"),
    [
        (shapes.SMOLLM2_135M, "f16", 90.0),
        (shapes.R1_QWEN_1_5B, "q8_0", 59.5),
        (shapes.R1_QWEN_7B, "q4_0", 63.0),
        (shapes.DEEPSEEK_LLM_7B, "f16", 1920.0),
        (shapes.DEEPSEEK_V2_LITE, "f16", 121.5),
        (shapes.DEEPSEEK_V2_LITE, "q8_0", 64.55),
    ],
)
def test_kv_cache_is_what_the_engine_reports(
    shape: ModelShape, kv_type: KvCacheType, reported: float
) -> None:
    assert kv_cache_bytes(shape, 4096, kv_type, kv_type) / MIB == pytest.approx(reported, abs=0.01)


def test_context_is_rounded_up_per_sequence() -> None:
    assert padded_context(100) == 256
    one = kv_cache_bytes(shapes.R1_QWEN_1_5B, 100)
    assert kv_cache_bytes(shapes.R1_QWEN_1_5B, 100, sequences=4) == 4 * one


def _placement(*layers: LayerRange, head: str = "cpu", **more: Any) -> Placement:
    return Placement("llamacpp", layers, head, **{"n_ctx": 4096, **more})


def test_everything_on_the_host() -> None:
    shape = shapes.R1_QWEN_1_5B
    weights = weight_bytes(shape, "Q4_0")
    memory = estimate(shape, weights, _placement(LayerRange("cpu", 0, 27)), [HOST, GPU])
    assert [d.device for d in memory.devices] == ["cpu"]
    assert memory.devices[0].weights == weights.total
    assert memory.devices[0].available == HOST.memory_free


def test_partial_offload_shares_weights_and_cache() -> None:
    shape = shapes.R1_QWEN_7B
    weights = weight_bytes(shape, "Q4_0")
    placement = _placement(LayerRange("cpu", 0, 9), LayerRange("cuda0", 10, 27))
    host, gpu = estimate(shape, weights, placement, [HOST, GPU]).devices
    assert host.weights + gpu.weights == weights.total
    assert gpu.weights == sum(weights.blocks[10:])
    assert host.kv_cache + gpu.kv_cache == kv_cache_bytes(shape, 4096)
    assert gpu.kv_cache == kv_cache_bytes(shape, 4096, blocks=18)


def test_tied_head_off_the_host_needs_the_table_twice() -> None:
    shape = shapes.SMOLLM2_135M
    weights = weight_bytes(shape, "Q4_0")
    placement = _placement(LayerRange("cuda0", 0, 29), head="cuda0")
    host, gpu = estimate(shape, weights, placement, [HOST, GPU]).devices
    assert host.weights == weights.embedding
    assert gpu.weights == weights.total


def test_mapped_pages_show_but_do_not_count() -> None:
    shape = shapes.R1_QWEN_1_5B
    weights = weight_bytes(shape, "Q4_0")
    placement = _placement(LayerRange("cpu", 0, 27))
    plain = estimate(shape, weights, placement, [HOST])
    repacked = estimate(shape, weights, placement, [HOST], block_format="Q4_0")
    assert repacked.total == plain.total
    # llama.cpp reported 828.04 MiB in its repacking buffer for this very shape.
    assert repacked.devices[0].mapped / MIB == pytest.approx(828.04, rel=0.001)
    assert repacked.devices[0].resident == repacked.total + repacked.devices[0].mapped


def test_table_cells_are_what_an_estimate_says() -> None:
    shape = shapes.DEEPSEEK_LLM_67B
    weights = weight_bytes(shape, "F16")
    model = PlanModel(shape, weights, block_format="F16")
    cells = memory_table(model, (1, 4), (1024, 4096, 8192), ("f16", "q8_0"))
    assert len(cells) == 2 * 2 * 2  # 8192 is beyond the model's context
    cell = next(c for c in cells if (c.batch, c.n_ctx, c.kv_type) == (4, 4096, "f16"))
    assert cell.kv_cache == kv_cache_bytes(shape, 4096, sequences=4)
    placement = _placement(LayerRange("cpu", 0, shape.block_count - 1), sequences=4)
    assert cell.total == estimate(shape, weights, placement, [HOST]).total


def test_mla_cache_is_far_smaller_than_mha_of_the_same_depth() -> None:
    mha = kv_cache_bytes(shapes.DEEPSEEK_LLM_7B, 4096)
    mla = kv_cache_bytes(shapes.DEEPSEEK_V2_LITE, 4096)
    assert mha / mla > 15


@pytest.mark.parametrize(
    "shape", [shapes.DEEPSEEK_LLM_7B, shapes.R1_QWEN_7B, shapes.DEEPSEEK_V2_LITE],
    ids=["MHA", "GQA", "MLA"],
)  # fmt: skip
def test_cells_are_what_plans_promise(shape: ModelShape) -> None:
    weights = weight_bytes(shape, "Q4_0")
    model = PlanModel(shape, weights, block_format="Q4_0")
    host = Device("cpu", "CPU", "CPU", "", 2**42, 2**42, cores=2)
    for cell in memory_table(model, (1, 4), (1024, 4096), ("f16", "q8_0")):
        request = PlanRequest(
            device="cpu", n_ctx=cell.n_ctx, kv_type=cell.kv_type, sequences=cell.batch
        )
        memory = plan(model, [host], request).memory
        assert (memory.total, memory.host_resident) == (cell.total, cell.resident)


def test_an_onnx_folder_has_the_cells_of_its_engine() -> None:
    shape = shapes.R1_QWEN_1_5B
    weights = weight_bytes(shape, "Q4_0")
    model = PlanModel(shape, weights, ("onnx",), "int4-b32", context_limit=4096)
    host = Device("cpu", "CPU", "CPU", "", 2**42, 2**42, cores=2)
    cells = memory_table(model, (1, 4), (1024, 4096, 8192), ("f16", "q8_0"))
    found = [(cell.batch, cell.n_ctx, cell.kv_type) for cell in cells]
    assert found == [(1, 1024, "f32"), (1, 4096, "f32")]  # 8192 is beyond the folder's context
    for cell in cells:
        made = plan(model, [host], PlanRequest(device="cpu", n_ctx=cell.n_ctx))
        assert (made.placement.engine, made.memory.total) == ("onnx", cell.total)


@pytest.mark.parametrize(("block", "share"), [("int4-b32", 4 / 20), ("int4-b128", 4 / 68)])
def test_onnx_weights_gain_a_float_for_every_block_when_they_are_packed(
    block: str, share: float
) -> None:
    shape = shapes.R1_QWEN_1_5B
    weights = weight_bytes(shape, "Q4_0")
    placement = Placement(
        engine="onnx",
        layers=(LayerRange("cpu", 0, shape.block_count - 1),),
        lm_head_device="cpu",
        n_ctx=1024,
        kv_type_k="f32",
        kv_type_v="f32",
    )
    host = Device("cpu", "CPU", "CPU", "", 2**42, 2**42)
    (memory,) = estimate(shape, weights, placement, (host,), block_format=block).devices
    stored = sum(weights.blocks) + weights.lm_head_read
    assert memory.weights == pytest.approx(stored * (1 + share), rel=1e-6)
    assert memory.mapped == pytest.approx(stored * share, rel=1e-6)
    elsewhere = replace(placement, layers=(LayerRange("npu0", 0, shape.block_count - 1),))
    npu = Device("npu0", "NPU", "NPU", "", 2**42, 2**42)
    memories = estimate(shape, weights, elsewhere, (host, npu), block_format=block).devices
    assert memories[0].weights == pytest.approx(weights.lm_head_read * (1 + share), rel=1e-6)
    assert memories[1].weights == sum(weights.blocks)
    headless = replace(elsewhere, lm_head_device="npu0")
    memories = estimate(shape, weights, headless, (host, npu), block_format=block).devices
    assert memories[0].weights == 0
