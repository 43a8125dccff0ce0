"""The KV state of llama.cpp's one sequence as a file.

Imports the native library, so worker processes only. Knows the native calls; knows no folder.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from runtime.backends.llama.binding import native

SEQUENCE = 0


def save_state(context: native.llama_context_p, tokens: Sequence[int], path: Path) -> bool:
    """Write the cells of `tokens` to a file; whether the engine did."""
    array = (native.llama_token * len(tokens))(*tokens)
    written = native.llama_state_seq_save_file(
        context, str(path).encode(), SEQUENCE, array, len(tokens)
    )
    return bool(written > 0)


def load_state(context: native.llama_context_p, path: Path, capacity: int) -> list[int]:
    """Put a file's cells into the (empty) sequence; its tokens, none when the engine refused."""
    array = (native.llama_token * capacity)()
    count = ctypes.c_size_t()
    read = native.llama_state_seq_load_file(
        context, str(path).encode(), SEQUENCE, array, capacity, ctypes.byref(count)
    )
    return list(array[: count.value]) if read > 0 else []
