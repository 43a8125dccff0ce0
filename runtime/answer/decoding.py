"""The token loop: reuse what is cached, prefill the rest, decode, stop, measure.

Works on token ids and one Backend, and is the same for every engine, so that every engine is
measured by the same clock. Knows no template; reasoning and stop strings are passed in as
collaborators.
"""

import codecs
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.answer.repetition import LoopDetector
from runtime.answer.speculation import DraftModel, PromptLookup, Speculation
from runtime.backend import (
    AsynchronousBackend,
    Backend,
    CompanyBackend,
    Tokenizer,
    VerifyingBackend,
)
from runtime.errors import ContextOverflow
from runtime.generation import FinishReason, GenerationRequest, SamplingParams
from runtime.progress import Cancelled, CancelToken, OnProgress

OnText = Callable[[str, int], bool]
"""Receives new text and the number of tokens behind it; returns False to stop (a stop string)."""


@dataclass(frozen=True)
class LoopLimits:
    """When to stop. `max_tokens` None means until the context is full."""

    n_ctx: int
    max_tokens: int | None
    detect_loops: bool = True
    draft: bool = True  # speculative decoding where it pays
    full_length: bool = False  # continue past the end of the turn and in loops

    @classmethod
    def of(cls, request: GenerationRequest, n_ctx: int) -> "LoopLimits":
        """The limits that a request asks for."""
        return cls(n_ctx, request.max_tokens, draft=request.draft, full_length=request.full_length)


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
    drafted: int = 0  # tokens drafted and evaluated ahead
    accepted: int = 0  # of these, the ones that were accepted


class StopRules:
    """The tokens of one answer so far, and the rules that end it. `room` is what the context still
    holds."""

    def __init__(
        self, tokenizer: Tokenizer, limits: LoopLimits, room: int, on_text: OnText
    ) -> None:
        self.generated: list[int] = []
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._full_length = limits.full_length
        detects = limits.detect_loops and not limits.full_length
        self._loops = LoopDetector() if detects else None
        self._budget = room if limits.max_tokens is None else min(room, limits.max_tokens)
        self._over: FinishReason = "context" if self._budget == room else "length"

    @property
    def left(self) -> int:
        """Tokens that may still be generated."""
        return self._budget - len(self.generated)

    def take(self, token: int) -> FinishReason | None:
        """Add a sampled token; returns why the answer ends with it, None where it continues."""
        self.generated.append(token)
        if self._tokenizer.is_end(token) and not self._full_length:
            return "stop"
        if not self._on_text(self._text.decode(self._tokenizer.piece(token)), 1):
            return "stop"
        if self._loops is not None and self._loops.add(token):
            return "loop"
        return None if self.left > 0 else self._over


