"""Functions a model may call, and the grammars that hold its answers to a schema.

Knows no HTTP and no window, so that the server and a chat's own tool loop share it.
"""
