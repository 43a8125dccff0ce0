"""llama.cpp as a Backend, through the low-level binding.

Knows how a Placement becomes model and context parameters, and how tokens are evaluated and drawn.
The high-level wrapper is not used: it detokenizes the whole answer at every token and cannot be
cancelled within a prompt. Knows no chat template and no process.
"""

import ctypes
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.backend import LoadReport, Verified
from runtime.backends.llama import native as llama_native
from runtime.backends.llama import rpc as llama_rpc
from runtime.backends.llama import state as llama_state
from runtime.backends.llama.batch import RowsBatch
from runtime.backends.llama.binding import native
from runtime.backends.llama.embedding import LlamaEmbedder
from runtime.backends.llama.exact import SPLIT_FROM, LoneRows
from runtime.backends.llama.faults import context_error, evaluation_error, load_error
from runtime.backends.llama.sampling import SamplerChain
from runtime.backends.llama.sequences import LlamaSequences
from runtime.backends.llama.tokenizer import LlamaTokenizer
from runtime.errors import DeviceUnavailable
from runtime.generation import SamplingParams
from runtime.machine.providers import installed_version
from runtime.machine.threads import ThreadGovernor
from runtime.plan import LayerRange, Placement
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress

_KV_TYPES = {
    "f32": native.GGML_TYPE_F32,
    "f16": native.GGML_TYPE_F16,
    "q8_0": native.GGML_TYPE_Q8_0,
    "q4_0": native.GGML_TYPE_Q4_0,
}
# Rows of logits kept per evaluation. The engine's default is one per batch token, which costs
# 4 bytes x vocabulary x 512: 311 MB at a vocabulary of 152,064.
MAX_LOGIT_ROWS = 16
# Together with the token they follow, the longer drafts fill tiles of four rows, which the kernels
# for 4-bit blocks work through at the price of three.
_DRAFT_LENGTHS = (1, 2, 3, 7, 11, MAX_LOGIT_ROWS - 1)
_LM_HEAD, _TIED_LM_HEAD = r"^output\.weight$", r"^token_embd\.weight$"
_ABORTED = 2