class TokenLoop:
    """Drives one backend; remembers which tokens its cache holds."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._ahead = False
        self._draft_model: DraftModel | None = None
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
        backend = self._backend
        self._ahead = isinstance(backend, AsynchronousBackend) and backend.asynchronous
        speculation = None if self._ahead else self._speculation(prompt, sampling, limits, cancel)
        generated, reason = self._decode(limits, speculation, on_text, cancel, times)
        if isinstance(backend, AsynchronousBackend):
            backend.wait()  # for a step started with a token that then ended the answer
        times.ended = time.perf_counter()
        drafted, accepted = (
            (speculation.policy.drafted, speculation.policy.accepted) if speculation else (0, 0)
        )
        return LoopOutcome(reason, len(prompt), reused, tuple(generated), times, drafted, accepted)

    def forget(self) -> None:
        """Drop what is cached: the next prompt is evaluated from its first token."""
        self._backend.truncate(0)
        self.cached.clear()

    def _speculation(
        self,
        prompt: Sequence[int],
        sampling: SamplingParams,
        limits: LoopLimits,
        cancel: CancelToken,
    ) -> Speculation | None:
        backend = self._backend
        if not isinstance(backend, VerifyingBackend) or not backend.draft_lengths:
            return None
        if isinstance(backend, CompanyBackend):
            # A greedy answer can be asked for again, with drafts or without.
            if not limits.draft and sampling.temperature > 0 and sampling.top_k != 1:
                return None
            lookup, lengths = PromptLookup(prompt), backend.draft_lengths
            return Speculation(lookup, lengths, company=True, drafts=limits.draft)
        if not limits.draft:
            return None
        if backend.drafter is not None and self._draft_model is None:
            self._draft_model = DraftModel(backend.drafter, backend.tokenizer.n_vocab)
        if self._draft_model is not None:
            self._draft_model.begin(prompt, cancel)
        return Speculation(PromptLookup(prompt), backend.draft_lengths, self._draft_model)

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
        self,
        limits: LoopLimits,
        speculation: Speculation | None,
        on_text: OnText,
        cancel: CancelToken,
        times: LoopTimes,
    ) -> tuple[list[int], FinishReason]:
        room = limits.n_ctx - len(self.cached)
        answer = StopRules(self._backend.tokenizer, limits, room, on_text)
        sampled = [self._first_token(times)]
        while True:
            try:
                ahead = self._evaluate_ahead(sampled[-1], answer.left, times)
            except Cancelled:
                self._backend.truncate(len(self.cached))
                return answer.generated, "cancelled"
            for token in sampled:
                reason = answer.take(token) or ("cancelled" if cancel.cancelled else None)
                if reason is not None:
                    return answer.generated, reason
            if ahead:
                sampled = [self._following(times)]
                continue
            try:
                sampled = self._step(sampled, answer.left, speculation, times)
            except Cancelled:
                self._backend.truncate(len(self.cached))
                return answer.generated, "cancelled"

    def _first_token(self, times: LoopTimes) -> int:
        before = time.perf_counter()
        token = self._backend.sample()
        now = time.perf_counter()
        times.sampling += now - before
        times.first_token = now - times.started
        return token

    def _evaluate_ahead(self, token: int, room: int, times: LoopTimes) -> bool:
        """Start to evaluate a token on a device that works while its text is written.

        Not for a token known to be the last. If a stop string ends the answer, it was in vain.
        """
        if not self._ahead or room <= 1 or self._backend.tokenizer.is_end(token):
            return False
        before = time.perf_counter()
        self._backend.decode(token)
        self.cached.append(token)
        times.engine += time.perf_counter() - before
        return True

    def _following(self, times: LoopTimes) -> int:
        """The token after the one whose evaluation was started."""
        backend = self._backend
        assert isinstance(backend, AsynchronousBackend)
        before = time.perf_counter()
        backend.wait()
        evaluated = time.perf_counter()
        token: int = backend.sample()
        times.engine += evaluated - before
        times.sampling += time.perf_counter() - evaluated
        return token

    def _step(
        self, sampled: list[int], room: int, speculation: Speculation | None, times: LoopTimes
    ) -> list[int]:
        """Evaluate the token sampled last, with a draft where there is one; returns what is sampled
        next, more than one token where some of the draft was accepted."""
        backend, token = self._backend, sampled[-1]
        before = time.perf_counter()
        draft = speculation.next(sampled, room) if speculation is not None else None
        if speculation is not None and draft is not None and isinstance(backend, VerifyingBackend):
            verified = backend.verify(token, draft.tokens)
            seconds = time.perf_counter() - before
            times.sampling += verified.sampling_seconds
            times.engine += seconds - verified.sampling_seconds
            speculation.policy.observe_draft(draft, len(verified.tokens) - 1, seconds)
            self.cached.extend((token, *verified.tokens[:-1]))
            return list(verified.tokens)
        in_company = speculation is not None and speculation.in_company
        if in_company and isinstance(backend, CompanyBackend):
            backend.decode_in_company(token)
        else:
            backend.decode(token)
        self.cached.append(token)
        evaluated = time.perf_counter()
        following = backend.sample()
        now = time.perf_counter()
        times.engine += evaluated - before
        times.sampling += now - evaluated
        if speculation is not None and not in_company:
            speculation.policy.observe_plain(now - before)
        return [following]


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix of two token sequences."""
    length = min(len(left), len(right))
    if list(left[:length]) == list(right[:length]):
        return length
    return next(at for at in range(length) if left[at] != right[at])
