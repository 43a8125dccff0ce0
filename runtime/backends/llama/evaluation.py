"""Scores texts with llama.cpp: logits of every position, and the inputs of every weight matrix.

Imports the native library, so job processes only. Loads on the CPU; knows no chat, no sampling and
no report.
"""

import ctypes
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native
from runtime.backends.llama.block_inputs import BlockInputs, InputStream, token_ids
from runtime.backends.llama.graph_tensor import (
    F32_TYPE,
    GraphTensor,
    array_of,
    operation_name,
    weight_name,
)
from runtime.errors import CorruptFile, EvaluationFailed, UnusableFile

logger = logging.getLogger("llama.cpp")

F32 = npt.NDArray[np.float32]

F64 = npt.NDArray[np.float64]

# Tokens decoded at once: bounds the logits held at this times the vocabulary.
_SLICE = 64


def _receive_log(level: int, text: bytes, _user_data: object) -> None:
    if level in (3, 4) and text.strip():
        logger.warning("%s", text.decode("utf-8", "replace").rstrip())


_LOG = native.llama_log_callback(_receive_log)  # the C library holds only a bare pointer to it


class LlamaEvaluator:
    """One GGUF model on the CPU with a context of fixed size."""

    def __init__(
        self,
        path: Path,
        threads: int,
        context: int,
        on_node: Callable[..., bool] | None = None,
        batch: int = _SLICE,
    ) -> None:
        native.llama_log_set(_LOG, ctypes.c_void_p(0))
        llama_native.start_engine()
        self._model = _load(path)
        self._vocab = native.llama_model_get_vocab(self._model)
        self.n_vocab = int(native.llama_vocab_n_tokens(self._vocab))
        self._on_node = on_node  # the C library holds only a bare pointer to it
        params = native.llama_context_default_params()
        params.n_ctx = context
        self._slice = min(batch, context)
        params.n_batch = params.n_ubatch = self._slice
        params.n_threads = params.n_threads_batch = threads
        params.n_seq_max = 1
        params.no_perf = True
        if on_node is not None:
            params.cb_eval = on_node
        self._context = native.llama_init_from_model(self._model, params)
        if not self._context:
            native.llama_model_free(self._model)
            raise UnusableFile(path=str(path), reason="no_context", tokens=context)
        self._batch = native.llama_batch_init(self._slice, 0, 1)

    def tokenize(self, text: str) -> list[int]:
        return token_ids(self._vocab, text)

    def logits(self, tokens: Sequence[int], first: int) -> Iterator[F32]:
        native.llama_memory_clear(native.llama_get_memory(self._context), True)
        for start in range(0, len(tokens), self._slice):
            piece = tokens[start : start + self._slice]
            scored = sum(1 for position in range(start, start + len(piece)) if position >= first)
            self._decode(piece, start, first)
            if scored:
                pointer = native.llama_get_logits(self._context)
                block = np.ctypeslib.as_array(pointer, shape=(scored, self.n_vocab))
                yield np.array(block, dtype=np.float32)

    def _decode(self, piece: Sequence[int], start: int, first: int) -> None:
        batch = self._batch
        batch.n_tokens = len(piece)
        for index, token in enumerate(piece):
            batch.token[index] = token
            batch.pos[index] = start + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = start + index >= first
        status = native.llama_decode(self._context, batch)
        if status != 0:
            raise EvaluationFailed(code=status, tokens=len(piece), log="")

    def close(self) -> None:
        native.llama_batch_free(self._batch)
        native.llama_free(self._context)
        native.llama_model_free(self._model)


def _load(path: Path) -> native.llama_model_p:
    params = native.llama_model_default_params()
    params.n_gpu_layers = 0
    model = native.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise CorruptFile(path=str(path), reason="refused")
    return model


def open_evaluator(path: Path, threads: int, context: int) -> LlamaEvaluator:
    """See runtime.tasks.evaluation.Evaluator. Raises CorruptFile, ModelFileError."""
    return LlamaEvaluator(path, threads, context)


# --- inputs of weight matrices -----------------------------------------------------------------


class InputSquares:
    """Sums of squared inputs of every weight matrix while texts are evaluated.

    llama.cpp calls back before and after each graph node; a matrix multiplication's second source
    is its input. `sums` maps tensor names to [experts, k], `counts` to the tokens that reached
    each expert.
    """

    def __init__(self) -> None:
        self.sums: dict[str, F64] = {}
        self.counts: dict[str, F64] = {}
        self.errors: list[BaseException] = []
        self.callback = native.ggml_backend_sched_eval_callback(self._on_node)

    def _on_node(self, pointer: int, ask: bool, _user_data: object) -> bool:
        try:
            node = GraphTensor.at(pointer)
            operation = operation_name(node)
            if operation not in ("MUL_MAT", "MUL_MAT_ID"):
                return not ask
            name = weight_name(node)
            if name is None or node.src[1].contents.type != F32_TYPE:
                return not ask
            if ask:
                return True
            if operation == "MUL_MAT":
                self._add_matrix(name, node)
            else:
                self._add_experts(name, node)
        except BaseException as error:  # an exception must not cross the C frame
            self.errors.append(error)
            return False
        return True

    def _slot(self, name: str, experts: int, columns: int) -> tuple[F64, F64]:
        if name not in self.sums:
            self.sums[name] = np.zeros((experts, columns))
            self.counts[name] = np.zeros(experts)
        return self.sums[name], self.counts[name]

    def _add_matrix(self, name: str, node: GraphTensor) -> None:
        weight, source = node.src[0].contents, node.src[1].contents
        values = array_of(source)  # [ne3, ne2, tokens, k]
        matrices = int(weight.ne[2])
        sums, counts = self._slot(name, matrices, values.shape[-1])
        squares = np.square(values.astype(np.float64))
        if matrices == 1:
            sums[0] += squares.sum(axis=(0, 1, 2))
            counts[0] += values.size // values.shape[-1]
        else:  # one matrix per head (MLA): the third dimension counts heads
            sums += squares.sum(axis=(0, 2))
            counts += values.shape[0] * values.shape[2]

    def _add_experts(self, name: str, node: GraphTensor) -> None:
        weight, source, chosen = (node.src[i].contents for i in range(3))
        values = array_of(source)[0]  # [tokens, 1 or used, k]
        ids = array_of(chosen)[0, 0]  # [tokens, used]
        sums, counts = self._slot(name, int(weight.ne[2]), values.shape[-1])
        for slot in range(ids.shape[1]):
            inputs = values[:, slot if values.shape[1] > 1 else 0].astype(np.float64)
            np.add.at(sums, ids[:, slot], np.square(inputs))
            np.add.at(counts, ids[:, slot], 1.0)


def open_input_squares(
    path: Path, threads: int, context: int
) -> tuple[LlamaEvaluator, InputSquares]:
    """An evaluator that also collects the inputs of every weight matrix it runs."""
    squares = InputSquares()
    return LlamaEvaluator(path, threads, context, on_node=squares.callback), squares


def open_block_inputs(path: Path, threads: int, count: int, length: int) -> BlockInputs:
    """A model of floats that hands out inputs layer by layer, for `count` sequences of `length`
    tokens. Raises CorruptFile, UnusableFile."""
    native.llama_log_set(_LOG, ctypes.c_void_p(0))
    return BlockInputs(path, threads, count, length)


def stream_inputs(model: BlockInputs, sequences: Sequence[Sequence[int]]) -> InputStream:
    """A run whose inputs are taken one group after another."""
    return InputStream(model, sequences)
