"""Runs one batch through a model and hands out the inputs of its weight matrices, layer by layer.

The whole batch is one graph, so a layer's matrices see all of their inputs before any later layer
runs; a visitor may put other weights in their place first, and what follows runs on those. For
quantizing with error feedback: moments of one layer at a time, and inputs as the quantized layers
before make them, whatever the architecture. Imports the native library, so job processes only.
Knows no quantization.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt

from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native
from runtime.backends.llama.continuation import continue_sequences
from runtime.backends.llama.graph_tensor import (
    F32_TYPE,
    GraphTensor,
    array_of,
    operation_name,
    weight_name,
)
from runtime.errors import CorruptFile, EvaluationFailed, UnusableFile

F32 = npt.NDArray[np.float32]

# ggml_type numbers of weights that can be replaced by their own kind of values.
_FLOATS: Mapping[int, npt.DTypeLike] = {0: np.float32, 1: np.float16, 30: ml_dtypes.bfloat16}

# Of an input shared by these matrices, rows [tokens, k] in the order of the batch: what to put in
# the place of which (float32 rows [n, k]).
Visitor = Callable[[Sequence[str], F32], Mapping[str, F32]]


@dataclass
class _Graph:
    """What the first run tells: the node that makes the input of which matrices."""

    seen: dict[str, int] = field(default_factory=dict)  # node name -> how often it occurs
    wanted: dict[str, list[str]] = field(default_factory=dict)  # node name -> weights
    weights: dict[str, GraphTensor] = field(default_factory=dict)

    @property
    def producers(self) -> dict[str, list[str]]:
        """Those whose name is theirs alone."""
        return {name: made for name, made in self.wanted.items() if self.seen.get(name) == 1}


class BlockInputs:
    """A GGUF model of floats on the CPU, ready for `count` sequences of `length` tokens each.

    A run ends with the last matrix's input: of the memory that llama.cpp reserves for the logits of
    all tokens no page is touched. Raises CorruptFile, UnusableFile.
    """

    def __init__(self, path: Path, threads: int, count: int, length: int) -> None:
        llama_native.start_engine()
        self._path, self._threads = path, threads
        self._errors: list[BaseException] = []
        self._visit: Visitor | None = None
        self._left = 0
        self._graph = _Graph()
        self._replaced: dict[str, tuple[int | None, npt.NDArray[np.generic]]] = {}
        self._callback = native.ggml_backend_sched_eval_callback(self._on_node)
        self._model = _load(path)
        params = native.llama_context_default_params()
        tokens = count * length
        params.n_ctx = params.n_batch = params.n_ubatch = tokens
        params.n_seq_max = count
        params.kv_unified = False
        params.embeddings = True  # no room for the logits of every token, which nobody asks for
        params.pooling_type = native.LLAMA_POOLING_TYPE_NONE
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        params.cb_eval = self._callback
        self._context = native.llama_init_from_model(self._model, params)
        if not self._context:
            native.llama_model_free(self._model)
            raise UnusableFile(path=str(path), reason="no_context", tokens=tokens)
        self._batch = native.llama_batch_init(tokens, 0, 1)
        self._run([[0, 0]])

    def tokenize(self, text: str) -> list[int]:
        """Token ids, with BOS where the model wants one, special tokens as plain text."""
        return token_ids(native.llama_model_get_vocab(self._model), text)

    def continue_texts(
        self,
        prompts: Sequence[Sequence[int]],
        length: int,
        on_step: Callable[[int, int], None],
    ) -> list[list[int]]:
        """See `continue_sequences`."""
        return continue_sequences(self._path, self._model, prompts, length, self._threads, on_step)

    @property
    def groups(self) -> list[list[str]]:
        """The matrices that share an input, in the order in which they run."""
        return list(self._graph.producers.values())

    def run(self, sequences: Sequence[Sequence[int]], visit: Visitor) -> None:
        """Evaluate sequences of equal length; `visit` is called before the matrices it is given
        run. Raises whatever it raises, EvaluationFailed."""
        self._visit = visit
        self._left = len(self._graph.producers)
        try:
            self._run(sequences)
        finally:
            self._visit = None

    def replace(self, name: str, rows: F32) -> None:
        """From now on the model runs with `rows` [n, k] as the weights of `name`."""
        tensor = self._graph.weights[name]
        values = np.ascontiguousarray(rows.astype(_FLOATS[int(tensor.type)]))
        original = self._replaced[name][0] if name in self._replaced else tensor.data
        self._replaced[name] = (original, values)
        tensor.data = values.ctypes.data

    def restore(self, names: Sequence[str]) -> None:
        """Take the model's own weights again, and let the others' memory go."""
        for name in names:
            original, _ = self._replaced.pop(name)
            self._graph.weights[name].data = original

    def close(self) -> None:
        self.restore(list(self._replaced))
        native.llama_batch_free(self._batch)
        native.llama_free(self._context)
        native.llama_model_free(self._model)

    def _run(self, sequences: Sequence[Sequence[int]]) -> None:
        native.llama_memory_clear(native.llama_get_memory(self._context), True)
        batch, index = self._batch, 0
        for number, sequence in enumerate(sequences):
            for position, token in enumerate(sequence):
                batch.token[index] = token
                batch.pos[index] = position
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = number
                batch.logits[index] = True
                index += 1
        batch.n_tokens = index
        status = native.llama_decode(self._context, batch)
        if self._errors:
            raise self._errors.pop()
        if status != 0:
            raise EvaluationFailed(code=status, tokens=index, log="")

    def _on_node(self, pointer: int, ask: bool, _user_data: object) -> bool:
        try:
            node = GraphTensor.at(pointer)
            name = bytes(node.name).decode("utf-8", "replace")
            if self._visit is None:
                self._learn(name, node)
                return not ask
            weights = self._graph.producers.get(name)
            if weights is None:
                return not ask
            if ask:
                return True
            self._hand_out(weights, node)
            self._left -= 1
            # What comes after the last input is at most the logits, too large to be computed.
            return self._left > 0
        except BaseException as error:  # an exception must not cross the C frame
            self._errors.append(error)
            return False

    def _learn(self, name: str, node: GraphTensor) -> None:
        graph = self._graph
        graph.seen[name] = graph.seen.get(name, 0) + 1
        called = weight_name(node) if operation_name(node) == "MUL_MAT" else None
        if called is None:
            return
        weight, source = node.src[0].contents, node.src[1].contents
        if weight.type in _FLOATS and source.type == F32_TYPE and weight.ne[2] == 1:
            graph.weights[called] = weight
            made = graph.wanted.setdefault(bytes(source.name).decode("utf-8", "replace"), [])
            if called not in made:
                made.append(called)

    def _hand_out(self, weights: list[str], node: GraphTensor) -> None:
        if self._visit is None:
            return
        values = array_of(node)
        rows: F32 = values.reshape(-1, values.shape[-1]).astype(np.float32, copy=False)
        for name, replacement in self._visit(weights, rows).items():
            self.replace(name, replacement)


def token_ids(vocabulary: native.llama_vocab_p, text: str) -> list[int]:
    """Token ids, with BOS where the model wants one, special tokens as plain text. Raises
    UnusableFile."""
    data = text.encode("utf-8")
    buffer = (native.llama_token * (len(data) + 8))()
    count = native.llama_tokenize(vocabulary, data, len(data), buffer, len(buffer), True, False)
    if count < 0:
        raise UnusableFile(reason="not_tokenized", tokens=-count)
    return list(buffer[:count])


def _load(path: Path) -> native.llama_model_p:
    params = native.llama_model_default_params()
    params.n_gpu_layers = 0
    params.use_extra_bufts = False  # weights laid out anew could not be replaced
    model = native.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise CorruptFile(path=str(path), reason="refused")
    return model


class _Abandoned(Exception):
    """Whoever took the inputs wants no more."""


class InputStream:
    """The inputs of one run, taken one group after another while the run waits in a thread."""

    def __init__(self, model: BlockInputs, sequences: Sequence[Sequence[int]]) -> None:
        self._made: queue.Queue[tuple[Sequence[str], F32] | BaseException] = queue.Queue(1)
        self._taken: queue.Queue[bool] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, args=(model, sequences), daemon=True)
        self._thread.start()

    def _run(self, model: BlockInputs, sequences: Sequence[Sequence[int]]) -> None:
        try:
            model.run(sequences, self._hand_over)
        except _Abandoned:
            pass
        except BaseException as error:  # raised where the inputs are taken
            self._made.put(error)

    def _hand_over(self, names: Sequence[str], rows: F32) -> Mapping[str, F32]:
        self._made.put((names, rows))
        if not self._taken.get():
            raise _Abandoned
        return {}

    def take(self) -> tuple[Sequence[str], F32]:
        """The next group's matrices and inputs, which hold until `release`. Raises what the run
        raised."""
        made = self._made.get()
        if isinstance(made, BaseException):
            raise made
        return made

    def release(self) -> None:
        """Let the run go on to the next group."""
        self._taken.put(True)

    def close(self) -> None:
        """Wait for the run's end, having given up what it has not handed out yet."""
        while self._thread.is_alive():
            try:
                self._taken.put(False, timeout=0.05)
            except queue.Full:
                pass
            self._thread.join(0.05)
