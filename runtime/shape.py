"""Architecture numbers of a transformer and what follows from them alone.

Knows tensor shapes, parameter counts, KV-cache values per token and weight bytes per role. Knows no
file, device or engine. Tensor names and shapes are those that llama.cpp reads from GGUF files; the
architectures whose block layout is written here are in `ARCHITECTURES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Literal

from quant.formats import FORMATS

AttentionKind = Literal["MHA", "GQA", "MLA"]
TensorRole = Literal["embedding", "attention", "feed_forward", "experts", "norm", "lm_head"]
KV_PADDING = 256  # cells; the engine rounds each sequence's context up to this
ARCHITECTURES = ("llama", "qwen2", "qwen3", "deepseek2")


@dataclass(frozen=True)
class ModelShape:
    """The numbers every plan needs; field names follow GGUF metadata keys.

    For MLA models (DeepSeek-V2/V3) `kv_lora_rank` > 0 and key/value lengths are the per-head ones
    (qk_nope + qk_rope, v). For mixture of experts `expert_count` > 0 and `feed_forward_length` is
    the dense blocks' width.
    """

    architecture: str
    block_count: int
    embedding_length: int
    feed_forward_length: int
    head_count: int
    head_count_kv: int
    key_length: int
    value_length: int
    vocab_size: int
    context_length: int
    tied_embeddings: bool = False
    attention_bias: bool = False
    qk_norm: bool = False
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_dimension_count: int = 0
    expert_count: int = 0
    expert_used_count: int = 0
    expert_shared_count: int = 0
    expert_feed_forward_length: int = 0
    leading_dense_block_count: int = 0
    sliding_window: int = 0

    @property
    def attention(self) -> AttentionKind:
        if self.kv_lora_rank:
            return "MLA"
        return "MHA" if self.head_count == self.head_count_kv else "GQA"

    def is_expert_block(self, block: int) -> bool:
        return bool(self.expert_count) and block >= self.leading_dense_block_count


@dataclass(frozen=True)
class WeightBytes:
    """Bytes of a model's weights by role, as stored.

    `blocks[i]` is all of block i; `blocks_active[i]` is what one token reads of it (less than
    `blocks[i]` only for mixture of experts). With tied embeddings `lm_head` is 0 and the embedding
    table is read as the LM head.
    """

    embedding: int
    blocks: tuple[int, ...]
    blocks_active: tuple[int, ...]
    lm_head: int
    other: int

    @property
    def total(self) -> int:
        return self.embedding + sum(self.blocks) + self.lm_head + self.other

    @property
    def lm_head_read(self) -> int:
        """Bytes of the LM head read per token: the embedding table's when they are tied."""
        return self.lm_head or self.embedding

    @property
    def read_per_token(self) -> int:
        """Bytes one decode step reads: active blocks, LM head and norms."""
        return sum(self.blocks_active) + self.lm_head_read + self.other


@dataclass(frozen=True)
class TensorShape:
    """One weight tensor. `shape` is in GGUF order: the contiguous dimension first."""

    name: str
    role: TensorRole
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    @property
    def matrix(self) -> bool:
        """Whether quantization applies; norms, biases and routers stay in 32-bit floats."""
        return self.role != "norm" and len(self.shape) > 1


def block_tensors(shape: ModelShape, block: int) -> tuple[TensorShape, ...]:
    """Every tensor of one transformer block."""
    prefix = f"blk.{block}."
    tensors = [TensorShape(prefix + "attn_norm.weight", "norm", (shape.embedding_length,))]
    attention = _mla_tensors if shape.attention == "MLA" else _attention_tensors
    tensors += attention(shape, prefix)
    tensors.append(TensorShape(prefix + "ffn_norm.weight", "norm", (shape.embedding_length,)))
    feed_forward = _expert_tensors if shape.is_expert_block(block) else _dense_tensors
    return (*tensors, *feed_forward(shape, prefix))


def outer_tensors(shape: ModelShape) -> tuple[TensorShape, ...]:
    """Embedding table, final norm and, unless tied, the LM head."""
    table = (shape.embedding_length, shape.vocab_size)
    tensors = [
        TensorShape("token_embd.weight", "embedding", table),
        TensorShape("output_norm.weight", "norm", (shape.embedding_length,)),
    ]
    if not shape.tied_embeddings:
        tensors.append(TensorShape("output.weight", "lm_head", table))
    return tuple(tensors)


def model_tensors(shape: ModelShape) -> tuple[TensorShape, ...]:
    """Every tensor of the model, in file order."""
    blocks = (t for block in range(shape.block_count) for t in block_tensors(shape, block))
    return (*outer_tensors(shape), *blocks)


def parameter_count(shape: ModelShape) -> int:
    """All parameters; with tied embeddings the table counts once."""
    return sum(tensor.parameters for tensor in model_tensors(shape))


