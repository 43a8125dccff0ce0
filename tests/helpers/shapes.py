"""Shape-exact GGUF files: a real model's tensor shapes filled with random blocks, or left as holes.

Such a file has the real model's size and speed but says nothing sensible. Shapes of the models the
tests and benchmarks use are constants here.
"""

import lzma
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np

from runtime.shape import ModelShape, TensorShape, model_tensors, tensor_bytes

HEADER = Path(__file__).parents[1] / "data" / "deepseek-r1-distill-qwen-7b-q4_k_m.header.gguf.xz"


def _llama(blocks: int, width: int, ffn: int, heads: int, kv: int, **more: Any) -> ModelShape:
    head = more.pop("head", width // heads)
    fields = {
        "architecture": "llama",
        "vocab_size": 128256,
        "context_length": 131072,
        "rope_dimension_count": head,
        **more,
    }
    return ModelShape(
        block_count=blocks,
        embedding_length=width,
        feed_forward_length=ffn,
        head_count=heads,
        head_count_kv=kv,
        key_length=head,
        value_length=head,
        **fields,
    )


_QWEN: dict[str, Any] = {"architecture": "qwen2", "attention_bias": True}

SMOLLM2_135M = _llama(
    30, 576, 1536, 9, 3, vocab_size=49152, context_length=8192, tied_embeddings=True
)
SMOLLM2_360M = _llama(
    32, 960, 2560, 15, 5, vocab_size=49152, context_length=8192, tied_embeddings=True
)
QWEN2_0_5B = _llama(
    24, 896, 4864, 14, 2, vocab_size=151936, context_length=32768, tied_embeddings=True, **_QWEN
)
R1_QWEN_1_5B = _llama(28, 1536, 8960, 12, 2, vocab_size=151936, **_QWEN)
QWEN2_3B = _llama(
    36, 2048, 11008, 16, 2, vocab_size=151936, context_length=32768, tied_embeddings=True, **_QWEN
)
R1_QWEN_7B = _llama(28, 3584, 18944, 28, 4, vocab_size=152064, **_QWEN)
R1_QWEN_14B = _llama(48, 5120, 13824, 40, 8, vocab_size=152064, **_QWEN)
R1_LLAMA_8B = _llama(32, 4096, 14336, 32, 8)
LLAMA_1B = _llama(16, 2048, 8192, 32, 8, tied_embeddings=True)
DEEPSEEK_LLM_7B = _llama(30, 4096, 11008, 32, 32, vocab_size=102400, context_length=4096)
DEEPSEEK_LLM_67B = _llama(95, 8192, 22016, 64, 8, vocab_size=102400, context_length=4096)
R1_LLAMA_70B = _llama(80, 8192, 28672, 64, 8)
DEEPSEEK_V2_LITE = ModelShape(
    architecture="deepseek2",
    block_count=27,
    embedding_length=2048,
    feed_forward_length=10944,
    head_count=16,
    head_count_kv=16,
    key_length=192,
    value_length=128,
    vocab_size=102400,
    context_length=163840,
    kv_lora_rank=512,
    rope_dimension_count=64,
    expert_count=64,
    expert_used_count=6,
    expert_shared_count=2,
    expert_feed_forward_length=1408,
    leading_dense_block_count=1,
)
DEEPSEEK_V3 = replace(
    DEEPSEEK_V2_LITE,
    block_count=61,
    embedding_length=7168,
    feed_forward_length=18432,
    head_count=128,
    head_count_kv=128,
    vocab_size=129280,
    q_lora_rank=1536,
    expert_count=256,
    expert_used_count=8,
    expert_shared_count=1,
    expert_feed_forward_length=2048,
    leading_dense_block_count=3,
)


def write_shape_gguf(
    path: Path,
    shape: ModelShape,
    format: str = "Q4_0",
    *,
    role_formats: Mapping[str, str] | None = None,
    vocab_tokens: Sequence[str] | Literal["none", "qwen2"] = "none",
    weights: Literal["random", "hole"] = "random",
    seed: int = 0,
) -> Path:
    """Write a GGUF of `shape` with every matrix in `format` (or its role's in `role_formats`).

    `vocab_tokens`: "none" for a model that takes token ids only, "qwen2" for the real tokenizer of
    the R1 distills (byte-pair encoding, 152k entries, cut or padded to the shape's vocabulary), or
    the tokens themselves. `weights="hole"` leaves the tensors as a hole in the file: right for
    headers and memory figures, not for running.
    """
    roles = dict(role_formats or {})
    writer = gguf.GGUFWriter(path, shape.architecture)
    _write_shape(writer, shape)
    _write_vocabulary(writer, shape, vocab_tokens)
    tensors = [(tensor, roles.get(tensor.role, format)) for tensor in model_tensors(shape)]
    for tensor, block_format in tensors:
        kind = _ggml_type(tensor, block_format)
        writer.add_tensor_info(
            tensor.name,
            gguf.quant_shape_to_byte_shape(tensor.shape[::-1], kind),
            np.dtype(np.uint8),
            tensor_bytes(tensor, block_format),
            raw_dtype=kind,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    _write_weights(path, tensors, weights, np.random.default_rng(seed))
    return path


def write_small_gguf(path: Path, format: str = "Q4_0", *, tied: bool = True) -> Path:
    """A model of 10 million random weights with a byte-level tokenizer that every engine loads in a
    moment."""
    shape = _llama(4, 512, 1024, 8, 4, vocab_size=320, context_length=512, tied_embeddings=tied)
    tokens = byte_level_tokens(shape.vocab_size)
    return write_shape_gguf(path, shape, format, vocab_tokens=tokens)


def byte_level_tokens(count: int, padding: int = 0) -> list[str]:
    """A vocabulary of `count` tokens that can spell any text, then `padding` unused ones."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    tokens = [chr(byte) for byte in (*plain, *range(256, 512 - len(plain)))]
    tokens += ['!"', *(f"<pad{n}>" for n in range(count - 257))]
    return tokens + [f"[PAD{count + n}]" for n in range(padding)]


def _ggml_type(tensor: TensorShape, block_format: str) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType[block_format.upper() if tensor.matrix else "F32"]


def _write_shape(writer: gguf.GGUFWriter, shape: ModelShape) -> None:
    writer.add_name("random weights")
    writer.add_block_count(shape.block_count)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.embedding_length)
    writer.add_feed_forward_length(shape.feed_forward_length)
    writer.add_head_count(shape.head_count)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape.vocab_size)
    if shape.attention == "MLA":
        # The engine caches one shared latent head; the per-head sizes have keys of their own.
        writer.add_head_count_kv(1)
        writer.add_key_length(shape.kv_lora_rank + shape.rope_dimension_count)
        writer.add_value_length(shape.kv_lora_rank)
        writer.add_key_length_mla(shape.key_length)
        writer.add_value_length_mla(shape.value_length)
        writer.add_kv_lora_rank(shape.kv_lora_rank)
        if shape.q_lora_rank:
            writer.add_q_lora_rank(shape.q_lora_rank)
    else:
        writer.add_head_count_kv(shape.head_count_kv)
        writer.add_key_length(shape.key_length)
        writer.add_value_length(shape.value_length)
    if shape.rope_dimension_count:
        writer.add_rope_dimension_count(shape.rope_dimension_count)
    if shape.expert_count:
        writer.add_expert_count(shape.expert_count)
        writer.add_expert_used_count(shape.expert_used_count)
        writer.add_expert_shared_count(shape.expert_shared_count)
        writer.add_expert_feed_forward_length(shape.expert_feed_forward_length)
        writer.add_expert_weights_scale(1.0)
        writer.add_leading_dense_block_count(shape.leading_dense_block_count)


def _write_vocabulary(
    writer: gguf.GGUFWriter, shape: ModelShape, tokens: Sequence[str] | str
) -> None:
    if tokens == "none":
        writer.add_tokenizer_model("none")
    elif tokens == "qwen2":
        _copy_tokenizer(writer, shape.vocab_size)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(list(tokens))
        writer.add_token_types([5 if token.startswith("[PAD") else 1 for token in tokens])
        writer.add_token_merges([f"{tokens[0]} {tokens[1]}"])  # llama.cpp wants one at least


@cache
def _tokenizer_fields() -> tuple[tuple[str, Any, tuple[Any, ...]], ...]:
    """(key, value, types) of every tokenizer field of the real header; slow, hence kept."""
    return tuple(
        (key, field.contents(), tuple(field.types))
        for key, field in header_reader(HEADER).fields.items()
        if key.startswith("tokenizer.")
    )


def _copy_tokenizer(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    for key, whole, types in _tokenizer_fields():
        value = whole
        if key.endswith("_token_id") and value >= vocab_size:
            value = vocab_size - 1
        if key in ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type"):
            pad = 5 if key.endswith("token_type") else None  # 5: unused
            value = [
                value[i] if i < len(value) else (pad if pad else f"<pad{i}>")
                for i in range(vocab_size)
            ]
        writer.add_key_value(key, value, types[0], types[1] if len(types) > 1 else None)


class _HeaderReader(gguf.GGUFReader):  # type: ignore[misc]  # gguf has no types
    """A reader of files whose weights are missing."""

    def _build_tensors(self, start_offs: int, fields: list[gguf.ReaderField]) -> None:
        self.tensors: list[gguf.ReaderTensor] = []


def header_reader(packed: Path) -> gguf.GGUFReader:
    """Read a header kept as .xz; the tensors' data is not there."""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(lzma.decompress(packed.read_bytes()))
        file.flush()
        return _HeaderReader(file.name)


def _write_weights(
    path: Path,
    tensors: Sequence[tuple[TensorShape, str]],
    weights: str,
    rng: np.random.Generator,
) -> None:
    pools: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = {}
    alignment = 32
    with path.open("r+b") as file:
        file.seek(0, 2)
        position = -(-file.tell() // alignment) * alignment
        for tensor, block_format in tensors:
            size = tensor_bytes(tensor, block_format)
            if weights == "random":
                name = block_format if tensor.matrix else "F32"
                if name not in pools:
                    pools[name] = _random_blocks(name, rng)
                file.seek(position)
                _write_tiled(file, pools[name], size, _start(name, pools[name].size, rng))
            position += -(-size // alignment) * alignment
        file.truncate(position)


def _start(name: str, size: int, rng: np.random.Generator) -> int:
    """Where in the pool a tensor begins. No two tensors may be alike: onnxruntime keeps equal
    weights once, and a model of equal blocks would run from the processor's cache."""
    unit: int = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]][1]
    return int(rng.integers(size // unit)) * unit


def _write_tiled(
    file: Any, pool: np.ndarray[Any, np.dtype[np.uint8]], size: int, start: int
) -> None:
    while size > 0:
        part = min(size, pool.size - start)
        file.write(pool[start : start + part].data)
        size, start = size - part, 0


def _random_blocks(
    block_format: str, rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """About 16 MB of blocks with random quants and small finite scales."""
    kind = gguf.GGMLQuantizationType[block_format.upper()]
    nbytes: int = gguf.GGML_QUANT_SIZES[kind][1]
    count = (16 << 20) // nbytes
    name = block_format.upper()
    if name == "F32":
        return np.abs(rng.normal(1.0, 0.02, count)).astype(np.float32).view(np.uint8)
    if name in ("F16", "BF16"):
        floats = rng.normal(0.0, 0.02, count).astype(np.float32)
        if name == "F16":
            return floats.astype(np.float16).view(np.uint8)
        return (floats.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    blocks = rng.integers(0, 256, (count, nbytes), dtype=np.uint8)
    scale_at = {"Q4_0": (0,), "Q4_1": (0, 2), "Q8_0": (0,), "Q4_K": (0, 2), "Q6_K": (nbytes - 2,)}
    scale = {"Q8_0": 0.0003, "Q4_K": 0.0003, "Q6_K": 0.00003}.get(name, 0.005)
    for offset in scale_at[name]:
        sign = -8.0 if (name == "Q4_1" and offset == 2) else 1.0
        scales = scale * sign * rng.uniform(0.9, 1.1, (count, 1))
        blocks[:, offset : offset + 2] = scales.astype(np.float16).view(np.uint8)
    return blocks.reshape(-1)
