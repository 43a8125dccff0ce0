"""Memory of an ONNX folder's stages, from shape and weight bytes alone.

Knows what onnxruntime's kernels make of 4-bit weights when a session opens, and what a chunk of a
prompt takes beside them. What a body takes on an accelerator was not measured: llama.cpp's formula
stands for it. Knows no file and no session. The terms were found by matching peaks of four models
at block size 32, contexts of 1,536 to 4,608 (benchmarks/results/prediction-cpu-2.txt).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runtime.backends.llama import memory_formula as llama_formula
from runtime.devices import Device
from runtime.plan import MemoryEstimate, Placement
from runtime.shape import ModelShape, WeightBytes

OVERHEAD = 75_000_000  # interpreter, onnxruntime, sessions
DEVICE_OVERHEAD = llama_formula.GPU_OVERHEAD
TOKENIZER_BYTES = 750  # per vocabulary entry
# Feed-forward rows alive at once in a chunk: gate, up, its sigmoid, products, and the arena's rest.
_ALIVE = 7
_FLOAT = 4
_DEFAULT_BLOCK = 32


@dataclass(frozen=True)
class HostParts:
    """Bytes on the host, all but the KV cache; the fields are those of DeviceMemory."""

    weights: int
    compute_buffer: int
    overhead: int
    mapped: int


def estimate(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    devices: Sequence[Device],
    *,
    n_outputs: int | None = None,
    block_format: str = "",
) -> MemoryEstimate:
    """Memory per device of `placement`; see `runtime.engine.MemoryFormula`."""
    found = llama_formula.estimate(
        shape, weights, placement, devices, n_outputs=n_outputs, block_format=block_format
    )
    on_host = llama_formula.blocks_per_device(placement).get("cpu", [])
    parts = vars(host_parts(shape, weights, placement, on_host, block_format))
    return MemoryEstimate(
        tuple(replace(one, **parts) if one.device == "cpu" else one for one in found.devices)
    )


def host_parts(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    blocks: list[int],
    block_format: str,
) -> HostParts:
    """What `blocks` of the body, embeddings and LM head take on the host.

    MatMulNBits copies weights and scales into an order of its own and adds a 32-bit sum for every
    block (onnxruntime, mlas/lib/qnbitgemm.cpp); the file's packed weights are then let go, its
    scales stay mapped. Of the embeddings only the rows looked up are ever read.
    """
    stored = sum(weights.blocks[index] for index in blocks)
    if placement.lm_head_device == "cpu":
        stored += weights.lm_head_read
    scales = int(stored * _scale_share(block_format))
    return HostParts(
        weights=stored + scales,
        compute_buffer=_chunk_bytes(shape, placement) if blocks else 0,
        overhead=OVERHEAD + TOKENIZER_BYTES * shape.vocab_size,
        mapped=scales,
    )


def _chunk_bytes(shape: ModelShape, placement: Placement) -> int:
    """Activations of one chunk, and its attention scores over the whole context."""
    rows = min(placement.n_ubatch, placement.n_ctx)
    values = _ALIVE * shape.feed_forward_length + shape.head_count * placement.n_ctx
    return _FLOAT * (rows * values + shape.vocab_size)


def _scale_share(block_format: str) -> float:
    """Bytes of 32-bit scales in those of weights stored in blocks, e.g. of "int4-b32"."""
    found = re.search(r"-b(\d+)", block_format.lower())
    block = int(found[1]) if found else _DEFAULT_BLOCK
    return _FLOAT / (block / 2 + _FLOAT)
