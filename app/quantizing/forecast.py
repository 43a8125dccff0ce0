"""What a quantization will take and give, before it is done: size and time.

Knows shapes, recipes and rates measured on one machine; reads no file.
"""

from dataclasses import dataclass

from quant.formats import format_named
from quant.recipe import QuantRecipe
from quant.roles import TensorRole
from runtime.shape import ModelShape, model_tensors

# Processor seconds per weight, the 1.5B shape's matrices on two threads. A search tries 14 scales
# for each block and refits the best; the rest is reading, rounding and writing.
_SECONDS_PER_WEIGHT = {
    ("gguf", "llama.cpp"): 1.2e-8,
    ("gguf", "round"): 1.2e-8,
    ("gguf", "search"): 5.5e-8,
    ("onnx", "round"): 1.2e-8,
    ("onnx", "search"): 5e-8,
    ("gguf", "feedback"): 1.2e-6,
    ("onnx", "feedback"): 1.2e-6,
}
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
    bits = weights = 0.0
    for tensor in model_tensors(shape):
        wanted = None
        if tensor.matrix:
            wanted = recipe.format_for(
                tensor.name,
                _ROLES.get(tensor.role) or TensorRole(tensor.role),
                block_count=shape.block_count,
                tied=shape.tied_embeddings,
            )
        width = format_named(wanted).bits_per_weight if wanted else 32.0
        bits += width * tensor.parameters
        weights += tensor.parameters
    method = "round" if recipe.method == "llama.cpp" and recipe.family == "onnx" else recipe.method
    rate = _SECONDS_PER_WEIGHT[recipe.family, method]
    seconds = _START_SECONDS + weights * rate / max(threads, 1)
    return Expected(round(bits / 8), bits / weights, seconds)


def rows_fit(shape: ModelShape, block: int) -> bool:
    """Whether every row of the blocks' matrices is whole blocks of `block` weights."""
    rows = (
        shape.embedding_length,
        shape.head_count * shape.value_length,
        shape.feed_forward_length,
    )
    return all(length % block == 0 for length in rows)
