"""A GGUF file cut into shards, as llama.cpp's own splitter leaves them."""

from pathlib import Path
from typing import Any

from quant.checkpoint.sources import open_source
from quant.gguf.views import ViewTensor, view_of_gguf
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf


def split(path: Path, count: int) -> list[Path]:
    """Write `count` shards beside `path`; each has every `count`-th tensor."""
    view = view_of_gguf(open_source(path))
    parts = []
    for index in range(count):
        tensors = {t.name: t for t in view.tensors[index::count]}
        own = {
            "split.no": GgufValue(2, index),
            "split.count": GgufValue(2, count),
            "split.tensors.count": GgufValue(5, len(view.tensors)),
        }
        metadata = {**(view.metadata if index == 0 else {}), **own}
        slots = [TensorSlot(t.name, t.shape, t.format) for t in tensors.values()]
        part = path.with_name(f"{path.stem}-{index + 1:05d}-of-{count:05d}.gguf")

        def data(slot: TensorSlot, tensors: dict[str, ViewTensor] = tensors) -> list[Any]:
            tensor = tensors[slot.name]
            assert tensor.raw is not None
            return [tensor.raw(0, tensor.row_count)]

        write_gguf(part, metadata, slots, data)
        parts.append(part)
    return parts
