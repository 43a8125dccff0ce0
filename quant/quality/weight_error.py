"""How far two checkpoints' weights lie apart, by role.

Reads samples of rows from both; knows no engine.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.gguf.views import GgufView
from quant.roles import TensorRole, role_of

F32 = npt.NDArray[np.float32]

_ROWS = 32


@dataclass(frozen=True)
class WeightPair:
    """A weight matrix of `shape` in the source and in what was made of it, as functions of a range
    of rows; the latter's rows begin at `first`."""

    role: TensorRole
    shape: tuple[int, ...]
    source: Callable[[int, int], F32]
    target: Callable[[int, int], F32]
    first: int = 0


def weight_errors(source: GgufView, target: GgufView) -> Mapping[str, float | None]:
    """`errors_by_role` of every weight matrix that both hold in the same shape."""
    theirs = {tensor.name: tensor for tensor in target.tensors}
    return errors_by_role(
        WeightPair(role_of(ours.name, source.architecture), ours.shape, ours.rows, other.rows)
        for ours in source.tensors
        if (other := theirs.get(ours.name)) is not None
        and other.shape == ours.shape
        and len(ours.shape) > 1
    )


def errors_by_role(pairs: Iterable[WeightPair]) -> Mapping[str, float | None]:
    """Relative root mean square error by role, over evenly spread rows of every pair; None where it
    is not finite, as of damaged weights."""
    totals: dict[TensorRole, tuple[float, float]] = {}
    for pair in pairs:
        squares, reference = totals.get(pair.role, (0.0, 0.0))
        count = int(np.prod(pair.shape[:-1]))
        sampled = min(_ROWS, count)
        for row in map(int, np.linspace(0, count - 1, sampled, dtype=int)):
            expected = pair.source(row, row + 1).astype(np.float64)
            error = pair.target(pair.first + row, pair.first + row + 1) - expected
            # Weighted by elements, so that a role's figure is that of all its weights.
            squares += count / sampled * float((error**2).sum())
            reference += count / sampled * float((expected**2).sum())
        totals[pair.role] = (squares, reference)
    errors = {role.value: (e / r) ** 0.5 for role, (e, r) in totals.items() if r}
    return {role: error if math.isfinite(error) else None for role, error in errors.items()}
