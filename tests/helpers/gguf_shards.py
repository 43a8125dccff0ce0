"""GGUF files written anew: cut into shards, as llama.cpp's own splitter leaves them, or with other
metadata."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quant.checkpoint.sources import open_source
from quant.gguf.views import ViewTensor, view_of_gguf
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf

STRING = 8  # GGUF's number for the type


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
