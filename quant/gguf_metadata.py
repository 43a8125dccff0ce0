"""GGUF metadata of a safetensors checkpoint: hyperparameters, origin, and the tokenizer.

Reads config.json's values and the tokenizer files; keys and their types come from the gguf
library. Knows no tensor data.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gguf
from gguf.constants import GGML_QUANT_VERSION, ExpertGatingFuncType, RopeScalingType
from yaml import YAMLError  # type: ignore[import-untyped]

from quant.errors import CorruptCheckpoint
from quant.gguf_tokenizer import add_tokenizer
from quant.gguf_writer import GgufValue, encode_value
from quant.sources import Source
from quant.views import ViewTensor

_DEEPSEEK2 = "deepseek2"


def build_metadata(
    source: Source, architecture: str, config: Mapping[str, Any], tensors: Sequence[ViewTensor]
) -> dict[str, GgufValue]:
    """All metadata of the file to be. Raises CorruptCheckpoint, UnsupportedFormat."""
    folder = source.path if source.path.is_dir() else source.path.parent
    writer = gguf.GGUFWriter(path=None, arch=architecture)
    _guarded(folder, "README.md", lambda: _add_origin(writer, folder, tensors))
    _guarded(folder, "config.json", lambda: _add_hyperparameters(writer, architecture, config))
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_BF16))
    if architecture == "llama":
        _guarded(folder, "config.json", lambda: _add_llama(writer, config))
    elif architecture == _DEEPSEEK2:
        _guarded(folder, "config.json", lambda: _add_deepseek2(writer, config))
    writer.add_quantization_version(GGML_QUANT_VERSION)
    _guarded(folder, "tokenizer.json", lambda: add_tokenizer(writer, folder, architecture, config))
    values = {
        key: GgufValue(int(value.type), value.value, _items(value))
        for part in writer.kv_data
        for key, value in part.items()
    }
    for key, value in values.items():
        _guarded(folder, f"config.json ({key})", partial(_refuse_unwritable, value))
    return values


def _refuse_unwritable(value: GgufValue) -> None:
    """Raises what a value of the wrong type or range raises when it is written."""
    encode_value(value)


def _items(value: Any) -> int:
    if value.type != gguf.GGUFValueType.ARRAY:
        return -1
    if value.sub_type is not None:
        return int(value.sub_type)
    return int(gguf.GGUFValueType.get_type(value.value[0]))


def _guarded(folder: Path, name: str, work: Callable[[], None]) -> None:
    """Whatever a wrongly typed value breaks is the file's fault, and said so."""
    try:
        work()
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        struct.error,
        RecursionError,
        YAMLError,
    ) as error:
        raise _impossible(folder / name, error) from error


def _impossible(path: Path, error: Exception) -> CorruptCheckpoint:
    detail = f"has an impossible value ({type(error).__name__}: {str(error)[:100]})"
    return CorruptCheckpoint(path=str(path), tensor=None, detail=detail)


def _add_origin(writer: gguf.GGUFWriter, folder: Path, tensors: Sequence[ViewTensor]) -> None:
    """general.*: name, licence, languages and size, from the model card and the folder's name."""
    total, shared, expert, experts = _parameter_counts(tensors)
    found = gguf.Metadata.load(None, folder, None, total)
    if found.name is None:
        found.name = folder.name
    if found.size_label is None and total > 0:
        found.size_label = gguf.size_label(total, shared, expert, experts)
    writer.add_type(gguf.GGUFType.MODEL)
    found.set_gguf_meta_model(writer)


def _parameter_counts(tensors: Sequence[ViewTensor]) -> tuple[int, int, int, int]:
    """All parameters, those outside experts, those of one expert (summed over blocks), experts.

    Counted as the gguf library does: one-dimensional tensors that are no weights do not count.
    """
    total = shared = expert = experts = stacks = 0
    for tensor in tensors:
        if tensor.name.endswith((".lora_a", ".lora_b")):
            continue
        total += tensor.elements
        if "_exps." in tensor.name:
            count = tensor.shape[-2 if ".bias" in tensor.name else -3]
            expert += tensor.elements // count
            experts, stacks = experts + count, stacks + 1
        else:
            shared += tensor.elements
    return total, shared, expert, experts // stacks if stacks else 0