class LlamaBackend:
    """One GGUF model in one llama.cpp context, with one sequence unless it is `shared`.

    `device_sampling` draws tokens on the device of the LM head where that is not the CPU. `exact`
    gives a lone token on the CPU the logits that it has in a batch (`LoneRows`).
    """

    def __init__(self, *, device_sampling: bool = True, exact: bool = True) -> None:
        self._device_sampling = device_sampling
        self._exact = exact
        self._lone: LoneRows | None = None
        self._log = llama_native.NativeLog()
        self._model: native.llama_model_p | None = None
        self._context: native.llama_context_p | None = None
        self._memory: native.llama_memory_t | None = None
        self._sampler: SamplerChain | None = None
        self._abort = llama_native.AbortFlag()
        self._placement: Placement | None = None
        self._threads: ThreadGovernor | None = None
        self._n_threads = 0
        self._steps = self._step_threads = 0  # decode steps of this answer, and their threads
        self._decodes_ahead = False
        self._token = (ctypes.c_int32 * 1)()
        self._rows: RowsBatch | None = None
        self._sequences: LlamaSequences | None = None
        self._embedder: LlamaEmbedder | None = None
        self._position = 0
        self.drafter: LlamaBackend | None = None
        self.tokenizer: LlamaTokenizer

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        """Load weights and make the context. Raises CorruptFile, ModelFileError, OutOfMemory,
        DeviceUnavailable, Cancelled."""
        started = time.perf_counter()
        self._threads = ThreadGovernor(max(placement.n_threads, placement.n_threads_batch))
        llama_native.start_engine()
        self._model = self._load_model(path, placement, on_progress, cancel)
        vocab = native.llama_model_get_vocab(self._model)
        self.tokenizer = LlamaTokenizer(self._model, vocab)
        self._context = self._make_context(path, placement)
        self._memory = native.llama_get_memory(self._context)
        self._abort.attach(self._context)
        if self._exact and placement.flash_attention and not placement.blocks_off_cpu:
            self._lone = LoneRows(self._context)
        self._placement = placement
        self._decodes_ahead = self.asynchronous
        self._n_threads = placement.n_threads
        if placement.draft:
            self.drafter = LlamaBackend()
            self.drafter.load(placement.draft, draft_placement(placement), on_progress, cancel)
        self._threads.update()  # the load while loading is the first known sample
        return LoadReport(
            engine="llamacpp",
            engine_version=installed_version("llama_cpp", "llama-cpp-python"),
            n_ctx=int(native.llama_n_ctx_seq(self._context)),
            load_seconds=time.perf_counter() - started,
            buffers=self._log.buffers,
            engine_build=llama_native.build(),
        )

    def _load_model(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> native.llama_model_p:
        params, keep_alive = model_params(placement)

        def advance(fraction: float, _user_data: object) -> bool:
            on_progress(Progress("load", round(fraction * 1000), 1000, "fraction"))
            return not cancel.cancelled

        callback = native.llama_progress_callback(advance)
        params.progress_callback = callback
        model = native.llama_model_load_from_file(path.encode(), params)
        del keep_alive
        if not model:
            cancel.raise_if_cancelled()
            raise load_error(path, self._log.errors, placement)
        return model

    def _make_context(self, path: str, placement: Placement) -> native.llama_context_p:
        context = native.llama_init_from_model(self._model, context_params(placement))
        if not context:
            raise context_error(path, self._log.errors, placement)
        return context

    def unload(self) -> None:
        if self.drafter is not None:
            self.drafter.unload()
            self.drafter = None
        if self._threads is not None:
            self._threads.stop()
        if self._rows is not None:
            self._rows.free()
        if self._sequences is not None:
            self._sequences.free()
        if self._embedder is not None:
            self._embedder.free()
        if self._sampler is not None:
            self._sampler.free()
        if self._context is not None:
            native.llama_free(self._context)
        if self._model is not None:
            native.llama_model_free(self._model)
        self._sampler = self._context = self._model = self._rows = None
        self._sequences = self._embedder = None

    def shared(self) -> LlamaSequences:
        """The same model with `Placement.sequences` answers at a time. The methods for one answer
        are not to be used from then on."""
        assert self._placement is not None
        if self._sequences is None:
            chunk = min(self._placement.n_ubatch, int(native.llama_n_batch(self._context)))
            vocab = native.llama_model_get_vocab(self._model)
            self._sequences = LlamaSequences(
                self._context, vocab, self.tokenizer, chunk, self._abort, self._run_following
            )
        return self._sequences

    def embed(self, text: str, cancel: CancelToken) -> tuple[list[float], int]:
        assert self._placement is not None
        if self._embedder is None:
            self._embedder = LlamaEmbedder(self._model, self._placement)
        tokens = [*self.tokenizer.text_prefix, *self.tokenizer.encode(text, parse_special=False)]
        return self._embedder.embed(tokens, cancel), len(tokens)

    def _run_following(self, batch: native.llama_batch, count: int, *, repeatable: bool) -> None:
        self._follow_load()
        # The position of each sequence is not known here: below SPLIT_FROM it changes nothing.
        self._run_as(batch, count, repeatable=repeatable)

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        assert self._placement is not None
        self._abort.clear()
        if self._sampler is not None:
            if self._sampler.serves(params):
                return
            self._sampler.free()
        on_device = self._device_sampling and self._placement.lm_head_device != "cpu"
        self._sampler = SamplerChain(params, history, self.tokenizer.n_vocab, on_device=on_device)
        if on_device:
            self._sampler.attach(self._context)

    def truncate(self, n_tokens: int) -> int:
        if native.llama_memory_seq_rm(self._memory, 0, n_tokens, -1):
            self._position = n_tokens
        else:  # recurrent state cannot be rewound
            native.llama_memory_clear(self._memory, False)
            self._position = 0
        return self._position

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        assert self._placement is not None
        # The engine cuts its batch to a context shorter than that, and aborts on larger ones.
        n_batch = int(native.llama_n_batch(self._context))
        step, total = min(self._placement.n_ubatch, n_batch), len(tokens)
        assert self._threads is not None
        if total > MAX_LOGIT_ROWS:  # a prompt, not a drafter catching up
            self._threads.sample_now()
        self._steps = self._step_threads = 0
        self._abort.clear()
        cancel.on_cancel(self._abort.set)
        for start in range(0, total, step):
            cancel.raise_if_cancelled()
            self._follow_load()
            piece = tokens[start : start + step]
            array = (ctypes.c_int32 * len(piece))(*piece)
            self._evaluate(array, len(piece))
            self.wait()
            on_progress(Progress("prefill", min(start + step, total), total, "tokens"))

    def sample(self) -> int:
        assert self._sampler is not None
        return self._sampler.sample(self._context)

    @property
    def asynchronous(self) -> bool:
        """Nothing of a decode step is left to the CPU but launching it."""
        assert self._placement is not None
        devices = {layer.device for layer in self._placement.layers}
        return "cpu" not in devices | {self._placement.lm_head_device}

    def wait(self) -> None:
        native.llama_synchronize(self._context)

    def decode(self, token: int) -> None:
        self._count_threads(self._follow_load())
        self._token[0] = token
        self._evaluate(self._token, 1)
        if not self._decodes_ahead:
            self.wait()

    @property
    def draft_lengths(self) -> Sequence[int]:
        """Drafts are verified only where several tokens evaluated at once give the same logits, bit
        for bit, as one at a time. On the CPU that holds with flash attention (measured; beyond 256
        tokens of context by `LoneRows`) and not without it; on other devices it is not guaranteed.
        Memory that cannot be rewound takes no drafts either."""
        assert self._placement is not None
        on_cpu = all(layer.device == "cpu" for layer in self._placement.layers)
        rewinds = not native.llama_model_is_recurrent(self._model)
        rewinds = rewinds and not native.llama_model_is_hybrid(self._model)
        exact = on_cpu and self._placement.flash_attention
        return _DRAFT_LENGTHS if exact and rewinds else ()

    def verify(self, token: int, draft: Sequence[int]) -> Verified:
        assert self._sampler is not None
        self._count_threads(self._follow_load())
        if self._rows is None:
            self._rows = RowsBatch(MAX_LOGIT_ROWS)
        start = self._position
        self._run(self._rows.fill((token, *draft), start), len(draft) + 1)
        self.wait()
        evaluated = time.perf_counter()
        drawn: list[int] = []
        for row in range(len(draft) + 1):
            drawn.append(self._sampler.sample(self._context, row))
            if row < len(draft) and drawn[row] != draft[row]:
                break
        if len(drawn) <= len(draft):
            self.truncate(start + len(drawn))
        return Verified(tuple(drawn), time.perf_counter() - evaluated)

    def mean_threads(self) -> float:
        return self._step_threads / self._steps if self._steps else 0.0

    def _count_threads(self, threads: int) -> None:
        self._steps += 1
        self._step_threads += threads

    def _follow_load(self) -> int:
        """Change the engine's thread count when the machine's load has changed; the count that a
        decode step has now."""
        assert self._threads is not None
        assert self._placement is not None
        n_threads = self._threads.n_threads
        if n_threads != self._n_threads:
            self._n_threads = n_threads
            native.llama_set_n_threads(
                self._context,
                min(n_threads, self._placement.n_threads),
                min(n_threads, self._placement.n_threads_batch),
            )
        return min(n_threads, self._placement.n_threads)

    def _evaluate(self, tokens: ctypes.Array[ctypes.c_int32], count: int) -> None:
        self._run(native.llama_batch_get_one(tokens, count), count)

    def _run(self, batch: native.llama_batch, count: int) -> None:
        greedy = self._sampler is not None and self._sampler.greedy
        self._run_as(batch, count, repeatable=greedy and self._position >= SPLIT_FROM)

    def _run_as(self, batch: native.llama_batch, count: int, *, repeatable: bool) -> None:
        """repeatable: a lone row is to have the logits it has in a batch."""
        if self._lone is not None:
            self._lone.use(as_in_batches=count == 1 and repeatable)
        said = len(self._log.errors)
        code = native.llama_decode(self._context, batch)
        if code == 0:
            self._position += count
            return
        if code == _ABORTED:
            raise Cancelled
        assert self._placement is not None
        raise evaluation_error(code, count, self._log.errors[said:], self._placement)

    def save_state(self, path: Path, tokens: Sequence[int]) -> bool:
        return llama_state.save_state(self._context, tokens, path)

    def load_state(self, path: Path) -> list[int]:
        assert self._placement is not None
        self.truncate(0)
        tokens = llama_state.load_state(self._context, path, self._placement.n_ctx)
        if not tokens:  # a refused file may have left some cells behind
            native.llama_memory_clear(self._memory, False)
        self._position = len(tokens)
        return tokens

    def stage_seconds(self) -> dict[str, float]:
        return {}


def model_params(placement: Placement) -> tuple[native.llama_model_params, list[object]]:
    """llama_model_params of a placement, and the arrays that must outlive the load.

    The LM head stays on the CPU by a tensor buffer override; `n_gpu_layers` cannot say so, because
    it counts the output layer first. With tied embeddings the table itself is named.
    """
    params = native.llama_model_default_params()
    known = {device.name.lower(): device.handle for device in llama_native.devices()}
    used = [layer for layer in placement.layers if layer.device != "cpu"]
    known |= llama_rpc.handles([layer.device for layer in used])
    missing = [layer.device for layer in used if layer.device not in known]
    if missing:
        raise DeviceUnavailable(device=missing[0], reason="not_listed")
    blocks = [layer.last - layer.first + 1 for layer in used]
    devices = llama_native.device_array([known[layer.device] for layer in used])
    params.devices = ctypes.cast(devices, ctypes.c_void_p)
    params.n_gpu_layers = sum(blocks) + 1 if used else 0
    keep_alive: list[object] = [devices]
    if len(used) > 1:
        # The output layer is shared out with the blocks, as the last of them.
        shares = (ctypes.c_float * native.llama_max_devices())(*blocks[:-1], blocks[-1] + 1)
        params.tensor_split = shares
        keep_alive.append(shares)
    if used and placement.lm_head_device == "cpu":
        cpu = llama_native.cpu_buffer_type()
        override = llama_native.overrides({_LM_HEAD: cpu, _TIED_LM_HEAD: cpu})
        params.tensor_buft_overrides = ctypes.cast(override, ctypes.c_void_p)
        keep_alive.append(override)
    return params, keep_alive


def context_params(placement: Placement) -> native.llama_context_params:
    """llama_context_params of a placement."""
    params = native.llama_context_default_params()
    params.n_ctx = placement.n_ctx * placement.sequences
    params.n_batch = placement.n_batch
    params.n_ubatch = placement.n_ubatch
    params.n_seq_max = placement.sequences
    params.n_outputs_max = max(MAX_LOGIT_ROWS, placement.sequences)
    params.n_threads = placement.n_threads
    params.n_threads_batch = placement.n_threads_batch
    params.type_k = _KV_TYPES[placement.kv_type_k]
    params.type_v = _KV_TYPES[placement.kv_type_v]
    params.flash_attn_type = (
        native.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if placement.flash_attention
        else native.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    params.no_perf = True
    return params


def draft_placement(placement: Placement) -> Placement:
    """The placement of the draft model: all of it on the CPU."""
    layers = (LayerRange("cpu", 0, 0),)
    return replace(placement, layers=layers, lm_head_device="cpu", sequences=1, draft="")


def open_engine() -> LlamaBackend:
    """A backend without a model."""
    return LlamaBackend()
