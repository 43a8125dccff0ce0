"""Weight formats and 4-bit conversion: numpy, gguf and onnx; no Qt, no network, no devices."""
