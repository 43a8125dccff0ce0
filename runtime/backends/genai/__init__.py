"""The engine onnxruntime-genai: its descriptor, and the adapter that drives it.

For monolithic folders that other tools made; our own ONNX folders run in `runtime.backends.onnx`.
"""
