"""Sampling within a grammar: llama.cpp's grammar sampler beside a sampler chain.

Knows the native calls; knows nothing of JSON or of where grammars come from.
"""

import ctypes

import numpy as np
import numpy.typing as npt

from runtime.backends.llama.binding import native
from runtime.backends.llama.sampling import SamplerChain
from runtime.errors import InvalidRequest

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class GrammarSampler:
    """One answer's grammar and how far it has come. Raises InvalidRequest where it is unusable."""

    def __init__(self, vocab: native.llama_vocab_p, n_vocab: int, grammar: str) -> None:
        self._vocab = vocab
        self._sampler = native.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        if not self._sampler:
            raise InvalidRequest(field="grammar", reason="grammar_unreadable")
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._candidates = np.zeros(n_vocab, _CANDIDATE)

    def sample(self, chain: SamplerChain, context: native.llama_context_p, row: int) -> int:
        """Sample with `chain` what the grammar allows, and advance both.

        Most samples are allowed, so one is taken freely first: looking through the whole vocabulary
        costs milliseconds.
        """
        token = self._draw(chain, context, row, bound=False)
        if not self._allows(token):
            token = self._draw(chain, context, row, bound=True)
        if token != self._end():
            native.llama_sampler_accept(self._sampler, token)
        chain.accept(token)
        return token

    def _draw(
        self, chain: SamplerChain, context: native.llama_context_p, row: int, *, bound: bool
    ) -> int:
        logits = native.llama_get_logits_ith(context, row)
        self._candidates["id"] = self._ids
        self._candidates["logit"] = np.ctypeslib.as_array(logits, (len(self._ids),))
        array = _array(self._candidates)
        if bound:
            native.llama_sampler_apply(self._sampler, ctypes.byref(array))
            if not np.isfinite(self._candidates["logit"]).any():  # nothing can follow
                return self._end()
        chain.apply(array)
        return int(array.data[array.selected].id)

    def _allows(self, token: int) -> bool:
        one = np.array([(token, 1.0, 0.0)], _CANDIDATE)
        native.llama_sampler_apply(self._sampler, ctypes.byref(_array(one)))
        return bool(np.isfinite(one["logit"][0]))

    def _end(self) -> int:
        return int(native.llama_vocab_eos(self._vocab))

    def free(self) -> None:
        native.llama_sampler_free(self._sampler)


def _array(candidates: npt.NDArray[np.void]) -> native.llama_token_data_array:
    data = candidates.ctypes.data_as(ctypes.POINTER(native.llama_token_data))
    return native.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