def active_parameter_count(shape: ModelShape) -> int:
    """Parameters one token passes through: the routed experts' share only, no embedding table."""
    head = shape.embedding_length * shape.vocab_size
    blocks = (t for block in range(shape.block_count) for t in block_tensors(shape, block))
    return head + sum(round(t.parameters * _active_share(shape, t)) for t in blocks)


def kv_values_per_token(shape: ModelShape) -> tuple[int, int]:
    """Values (K, V) that one token adds to the cache in one block.

    MHA and GQA keep every KV head's key and value; MLA keeps the shared latent of `kv_lora_rank`
    values with the rotary part beside it (DeepSeek-V2, section 2.1), and no V of its own.
    """
    if shape.attention == "MLA":
        return shape.kv_lora_rank + shape.rope_dimension_count, 0
    return shape.head_count_kv * shape.key_length, shape.head_count_kv * shape.value_length


def kv_bytes_per_token(shape: ModelShape, type_k: str = "f16", type_v: str = "f16") -> int:
    """Bytes one token adds to the KV cache over all blocks."""
    k_values, v_values = kv_values_per_token(shape)
    per_block = row_bytes(k_values, type_k) + row_bytes(v_values, type_v)
    return per_block * shape.block_count


def padded_context(n_ctx: int) -> int:
    """Cells that are really kept for one sequence of `n_ctx` tokens (llama.cpp rounds up; what the
    other engines keep was not measured apart)."""
    return -(-n_ctx // KV_PADDING) * KV_PADDING


def kv_cache_bytes(
    shape: ModelShape,
    n_ctx: int,
    type_k: str = "f16",
    type_v: str = "f16",
    sequences: int = 1,
    blocks: int | None = None,
) -> int:
    """Bytes of the KV cache of `blocks` blocks (all by default), `n_ctx` tokens per sequence."""
    k_values, v_values = kv_values_per_token(shape)
    per_cell = row_bytes(k_values, type_k) + row_bytes(v_values, type_v)
    count = shape.block_count if blocks is None else blocks
    return per_cell * count * padded_context(n_ctx) * sequences


def row_bytes(values: int, block_format: str) -> int:
    """Bytes of a row of `values` in a format ("f16", "Q4_K", "onnx-q4-b32" ...), blocks rounded up.

    Raises ValueError for an unknown format.
    """
    known = FORMATS.get(block_format) or FORMATS.get(block_format.upper())
    if known is None:
        raise ValueError(f"unknown block format {block_format!r}")
    return -(-(-(-values // known.block_size) * known.block_bits) // 8)


def tensor_bytes(tensor: TensorShape, block_format: str) -> int:
    """Bytes of one tensor stored in `block_format`; norms and biases are 32-bit floats."""
    if not tensor.matrix:
        return tensor.parameters * 4
    return row_bytes(tensor.shape[0], block_format) * prod(tensor.shape[1:])


def weight_bytes(shape: ModelShape, formats: str | Mapping[str, str]) -> WeightBytes:
    """Bytes per role of a model stored in `formats`: one ggml block format, or a mapping from role
    to format with the key "default" for the roles not named."""
    return weight_bytes_by(shape, partial(_role_bytes, formats))


def weight_bytes_by(shape: ModelShape, size: Callable[[TensorShape], int]) -> WeightBytes:
    """Bytes per role of a model whose tensors take `size` bytes each."""
    blocks, active = [], []
    for index in range(shape.block_count):
        tensors = block_tensors(shape, index)
        blocks.append(sum(size(t) for t in tensors))
        active.append(sum(round(size(t) * _active_share(shape, t)) for t in tensors))
    outer = {tensor.role: size(tensor) for tensor in outer_tensors(shape)}
    return WeightBytes(
        embedding=outer["embedding"],
        blocks=tuple(blocks),
        blocks_active=tuple(active),
        lm_head=outer.get("lm_head", 0),
        other=outer["norm"],
    )


def head_format(shape: ModelShape, nbytes: int, likely: str = "") -> str | None:
    """The ggml format whose size an LM head of `nbytes` matches within 1 %; None when none does.

    Some formats have the same size: `likely`, the other weights' format, is tried first.
    """
    values = shape.vocab_size * shape.embedding_length
    first = [name for name in (likely, base_format(likely)) if name in FORMATS]
    for name in (*first, "Q4_0", "Q4_1", "Q6_K", "Q8_0", "F16", "Q5_K", "F32"):
        if abs(nbytes / row_bytes(values, name) - 1) < 0.01:
            return name
    return None


def base_format(block_format: str) -> str:
    """The block format in a file type's name: "q4_k_m" -> "Q4_K"."""
    name = block_format.upper()
    for ending in ("_XXS", "_XS", "_S", "_M", "_L"):
        if name.startswith(("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")) and name.endswith(ending):
            return name.removesuffix(ending)
    return name


def spread_weight_bytes(shape: ModelShape, total: int) -> WeightBytes:
    """Bytes per role when only a file's size is known: shared out by parameter count."""
    exact = weight_bytes(shape, "Q8_0")
    scale = total / exact.total

    def part(nbytes: int) -> int:
        return round(nbytes * scale)

    return WeightBytes(
        embedding=part(exact.embedding),
        blocks=tuple(map(part, exact.blocks)),
        blocks_active=tuple(map(part, exact.blocks_active)),
        lm_head=part(exact.lm_head),
        other=part(exact.other),
    )


def _role_bytes(formats: str | Mapping[str, str], tensor: TensorShape) -> int:
    if isinstance(formats, str):
        return tensor_bytes(tensor, formats)
    return tensor_bytes(tensor, formats.get(tensor.role, formats["default"]))


def _active_share(shape: ModelShape, tensor: TensorShape) -> float:
    return shape.expert_used_count / shape.expert_count if tensor.role == "experts" else 1.0


_Tensors = list[TensorShape]
_Part = Callable[[str, tuple[int, ...]], TensorShape]


def _attention_tensors(shape: ModelShape, prefix: str) -> _Tensors:
    width, heads, kv_heads = shape.embedding_length, shape.head_count, shape.head_count_kv
    query = heads * shape.key_length
    key, value = kv_heads * shape.key_length, kv_heads * shape.value_length
    part: _Part = lambda name, dims: TensorShape(prefix + name, "attention", dims)  # noqa: E731
    tensors = [
        part("attn_q.weight", (width, query)),
        part("attn_k.weight", (width, key)),
        part("attn_v.weight", (width, value)),
        part("attn_output.weight", (heads * shape.value_length, width)),
    ]
    if shape.attention_bias:
        for name, size in (("q", query), ("k", key), ("v", value)):
            tensors.append(TensorShape(f"{prefix}attn_{name}.bias", "norm", (size,)))
    if shape.qk_norm:
        for name in ("q", "k"):
            tensors.append(
                TensorShape(f"{prefix}attn_{name}_norm.weight", "norm", (shape.key_length,))
            )
    return tensors


def _mla_tensors(shape: ModelShape, prefix: str) -> _Tensors:
    width, heads = shape.embedding_length, shape.head_count
    latent, rope = shape.kv_lora_rank, shape.rope_dimension_count
    nope = shape.key_length - rope
    part: _Part = lambda name, dims: TensorShape(prefix + name, "attention", dims)  # noqa: E731
    norm: _Part = lambda name, dims: TensorShape(prefix + name, "norm", dims)  # noqa: E731
    if shape.q_lora_rank:
        tensors = [
            part("attn_q_a.weight", (width, shape.q_lora_rank)),
            norm("attn_q_a_norm.weight", (shape.q_lora_rank,)),
            part("attn_q_b.weight", (shape.q_lora_rank, heads * shape.key_length)),
        ]
    else:
        tensors = [part("attn_q.weight", (width, heads * shape.key_length))]
    return [
        *tensors,
        part("attn_kv_a_mqa.weight", (width, latent + rope)),
        norm("attn_kv_a_norm.weight", (latent,)),
        part("attn_k_b.weight", (nope, latent, heads)),
        part("attn_v_b.weight", (latent, shape.value_length, heads)),
        part("attn_output.weight", (heads * shape.value_length, width)),
    ]


def _dense_tensors(shape: ModelShape, prefix: str) -> _Tensors:
    width, hidden = shape.embedding_length, shape.feed_forward_length
    part: _Part = lambda name, dims: TensorShape(prefix + name, "feed_forward", dims)  # noqa: E731
    return [
        part("ffn_gate.weight", (width, hidden)),
        part("ffn_up.weight", (width, hidden)),
        part("ffn_down.weight", (hidden, width)),
    ]


def _expert_tensors(shape: ModelShape, prefix: str) -> _Tensors:
    width, hidden, count = (
        shape.embedding_length,
        shape.expert_feed_forward_length,
        shape.expert_count,
    )
    shared = hidden * shape.expert_shared_count
    routed: _Part = lambda name, dims: TensorShape(prefix + name, "experts", dims)  # noqa: E731
    part: _Part = lambda name, dims: TensorShape(prefix + name, "feed_forward", dims)  # noqa: E731
    tensors = [
        TensorShape(prefix + "ffn_gate_inp.weight", "norm", (width, count)),
        routed("ffn_gate_exps.weight", (width, hidden, count)),
        routed("ffn_up_exps.weight", (width, hidden, count)),
        routed("ffn_down_exps.weight", (hidden, width, count)),
    ]
    if shared:
        tensors += [
            part("ffn_gate_shexp.weight", (width, shared)),
            part("ffn_up_shexp.weight", (width, shared)),
            part("ffn_down_shexp.weight", (shared, width)),
        ]
    return tensors
