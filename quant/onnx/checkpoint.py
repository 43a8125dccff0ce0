"""A decoder's tensors under one set of names, whatever the checkpoint's own names and row order.

GGUF stores the query and key rows of the `llama` architecture permuted for interleaved rotary
positions; here they come back in the order of the original checkpoint.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from quant.errors import IncompatibleShape
from quant.onnx.spec import DecoderSpec, spec_from_config, spec_from_gguf
from quant.sources import Source, SourceTensor

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

    def rows(self, start: int, stop: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Rows start..stop as float32 [stop - start, row length], in the original order."""
        if not self.heads:
            return self.source.rows(start, stop)
        length = self.source.shape[0]
        head = length // self.heads
        order = np.arange(length).reshape(self.heads, head // 2, 2).swapaxes(1, 2).reshape(-1)
        whole = self.source.values().reshape(length, -1)
        return whole[order[start:stop]]


@dataclass(frozen=True)
class Checkpoint:
    """A source with its spec; asks for tensors by part."""

    source: Source
    spec: DecoderSpec

    def top(self, part: str) -> DecoderTensor:
        """embedding, output_norm or lm_head. Raises MissingTensor."""
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
    """The decoder in `source`. Raises UnsupportedFormat, IncompatibleShape, MissingTensor."""
    path = str(source.path)
    if source.kind == "gguf":
        factors = source.tensors.get("rope_freqs.weight")
        embedding = source[_GGUF_TOP["embedding"]]
        spec = spec_from_gguf(
            source.metadata,
            path=path,
            vocab_size=embedding.shape[0],
            tied=_GGUF_TOP["lm_head"] not in source.tensors,
            attention_bias=f"blk.0.{_GGUF_BLOCK['q_bias']}" in source.tensors,
            rope_factors=() if factors is None else tuple(map(float, factors.values())),
        )
    else:
        tied = _HF_TOP["lm_head"] not in source.tensors
        spec = spec_from_config(source.metadata, path=path, tied=tied)
    checkpoint = Checkpoint(source, spec)
    _check_shapes(checkpoint)
    return checkpoint


def _check_shapes(checkpoint: Checkpoint) -> None:
    """Every tensor the graphs use is there in the shape the metadata promise."""
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
    if spec.qk_norm:
        shapes |= {"q_norm": (spec.head_length,), "k_norm": (spec.head_length,)}
    for index in range(spec.block_count):
        for part, shape in shapes.items():
            _expect(checkpoint.block(index, part).source, shape)


def _expect(tensor: SourceTensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise IncompatibleShape(
            tensor=tensor.name, shape=list(tensor.shape), detail=f"expected {list(shape)}"
        )
