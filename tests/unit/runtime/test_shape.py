"""Parameter counts and bytes against published figures and a real file's header."""

from pathlib import Path

import pytest

from runtime.shape import (
    ModelShape,
    active_parameter_count,
    base_format,
    head_format,
    kv_bytes_per_token,
    kv_values_per_token,
    parameter_count,
    row_bytes,
    spread_weight_bytes,
    weight_bytes,
)
from tests.helpers import shapes


@pytest.mark.parametrize(
    ("shape", "billions"),
    [
        (shapes.SMOLLM2_135M, 0.1345),
        (shapes.R1_QWEN_1_5B, 1.777),
        (shapes.R1_QWEN_7B, 7.616),
        (shapes.R1_QWEN_14B, 14.77),
        (shapes.R1_LLAMA_8B, 8.030),
        (shapes.R1_LLAMA_70B, 70.55),
        (shapes.DEEPSEEK_LLM_7B, 6.910),
        (shapes.DEEPSEEK_LLM_67B, 67.42),
        (shapes.DEEPSEEK_V2_LITE, 15.71),
        (shapes.DEEPSEEK_V3, 671.0),
    ],
)
def test_parameter_count_is_the_published_one(shape: ModelShape, billions: float) -> None:
    assert parameter_count(shape) / 1e9 == pytest.approx(billions, rel=1e-3)


def test_active_parameters_of_a_mixture_of_experts() -> None:
    # The reports name 37 B of 671 B and 2.4 B of 15.7 B active; ours leave out the embedding table.
    v3 = active_parameter_count(shapes.DEEPSEEK_V3)
    table = shapes.DEEPSEEK_V3.embedding_length * shapes.DEEPSEEK_V3.vocab_size
    assert (v3 + table) / 1e9 == pytest.approx(37.5, rel=0.01)
    lite = active_parameter_count(shapes.DEEPSEEK_V2_LITE)
    table = shapes.DEEPSEEK_V2_LITE.embedding_length * shapes.DEEPSEEK_V2_LITE.vocab_size
    assert (lite + table) / 1e9 == pytest.approx(2.66, rel=0.01)


def test_attention_kinds() -> None:
    assert shapes.DEEPSEEK_LLM_7B.attention == "MHA"
    assert shapes.DEEPSEEK_LLM_67B.attention == "GQA"
    assert shapes.DEEPSEEK_V3.attention == "MLA"


def test_kv_values_of_mha_gqa_and_mla() -> None:
    assert kv_values_per_token(shapes.DEEPSEEK_LLM_7B) == (4096, 4096)
    assert kv_values_per_token(shapes.R1_QWEN_7B) == (512, 512)
    assert kv_values_per_token(shapes.DEEPSEEK_V3) == (576, 0)


def test_mla_cache_is_a_fiftieth_of_what_mha_would_take() -> None:
    mla = kv_bytes_per_token(shapes.DEEPSEEK_V3)
    heads = shapes.DEEPSEEK_V3.head_count * (192 + 128) * 2 * shapes.DEEPSEEK_V3.block_count
    assert mla == 576 * 2 * 61
    assert heads / mla > 50


def test_kv_bytes_by_type() -> None:
    assert kv_bytes_per_token(shapes.R1_QWEN_7B) == 28 * 1024 * 2
    assert kv_bytes_per_token(shapes.R1_QWEN_7B, "q8_0", "q8_0") == 28 * 1024 // 32 * 34


def test_weight_bytes_equal_a_written_file(tmp_path: Path) -> None:
    path = shapes.write_shape_gguf(
        tmp_path / "hole.gguf", shapes.R1_QWEN_1_5B, "Q4_0", weights="hole"
    )
    weights = weight_bytes(shapes.R1_QWEN_1_5B, "Q4_0")
    assert 0 < path.stat().st_size - weights.total < 100_000
    assert weights.lm_head == weights.embedding == 151936 * 1536 // 32 * 18


def test_weight_bytes_by_role() -> None:
    weights = weight_bytes(shapes.SMOLLM2_135M, {"default": "Q4_1", "embedding": "Q8_0"})
    assert weights.embedding == 49152 * 576 // 32 * 34
    assert weights.lm_head == 0
    assert weights.lm_head_read == weights.embedding
    # The real starter file: 98,362,432 bytes with its tokenizer.
    assert weights.total == pytest.approx(98_362_432, rel=0.03)


def test_experts_are_read_in_part() -> None:
    weights = weight_bytes(shapes.DEEPSEEK_V2_LITE, "Q4_0")
    assert weights.blocks_active[0] == weights.blocks[0]
    assert weights.blocks_active[1] < weights.blocks[1] / 4


def test_spread_keeps_the_total() -> None:
    weights = spread_weight_bytes(shapes.R1_QWEN_7B, 4_683_073_184)
    assert weights.total == pytest.approx(4_683_073_184, abs=100)
    assert len(weights.blocks) == 28


def test_row_bytes_refuses_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="Q9"):
        row_bytes(32, "Q9")


def test_format_names() -> None:
    assert base_format("q4_k_m") == "Q4_K"
    assert base_format("Q4_0") == "Q4_0"
    assert head_format(shapes.R1_QWEN_7B, 152064 * 3584 // 256 * 210) == "Q6_K"
    assert head_format(shapes.R1_QWEN_7B, 7) is None
    four_bits = 152064 * 3584 // 32 * 18
    assert head_format(shapes.R1_QWEN_7B, four_bits) == "Q4_0"
    assert head_format(shapes.R1_QWEN_7B, four_bits, "Q4_K_M") == "Q4_K"
