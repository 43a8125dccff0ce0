"""ONNX Runtime as data: what it reads, where it puts a model, what its steps cost.

Imports nothing of the engine; `backend` drives it.
"""

from collections.abc import Collection

from quant.formats import FORMATS
from runtime.backends.onnx.memory_formula import DEVICE_OVERHEAD, OVERHEAD, estimate
from runtime.engine import EngineDescriptor

# The kernel's speed depends on the block size, and a little on zero points.
PRODUCTS = tuple(name for name, known in FORMATS.items() if known.family == "onnx")
REFERENCE_PRODUCT = PRODUCTS[0]


def kernel(block_format: str, measured: Collection[str], *, beside_gpu: bool) -> str:
    """Each block format has a product of its own; blocks of 32 stand for one that is not known.
    Where none was timed, llama.cpp's nearest stands for it: Q4_0, and Q4_1 where that has no kernel
    of its own."""
    name = block_format if block_format in PRODUCTS else REFERENCE_PRODUCT
    if name in measured or REFERENCE_PRODUCT in measured:
        return name if name in measured else REFERENCE_PRODUCT
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
    evaluator="runtime.backends.onnx.evaluation",
    several_builds=True,
)
