"""Rotary positions after scaling, beside the published formulas written another way."""

import math
from typing import Any

import numpy as np
import pytest

from quant.errors import UnsupportedFormat
from quant.fields import Fields
from quant.json_types import Json
from quant.onnx.spec import rotary_caches, spec_from_config, spec_from_gguf
from quant.rope import (
    RopeScaling,
    attention_scale,
    frequencies,
    rope_fields,
    scaling_from_config,
    scaling_from_gguf,
)
from tests.helpers import tiny_checkpoints

# DeepSeek-R1-0528-Qwen3-8B
THETA, LENGTH, CONTEXT = 1_000_000.0, 128, 32768
DEEPSEEK: dict[str, Json] = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": CONTEXT,
    "attn_factor": 0.8782488562869419,
}
YARN = RopeScaling("yarn", 4.0, original_context=CONTEXT)


def config_scaling(rope: dict[str, Any]) -> RopeScaling:
    return scaling_from_config(rope_fields({"rope_scaling": rope}, "config.json"))


def test_yarn_keeps_and_divides_what_the_paper_says() -> None:
    """Section 3.2: by how often a dimension turns within the original context, more than beta = 32
    times it is kept, less than once it is divided, and between the two it goes over."""
    found = frequencies(THETA, LENGTH, YARN)
    shares = []
    for d in range(LENGTH // 2):
        plain = THETA ** (-2 * d / LENGTH)
        turns = CONTEXT * plain / (2 * math.pi)
        share = (found[d] / plain - 1 / 4) / (1 - 1 / 4)
        shares.append(share)
        if turns > 40:  # the ends lie on whole dimensions
            assert share == pytest.approx(1)
        elif turns < 0.8:
            assert share == pytest.approx(0, abs=1e-12)
    between = [share for share in shares if 1e-9 < share < 1 - 1e-9]
    assert len(between) > 10
    np.testing.assert_allclose(np.diff(between), between[1] - between[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("beta_fast", "beta_slow", "context"), [(32.0, 1.0, CONTEXT), (8.0, 2.0, 64)]
)
def test_yarn_tables_are_those_of_llama_cpp_s_formula(
    beta_fast: float, beta_slow: float, context: int
) -> None:
    """Position by position as ggml's rope_yarn and ggml_rope_yarn_corr_dims compute them."""
    config = tiny_checkpoints.config_of("qwen3") | {"rope_theta": THETA, "head_dim": LENGTH}
    rope: dict[str, Json] = DEEPSEEK | {"beta_fast": beta_fast, "beta_slow": beta_slow}
    rope["original_max_position_embeddings"] = context
    spec = spec_from_config({**config, "rope_scaling": rope}, path="config.json", tied=True)
    cos, sin = rotary_caches(spec, 300)

    def correction(turns: float) -> float:
        return LENGTH * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(THETA))

    start = max(0.0, math.floor(correction(beta_fast)))
    end = min(LENGTH - 1.0, math.ceil(correction(beta_slow)))
    magnitude = DEEPSEEK["attn_factor"] * (1 + 0.1 * math.log(1 / 0.25))  # type: ignore[operator]
    for position in (0, 1, 17, 299):
        for d in range(LENGTH // 2):
            extrapolated = position * THETA ** (-2 * d / LENGTH)
            mix = 1 - min(1.0, max(0.0, (d - start) / max(0.001, end - start)))
            angle = 0.25 * extrapolated * (1 - mix) + extrapolated * mix
            assert cos[position, d] == pytest.approx(math.cos(angle) * magnitude, abs=1e-6)
            assert sin[position, d] == pytest.approx(math.sin(angle) * magnitude, abs=1e-6)


def test_the_attention_factor_multiplies_or_replaces_the_paper_s() -> None:
    """Equation 24 of the paper: 0.1 ln(s) + 1, which DeepSeek's factor takes back to one."""
    plain = {**DEEPSEEK, "attn_factor": None}
    assert attention_scale(config_scaling(plain)) == pytest.approx(0.1 * math.log(4) + 1)
    assert attention_scale(config_scaling(DEEPSEEK)) == pytest.approx(1.0)
    replaced = config_scaling({**plain, "attention_factor": 1.25})
    assert attention_scale(replaced) == pytest.approx(1.25)
    assert attention_scale(RopeScaling("linear", 4.0)) == 1.0


@pytest.mark.parametrize("key", ["attn_factor", "yarn_attn_factor"])
def test_gguf_metadata_give_the_same_scaling(key: str) -> None:
    fields: dict[str, Json] = {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": 4.0,
        "rope.scaling.original_context_length": CONTEXT,
        f"rope.scaling.{key}": DEEPSEEK["attn_factor"],
    }
    scaling = scaling_from_gguf(Fields(fields, "m.gguf", "qwen3."), ())
    assert scaling == config_scaling(DEEPSEEK)


@pytest.mark.parametrize(
    "more", [{"mscale": 1.0}, {"mscale_all_dim": 0.7}, {"truncate": False}, {"rope_type": "su"}]
)
def test_scalings_that_would_be_computed_wrongly_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFormat):
        config_scaling({**DEEPSEEK, **more})


def test_a_gguf_of_longrope_is_refused() -> None:
    fields: dict[str, Json] = {
        "general.architecture": "llama",
        "llama.attention.head_count": 4,
        "llama.embedding_length": 64,
        "llama.block_count": 1,
        "llama.feed_forward_length": 64,
        "llama.context_length": 64,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.scaling.type": "longrope",
    }
    with pytest.raises(UnsupportedFormat, match="longrope"):
        spec_from_gguf(fields, path="x", vocab_size=1, tied=False, attention_bias=False)
