"""GGUF files: headers written by hand, so that a reader is tested against the format and not a
library, and files written anew: in shards, as llama.cpp's own splitter leaves them, or with other
metadata.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quant.checkpoint.sources import open_source
from quant.gguf.views import ViewTensor, view_of_gguf
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
F32_TENSOR, Q4_0_TENSOR = 0, 2
_CODES = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}

LLAMA: dict[str, tuple[int, Any]] = {
    "general.architecture": (STRING, "llama"),
    "general.name": (STRING, "Tiny"),
    "llama.block_count": (U32, 2),
    "llama.embedding_length": (U32, 64),
    "llama.feed_forward_length": (U32, 128),
    "llama.attention.head_count": (U32, 4),
    "llama.attention.head_count_kv": (U32, 2),
    "llama.context_length": (U32, 512),
    "tokenizer.ggml.tokens": (ARRAY, (STRING, ["a", "b", "c", "d"])),
}
TENSORS = (
    ("token_embd.weight", (64, 4), Q4_0_TENSOR),
    ("blk.0.attn_q.weight", (64, 64), Q4_0_TENSOR),
    ("blk.1.attn_q.weight", (64, 64), Q4_0_TENSOR),
    ("output_norm.weight", (64,), F32_TENSOR),
)


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(
            value_bytes(inner, item) for item in items
        )
    return struct.pack(_CODES[kind], value)


def tensor_size(dims: Sequence[int], kind: int) -> int:
    count = 1
    for dim in dims:
        count *= dim
    return count * 4 if kind == F32_TENSOR else count // 32 * 18


def gguf(
    metadata: Mapping[str, tuple[int, Any]] = LLAMA,
    tensors: Sequence[tuple[str, Sequence[int], int]] = TENSORS,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    offsets: Mapping[str, int] | None = None,
    weights: bool = True,
) -> bytes:
    """A whole file; `counts` and `offsets` put lies in the place of what is true."""
    n_tensors, n_values = counts or (len(tensors), len(metadata))
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_values)
    for key, (kind, value) in metadata.items():
        head += text(key) + struct.pack("<I", kind) + value_bytes(kind, value)
    offset = 0
    for name, dims, kind in tensors:
        place = (offsets or {}).get(name, offset)
        head += text(name) + struct.pack("<I", len(dims))
        head += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, place)
        offset += -(-tensor_size(dims, kind) // 32) * 32
    head += bytes(-len(head) % 32)
    return head + bytes(offset if weights else 0)


def split(path: Path, count: int) -> list[Path]:
    """Write `count` shards beside `path`; each has every `count`-th tensor."""
    view = view_of_gguf(open_source(path))
    parts = []
    for index in range(count):
        own = {
            "split.no": GgufValue(2, index),
            "split.count": GgufValue(2, count),
            "split.tensors.count": GgufValue(5, len(view.tensors)),
        }
        part = path.with_name(f"{path.stem}-{index + 1:05d}-of-{count:05d}.gguf")
        _write(part, {**(view.metadata if index == 0 else {}), **own}, view.tensors[index::count])
        parts.append(part)
    return parts


def with_template(path: Path, target: Path, template: str) -> None:
    """Write the file again as `target`, with another chat template."""
    view = view_of_gguf(open_source(path))
    own = {"tokenizer.chat_template": GgufValue(STRING, template)}
    _write(target, {**view.metadata, **own}, view.tensors)


def _write(target: Path, metadata: Mapping[str, GgufValue], tensors: Sequence[ViewTensor]) -> None:
    known = {tensor.name: tensor for tensor in tensors}

    def data(slot: TensorSlot) -> list[Any]:
        tensor = known[slot.name]
        assert tensor.raw is not None
        return [tensor.raw(0, tensor.row_count)]

    write_gguf(target, metadata, [TensorSlot(t.name, t.shape, t.format) for t in tensors], data)
