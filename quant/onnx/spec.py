"""What the exporter must know of a decoder: its dimensions, normalisation and rotary positions.

Reads Hugging Face `config.json` values and GGUF metadata into one value. Knows no file, no graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.errors import UnsupportedFormat
from quant.fields import Fields
from quant.json_types import Json
from quant.onnx.architectures import ARCHITECTURES
from quant.rope import (
    RopeScaling,
    attention_scale,
    frequencies,
    rope_fields,
    rope_theta,
    scaling_from_config,
    scaling_from_gguf,
)

_HF_MODEL_TYPES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


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

    def rows_fit(self, block: int) -> bool:
        """Whether no row of a body's matrices has to be padded to whole blocks of `block` weights.
        Padded ones run on onnxruntime's CPU only: QNN refuses them, OpenVINO computes nonsense."""
        rows = (self.embedding_length, self.q_rows, self.feed_forward_length)
        return all(length % block == 0 for length in rows)


def rotary_caches(
    spec: DecoderSpec, positions: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """cos and sin of every position below `positions`, times what the scaling wants of attention:
    two arrays [positions, head_length / 2]."""
    per_position = frequencies(spec.rope_theta, spec.head_length, spec.rope_scaling)
    angles = np.outer(np.arange(positions, dtype=np.float64), per_position)
    scale = attention_scale(spec.rope_scaling)
    return (scale * np.cos(angles)).astype(np.float32), (scale * np.sin(angles)).astype(np.float32)


def spec_from_config(config: Mapping[str, Json], *, path: str, tied: bool) -> DecoderSpec:
    """DecoderSpec of a Hugging Face `config.json`, which lies at `path`.

    Raises UnsupportedFormat, CorruptCheckpoint."""
    architecture = _config_architecture(config, path)
    fields, rope = Fields(config, path), rope_fields(config, path)
    heads, hidden = fields.count("num_attention_heads"), fields.count("hidden_size")
    return DecoderSpec(
        architecture=architecture,
        block_count=fields.count("num_hidden_layers"),
        embedding_length=hidden,
        feed_forward_length=fields.count("intermediate_size"),
        head_count=heads,
        head_count_kv=_kv_heads(fields, "num_key_value_heads", heads),
        head_length=_head_length(fields, "head_dim", hidden // heads),
        vocab_size=fields.count("vocab_size"),
        context_length=fields.count("max_position_embeddings", 2048),
        rms_epsilon=fields.positive("rms_norm_eps", 1e-6),
        rope_theta=rope_theta(rope, "rope_theta"),
        rope_scaling=scaling_from_config(rope),
        tied_embeddings=tied,
        attention_bias=architecture == "qwen2" or bool(config.get("attention_bias")),
        qk_norm=architecture == "qwen3",
        name=str(config.get("_name_or_path", "")),
    )


def _config_architecture(config: Mapping[str, Json], path: str) -> str:
    """One of ARCHITECTURES. Raises UnsupportedFormat for what the graphs cannot express."""
    model_type = str(config.get("model_type", ""))[:40]
    architecture = _HF_MODEL_TYPES.get(model_type)
    if architecture is None:
        raise UnsupportedFormat(path=path, reason="architecture", found=model_type)
    if config.get("use_sliding_window") or (
        model_type == "mistral" and config.get("sliding_window")
    ):
        raise UnsupportedFormat(path=path, reason="sliding_window")
    if config.get("mlp_bias"):
        raise UnsupportedFormat(path=path, reason="feed_forward_bias")
    if config.get("hidden_act", "silu") != "silu":
        raise UnsupportedFormat(
            path=path, reason="activation", found=str(config["hidden_act"])[:40]
        )
    return architecture


def _kv_heads(fields: Fields, key: str, heads: int) -> int:
    found = fields.count(key, heads)
    if heads % found:
        raise fields.wrong(key, "not_divisor", heads)
    return found


def _head_length(fields: Fields, key: str, default: int) -> int:
    found = fields.count(key, default)
    if found % 2:
        raise fields.wrong(key, "odd_head")
    return found


def spec_from_gguf(
    metadata: Mapping[str, Json],
    *,
    path: str,
    vocab_size: int,
    tied: bool,
    attention_bias: bool,
    rope_factors: tuple[float, ...] = (),
) -> DecoderSpec:
    """DecoderSpec of GGUF metadata (key -> value). Raises UnsupportedFormat, CorruptCheckpoint."""
    architecture = str(metadata.get("general.architecture", ""))[:40]
    if architecture not in ARCHITECTURES:
        raise UnsupportedFormat(path=path, reason="architecture", found=architecture)
    prefix = f"{architecture}."
    own = {k.removeprefix(prefix): v for k, v in metadata.items() if k.startswith(prefix)}
    fields = Fields(own, path, prefix)
    if own.get("expert_count"):
        raise UnsupportedFormat(path=path, reason="mixture_of_experts")
    heads, embedding = fields.count("attention.head_count"), fields.count("embedding_length")
    head_length = _head_length(fields, "attention.key_length", embedding // heads)
    if fields.count("rope.dimension_count", head_length) != head_length:
        raise UnsupportedFormat(path=path, reason="partial_rotary")
    return DecoderSpec(
        architecture=architecture,
        block_count=fields.count("block_count"),
        embedding_length=embedding,
        feed_forward_length=fields.count("feed_forward_length"),
        head_count=heads,
        head_count_kv=_kv_heads(fields, "attention.head_count_kv", heads),
        head_length=head_length,
        vocab_size=vocab_size,
        context_length=fields.count("context_length"),
        rms_epsilon=fields.positive("attention.layer_norm_rms_epsilon"),
        rope_theta=rope_theta(fields, "rope.freq_base"),
        rope_scaling=scaling_from_gguf(fields, rope_factors),
        tied_embeddings=tied,
        attention_bias=attention_bias,
        qk_norm=architecture == "qwen3",
        name=str(metadata.get("general.name", "")),
    )
