"""Which weights a stored format can hold at all. Knows arrays; the tensor's name only to report it.

Scales are float16 in GGUF blocks, and sums of squares must not overflow while scales are sought: a
weight beyond float16 is refused in every format but the two that hold it as it is.
"""

from collections.abc import Mapping

import ml_dtypes
import numpy as np
import numpy.typing as npt

from quant.errors import NonFiniteWeights

_FLOAT16_MAX = float(np.finfo(np.float16).max)
_LARGEST: Mapping[str, float] = {
    "F32": float(np.finfo(np.float32).max),
    "BF16": float(ml_dtypes.finfo(ml_dtypes.bfloat16).max),
}


def refuse_unstorable(tensor: str, values: npt.NDArray[np.float32], format_name: str) -> None:
    """Raise NonFiniteWeights where `values` hold NaN, infinity or more than the format holds."""
    largest = _LARGEST.get(format_name, _FLOAT16_MAX)
    storable = int(np.count_nonzero(np.abs(values) <= largest))
    if storable != values.size:
        raise NonFiniteWeights(tensor=tensor, count=values.size - storable)
