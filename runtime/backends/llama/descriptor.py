"""llama.cpp as data: what it reads, where it puts a model, what its steps cost.

Imports nothing of the engine; `backend` drives it.
"""

from collections.abc import Collection

from runtime.backends.llama.memory_formula import (
    GPU_OVERHEAD,
    HOST_OVERHEAD,
    REPACKED,
    estimate,
    kv_head_rest,
)
from runtime.engine import EngineDescriptor
from runtime.shape import base_format

# What a matrix in the engine's plain host buffer is read like: kernels for repacked formats do not
# apply there, and Q4_1 never has one.
UNPACKED_RELATIVE = "Q4_1"


def kernel(block_format: str, measured: Collection[str], *, beside_gpu: bool) -> str:
    """Each format has a product of its own. With a GPU in use the engine leaves the processor's
    share in its plain buffer (benchmarks/results/gpu-placements.json: CPU_Mapped)."""
    if beside_gpu and base_format(block_format) in REPACKED:
        return UNPACKED_RELATIVE
    return block_format


def maps_weights(block_format: str) -> bool:
    """Whether steps read the mapped file; a repacked copy takes its place."""
    return base_format(block_format) not in REPACKED


ENGINE = EngineDescriptor(
    name="llamacpp",
    title="llama.cpp",
    module="runtime.backends.llama.backend",
    distribution="llama-cpp-python",
    formats=("gguf",),
    memory=estimate,
    kv_types={"f16": 1.0, "f32": 1.8, "q8_0": 1.0, "q4_0": 1.1},
    kv_rest=kv_head_rest,
    micro_batches=(512, 128),  # a quarter of the scratch memory, where that is what does not fit
    offload="blocks",
    tunes_threads=True,
    process_bytes=HOST_OVERHEAD,
    device_bytes=GPU_OVERHEAD,
    simulator="runtime.backends.llama.memory:simulate",
    drafts=True,
    parallel=True,
    kernel=kernel,
    maps_weights=maps_weights,
    devices="runtime.backends.llama.devices:devices",
    times_gpus=True,
    evaluator="runtime.backends.llama.evaluation",
)
