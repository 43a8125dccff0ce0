"""llama.cpp with several sequences in one context: the SequenceBackend of
`runtime.answer.batching`.

Knows native batches, the samplers of each sequence and their rows of logits. Knows no request.
"""

import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runtime.backends.llama.batch import RowsBatch
from runtime.backends.llama.binding import native
from runtime.backends.llama.grammar import GrammarSampler
from runtime.backends.llama.native import AbortFlag
from runtime.backends.llama.sampling import SamplerChain
from runtime.backends.llama.tokenizer import LlamaTokenizer
from runtime.generation import SamplingParams, TokenLogprob
from runtime.progress import CancelToken


class Run(Protocol):
    """Evaluates a native batch of `count` rows; repeatable: a single row as it would be in a batch.
    Raises EvaluationFailed, Cancelled."""

    def __call__(self, batch: native.llama_batch, count: int, *, repeatable: bool) -> None: ...


class LlamaSequences:
    """The sequences of one loaded context. Each has its own stream of the cache
    (`kv_unified` off), so that one's cells never lie among another's."""

    def __init__(
        self,
        context: native.llama_context_p,
        vocab: native.llama_vocab_p,
        tokenizer: LlamaTokenizer,
        chunk: int,
        abort: AbortFlag,
        run: Run,
    ) -> None:
        self.tokenizer = tokenizer
        self.n_sequences = int(native.llama_n_seq_max(context))
        self.chunk = chunk
        self.text_prefix = tokenizer.text_prefix
        self._context = context
        self._vocab = vocab
        self._memory = native.llama_get_memory(context)
        self._run = run
        self._abort = _PrefillAbort(abort)
        self._batch = RowsBatch(max(chunk, self.n_sequences))
        self._row = ctypes.c_float * tokenizer.n_vocab
        self._positions = [0] * self.n_sequences
        self._rows = [0] * self.n_sequences
        self._chains: list[SamplerChain | None] = [None] * self.n_sequences
        self._grammars: list[GrammarSampler | None] = [None] * self.n_sequences

    def begin(
        self, sequence: int, sampling: SamplingParams, history: Sequence[int], grammar: str
    ) -> None:
        self._drop_samplers(sequence)
        n_vocab = self.tokenizer.n_vocab
        if grammar:
            self._grammars[sequence] = GrammarSampler(self._vocab, n_vocab, grammar)
        self._chains[sequence] = SamplerChain(sampling, history, n_vocab)

    def truncate(self, sequence: int, n_tokens: int) -> int:
        if not native.llama_memory_seq_rm(self._memory, sequence, n_tokens, -1):
            # A recurrent state cannot be rewound, but it can be forgotten.
            native.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            n_tokens = 0
        self._positions[sequence] = n_tokens
        return n_tokens

    def prefill(self, sequence: int, tokens: Sequence[int], cancel: CancelToken) -> None:
        batch = self._batch.fill_piece(sequence, tokens, self._positions[sequence])
        with self._abort.during(cancel):
            self._run(batch, len(tokens), repeatable=self._greedy(sequence))
            native.llama_synchronize(self._context)
        self._positions[sequence] += len(tokens)
        self._rows[sequence] = -1

    def decode(self, tokens: Sequence[tuple[int, int]]) -> None:
        rows = [(sequence, token, self._positions[sequence]) for sequence, token in tokens]
        repeatable = self._greedy(tokens[0][0])
        self._run(self._batch.fill_step(rows), len(rows), repeatable=repeatable)
        native.llama_synchronize(self._context)
        for row, (sequence, _token, _position) in enumerate(rows):
            self._positions[sequence] += 1
            self._rows[sequence] = row

    def sample(self, sequence: int, *, bound: bool) -> int:
        chain, grammar = self._chains[sequence], self._grammars[sequence]
        assert chain is not None
        if grammar is not None and bound:
            return grammar.sample(chain, self._context, self._rows[sequence])
        if chain.greedy:  # a tenth of the time the chain takes to copy the logits
            return int(self._logits(sequence).argmax())
        return chain.sample(self._context, self._rows[sequence])

    def _greedy(self, sequence: int) -> bool:
        chain = self._chains[sequence]
        return chain is not None and chain.greedy

    def logprob(self, sequence: int, token: int, top: int) -> TokenLogprob:
        values = self._logits(sequence).astype(np.float64)
        values -= values.max()
        values -= np.log(np.exp(values).sum())
        best = np.argsort(values)[::-1][:top] if top else ()
        return TokenLogprob(
            self.tokenizer.piece(token),
            float(values[token]),
            tuple((self.tokenizer.piece(int(each)), float(values[each])) for each in best),
        )

    def _logits(self, sequence: int) -> "npt.NDArray[np.float32]":
        """The logits of a sequence's last row, in the engine's memory until the next evaluation."""
        row = native.llama_get_logits_ith(self._context, self._rows[sequence])
        values = self._row.from_address(ctypes.addressof(row.contents))
        return np.frombuffer(memoryview(values), np.float32)

    def _drop_samplers(self, sequence: int) -> None:
        for sampler in (self._chains[sequence], self._grammars[sequence]):
            if sampler is not None:
                sampler.free()
        self._chains[sequence] = self._grammars[sequence] = None

    def free(self) -> None:
        for sequence in range(self.n_sequences):
            self._drop_samplers(sequence)
        self._batch.free()


class _PrefillAbort:
    """Lets the cancel of one prompt end its own evaluation, and never that of another."""

    def __init__(self, flag: AbortFlag) -> None:
        self._flag = flag
        self._lock = threading.Lock()
        self._current: CancelToken | None = None

    @contextmanager
    def during(self, cancel: CancelToken) -> Iterator[None]:
        """What is evaluated within ends when `cancel` is. Raises Cancelled where it already was:
        the flag must not be left standing for the next evaluation."""
        cancel.raise_if_cancelled()
        with self._lock:
            self._current = cancel
        try:
            cancel.on_cancel(lambda: self._cancelled(cancel))
            yield
        finally:
            with self._lock:
                self._current = None
                self._flag.clear()

    def _cancelled(self, cancel: CancelToken) -> None:
        with self._lock:
            if self._current is cancel:
                self._flag.set()