def rope_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary position settings under their newest names, wherever config.json keeps them."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "rope_theta" in config:
        rope.setdefault("rope_theta", config["rope_theta"])
    if "type" in rope:
        rope.setdefault("rope_type", rope["type"])
    if "original_max_position_embeddings" in config:
        rope.setdefault(
            "original_max_position_embeddings", config["original_max_position_embeddings"]
        )
    return rope


def _add_hyperparameters(
    writer: gguf.GGUFWriter, architecture: str, config: Mapping[str, Any]
) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    if "max_position_embeddings" in config:
        writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    if architecture == _DEEPSEEK2:
        writer.add_head_count_kv(1)  # MLA runs as multi-query attention on the latent
    elif "num_key_value_heads" in config:
        writer.add_head_count_kv(config["num_key_value_heads"])
    _add_rope(writer, rope_parameters(config))
    epsilon = config.get("rms_norm_eps", 1e-6 if architecture == _DEEPSEEK2 else None)
    if epsilon is not None:
        writer.add_layer_norm_rms_eps(epsilon)
    _add_experts(writer, config)
    head = config.get("head_dim")
    if head is None and architecture == "llama":
        head = config["hidden_size"] // config["num_attention_heads"]
    if head is not None:
        writer.add_key_length(head)
        writer.add_value_length(head)


def _add_rope(writer: gguf.GGUFWriter, rope: Mapping[str, Any]) -> None:
    kind, factor = rope.get("rope_type"), rope.get("factor")
    if kind == "linear" and factor is not None:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(factor)
    elif kind == "yarn" and factor is not None:
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(factor)
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        for key, add in (
            ("extrapolation_factor", writer.add_rope_scaling_yarn_ext_factor),
            ("attention_factor", writer.add_rope_scaling_yarn_attn_factor),
            ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
            ("beta_slow", writer.add_rope_scaling_yarn_beta_slow),
        ):
            if rope.get(key) is not None:
                add(rope[key])
    elif kind not in (None, "default", "llama3"):
        raise ValueError(f"rope scaling {str(kind)[:40]!r} is not supported")
    if rope.get("rope_theta") is not None:
        writer.add_rope_freq_base(rope["rope_theta"])


def _add_experts(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    for key, add in (
        ("n_routed_experts", writer.add_expert_count),
        ("num_experts_per_tok", writer.add_expert_used_count),
        ("n_group", writer.add_expert_group_count),
        ("topk_group", writer.add_expert_group_used_count),
    ):
        if config.get(key) is not None:
            add(config[key])
    scoring = config.get("scoring_func")
    if scoring is not None:
        kinds = {"sigmoid": ExpertGatingFuncType.SIGMOID, "softmax": ExpertGatingFuncType.SOFTMAX}
        writer.add_expert_gating_func(kinds[scoring])


def _add_llama(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_vocab_size(config["vocab_size"])
    head = config.get("head_dim")
    if head is None:
        head = config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(head)


def _add_deepseek2(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    """Multi-head latent attention and the mixture's sizes."""
    experts = config.get("n_routed_experts")
    dense = config.get("first_k_dense_replace")
    if dense is None:
        dense = config["num_hidden_layers"] if experts is None else 0
    writer.add_leading_dense_block_count(dense)
    writer.add_vocab_size(config["vocab_size"])
    if config.get("q_lora_rank") is not None:
        writer.add_q_lora_rank(config["q_lora_rank"])
    rank, rope = config.get("kv_lora_rank", 512), config["qk_rope_head_dim"]
    writer.add_kv_lora_rank(rank)
    writer.add_key_length(rank + rope)
    writer.add_value_length(rank)
    writer.add_key_length_mla(config["qk_nope_head_dim"] + rope)
    writer.add_value_length_mla(config["v_head_dim"])
    writer.add_expert_feed_forward_length(
        config.get("moe_intermediate_size", config["intermediate_size"])
    )
    writer.add_expert_shared_count(config.get("n_shared_experts") or 0)
    if config.get("routed_scaling_factor") is not None:
        writer.add_expert_weights_scale(config["routed_scaling_factor"])
    if config.get("norm_topk_prob"):
        writer.add_expert_weights_norm(config["norm_topk_prob"])
    writer.add_rope_dimension_count(rope)
    scale = rope_parameters(config).get("mscale_all_dim")
    if scale is not None:
        writer.add_rope_scaling_yarn_log_mul(0.1 * scale)
