"""Functions a model may call, and the grammars that hold its answers to a schema."""
