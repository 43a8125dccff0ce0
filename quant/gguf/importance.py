"""Importance matrices: how strongly each input column of each weight matrix is used.

Reads and writes the GGUF form that llama.cpp's tools share (per tensor `NAME.in_sum2`, sums of
squared inputs, and `NAME.counts`). Knows arrays and files; `runtime.tasks.evaluation` computes
them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf.constants import GGUFValueType

from quant.checkpoint.sources import open_gguf
from quant.errors import CorruptCheckpoint
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf

F32 = npt.NDArray[np.float32]

_SUMS, _COUNTS = ".in_sum2", ".counts"


def read_importance(path: Path) -> dict[str, F32]:
    """Tensor name -> mean square of the activations of each input column, float32 [k] or
    [experts, k].

    Experts no token reached get the mean of the others. Raises CorruptCheckpoint.
    """
    source = open_gguf(path)
    found: dict[str, F32] = {}
    for name, tensor in source.tensors.items():
        if not name.endswith(_SUMS):
            continue
        weight = name.removesuffix(_SUMS)
        sums = tensor.values().reshape(-1, tensor.shape[-1])
        counts = source.tensors.get(weight + _COUNTS)
        if counts is None or counts.elements != len(sums):
            raise CorruptCheckpoint(path=str(path), reason="no_counts", tensor=name)
        seen = counts.values().reshape(-1, 1)
        if not np.isfinite(sums).all() or not np.isfinite(seen).all() or (sums < 0).any():
            raise CorruptCheckpoint(path=str(path), reason="impossible_sums", tensor=name)
        found[weight] = _means(sums, seen)
    if not found:
        raise CorruptCheckpoint(path=str(path), reason="no_importance")
    return found


def _means(sums: F32, counts: F32) -> F32:
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    reached = counts[:, 0] > 0
    if reached.any():
        means[~reached] = means[reached].mean(axis=0)
    else:
        means[:] = 1
    return means[0] if len(means) == 1 else means


def write_importance(
    target: Path, sums: Mapping[str, F32], counts: Mapping[str, F32], dataset: str, chunk: int
) -> None:
    """Write sums of squares [experts, k] and token counts [experts] of each tensor; `dataset`
    names the text, `chunk` is the tokens evaluated at a time."""
    uint32, text = int(GGUFValueType.UINT32), int(GGUFValueType.STRING)
    tokens = max((float(np.max(value)) for value in counts.values()), default=0.0)
    metadata = {
        "general.type": GgufValue(text, "imatrix"),
        "imatrix.datasets": GgufValue(int(GGUFValueType.ARRAY), [dataset], text),
        "imatrix.chunk_count": GgufValue(uint32, max(1, round(tokens / chunk))),
        "imatrix.chunk_size": GgufValue(uint32, chunk),
    }
    arrays: dict[str, F32] = {}
    for name in sorted(sums):
        arrays[name + _SUMS] = np.atleast_2d(sums[name]).astype(np.float32)
        arrays[name + _COUNTS] = np.asarray(counts[name], dtype=np.float32).reshape(-1, 1)
    slots = [TensorSlot(name, array.shape, "F32") for name, array in arrays.items()]
    write_gguf(target, metadata, slots, lambda slot: [arrays[slot.name]])
