"""The ONNX Runtime engine for split folders. Imported in worker and job processes only."""
