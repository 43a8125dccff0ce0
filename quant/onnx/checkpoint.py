"""A decoder's tensors under one set of names, whatever the checkpoint's own names and row order.

GGUF stores the query and key rows of the `llama` architecture permuted for interleaved rotary
positions; here they come back in the order of the original checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.checkpoint.sources import Source, SourceTensor
from quant.errors import CorruptCheckpoint, IncompatibleShape
from quant.onnx.spec import DecoderSpec, spec_from_config, spec_from_gguf

F32 = npt.NDArray[np.float32]

_HF_BLOCK = {
    "attention_norm": "input_layernorm.weight",
    "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight",
    "q_bias": "self_attn.q_proj.bias",
    "k_bias": "self_attn.k_proj.bias",
    "v_bias": "self_attn.v_proj.bias",
    "q_norm": "self_attn.q_norm.weight",
    "k_norm": "self_attn.k_norm.weight",
    "o": "self_attn.o_proj.weight",
    "ffn_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}
_GGUF_BLOCK = {
    "attention_norm": "attn_norm.weight",
    "q": "attn_q.weight",
    "k": "attn_k.weight",
    "v": "attn_v.weight",
    "q_bias": "attn_q.bias",
    "k_bias": "attn_k.bias",
    "v_bias": "attn_v.bias",
    "q_norm": "attn_q_norm.weight",
    "k_norm": "attn_k_norm.weight",
    "o": "attn_output.weight",
    "ffn_norm": "ffn_norm.weight",
    "gate": "ffn_gate.weight",
    "up": "ffn_up.weight",
    "down": "ffn_down.weight",
}
_HF_TOP = {
    "embedding": "model.embed_tokens.weight",
    "output_norm": "model.norm.weight",
    "lm_head": "lm_head.weight",
}
_GGUF_TOP = {
    "embedding": "token_embd.weight",
    "output_norm": "output_norm.weight",
    "lm_head": "output.weight",
}
_ROPE_FACTORS = "rope_freqs.weight"
_MOST_FACTORS = 1 << 16
_PIECE = 1 << 22


@dataclass(frozen=True)
class DecoderTensor:
    """One tensor of the checkpoint; `heads` > 0 asks for its rows un-permuted per head.

    `gguf_name` is its name in GGUF files, which importance matrices use.
    """

    source: SourceTensor
    gguf_name: str
    heads: int = 0

    @property
    def name(self) -> str:
        return self.source.name

    def rows(self, start: int, stop: int) -> F32:
        """Rows start..stop as float32 [stop - start, row length], in the original order."""
        if not self.heads:
            return self.source.rows(start, stop)
        if len(self.source.shape) == 1:  # a bias is one row
            return self._ordered(self.source.rows(start, stop).reshape(-1, 1)).reshape(1, -1)
        head = self.source.shape[0] // self.heads
        first = start // head * head
        block = self._ordered(self.source.rows(first, -(-stop // head) * head))
        return block[start - first : stop - first]

    def row_order(self) -> npt.NDArray[np.intp]:
        """For each row in the original order, which row of the file it is."""
        count = self.source.row_count
        if not self.heads:
            return np.arange(count)
        ordered = self._ordered(np.arange(count, dtype=np.float32).reshape(-1, 1))
        return ordered.reshape(-1).astype(np.intp)

    def _ordered(self, rows: F32) -> F32:
        """Whole heads, their rows (i, half) in the order (half, i)."""
        head = self.source.shape[0] // self.heads
        parts = rows.reshape(-1, head // 2, 2, rows.shape[1])
        ordered: F32 = parts.swapaxes(1, 2).reshape(rows.shape)
        return ordered


@dataclass(frozen=True)
class Checkpoint:
    """A source with its spec; asks for tensors by part."""

    source: Source
    spec: DecoderSpec

    def top(self, part: str) -> DecoderTensor:
        """A part outside the blocks: embedding, output_norm or lm_head. Raises MissingTensor."""
        names = _GGUF_TOP if self.source.kind == "gguf" else _HF_TOP
        return DecoderTensor(self.source[names[part]], _GGUF_TOP[part])

    def block(self, index: int, part: str) -> DecoderTensor:
        """A part of block `index`, see the tables above. Raises MissingTensor."""
        gguf_name = f"blk.{index}.{_GGUF_BLOCK[part]}"
        if self.source.kind != "gguf":
            tensor = self.source[f"model.layers.{index}.{_HF_BLOCK[part]}"]
            return DecoderTensor(tensor, gguf_name)
        tensor = self.source[gguf_name]
        heads = 0
        if self.spec.architecture == "llama" and part[0] in "qk" and not part.endswith("norm"):
            heads = self.spec.head_count if part[0] == "q" else self.spec.head_count_kv
        return DecoderTensor(tensor, gguf_name, heads)


def open_checkpoint(source: Source) -> Checkpoint:
    """The decoder in `source`. Raises UnsupportedFormat, CorruptCheckpoint, IncompatibleShape,
    MissingTensor."""
    path = str(source.metadata_path)
    if source.kind == "gguf":
        spec = spec_from_gguf(
            source.metadata,
            path=path,
            vocab_size=source[_GGUF_TOP["embedding"]].shape[0],
            tied=_is_tied(source, _GGUF_TOP),
            attention_bias=f"blk.0.{_GGUF_BLOCK['q_bias']}" in source.tensors,
            rope_factors=_rope_factors(source),
        )
    else:
        tied = _is_tied(source, _HF_TOP)
        spec = spec_from_config(source.metadata, path=path, tied=tied)
    checkpoint = Checkpoint(source, spec)
    _check_shapes(checkpoint)
    return checkpoint


def _is_tied(source: Source, names: Mapping[str, str]) -> bool:
    """Whether the LM head is the embedding: left out, or stored a second time byte for byte."""
    head, table = source.tensors.get(names["lm_head"]), source[names["embedding"]]
    if head is None:
        return True
    if (head.shape, head.format) != (table.shape, table.format) or head.scales is not None:
        return False
    pieces = range(0, head.raw.size, _PIECE)
    return all(np.array_equal(head.raw[i : i + _PIECE], table.raw[i : i + _PIECE]) for i in pieces)


def _rope_factors(source: Source) -> tuple[float, ...]:
    """What divides each rotary frequency, where the file says so."""
    tensor = source.tensors.get(_ROPE_FACTORS)
    if tensor is None:
        return ()
    if len(tensor.shape) != 1 or tensor.elements > _MOST_FACTORS:
        raise IncompatibleShape(
            reason="expected",
            tensor=tensor.name,
            shape=list(tensor.shape),
            wanted=f"[1 ... {_MOST_FACTORS}]",
        )
    values = tensor.values()
    if not (np.isfinite(values) & (values > 0)).all():
        raise CorruptCheckpoint(
            path=str(source.path), reason="factors_not_positive", tensor=tensor.name
        )
    return tuple(map(float, values))


def _check_shapes(checkpoint: Checkpoint) -> None:
    """Every tensor the graphs use is there in the shape the metadata say."""
    spec = checkpoint.spec
    hidden, width = spec.embedding_length, spec.feed_forward_length
    tops = {"embedding": (spec.vocab_size, hidden), "output_norm": (hidden,)}
    if not spec.tied_embeddings:
        tops["lm_head"] = (spec.vocab_size, hidden)
    for part, shape in tops.items():
        _expect(checkpoint.top(part).source, shape)
    shapes: dict[str, tuple[int, ...]] = {
        "attention_norm": (hidden,),
        "q": (spec.q_rows, hidden),
        "k": (spec.kv_rows, hidden),
        "v": (spec.kv_rows, hidden),
        "o": (hidden, spec.q_rows),
        "ffn_norm": (hidden,),
        "gate": (width, hidden),
        "up": (width, hidden),
        "down": (hidden, width),
    }
    if spec.attention_bias:
        shapes |= {"q_bias": (spec.q_rows,), "k_bias": (spec.kv_rows,), "v_bias": (spec.kv_rows,)}
    if spec.rope_scaling.factors:
        _expect(checkpoint.source[_ROPE_FACTORS], (spec.head_length // 2,))
    if spec.qk_norm:
        shapes |= {"q_norm": (spec.head_length,), "k_norm": (spec.head_length,)}
    for index in range(spec.block_count):
        for part, shape in shapes.items():
            _expect(checkpoint.block(index, part).source, shape)


def _expect(tensor: SourceTensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise IncompatibleShape(
            reason="expected", tensor=tensor.name, shape=list(tensor.shape), wanted=str(list(shape))
        )
