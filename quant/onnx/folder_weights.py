"""The 4-bit matrices of an exported folder, and how far they lie from their checkpoint.

Reads rows where the graphs say they lie in the weight file. Knows the names `quant.onnx.stages`
gives them; runs no engine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from quant.checkpoint.sources import Source
from quant.errors import IncompatibleShape, MissingTensor, UnsupportedFormat
from quant.onnx.blocks import PackedRows, dequantize_rows
from quant.onnx.checkpoint import Checkpoint, open_checkpoint
from quant.onnx.manifest import FolderManifest, read_manifest
from quant.quality.weight_error import WeightPair, errors_by_role
from quant.roles import role_of

F32 = npt.NDArray[np.float32]

_STORED = {"packed": np.uint8, "scales": np.float32, "zeros": np.uint8}
# The name of a matrix of block {} -> the parts whose rows it holds, one after another.
_MATRICES = {
    "block.{}.attention.qkv": ("q", "k", "v"),
    "block.{}.attention.o": ("o",),
    "block.{}.gate_up": ("gate", "up"),
    "block.{}.down": ("down",),
}


@dataclass(frozen=True)
class FolderMatrix:
    """A stored matrix [n, k]: its arrays by the end of their name, mapped, one row each row."""

    k: int
    arrays: Mapping[str, npt.NDArray[np.generic]]

    def rows(self, start: int, stop: int) -> F32:
        """Rows start..stop as onnxruntime decodes them, float32 [stop - start, k]."""
        packed, scales = self.arrays["packed"][start:stop], self.arrays["scales"][start:stop]
        zeros = self.arrays["zeros"][start:stop] if "zeros" in self.arrays else None
        half = packed.shape[1] // scales.shape[1]
        cut = packed.reshape(stop - start, scales.shape[1], half)
        return dequantize_rows(PackedRows(cut, scales, zeros, 0.0, 0.0), self.k)  # type: ignore[arg-type]


def folder_weight_errors(source: Source, folder: Path) -> Mapping[str, float | None]:
    """Relative root mean square error by role of the folder's matrices, as `weight_errors`; empty
    where `source` holds no decoder of the folder's dimensions.

    Raises CorruptCheckpoint for a damaged manifest.
    """
    manifest = read_manifest(folder)
    try:
        checkpoint = open_checkpoint(source)
    except (IncompatibleShape, MissingTensor, UnsupportedFormat):
        return {}
    ours, theirs = checkpoint.spec, manifest.spec
    for name in ("block_count", "embedding_length", "feed_forward_length", "q_rows", "kv_rows"):
        if getattr(ours, name) != getattr(theirs, name):
            return {}
    return errors_by_role(_pairs(checkpoint, folder, manifest))


def _pairs(checkpoint: Checkpoint, folder: Path, manifest: FolderManifest) -> Iterator[WeightPair]:
    """Every matrix of the checkpoint with the rows of the folder that stand for it."""
    spec = manifest.spec
    tables = _Tables(folder, manifest)
    top = {"embedding": (manifest.embeddings, "table")}
    if not checkpoint.spec.tied_embeddings:
        top["lm_head"] = (manifest.lm_head, "lm_head")
    for part, (graph, name) in top.items():
        found = tables.matrix(graph, name, spec.vocab_size, spec.embedding_length)
        tensor = checkpoint.top(part)
        yield WeightPair(role_of(tensor.gguf_name), tensor.source.shape, tensor.rows, found.rows)
    for index in range(spec.block_count):
        for pattern, parts in _MATRICES.items():
            tensors = [checkpoint.block(index, part) for part in parts]
            n, k = sum(t.source.shape[0] for t in tensors), tensors[0].source.shape[1]
            found, first = tables.matrix(manifest.body, pattern.format(index), n, k), 0
            for tensor in tensors:
                yield WeightPair(
                    role_of(tensor.gguf_name), tensor.source.shape, tensor.rows, found.rows, first
                )
                first += tensor.source.shape[0]


class _Tables:
    """The initializers of the folder's graphs, mapped from its weight file."""

    def __init__(self, folder: Path, manifest: FolderManifest) -> None:
        self._folder = folder
        self._bytes = np.memmap(folder / manifest.weights, np.uint8, "r")
        self._offsets: dict[str, dict[str, tuple[int, int]]] = {}

    def matrix(self, graph: str, name: str, n: int, k: int) -> FolderMatrix:
        """The matrix [n, k] called `name` in the graph file. Raises MissingTensor."""
        if graph not in self._offsets:
            self._offsets[graph] = _external(self._folder / graph)
        arrays = {}
        for end, dtype in _STORED.items():
            place = self._offsets[graph].get(f"{name}.{end}")
            if place is not None:
                offset, length = place
                arrays[end] = self._bytes[offset : offset + length].view(dtype).reshape(n, -1)
        if not {"packed", "scales"} <= set(arrays):
            raise MissingTensor(tensor=name, path=str(self._folder / graph))
        return FolderMatrix(k, arrays)


def _external(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and length in the weight file of every initializer that lies there."""
    found = {}
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if "offset" in entries and "length" in entries:
            found[tensor.name] = (int(entries["offset"]), int(entries["length"]))
    return found
