"""onnxruntime-genai as data. It runs the graphs that ONNX Runtime runs, so it costs the same.

Imports nothing of the engine; `backend` drives it.
"""

from dataclasses import replace

from runtime.backends.onnx.descriptor import ENGINE as ONNX

ENGINE = replace(
    ONNX,
    name="genai",
    title="ONNX Runtime GenAI",
    module="runtime.backends.genai.backend",
    distribution="onnxruntime-genai",
    formats=("genai", "onnx"),
    yields_to=frozenset({"onnx"}),  # reads our folders too, but cannot rewind them
    offload="whole",
    devices="runtime.backends.genai.devices:devices",
    driver_plugins=False,
    evaluator="",
    several_builds=False,
)
