"""Block sizes compared: the same weights rounded to 4 bits with one scale per tensor, per row
(output channel), or per block.

Gives views whose rows are already rounded, to be written at full precision and run by any engine.
Knows no file format.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quant.errors import InvalidRecipe
from quant.gguf.views import GgufView, ViewTensor
from quant.roles import TensorRole, role_of

F32 = npt.NDArray[np.float32]

# Scheme -> weights that share a scale; 0 the whole tensor, -1 a row (output channel).
SCHEMES: Mapping[str, int] = {
    "per-tensor": 0,
    "per-channel": -1,
    "block-128": 128,
    "block-64": 64,
    "block-32": 32,
}
_BITS = 4
_SCALE_BITS = 16
_CHUNK = 1 << 19
_WEIGHT_ROLES = frozenset(TensorRole) - {TensorRole.NORM, TensorRole.OTHER}


def round_to_grid(rows: F32, group: int, extreme: float | None = None) -> F32:
    """Rows [n, k] rounded to 16 levels d (q - 8) per group of weights, as Q4_0 does, scale in
    float16. `extreme` fixes the signed weight that maps to q = 0 for all of them."""
    if extreme is not None:
        scale = np.full((1, 1), extreme / -8, dtype=np.float32)
        return _rounded(rows, scale)
    size = rows.shape[1] if group == -1 else group
    if rows.shape[1] % size:
        size = rows.shape[1]
    groups = rows.reshape(-1, size)
    peaks = groups[np.arange(len(groups)), np.abs(groups).argmax(axis=1)]
    return _rounded(groups, (peaks / np.float32(-8))[:, None]).reshape(rows.shape)


def _rounded(groups: F32, scale: F32) -> F32:
    stored = scale.astype(np.float16).astype(np.float32)
    divisor = np.where(stored == 0, np.float32(1), stored)
    codes = np.clip(np.floor(groups / divisor + np.float32(8.5)), 0, 15)
    rounded: F32 = (codes - np.float32(8)) * stored
    return rounded


def scheme_view(view: GgufView, scheme: str) -> GgufView:
    """The view with every weight matrix rounded by `scheme`. Raises InvalidRecipe."""
    group = _group(scheme)
    return replace(
        view,
        tensors=tuple(
            replace(tensor, format="F32", rows=_rounding(tensor, group), raw=None)
            if _is_weight(view, tensor)
            else tensor
            for tensor in view.tensors
        ),
    )


def scheme_bits(view: GgufView, scheme: str) -> float:
    """Bits per weight of the rounded matrices under `scheme`, scales included."""
    group = _group(scheme)
    weights = [tensor for tensor in view.tensors if _is_weight(view, tensor)]
    total = sum(tensor.elements for tensor in weights)
    scales = sum(_scale_count(tensor, group) for tensor in weights)
    return _BITS + _SCALE_BITS * scales / total if total else 0.0


def _group(scheme: str) -> int:
    if scheme not in SCHEMES:
        raise InvalidRecipe(field="scheme", reason="not_known", value=scheme, choices=list(SCHEMES))
    return SCHEMES[scheme]


def _is_weight(view: GgufView, tensor: ViewTensor) -> bool:
    role = role_of(tensor.name, view.architecture)
    return len(tensor.shape) > 1 and role in _WEIGHT_ROLES and tensor.name.endswith(".weight")


def _scale_count(tensor: ViewTensor, group: int) -> int:
    if group == 0:
        return 1
    if group == -1 or tensor.row_length % group:
        return tensor.row_count
    return tensor.elements // group


def _rounding(tensor: ViewTensor, group: int) -> Callable[[int, int], F32]:
    if group != 0:
        return lambda start, stop: round_to_grid(tensor.rows(start, stop), group)
    found: list[float] = []  # the tensor's extreme, looked for once, at the first slab

    def rows(start: int, stop: int) -> F32:
        if not found:
            found.append(_extreme(tensor))
        return round_to_grid(tensor.rows(start, stop), group, found[0])

    return rows


def _extreme(tensor: ViewTensor) -> float:
    """The signed weight of largest magnitude of a whole tensor."""
    extreme = 0.0
    for start, stop in tensor.slabs(_CHUNK):
        rows = tensor.rows(start, stop)
        low, high = float(rows.min()), float(rows.max())
        peak = high if high >= -low else low
        extreme = peak if abs(peak) > abs(extreme) else extreme
    return extreme
