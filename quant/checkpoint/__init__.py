"""Checkpoints as named tensors, whatever file they come in."""
