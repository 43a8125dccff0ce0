"""A checkpoint as the GGUF file it is to become: metadata and tensors under GGUF names.

The meeting point of every source and every recipe: a GGUF file is its own view, a safetensors
checkpoint is given one by `quant.gguf.safetensors_view`. Knows no recipe.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.checkpoint.sources import Source, SourceTensor
from quant.gguf.writer import GgufValue

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ViewTensor:
    """One tensor of the file to be written.

    `rows(start, stop)` gives float32 rows counted through all leading dimensions, never across two
    matrices of the last two; `raw(start, stop)` the stored bytes of rows that may be copied as they
    are, None where the stored bytes are not those of `format`.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    rows: Callable[[int, int], F32]
    raw: Callable[[int, int], U8] | None = None

    @property
    def row_length(self) -> int:
        return self.shape[-1]

    @property
    def row_count(self) -> int:
        return math.prod(self.shape[:-1])

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def slabs(self, weights: int) -> Iterator[tuple[int, int]]:
        """Row ranges of about `weights` weights that never cross from one matrix to the next."""
        matrix = self.shape[-2] if len(self.shape) > 1 else 1
        step = max(1, weights // max(self.row_length, 1))
        for first in range(0, self.row_count, matrix):
            for start in range(first, first + matrix, step):
                yield start, min(start + step, first + matrix)


@dataclass(frozen=True)
class GgufView:
    """What a GGUF file would hold. `path` is where it comes from, `source_bytes` its weights'
    size there."""

    path: Path
    metadata: Mapping[str, GgufValue]
    tensors: tuple[ViewTensor, ...]
    source_bytes: int

    @property
    def architecture(self) -> str:
        found = self.metadata.get("general.architecture")
        return str(found.value) if found else ""

    @property
    def block_count(self) -> int:
        found = self.metadata.get(f"{self.architecture}.block_count")
        return found.value if found and isinstance(found.value, int) else 0

    @property
    def tied_embeddings(self) -> bool:
        return all(tensor.name != "output.weight" for tensor in self.tensors)


def view_of_gguf(source: Source) -> GgufView:
    """The view of an opened GGUF file: itself."""
    if source.header is None:
        raise TypeError(f"{source.path} is no GGUF file")
    metadata = {
        key: GgufValue(kind, source.header.metadata[key], items)
        for key, (kind, items) in source.header.value_types.items()
    }
    return GgufView(source.path, metadata, tuple(map(_view, source)), source.nbytes)


def _view(tensor: SourceTensor) -> ViewTensor:
    per_row = tensor.raw.size // max(tensor.row_count, 1)
    return ViewTensor(
        tensor.name,
        tensor.shape,
        tensor.format,
        tensor.rows,
        lambda start, stop: tensor.raw[start * per_row : stop * per_row],
    )
