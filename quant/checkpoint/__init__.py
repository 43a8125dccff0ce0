"""Checkpoints as named tensors, whatever file they come in: GGUF or safetensors.

Reads and checks; writes nothing, and does not know what the metadata mean.
"""
