"""Texts as vectors: the last hidden states of a loaded llama.cpp model, pooled.

Imports the native library, so worker processes only. Has a context of its own beside the one that
answers, because an embedding context gives out every token. Knows no request.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runtime.backends.llama.batch import RowsBatch
from runtime.backends.llama.binding import native
from runtime.errors import (
    ContextOverflow,
    EvaluationFailed,
    InvalidRequest,
    UnusableFile,
)
from runtime.plan import Placement
from runtime.progress import CancelToken

LONGEST = 2048  # tokens of one text
_PIECE = 64  # the engine keeps a row of logits for every token of a piece, used or not


class LlamaEmbedder:
    """Embeds one text at a time. Raises ModelFileError when no context can be made."""

    def __init__(self, model: native.llama_model_p, placement: Placement) -> None:
        params = native.llama_context_default_params()
        params.n_ctx = min(placement.n_ctx, LONGEST)
        params.n_batch = params.n_ubatch = _PIECE
        params.n_threads = params.n_threads_batch = placement.n_threads_batch
        params.embeddings = True
        params.pooling_type = native.LLAMA_POOLING_TYPE_NONE
        params.no_perf = True
        self._context = native.llama_init_from_model(model, params)
        if not self._context:
            raise UnusableFile(reason="no_embeddings")
        self._memory = native.llama_get_memory(self._context)
        self._width = int(native.llama_model_n_embd_out(model))
        self._pooling = _pooling(model)
        self._batch = RowsBatch(_PIECE)

    def embed(self, tokens: Sequence[int], cancel: CancelToken) -> list[float]:
        """A vector of length 1. Raises InvalidRequest, ContextOverflow, EvaluationFailed,
        Cancelled."""
        if not tokens:
            raise InvalidRequest(field="input", reason="no_tokens")
        longest = int(native.llama_n_ctx(self._context))
        if len(tokens) > longest:
            raise ContextOverflow(n_tokens=len(tokens), n_ctx=longest)
        native.llama_memory_clear(self._memory, False)
        states = [
            self._states(tokens[start : start + _PIECE], start, cancel)
            for start in range(0, len(tokens), _PIECE)
        ]
        rows = np.concatenate(states)
        pooled = {"cls": rows[0], "last": rows[-1]}.get(self._pooling, rows.mean(axis=0))
        return [float(x) for x in pooled / max(float(np.linalg.norm(pooled)), 1e-12)]

    def _states(
        self, piece: Sequence[int], start: int, cancel: CancelToken
    ) -> npt.NDArray[np.float64]:
        cancel.raise_if_cancelled()
        code = native.llama_decode(self._context, self._batch.fill(piece, start))
        if code != 0:
            raise EvaluationFailed(code=code, tokens=len(piece), log="")
        vectors = native.llama_get_embeddings(self._context)
        return np.ctypeslib.as_array(vectors, (len(piece), self._width)).astype(np.float64)

    def free(self) -> None:
        self._batch.free()
        native.llama_free(self._context)


def _pooling(model: native.llama_model_p) -> str:
    """How the model's makers pool, from its header; the mean where they do not say."""
    architecture = _header(model, "general.architecture")
    names = {str(native.LLAMA_POOLING_TYPE_CLS): "cls", str(native.LLAMA_POOLING_TYPE_LAST): "last"}
    return names.get(_header(model, f"{architecture}.pooling_type"), "mean")


def _header(model: native.llama_model_p, key: str) -> str:
    buffer = ctypes.create_string_buffer(64)
    native.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")
