"""Rotary positions: what config.json or GGUF metadata say of them, and the frequencies that follow.

Knows the published scalings (linear, Llama 3, YaRN). Knows no tensor and no graph.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.errors import UnsupportedFormat
from quant.fields import Fields
from quant.json_types import Json

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RopeScaling:
    """How rotary frequencies differ from theta alone. `factors` [head/2] divide each frequency.

    YaRN's own: between `beta_fast` and `beta_slow` turns within `original_context` frequencies go
    over from kept to divided; `attention` multiplies `yarn_attention_scale`.
    """

    kind: str = "default"  # default, linear, llama3, yarn, factors
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192
    factors: tuple[float, ...] = ()
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention: float = 1.0


def rope_fields(config: Mapping[str, Json], path: str) -> Fields:
    """Rotary position settings under their newest names, wherever config.json keeps them.

    Raises CorruptCheckpoint where they are no JSON object.
    """
    key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
    found = config.get(key) or {}
    if not isinstance(found, Mapping):
        raise Fields(config, path).wrong(key, "field_not_object")
    rope = dict(found)
    for name in ("rope_theta", "original_max_position_embeddings"):
        if name in config:
            rope.setdefault(name, config[name])
    if "type" in rope:
        rope.setdefault("rope_type", rope["type"])
    kind = rope.get("rope_type")
    if kind is not None and not isinstance(kind, str):
        raise Fields(rope, path, f"{key}.").wrong("rope_type", "field_not_text")
    return Fields(rope, path, f"{key}.")


def rope_theta(fields: Fields, key: str) -> float:
    """The base of the frequencies, 10000 where nothing is said. Raises CorruptCheckpoint."""
    theta = fields.number(key, 10000.0)
    if theta <= 1:
        raise fields.wrong(key, "not_above", 1)
    return theta


def yarn_attention_scale(factor: float) -> float:
    """What YaRN multiplies rotated queries and keys by: 0.1 ln(factor) + 1.

    Source: "YaRN: Efficient Context Window Extension of Large Language Models", section 3.4.
    """
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0


def yarn_attention(rope: Fields) -> float | None:
    """What config.json wants `yarn_attention_scale` multiplied by, None where it says nothing.

    DeepSeek's `attn_factor` is that number; transformers' `attention_factor` replaces the product.
    """
    if rope.has("attention_factor"):
        scale = yarn_attention_scale(rope.positive("factor"))
        return rope.positive("attention_factor") / scale
    return rope.positive("attn_factor") if rope.has("attn_factor") else None


def scaling_from_config(rope: Fields) -> RopeScaling:
    """The scaling of `rope_fields`. Raises UnsupportedFormat, CorruptCheckpoint."""
    kind = rope.values.get("rope_type") or "default"
    if kind == "default":
        return RopeScaling()
    if kind == "linear":
        return RopeScaling("linear", rope.positive("factor"))
    if kind == "llama3":
        low, high = rope.positive("low_freq_factor", 1.0), rope.positive("high_freq_factor", 4.0)
        if high <= low:
            raise rope.wrong("high_freq_factor", "not_above", "low_freq_factor")
        context = rope.count("original_max_position_embeddings", 8192)
        return RopeScaling("llama3", rope.positive("factor", 8.0), low, high, context)
    if kind == "yarn":
        _refuse_partial_yarn(rope)
        return RopeScaling(
            "yarn",
            rope.positive("factor"),
            original_context=rope.count("original_max_position_embeddings"),
            beta_fast=rope.positive("beta_fast", 32.0),
            beta_slow=rope.positive("beta_slow", 1.0),
            attention=yarn_attention(rope) or 1.0,
        )
    raise UnsupportedFormat(path=rope.path, reason="rope_scaling", found=str(kind)[:40])


def _refuse_partial_yarn(rope: Fields) -> None:
    """Variants that no supported architecture uses and that would change the frequencies."""
    usual = {"mscale": None, "mscale_all_dim": None, "truncate": True, "extrapolation_factor": 1}
    usual |= {"rope.scaling.yarn_ext_factor": 1, "rope.scaling.yarn_log_multiplier": 0}
    for key, value in usual.items():
        if rope.values.get(key) not in (None, value):
            raise UnsupportedFormat(path=rope.path, reason="rope_option", key=f"{rope.prefix}{key}")


def scaling_from_gguf(fields: Fields, factors: tuple[float, ...]) -> RopeScaling:
    """The scaling of GGUF metadata, `fields` being those of the architecture; `factors` are those
    of the tensor rope_freqs. Raises UnsupportedFormat, CorruptCheckpoint."""
    kind = fields.values.get("rope.scaling.type") or "none"
    if kind not in ("none", "linear", "yarn"):
        raise UnsupportedFormat(path=fields.path, reason="rope_scaling", found=str(kind)[:40])
    if factors:
        return RopeScaling("factors", factors=factors)
    if kind == "none":
        return RopeScaling()
    factor = fields.positive("rope.scaling.factor")
    if kind == "linear":
        return RopeScaling("linear", factor)
    _refuse_partial_yarn(fields)
    # Of the two keys llama.cpp reads the first; its converter writes the second.
    attention = fields.positive(
        "rope.scaling.attn_factor", fields.positive("rope.scaling.yarn_attn_factor", 1.0)
    )
    return RopeScaling(
        "yarn",
        factor,
        original_context=fields.count("rope.scaling.original_context_length"),
        beta_fast=fields.positive("rope.scaling.yarn_beta_fast", 32.0),
        beta_slow=fields.positive("rope.scaling.yarn_beta_slow", 1.0),
        attention=attention,
    )


def frequencies(theta: float, length: int, scaling: RopeScaling) -> F64:
    """Rotary angular frequencies [length / 2] after scaling; `length` is a head's.

    llama3 scaling is the published Llama 3.1 rule: long wavelengths are divided by `factor`, short
    ones kept, and those between interpolated.
    """
    plain = theta ** -(np.arange(0, length, 2, dtype=np.float64) / length)
    if scaling.kind == "linear":
        return plain / scaling.factor
    if scaling.kind == "factors":
        return plain / np.asarray(scaling.factors, np.float64)
    if scaling.kind == "llama3":
        wavelength = 2 * np.pi / plain
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        kept = np.clip((scaling.original_context / wavelength - low) / (high - low), 0.0, 1.0)
        return plain * (kept + (1 - kept) / scaling.factor)
    if scaling.kind == "yarn":
        kept = _yarn_kept(theta, length, scaling)
        return plain * (kept + (1 - kept) / scaling.factor)
    return plain


def attention_scale(scaling: RopeScaling) -> float:
    """What the cosines and sines are multiplied by."""
    if scaling.kind != "yarn":
        return 1.0
    return yarn_attention_scale(scaling.factor) * scaling.attention


def _yarn_kept(theta: float, length: int, scaling: RopeScaling) -> F64:
    """The share of each frequency [length / 2] that YaRN keeps: 1 for those that turn more than
    `beta_fast` times in the original context, 0 below `beta_slow`, linear over the dimension
    between, whose ends are rounded outwards as in the authors' code
    (github.com/jquesnelle/yarn)."""

    def dimension(turns: float) -> float:
        wavelength = scaling.original_context / (turns * 2 * math.pi)
        return length * math.log(wavelength) / (2 * math.log(theta))

    low = max(math.floor(dimension(scaling.beta_fast)), 0)
    high = min(math.ceil(dimension(scaling.beta_slow)), length - 1)
    ramp = (np.arange(length // 2, dtype=np.float64) - low) / max(high - low, 1e-3)
    return 1 - np.clip(ramp, 0.0, 1.0)
