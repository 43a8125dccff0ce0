"""The engine adapters, one module each; nothing is imported here so that engines load on demand."""
