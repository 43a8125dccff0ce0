"""How far two checkpoints' weights lie apart, by role.

Reads samples of rows from both; knows no engine.
"""

from collections.abc import Mapping

import numpy as np

from quant.roles import TensorRole, role_of
from quant.views import GgufView

_ROWS = 32


def weight_errors(source: GgufView, target: GgufView) -> Mapping[str, float]:
    """Relative root mean square error by role, over evenly spread rows of every weight matrix that
    both hold in the same shape."""
    theirs = {tensor.name: tensor for tensor in target.tensors}
    totals: dict[TensorRole, tuple[float, float]] = {}
    for tensor in source.tensors:
        other = theirs.get(tensor.name)
        role = role_of(tensor.name, source.architecture)
        if other is None or other.shape != tensor.shape or len(tensor.shape) < 2:
            continue
        squares, reference = totals.get(role, (0.0, 0.0))
        for row in np.linspace(0, tensor.row_count - 1, min(_ROWS, tensor.row_count), dtype=int):
            expected = tensor.rows(int(row), int(row) + 1).astype(np.float64)
            error = other.rows(int(row), int(row) + 1) - expected
            # Weighted by elements, so that a role's figure is that of all its weights.
            share = tensor.elements / min(_ROWS, tensor.row_count) / tensor.row_length
            squares += share * float((error**2).sum())
            reference += share * float((expected**2).sum())
        totals[role] = (squares, reference)
    return {role.value: (e / r) ** 0.5 for role, (e, r) in totals.items() if r}
