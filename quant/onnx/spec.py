"""What the exporter must know of a decoder: its dimensions, normalisation and rotary positions.

Reads Hugging Face `config.json` values and GGUF metadata into one value. Knows no file, no graph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.errors import UnsupportedFormat

ARCHITECTURES = ("llama", "qwen2", "qwen3")
_HF_MODEL_TYPES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


@dataclass(frozen=True)
class RopeScaling:
    """How rotary frequencies differ from theta alone. `factors` [head/2] divide each frequency."""

    kind: str = "default"  # default, linear, llama3, factors
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192
    factors: tuple[float, ...] = ()


@dataclass(frozen=True)
class DecoderSpec:
    """The numbers of a Llama-like decoder; names follow GGUF metadata keys."""

    architecture: str
    block_count: int
    embedding_length: int
    feed_forward_length: int
    head_count: int
    head_count_kv: int
    head_length: int
    vocab_size: int
    context_length: int
    rms_epsilon: float
    rope_theta: float
    rope_scaling: RopeScaling
    tied_embeddings: bool
    attention_bias: bool
    qk_norm: bool
    name: str = ""

    @property
    def q_rows(self) -> int:
        return self.head_count * self.head_length

    @property
    def kv_rows(self) -> int:
        return self.head_count_kv * self.head_length


def inverse_frequencies(spec: DecoderSpec) -> npt.NDArray[np.float64]:
    """Rotary angular frequencies [head_length / 2] after scaling.

    llama3 scaling is the published Llama 3.1 rule: long wavelengths are divided by `factor`, short
    ones kept, and those between interpolated.
    """
    half = np.arange(0, spec.head_length, 2, dtype=np.float64) / spec.head_length
    frequencies = spec.rope_theta**-half
    scaling = spec.rope_scaling
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    if scaling.kind == "factors":
        return frequencies / np.asarray(scaling.factors, np.float64)
    if scaling.kind == "llama3":
        wavelength = 2 * np.pi / frequencies
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        smooth = np.clip((scaling.original_context / wavelength - low) / (high - low), 0.0, 1.0)
        return frequencies * (smooth + (1 - smooth) / scaling.factor)
    return frequencies


def rotary_caches(
    spec: DecoderSpec, positions: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """cos and sin of every position below `positions`: two arrays [positions, head_length / 2]."""
    angles = np.outer(np.arange(positions, dtype=np.float64), inverse_frequencies(spec))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def spec_from_config(config: Mapping[str, Any], *, path: str, tied: bool) -> DecoderSpec:
    """DecoderSpec of a Hugging Face `config.json`. Raises UnsupportedFormat."""
    model_type = str(config.get("model_type", ""))
    architecture = _HF_MODEL_TYPES.get(model_type)
    if architecture is None:
        raise UnsupportedFormat(path=path, detail=f"architecture {model_type!r}")
    if config.get("use_sliding_window") or (
        model_type == "mistral" and config.get("sliding_window")
    ):
        raise UnsupportedFormat(path=path, detail="sliding-window attention")
    if config.get("mlp_bias"):
        raise UnsupportedFormat(path=path, detail="feed-forward bias")
    if config.get("hidden_act", "silu") != "silu":
        raise UnsupportedFormat(path=path, detail=f"activation {config['hidden_act']!r}")
    heads = int(config["num_attention_heads"])
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = config.get("rope_theta") or rope.get("rope_theta") or 10000.0
    return DecoderSpec(
        architecture=architecture,
        block_count=int(config["num_hidden_layers"]),
        embedding_length=int(config["hidden_size"]),
        feed_forward_length=int(config["intermediate_size"]),
        head_count=heads,
        head_count_kv=int(config.get("num_key_value_heads") or heads),
        head_length=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
        vocab_size=int(config["vocab_size"]),
        context_length=int(config.get("max_position_embeddings") or 2048),
        rms_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        rope_theta=float(theta),
        rope_scaling=_config_scaling(rope, path),
        tied_embeddings=tied,
        attention_bias=architecture == "qwen2" or bool(config.get("attention_bias")),
        qk_norm=architecture == "qwen3",
        name=str(config.get("_name_or_path", "")),
    )


def _config_scaling(rope: Mapping[str, Any], path: str) -> RopeScaling:
    kind = str(rope.get("rope_type") or rope.get("type") or "default")
    if kind == "default":
        return RopeScaling()
    if kind == "linear":
        return RopeScaling("linear", float(rope["factor"]))
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(rope["factor"]),
            float(rope["low_freq_factor"]),
            float(rope["high_freq_factor"]),
            int(rope["original_max_position_embeddings"]),
        )
    raise UnsupportedFormat(path=path, detail=f"rope scaling {kind!r}")


def spec_from_gguf(
    fields: Mapping[str, Any],
    *,
    path: str,
    vocab_size: int,
    tied: bool,
    attention_bias: bool,
    rope_factors: tuple[float, ...] = (),
) -> DecoderSpec:
    """DecoderSpec of GGUF metadata (key -> value). Raises UnsupportedFormat."""
    architecture = str(fields.get("general.architecture", ""))
    if architecture not in ARCHITECTURES:
        raise UnsupportedFormat(path=path, detail=f"architecture {architecture!r}")

    def value(key: str, default: Any = None) -> Any:
        found = fields.get(f"{architecture}.{key}", default)
        if found is None:
            raise UnsupportedFormat(path=path, detail=f"no metadata {architecture}.{key}")
        return found

    if fields.get(f"{architecture}.expert_count"):
        raise UnsupportedFormat(path=path, detail="mixture of experts")
    heads = int(value("attention.head_count"))
    embedding = int(value("embedding_length"))
    head_length = int(value("attention.key_length", embedding // heads))
    if int(value("rope.dimension_count", head_length)) != head_length:
        raise UnsupportedFormat(path=path, detail="partial rotary positions")
    return DecoderSpec(
        architecture=architecture,
        block_count=int(value("block_count")),
        embedding_length=embedding,
        feed_forward_length=int(value("feed_forward_length")),
        head_count=heads,
        head_count_kv=int(value("attention.head_count_kv", heads)),
        head_length=head_length,
        vocab_size=vocab_size,
        context_length=int(value("context_length")),
        rms_epsilon=float(value("attention.layer_norm_rms_epsilon")),
        rope_theta=float(value("rope.freq_base", 10000.0)),
        rope_scaling=_gguf_scaling(
            str(fields.get(f"{architecture}.rope.scaling.type", "none")),
            lambda: float(value("rope.scaling.factor")),
            rope_factors,
            path,
        ),
        tied_embeddings=tied,
        attention_bias=attention_bias,
        qk_norm=architecture == "qwen3",
        name=str(fields.get("general.name", "")),
    )


def _gguf_scaling(
    kind: str, factor: Callable[[], float], rope_factors: tuple[float, ...], path: str
) -> RopeScaling:
    if kind not in ("none", "linear"):
        raise UnsupportedFormat(path=path, detail=f"rope scaling {kind!r}")
    if rope_factors:
        return RopeScaling("factors", factors=rope_factors)
    return RopeScaling("linear", factor()) if kind == "linear" else RopeScaling()
