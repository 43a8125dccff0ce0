"""Decoder models to ONNX folders of three stages: embeddings, body and LM head.

Writes graphs, weights, tokenizer and manifest; runs none: that is `runtime.backends.onnx`.
"""
