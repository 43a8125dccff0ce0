"""ONNX Runtime as data: what it reads, where it puts a model, what its steps cost.

Imports nothing of the engine; `backend` drives it.
"""

from collections.abc import Collection

from runtime.backends.onnx.memory_formula import DEVICE_OVERHEAD, OVERHEAD, estimate
from runtime.engine import EngineDescriptor

PRODUCT = "MatMulNBits"  # stands for every 4-bit format


def kernel(block_format: str, measured: Collection[str], *, beside_gpu: bool) -> str:
    """One product for all 4-bit weights. Where it was not timed, llama.cpp's nearest stands for it:
    Q4_0, and Q4_1 where that has no kernel of its own."""
    if PRODUCT in measured:
        return PRODUCT
    return "Q4_1" if beside_gpu else "Q4_0"


ENGINE = EngineDescriptor(
    name="onnx",
    title="ONNX Runtime",
    module="runtime.backends.onnx.backend",
    distribution="onnxruntime",
    formats=("onnx",),
    memory=estimate,
    kv_types={"f32": 1.8},  # bodies keep their cache in the type they compute in
    offload="compiled",
    process_bytes=OVERHEAD,
    device_bytes=DEVICE_OVERHEAD,
    kernel=kernel,
    devices="runtime.backends.onnx.devices:devices",
    driver_plugins=True,
    recipe="onnx-q4-b32-search",
    evaluator="runtime.backends.onnx.evaluation",
    several_builds=True,
)
