"""Weight formats and 4-bit conversion: numpy, gguf and onnx; no Qt, no network, no devices.

On the ground floor: recipes, formats, roles of tensors, files replaced whole. What is read is in
`checkpoint`, what is written in `gguf` and `onnx`.
"""
