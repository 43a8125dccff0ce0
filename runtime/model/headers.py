"""Header facts of models on the hub: from the first bytes of their files.

Knows the headers of GGUF in shards and of safetensors (with config.json); fetches nothing. The
bytes are untrusted: `runtime.tasks.inspect` reads them in a child process.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from quant.checkpoint.gguf_header import GgufHeader
from quant.checkpoint.safetensors import Entry, read_checkpoint, read_json
from quant.errors import CorruptCheckpoint
from quant.json_types import Json
from runtime.errors import CorruptFile, UnsupportedModel
from runtime.model.info import ModelInfo, TensorInfo
from runtime.shape import ModelShape, WeightBytes

_ARCHITECTURES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "DeepseekV2ForCausalLM": "deepseek2",
    "DeepseekV3ForCausalLM": "deepseek2",
}


def checkpoint_info(folder: Path, name: str) -> ModelInfo:
    """ModelInfo of a safetensors checkpoint; its weights are counted as they are stored.

    Raises CorruptCheckpoint, UnsupportedFormat, UnsupportedModel.
    """
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise CorruptCheckpoint(path=f"{name}/config.json", reason="not_object")
    entries = read_checkpoint(folder)
    shape = shape_from_config(config, entries, name)
    tensors = tuple(
        TensorInfo(entry.name, tuple(reversed(entry.shape)), entry.format, entry.nbytes)
        for entry in entries.values()
    )
    return ModelInfo(
        path=name,
        format="safetensors",
        name=name.split("/")[-1],
        shape=shape,
        weights=_weights(entries, shape),
        file_size=sum(path.stat().st_size for path in {e.path for e in entries.values()}),
        parameters=sum(_elements(e) for e in entries.values() if not e.name.endswith("_scale_inv")),
        chat_template=None,
        tokenizer="",
        licence="",
        tensors=tensors,
        metadata={"architectures": config.get("architectures"), "dtype": config.get("torch_dtype")},
    )


def shape_from_config(
    config: Mapping[str, Json], tensors: Collection[str], name: str
) -> ModelShape:
    """ModelShape from a Hugging Face config.json and the names of the tensors.

    Raises UnsupportedModel for an architecture not covered or a number that is missing.
    """
    named = config.get("architectures")
    architecture = _ARCHITECTURES.get(str(named[0]) if isinstance(named, list) and named else "")
    if architecture is None:
        raise UnsupportedModel(path=name, reason="architecture", found=str(named)[:80])

    def number(key: str, default: int | None = None) -> int:
        value = config.get(key, default)
        value = default if value is None else value
        if type(value) is not int or not 0 <= value < 1 << 40:
            raise UnsupportedModel(path=name, reason="config_value", key=key, found=str(value)[:40])
        return value

    heads, width = number("num_attention_heads"), number("hidden_size")
    head = number("head_dim", width // heads if heads else 0)
    shape = ModelShape(
        architecture=architecture,
        block_count=number("num_hidden_layers"),
        embedding_length=width,
        feed_forward_length=number("intermediate_size"),
        head_count=heads,
        head_count_kv=number("num_key_value_heads", heads),
        key_length=head,
        value_length=head,
        vocab_size=number("vocab_size"),
        context_length=number("max_position_embeddings", 2048),
        rope_dimension_count=head,
        tied_embeddings="lm_head.weight" not in tensors,
        attention_bias="model.layers.0.self_attn.q_proj.bias" in tensors,
        qk_norm="model.layers.0.self_attn.q_norm.weight" in tensors,
    )
    if architecture != "deepseek2":
        return shape
    rope = number("qk_rope_head_dim")
    return replace(
        shape,
        key_length=number("qk_nope_head_dim") + rope,
        value_length=number("v_head_dim"),
        q_lora_rank=number("q_lora_rank", 0),
        kv_lora_rank=number("kv_lora_rank"),
        rope_dimension_count=rope,
        expert_count=number("n_routed_experts", 0),
        expert_used_count=number("num_experts_per_tok", 0),
        expert_shared_count=number("n_shared_experts", 0),
        expert_feed_forward_length=number("moe_intermediate_size", 0),
        leading_dense_block_count=number("first_k_dense_replace", 0),
    )


def joined(headers: list[GgufHeader], name: str) -> GgufHeader:
    """One header for all shards: the first one has the metadata, each has its own tensors.

    Raises CorruptFile where shards are missing or hold the same tensor.
    """
    first = headers[0]
    declared = first.metadata.get("split.count", 1) or 1
    if declared != len(headers):
        wanted = declared if isinstance(declared, int) else None
        raise CorruptFile(path=name, reason="part_count", found=len(headers), wanted=wanted)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise CorruptFile(path=name, reason="in_two_parts")
    return replace(first, tensors=tensors)


def _weights(entries: Mapping[str, Entry], shape: ModelShape) -> WeightBytes:
    blocks = [0] * shape.block_count
    active = [0.0] * shape.block_count
    embedding = lm_head = other = 0
    share = shape.expert_used_count / shape.expert_count if shape.expert_count else 1.0
    for entry in entries.values():
        parts = entry.name.split(".")
        number = parts[2] if parts[:2] == ["model", "layers"] and len(parts) > 2 else ""
        if number.isdigit() and int(number) < shape.block_count:
            blocks[int(number)] += entry.nbytes
            active[int(number)] += entry.nbytes * (share if ".mlp.experts." in entry.name else 1.0)
        elif entry.name.startswith("model.embed_tokens."):
            embedding += entry.nbytes
        elif entry.name.startswith("lm_head."):
            lm_head += entry.nbytes
        else:
            other += entry.nbytes
    return WeightBytes(embedding, tuple(blocks), tuple(int(n) for n in active), lm_head, other)


def _elements(entry: Entry) -> int:
    count = 1
    for size in entry.shape:
        count *= size
    return count
