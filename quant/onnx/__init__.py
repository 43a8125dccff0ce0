"""Decoder models to ONNX folders of three stages: embeddings, body and LM head."""
