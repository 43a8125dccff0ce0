"""Logits of a text from any engine, for quality reports and importance matrices.

Knows which module evaluates which kind of model; imports an engine only when one is opened, which
happens in job processes.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runtime.errors import BackendUnavailable, UnsupportedModel

F32 = npt.NDArray[np.float32]

# Kind of model -> module with `open_evaluator(path, threads, context) -> Evaluator`.
EVALUATORS: Mapping[str, str] = {
    "gguf": "runtime.backends.llama.evaluation",
    "onnx": "runtime.backends.onnx.evaluation",
}


class Evaluator(Protocol):
    """A model opened to be scored, not to chat."""

    n_vocab: int

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, with BOS where the model wants one, special tokens as plain text."""
        ...

    def logits(self, tokens: Sequence[int], first: int) -> Iterator[F32]:
        """Logits after each of tokens[first:], in order, as blocks [n, n_vocab]; the cache starts
        empty. Each block is the caller's to keep."""
        ...

    def close(self) -> None: ...


def kind_of(path: Path) -> str:
    """ "gguf" or "onnx". Raises UnsupportedModel."""
    if path.is_dir() and any(path.glob("*.onnx")):
        return "onnx"
    if path.is_file():
        return "gguf"
    raise UnsupportedModel(path=str(path), detail="is neither a GGUF file nor an ONNX folder")


def open_evaluator(path: Path, threads: int, context: int) -> Evaluator:
    """Open a model for windows of up to `context` tokens. Raises EngineError."""
    module_name = EVALUATORS[kind_of(path)]
    try:
        module = importlib.import_module(module_name)
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailable(backend=module_name, reason=str(error)) from error
    evaluator: Evaluator = module.open_evaluator(path, threads, context)
    return evaluator
