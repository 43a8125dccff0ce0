"""What llama.cpp's failures mean, by its own log: memory that ran out, or something else.

Its calls return a null pointer or a number for every cause alike; only the lines it logs meanwhile
tell them apart. Knows the log's lines and a placement; knows no native library.
"""

import re
from collections.abc import Sequence

from runtime.errors import (
    CorruptFile,
    EngineError,
    EvaluationFailed,
    OutOfMemory,
    UnusableFile,
)
from runtime.plan import Placement
from runtime.process.exit import mentions_out_of_memory

ALLOCATION_FAILED = -2  # of llama_decode (src/llama-context.cpp, GGML_STATUS_ALLOC_FAILED)
_BUFFER = re.compile(r"failed to allocate (?P<buffer>\S+) buffer of size (?P<bytes>\d+)")
_ADDRESS = re.compile(r"\[(?P<address>[^\]]+:\d+)\]")


def load_error(path: str, errors: Sequence[str], placement: Placement) -> EngineError:
    """Why a file could not be loaded as a model."""
    return _out_of_memory(errors, placement) or CorruptFile(
        path=path, reason="refused", detail=" ".join(errors[-1:]) or None
    )


def context_error(path: str, errors: Sequence[str], placement: Placement) -> EngineError:
    """Why a model got no context."""
    return _out_of_memory(errors, placement) or UnusableFile(
        path=path, reason="no_context", detail=" ".join(errors[-2:]) or None
    )


def evaluation_error(
    code: int, tokens: int, errors: Sequence[str], placement: Placement
) -> EngineError:
    """Why `tokens` tokens were not evaluated; `errors` are those logged meanwhile."""
    memory = _out_of_memory(errors, placement)
    if memory is None and code == ALLOCATION_FAILED:
        memory = OutOfMemory(device=placement.layers[-1].device, needed=None)
    return memory or EvaluationFailed(code=code, tokens=tokens, log=" ".join(errors[-1:]))


def _out_of_memory(errors: Sequence[str], placement: Placement) -> OutOfMemory | None:
    """The allocation that failed: on which device, and its bytes where the engine says them."""
    if not mentions_out_of_memory("\n".join(errors)):
        return None
    found = next(filter(None, map(_BUFFER.search, reversed(errors))), None)
    if found is None:
        return OutOfMemory(device="cpu", needed=None)
    return OutOfMemory(device=_device(found["buffer"], placement), needed=int(found["bytes"]))


def _device(buffer: str, placement: Placement) -> str:
    """The device of a buffer such as CPU, CUDA0, CUDA_Host or RPC0[127.0.0.1:50052]."""
    address = _ADDRESS.search(buffer)
    name = f"rpc:{address['address']}" if address else buffer.lower()
    return name if any(layer.device == name for layer in placement.layers) else "cpu"
