"""What a quantization will take and give, before it is done: size and time.

Knows shapes, recipes and rates measured on one machine; reads no file.
"""

from collections import Counter
from dataclasses import dataclass

from quant.formats import format_named
from quant.recipe import QuantRecipe, fallback_for
from quant.roles import TensorRole
from runtime.plan import PlanModel
from runtime.shape import ModelShape, TensorShape, model_tensors, tensor_bytes, weight_bytes_by

# Processor seconds per weight, the 1.5B shape's matrices on two threads. A search tries 14 scales
# for each block and refits the best; the rest is reading, rounding and writing.
_SECONDS_PER_WEIGHT = {
    ("gguf", "llama.cpp"): 1.2e-8,
    ("gguf", "round"): 1.2e-8,
    ("gguf", "search"): 5.5e-8,
    ("onnx", "round"): 1.2e-8,
    ("onnx", "search"): 5e-8,
    ("gguf", "feedback"): 2e-6,
    ("onnx", "feedback"): 2e-6,
}
# llama.cpp tries many scales for blocks with uneven steps, whatever the method is: the starter's
# 135 million weights took 54 s of processor time in IQ4_NL where they take 1 to 5 s otherwise.
_SLOW_FORMATS = frozenset({"IQ4_NL", "IQ4_XS"})
_SLOW_SECONDS_PER_WEIGHT = 4e-7
# Running the bundled calibration text (7,500 tokens) through full-precision weights once.
_IMPORTANCE_SECONDS_PER_WEIGHT = 4e-7
_START_SECONDS = 2.0  # a child process, its imports, the header
_ROLES = {"experts": TensorRole.EXPERT}  # the one role that has another name in `runtime.shape`


FAST = "onnx-q4-fast"  # its blocks gain nothing where rows must be padded to whole ones
FAST_BLOCK = 128


@dataclass(frozen=True)
class Expected:
    """Bytes of the result, its bits per weight, and about how many seconds it takes here."""

    size: int
    bits_per_weight: float
    seconds: float


def expected(shape: ModelShape, recipe: QuantRecipe, threads: int) -> Expected:
    """What `recipe` would make of a model of this shape with so many threads."""
    bits = weights = slow = 0.0
    for tensor in model_tensors(shape):
        wanted = _format_of(tensor, shape, recipe)
        width = format_named(wanted).bits_per_weight if wanted else 32.0
        bits += width * tensor.parameters
        weights += tensor.parameters
        slow += tensor.parameters if wanted in _SLOW_FORMATS else 0
    method = "round" if recipe.method == "llama.cpp" and recipe.family == "onnx" else recipe.method
    rate = _SECONDS_PER_WEIGHT[recipe.family, method]
    if recipe.importance == "required":
        rate += _IMPORTANCE_SECONDS_PER_WEIGHT
    work = weights * rate + slow * _SLOW_SECONDS_PER_WEIGHT
    seconds = _START_SECONDS + work / max(threads, 1)
    return Expected(round(bits / 8), bits / weights, seconds)


def planned(shape: ModelShape, recipe: QuantRecipe, *, reasoning: bool = False) -> PlanModel:
    """What `recipe` would make, as a planner must know it."""
    sizes: Counter[str] = Counter()

    def size(tensor: TensorShape) -> int:
        wanted = _format_of(tensor, shape, recipe)
        if wanted is None:
            return 4 * tensor.parameters
        nbytes = tensor_bytes(tensor, wanted)
        sizes[wanted] += nbytes
        return nbytes

    weights = weight_bytes_by(shape, size)
    return PlanModel(
        shape,
        weights,
        (recipe.family,),
        block_format=sizes.most_common(1)[0][0],
        reasoning=reasoning,
        exact_weights=False,
    )


def _format_of(tensor: TensorShape, shape: ModelShape, recipe: QuantRecipe) -> str | None:
    """The format a tensor gets, with what replaces it where its rows do not fit the blocks; None
    for 32-bit floats."""
    if not tensor.matrix:
        return None
    role = _ROLES.get(tensor.role) or TensorRole(tensor.role)
    tied, count = shape.tied_embeddings, shape.block_count
    wanted = recipe.format_for(tensor.name, role, block_count=count, tied=tied)
    return fallback_for(wanted, tensor.shape[0]) if wanted else None


def rows_fit(shape: ModelShape, block: int) -> bool:
    """Whether every row of the blocks' matrices is whole blocks of `block` weights."""
    rows = (
        shape.embedding_length,
        shape.head_count * shape.value_length,
        shape.feed_forward_length,
    )
    return all(length % block == 0 for length in rows)
