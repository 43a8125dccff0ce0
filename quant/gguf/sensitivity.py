"""How much of a matrix's output each format puts wrong, and the room it takes in a GGUF file.

Knows views, encoders and importance matrices; runs no model.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quant.allocation import Allocation, Sensitivities, Sensitivity, allocate
from quant.blocks.encoders import Encoder, RowQuantizer, decode
from quant.errors import MissingTensor
from quant.formats import format_named
from quant.gguf.export import allocatable, importance_of, metadata_of, plan
from quant.gguf.views import GgufView, ViewTensor
from quant.gguf.writer import file_size, padded
from quant.recipe import RECIPES

F32 = npt.NDArray[np.float32]

# What an engine decodes fast on a CPU, by the rows that can be cut into it. Formats below 3 bits
# and codebooks of 3 bits are left out: the former lose too much, the latter decode slowly. Q4_0 and
# Q4_1 are, at their sizes, no better than IQ4_NL and Q4_K, but rows of odd lengths have no Q4_K.
CANDIDATES = ("Q3_K", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
SHORT_CANDIDATES = ("MXFP4", "IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
# What strengths are measured with: rough, so that its effect stands out, and quick to make.
PROBE = "Q4_0"

_MATRICES, _PARTS, _ROWS = 8, 6, 48  # of a tensor, of each of its matrices, and their rows


def candidates(row: int, among: Sequence[str] = ()) -> tuple[str, ...]:
    """The formats that rows of so many weights can take; of `among`, where it is given."""
    formats = among or (CANDIDATES if row % 256 == 0 else SHORT_CANDIDATES)
    return tuple(name for name in formats if row % format_named(name).block_size == 0)


def matrices(view: GgufView) -> tuple[ViewTensor, ...]:
    """The tensors that are allotted a format: weights whose rows fit one."""
    found = (each for each in view.tensors if allocatable(each, view.architecture))
    return tuple(tensor for tensor in found if candidates(tensor.row_length))


def errors_of(
    tensor: ViewTensor,
    formats: Sequence[str],
    encoder: Encoder,
    importance: Mapping[str, F32],
    *,
    weighing: bool = True,
) -> dict[str, float]:
    """Format -> share of the output's energy that it puts wrong, from a sample of rows:
    sum((w - w')^2 m) / sum(w^2 m), m being the mean squares of the inputs. Unless `weighing`, the
    encoder is not told them."""
    energy, wrong = 0.0, dict.fromkeys(formats, 0.0)
    for start, stop in _sample(tensor):
        rows, given = tensor.rows(start, stop), importance_of(tensor, importance, start)
        energy += _energy(rows, given)
        for name in formats:
            blocks = encoder.encode(name, rows, given if weighing else None)
            wrong[name] += _energy(decode(name, blocks, tensor.row_length) - rows, given)
    return {name: value / energy if energy else 0.0 for name, value in wrong.items()}


def _sample(tensor: ViewTensor) -> Iterator[tuple[int, int]]:
    """Ranges of rows, evenly spread over the matrices of a tensor and over each of these."""
    per_matrix = tensor.shape[-2]
    count = tensor.row_count // per_matrix
    for matrix in np.unique(np.linspace(0, count - 1, min(count, _MATRICES), dtype=int)):
        first = int(matrix) * per_matrix
        parts = min(_PARTS, per_matrix)
        rows = min(-(-_ROWS // parts), per_matrix // parts)
        for part in range(parts):
            start = first + part * per_matrix // parts
            yield start, start + rows


def _energy(rows: F32, weights: F32 | None) -> float:
    squares = np.square(rows, dtype=np.float64).sum(axis=0)
    return float(squares.sum() if weights is None else squares @ weights.astype(np.float64))


def deviations(tensor: ViewTensor, native: RowQuantizer) -> Callable[[int, int], F32]:
    """What rounding to PROBE adds to a range of rows, never across two matrices."""

    def rows(start: int, stop: int) -> F32:
        exact = tensor.rows(start, stop)
        added: F32 = decode(PROBE, native.encode(PROBE, exact), tensor.row_length) - exact
        return added

    return rows


def unmeasured(view: GgufView, formats: Sequence[str] = ()) -> Sensitivities:
    """As if no format cost anything: enough to tell which sizes there are."""
    tensors = (
        Sensitivity(
            each.name, each.elements, 0.0, dict.fromkeys(candidates(each.row_length, formats), 0.0)
        )
        for each in matrices(view)
    )
    return Sensitivities(str(view.path), False, 0, 0, tuple(tensors))


def allocate_view(view: GgufView, found: Sensitivities, asked: int) -> Allocation:
    """The formats for a file of `asked` bytes in all. Raises SizeOutOfRange; MissingTensor where
    the sensitivities are those of another model."""
    by_name = {each.name: each for each in found.tensors}
    steps = plan(view, RECIPES["q8_0"])
    slots = [step.slot for step in steps]
    total, sizes, ours = file_size(metadata_of(view, steps), slots), {}, []
    for tensor in matrices(view):
        known = by_name.get(tensor.name)
        if known is None or known.elements != tensor.elements:
            raise MissingTensor(tensor=tensor.name, path=found.model)
        ours.append(known)
        slot = next(slot for slot in slots if slot.name == tensor.name)
        total -= padded(slot.nbytes)
        sizes[tensor.name] = {
            name: padded(replace(slot, format=name).nbytes) for name in known.errors
        }
    return allocate(ours, sizes, total, asked)


def size_of_bits(view: GgufView, bits: float) -> int:
    """The size of the file whose tensors take `bits` per weight on the average."""
    steps = plan(view, RECIPES["q8_0"])
    slots = [step.slot for step in steps]
    others = file_size(metadata_of(view, steps), slots) - sum(slot.nbytes for slot in slots)
    return others + round(bits * sum(slot.elements for slot in slots) / 8)
