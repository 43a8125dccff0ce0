"""GGUF files: headers read, checkpoints written."""
