"""SamplingParams as a llama.cpp sampler chain, run inside the engine.

Knows the order of the filters; knows no model.
"""

import ctypes
import secrets
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native

from runtime.generation import SamplingParams

PENALTY_WINDOW = 64


class SamplerChain:
    """A native sampler chain: penalties, top-k, top-p, min-p, temperature, draw.

    This is the order llama.cpp's own tools use. Temperature 0 is greedy and skips every filter.
    """

    def __init__(self, params: SamplingParams, history: Sequence[int]) -> None:
        chain_params = native.llama_sampler_chain_default_params()
        chain_params.no_perf = True
        self._chain: Any = native.llama_sampler_chain_init(chain_params)
        for sampler in _samplers(params):
            native.llama_sampler_chain_add(self._chain, sampler)
        if params.repeat_penalty != 1.0:
            for token in history[-PENALTY_WINDOW:]:
                native.llama_sampler_accept(self._chain, token)

    def sample(self, context: Any) -> int:
        """Draw from the context's last logits, and remember the token for the penalties."""
        return int(native.llama_sampler_sample(self._chain, context, -1))

    def free(self) -> None:
        native.llama_sampler_free(self._chain)
        self._chain = None


def _samplers(params: SamplingParams) -> list[Any]:
    samplers: list[Any] = []
    if params.repeat_penalty != 1.0:
        samplers.append(
            native.llama_sampler_init_penalties(PENALTY_WINDOW, params.repeat_penalty, 0.0, 0.0)
        )
    if params.temperature <= 0:
        return [*samplers, native.llama_sampler_init_greedy()]
    if params.top_k > 0:
        samplers.append(native.llama_sampler_init_top_k(params.top_k))
    if params.top_p < 1:
        samplers.append(native.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        samplers.append(native.llama_sampler_init_min_p(params.min_p, 1))
    seed = secrets.randbits(32) if params.seed is None else params.seed & 0xFFFFFFFF
    samplers.append(native.llama_sampler_init_temp(params.temperature))
    samplers.append(native.llama_sampler_init_dist(ctypes.c_uint32(seed).value))
    return samplers
