"""GGUF metadata of a safetensors checkpoint: hyperparameters, origin, and the tokenizer.

Reads config.json's values and the tokenizer files; keys and their types come from the gguf
library. Knows no tensor data.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import gguf
from gguf.constants import GGML_QUANT_VERSION, ExpertGatingFuncType, RopeScalingType
from yaml import YAMLError  # type: ignore[import-untyped]

from quant.checkpoint.sources import Source
from quant.errors import CorruptCheckpoint
from quant.fields import Fields
from quant.gguf.tokenizer import add_tokenizer
from quant.gguf.views import ViewTensor
from quant.gguf.writer import GgufValue, encode_value
from quant.json_types import Json
from quant.rope import rope_fields, rope_theta, yarn_attention

_DEEPSEEK2 = "deepseek2"
_GATING = {"sigmoid": ExpertGatingFuncType.SIGMOID, "softmax": ExpertGatingFuncType.SOFTMAX}


def build_metadata(
    source: Source, architecture: str, config: Mapping[str, Json], tensors: Sequence[ViewTensor]
) -> dict[str, GgufValue]:
    """All metadata of the file to write. Raises CorruptCheckpoint, UnsupportedFormat."""
    path = source.metadata_path
    folder, fields = path.parent, Fields(config, str(path))
    rope = rope_fields(config, str(path))
    writer = gguf.GGUFWriter(path=None, arch=architecture)
    _guarded(folder, "README.md", lambda: _add_origin(writer, folder, tensors))
    _add_hyperparameters(writer, architecture, fields, rope)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_BF16))
    if architecture == "llama":
        _add_llama(writer, fields)
    elif architecture == _DEEPSEEK2:
        _add_deepseek2(writer, fields, rope)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    _guarded(folder, "tokenizer.json", lambda: add_tokenizer(writer, folder, architecture, config))
    values = {
        key: GgufValue(int(value.type), value.value, _items(value))
        for part in writer.kv_data
        for key, value in part.items()
    }
    for key, value in values.items():
        _guarded(folder, f"{path.name} ({key})", partial(_refuse_unwritable, value))
    return values


def _refuse_unwritable(value: GgufValue) -> None:
    """Raises what a value of the wrong type or range raises when it is written."""
    encode_value(value)


def _items(value: gguf.GGUFValue) -> int:
    if value.type != gguf.GGUFValueType.ARRAY:
        return -1
    if value.sub_type is not None:
        return int(value.sub_type)
    return int(gguf.GGUFValueType.get_type(value.value[0]))


def _guarded(folder: Path, name: str, work: Callable[[], None]) -> None:
    """Reports whatever a wrongly typed value breaks as an error of the file."""
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
    detail = f"{type(error).__name__}: {str(error)[:100]}"
    return CorruptCheckpoint(path=str(path), reason="impossible_value", detail=detail)


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


def _add_hyperparameters(
    writer: gguf.GGUFWriter, architecture: str, fields: Fields, rope: Fields
) -> None:
    writer.add_block_count(fields.count("num_hidden_layers"))
    if fields.has("max_position_embeddings"):
        writer.add_context_length(fields.count("max_position_embeddings"))
    writer.add_embedding_length(fields.count("hidden_size"))
    writer.add_feed_forward_length(fields.count("intermediate_size"))
    writer.add_head_count(fields.count("num_attention_heads"))
    if architecture == _DEEPSEEK2:
        writer.add_head_count_kv(1)  # MLA runs as multi-query attention on the latent
    elif fields.has("num_key_value_heads"):
        writer.add_head_count_kv(fields.count("num_key_value_heads"))
    _add_rope(writer, rope)
    if architecture == _DEEPSEEK2 or fields.has("rms_norm_eps"):
        writer.add_layer_norm_rms_eps(fields.positive("rms_norm_eps", 1e-6))
    _add_experts(writer, fields)
    if architecture == "llama":
        writer.add_key_length(_head_length(fields))
        writer.add_value_length(_head_length(fields))
    elif architecture != _DEEPSEEK2 and fields.has("head_dim"):
        writer.add_key_length(fields.count("head_dim"))
        writer.add_value_length(fields.count("head_dim"))


def _head_length(fields: Fields) -> int:
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    return fields.count("head_dim", hidden // heads)


def _add_rope(writer: gguf.GGUFWriter, rope: Fields) -> None:
    kind, has_factor = rope.values.get("rope_type"), rope.has("factor")
    if kind == "linear" and has_factor:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope.positive("factor"))
    elif kind == "yarn" and has_factor:
        _add_yarn(writer, rope)
    elif kind not in (None, "default", "llama3"):
        raise rope.wrong("rope_type", "not_supported")
    if rope.has("rope_theta"):
        writer.add_rope_freq_base(rope_theta(rope, "rope_theta"))


def _add_yarn(writer: gguf.GGUFWriter, rope: Fields) -> None:
    """YaRN as the reference converter writes it. Of the two keys of the attention factor that one
    writes the first, which llama.cpp reads for no architecture here; the second it reads for all,
    and multiplies by it."""
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope.positive("factor"))
    writer.add_rope_scaling_orig_ctx_len(rope.count("original_max_position_embeddings"))
    given = "attention_factor" if rope.has("attention_factor") else "attn_factor"
    for key, add in (
        ("extrapolation_factor", writer.add_rope_scaling_yarn_ext_factor),
        (given, writer.add_rope_scaling_yarn_attn_factor),
        ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
        ("beta_slow", writer.add_rope_scaling_yarn_beta_slow),
    ):
        if rope.has(key):
            add(rope.number(key))
    multiplier = yarn_attention(rope)
    if multiplier is not None:
        writer.add_rope_scaling_attn_factors(multiplier)


def _add_experts(writer: gguf.GGUFWriter, fields: Fields) -> None:
    for key, add in (
        ("n_routed_experts", writer.add_expert_count),
        ("num_experts_per_tok", writer.add_expert_used_count),
        ("n_group", writer.add_expert_group_count),
        ("topk_group", writer.add_expert_group_used_count),
    ):
        if fields.has(key):
            add(fields.count(key))
    if fields.has("scoring_func"):
        gating = _GATING.get(str(fields.values["scoring_func"]))
        if gating is None:
            raise fields.wrong("scoring_func", "not_supported")
        writer.add_expert_gating_func(gating)


def _add_llama(writer: gguf.GGUFWriter, fields: Fields) -> None:
    writer.add_vocab_size(fields.count("vocab_size"))
    writer.add_rope_dimension_count(_head_length(fields))


def _add_deepseek2(writer: gguf.GGUFWriter, fields: Fields, rope: Fields) -> None:
    """Multi-head latent attention and the mixture's sizes."""
    every = 0 if fields.has("n_routed_experts") else fields.count("num_hidden_layers")
    writer.add_leading_dense_block_count(fields.count("first_k_dense_replace", every, least=0))
    writer.add_vocab_size(fields.count("vocab_size"))
    if fields.has("q_lora_rank"):
        writer.add_q_lora_rank(fields.count("q_lora_rank"))
    rank, rotated = fields.count("kv_lora_rank", 512), fields.count("qk_rope_head_dim")
    writer.add_kv_lora_rank(rank)
    writer.add_key_length(rank + rotated)
    writer.add_value_length(rank)
    writer.add_key_length_mla(fields.count("qk_nope_head_dim") + rotated)
    writer.add_value_length_mla(fields.count("v_head_dim"))
    width = fields.count("intermediate_size")
    writer.add_expert_feed_forward_length(fields.count("moe_intermediate_size", width))
    writer.add_expert_shared_count(fields.count("n_shared_experts", 0, least=0))
    if fields.has("routed_scaling_factor"):
        writer.add_expert_weights_scale(fields.positive("routed_scaling_factor"))
    if fields.values.get("norm_topk_prob"):
        writer.add_expert_weights_norm(True)
    writer.add_rope_dimension_count(rotated)
    if rope.has("mscale_all_dim"):
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope.number("mscale_all_dim"))
