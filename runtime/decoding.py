"""The token loop: reuse what is cached, prefill the rest, decode, stop, measure.

Works on token ids and one Backend, and is the same for every engine, so that every engine is
measured by the same clock. Knows no template; reasoning and stop strings come as collaborators.
"""

import codecs
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.backend import Backend
from runtime.errors import ContextOverflow
from runtime.generation import FinishReason, SamplingParams
from runtime.jobs import Cancelled, CancelToken, OnProgress
from runtime.loops import LoopDetector
from runtime.stopping import StopMatcher

OnText = Callable[[str, int], bool]
"""Receives new text and the number of tokens behind it; returns False to stop (a stop string)."""


@dataclass(frozen=True)
class LoopLimits:
    """When to stop. `max_tokens` None means until the context is full."""

    n_ctx: int
    max_tokens: int | None
    detect_loops: bool = True


@dataclass
class LoopTimes:
    """Seconds of one generation, by what they were spent on, on the monotonic clock."""

    started: float = 0.0
    first_token: float = 0.0
    ended: float = 0.0
    prefill: float = 0.0
    engine: float = 0.0
    sampling: float = 0.0


@dataclass(frozen=True)
class LoopOutcome:
    """What the loop did. `generated` includes the token that ended the turn, if one did."""

    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    generated: tuple[int, ...]
    times: LoopTimes


class TokenLoop:
    """Drives one backend; remembers which tokens its cache holds."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.cached: list[int] = []

    def generate(
        self,
        prompt: Sequence[int],
        sampling: SamplingParams,
        limits: LoopLimits,
        on_text: OnText,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> LoopOutcome:
        """Generate after `prompt` until a stop rule holds.

        A cancel during decode ends with reason "cancelled" and keeps what was generated; during
        prefill it raises Cancelled. Raises ContextOverflow when the prompt leaves no room.
        """
        if len(prompt) >= limits.n_ctx:
            raise ContextOverflow(n_tokens=len(prompt), n_ctx=limits.n_ctx)
        times = LoopTimes(started=time.perf_counter())
        reused = self._reuse(prompt)
        self._backend.set_sampling(sampling, prompt)
        self._prefill(prompt[reused:], on_progress, cancel)
        times.prefill = time.perf_counter() - times.started
        generated, reason = self._decode(limits, on_text, cancel, times)
        times.ended = time.perf_counter()
        return LoopOutcome(reason, len(prompt), reused, tuple(generated), times)

    def _reuse(self, prompt: Sequence[int]) -> int:
        """Rewind the cache to the longest common prefix; at least one token is left to evaluate,
        because only an evaluation makes logits."""
        common = common_prefix(self.cached, prompt)
        common = min(common, len(prompt) - 1)
        kept = self._backend.truncate(common)
        del self.cached[kept:]
        return kept

    def _prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        try:
            self._backend.prefill(tokens, on_progress, cancel)
        except BaseException:
            kept = self._backend.truncate(len(self.cached))
            del self.cached[kept:]
            raise
        self.cached.extend(tokens)

    def _decode(
        self, limits: LoopLimits, on_text: OnText, cancel: CancelToken, times: LoopTimes
    ) -> tuple[list[int], FinishReason]:
        backend, tokenizer = self._backend, self._backend.tokenizer
        text = codecs.getincrementaldecoder("utf-8")("replace")
        loops = LoopDetector() if limits.detect_loops else None
        room = limits.n_ctx - len(self.cached)
        budget = room if limits.max_tokens is None else min(room, limits.max_tokens)
        over: FinishReason = "context" if budget == room else "length"
        generated: list[int] = []
        clock = time.perf_counter
        before = clock()
        while True:
            token = backend.sample()
            now = clock()
            times.sampling += now - before
            if not generated:
                times.first_token = now - times.started
            generated.append(token)
            if tokenizer.is_end(token):
                return generated, "stop"
            if not on_text(text.decode(tokenizer.piece(token)), 1):
                return generated, "stop"
            if loops is not None and loops.add(token):
                return generated, "loop"
            if len(generated) >= budget:
                return generated, over
            if cancel.cancelled:
                return generated, "cancelled"
            before = clock()
            try:
                backend.decode(token)
            except Cancelled:
                backend.truncate(len(self.cached))
                return generated, "cancelled"
            self.cached.append(token)
            now = clock()
            times.engine += now - before
            before = now


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix of two token sequences."""
    length = min(len(left), len(right))
    if list(left[:length]) == list(right[:length]):
        return length
    return next(at for at in range(length) if left[at] != right[at])


def stopping_text(stops: Sequence[str], emit: Callable[[str, int], None]) -> OnText:
    """An OnText that applies stop strings before `emit`."""
    matcher = StopMatcher(stops)

    def on_text(piece: str, tokens: int) -> bool:
        emit(matcher.feed(piece), tokens)
        return not matcher.stopped

    return on_text
