"""Logits of a text from any engine, for quality reports and importance matrices.

Knows which module evaluates which kind of model; imports an engine only when one is opened, which
happens in job processes.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from runtime import registry
from runtime.errors import BackendUnavailable, UnsupportedModel

F32 = npt.NDArray[np.float32]


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
    raise UnsupportedModel(path=str(path), reason="not_evaluated")


def open_evaluator(path: Path, threads: int, context: int) -> Evaluator:
    """Open a model for windows of up to `context` tokens. Raises EngineError."""
    evaluator: Evaluator = evaluator_module(path).open_evaluator(path, threads, context)
    return evaluator


def evaluator_module(path: Path) -> Any:
    """The module that scores models for the first engine that reads this kind and has one. Raises
    BackendUnavailable, UnsupportedModel."""
    kind = kind_of(path)
    names = [engine.evaluator for engine in registry.reading((kind,)) if engine.evaluator]
    if not names:
        raise BackendUnavailable(backend="any", reason="scores_no_format", formats=[kind])
    try:
        return importlib.import_module(names[0])
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailable(
            backend=names[0], reason="import_failed", detail=str(error)
        ) from error
