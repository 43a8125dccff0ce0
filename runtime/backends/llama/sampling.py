"""SamplingParams as a llama.cpp sampler chain, run inside the engine.

Knows the order of the filters, and that a chain can run where the logits are; knows no model.
"""

import ctypes
import secrets
from collections.abc import Sequence

from runtime.backends.llama.binding import native
from runtime.generation import SamplingParams

PENALTY_WINDOW = 64
# Tokens a device hands over where top-p or min-p is to choose among the whole vocabulary. No
# useful nucleus has more.
DEVICE_HEAD = 1024
_NO_CUT = 1e30  # standard deviations


class SamplerChain:
    """A native sampler chain: penalties, top-k, top-p, min-p, temperature, draw.

    This is the order llama.cpp's own tools use. Temperature 0 is greedy and skips every filter.
    """

    def __init__(
        self,
        params: SamplingParams,
        history: Sequence[int],
        n_vocab: int,
        *,
        on_device: bool = False,
    ) -> None:
        self.params = params
        self._attached: native.llama_context_p | None = None
        chain_params = native.llama_sampler_chain_default_params()
        chain_params.no_perf = True
        self._chain = native.llama_sampler_chain_init(chain_params)
        for sampler in _samplers(params, n_vocab, on_device=on_device):
            native.llama_sampler_chain_add(self._chain, sampler)
        if params.repeat_penalty != 1.0:
            for token in history[-PENALTY_WINDOW:]:
                native.llama_sampler_accept(self._chain, token)

    def attach(self, context: native.llama_context_p) -> None:
        """Make the chain part of the context's graph: tokens are drawn on the output device.

        Copying 150k logits to the host and sorting them there costs a fast GPU a quarter of its
        speed. Samplers that the device cannot run follow on the host by themselves.
        """
        if native.llama_set_sampler(context, 0, self._chain):
            self._attached = context

    def serves(self, params: SamplingParams) -> bool:
        """Whether a new generation may go on with this chain: same filters, no fixed seed and no
        memory of tokens. Attaching another makes the engine build its graph anew."""
        same = params == self.params and params.seed is None
        return same and params.repeat_penalty == 1.0 and self._attached is not None

    @property
    def greedy(self) -> bool:
        """Whether the largest logit is always drawn, as it stands."""
        return self.params.temperature <= 0 and self.params.repeat_penalty == 1.0

    def sample(self, context: native.llama_context_p, row: int = -1) -> int:
        """Draw from a row of the context's logits, the last by default, and remember the token for
        the penalties."""
        return int(native.llama_sampler_sample(self._chain, context, row))

    def apply(self, candidates: native.llama_token_data_array) -> None:
        """Filter a llama_token_data_array and select from it, remembering nothing."""
        native.llama_sampler_apply(self._chain, ctypes.byref(candidates))

    def accept(self, token: int) -> None:
        """Remember a token that was drawn outside."""
        native.llama_sampler_accept(self._chain, token)

    def free(self) -> None:
        if self._attached is not None:
            native.llama_set_sampler(self._attached, 0, None)
            self._attached = None
        native.llama_sampler_free(self._chain)
        self._chain = None


def _samplers(
    params: SamplingParams, n_vocab: int, *, on_device: bool
) -> list["native.llama_sampler_p"]:
    samplers: list[native.llama_sampler_p] = []
    if params.repeat_penalty != 1.0:
        samplers.append(
            native.llama_sampler_init_penalties(
                n_vocab, PENALTY_WINDOW, params.repeat_penalty, 0.0, 0.0
            )
        )
    if params.temperature <= 0:
        return [*samplers, native.llama_sampler_init_greedy()]
    trims = params.top_k > 0 or params.top_p < 1 or params.min_p > 0
    top_k = params.top_k or (DEVICE_HEAD if on_device and trims else 0)
    if top_k > 0:
        samplers.append(native.llama_sampler_init_top_k(top_k))
    if on_device and trims:
        # A filter that removes nothing and that no device can run: what follows it stays on the
        # host. For a few dozen tokens the host is faster than thirty small kernels.
        samplers.append(native.llama_sampler_init_top_n_sigma(_NO_CUT))
    if params.top_p < 1:
        samplers.append(native.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        samplers.append(native.llama_sampler_init_min_p(params.min_p, 1))
    seed = secrets.randbits(32) if params.seed is None else params.seed & 0xFFFFFFFF
    samplers.append(native.llama_sampler_init_temp(params.temperature))
    samplers.append(native.llama_sampler_init_dist(ctypes.c_uint32(seed).value))
    return samplers
