"""A model that answers as if some of its weights were others, without a weight being written.

While llama.cpp evaluates a text, it calls back after each graph node; to the output of a chosen
matrix is then added what the difference of its weights would have added. So the file stays mapped
and read-only, whatever it is stored in, and any number of variants are tried with it.
Imports the native library, so job processes only. Knows no quantization: differences are given.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.backends.llama.binding import native
from runtime.backends.llama.evaluation import LlamaEvaluator
from runtime.backends.llama.graph_tensor import (
    GraphTensor,
    array_of,
    operation_name,
    weight_name,
)

F32 = npt.NDArray[np.float32]

# Rows start..stop of what is to be added to a matrix's weights, float32 [stop - start, k]; rows
# count through all leading dimensions, and a range never crosses from one matrix to the next.
Difference = Callable[[int, int], F32]

_SLAB = 1 << 20  # weights at once


class Perturbation:
    """The differences in force, by tensor; none at first."""

    def __init__(self) -> None:
        self.differences: Mapping[str, Difference] = {}
        self.errors: list[BaseException] = []
        self.callback = native.ggml_backend_sched_eval_callback(self._on_node)

    def _on_node(self, pointer: int, ask: bool, _user_data: object) -> bool:
        try:
            node = GraphTensor.at(pointer)
            name = weight_name(node)
            difference = self.differences.get(name) if name else None
            if difference is None:
                return not ask
            add = _ADDITIONS.get(operation_name(node))
            if add is None or ask:
                return add is not None or not ask
            add(node, difference)
        except BaseException as error:  # an exception must not cross the C frame
            self.errors.append(error)
            return False
        return True


def _add_matrix(node: GraphTensor, difference: Difference) -> None:
    """MUL_MAT: outputs [.., tokens, n] of inputs [.., tokens, k]; the third dimension counts the
    matrices of a tensor that has one for each head."""
    output, inputs = array_of(node), array_of(node.src[1].contents)
    rows = output.shape[-1]
    own = int(node.src[0].contents.ne[2])
    for matrix in range(own):
        heads = slice(None) if own == 1 else slice(matrix, matrix + 1)
        for start, stop in _ranges(rows, inputs.shape[-1]):
            added = difference(matrix * rows + start, matrix * rows + stop)
            output[:, heads, :, start:stop] += inputs[:, heads] @ added.T


def _add_experts(node: GraphTensor, difference: Difference) -> None:
    """MUL_MAT_ID: outputs [tokens, used, n] of inputs [tokens, 1 or used, k] by experts' ids."""
    output, inputs = array_of(node)[0], array_of(node.src[1].contents)[0]
    ids = array_of(node.src[2].contents)[0, 0]
    rows = output.shape[-1]
    inputs = np.broadcast_to(inputs, (*ids.shape, inputs.shape[-1]))
    for expert in np.unique(ids):
        where = ids == expert
        for start, stop in _ranges(rows, inputs.shape[-1]):
            added = difference(int(expert) * rows + start, int(expert) * rows + stop)
            part = output[..., start:stop]
            part[where] += inputs[where] @ added.T


def _add_rows(node: GraphTensor, difference: Difference) -> None:
    """GET_ROWS: the table's rows of the tokens' ids."""
    output, ids = array_of(node)[0, 0], array_of(node.src[1].contents)[0, 0, 0]
    for row in np.unique(ids):
        output[ids == row] += difference(int(row), int(row) + 1)


_ADDITIONS = {"MUL_MAT": _add_matrix, "MUL_MAT_ID": _add_experts, "GET_ROWS": _add_rows}


def _ranges(rows: int, columns: int) -> list[tuple[int, int]]:
    step = max(1, _SLAB // columns)
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def open_perturbed(path: Path, threads: int, context: int) -> tuple[LlamaEvaluator, Perturbation]:
    """An evaluator of a GGUF file and what changes its weights. A window of `context` tokens is
    evaluated in one go, for a difference is made anew each time. Raises CorruptFile,
    ModelFileError."""
    change = Perturbation()
    return LlamaEvaluator(path, threads, context, change.callback, batch=context), change
