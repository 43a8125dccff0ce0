"""The engine onnxruntime-genai: its descriptor, and the adapter that drives it."""
