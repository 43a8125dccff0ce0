"""One answer from a loaded model: prompt, token loop, reasoning split, coalesced output, stats.

Joins the engine-free parts around one Backend inside the worker. Knows no pipe and no process.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runtime.backend import Backend
from runtime.chat import ChatProfile, PreparedPrompt, detect_profile, prepare
from runtime.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, TokenChunk
from runtime.jobs import CancelToken, OnProgress
from runtime.kvstate import SavedState, SavingBackend, StateFolder
from runtime.reasoning import Piece, ReasoningParser
from runtime.stopping import StopMatcher

if sys.platform == "win32":
    import psutil
else:
    import resource

COALESCE_SECONDS = 0.03  # about 30 events a second: smooth to read, cheap beside decoding

OnChunks = Callable[[tuple[TokenChunk, ...], float | None], None]


class Answerer:
    """Answers requests with one loaded model, keeping its cache between them."""

    def __init__(self, backend: Backend, n_ctx: int) -> None:
        self._backend = backend
        self._loop = TokenLoop(backend)
        self._n_ctx = n_ctx
        self._detected = detect_profile(backend.tokenizer.chat_template)

    def count(self, request: GenerationRequest, profile: ChatProfile | None) -> int:
        """Prompt tokens of a request."""
        return len(self._tokens(self._prepare(request, profile)))

    def answer(
        self,
        request: GenerationRequest,
        profile: ChatProfile | None,
        on_chunks: OnChunks,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> GenerationStats:
        """Generate one answer.

        Raises InvalidRequest, ContextOverflow, TemplateFailed, Cancelled (in prefill).
        """
        if request.max_tokens is not None and request.max_tokens < 1:
            raise InvalidRequest(field="max_tokens", reason="must be at least 1")
        prompt = self._prepare(request, profile)
        stream = _Stream(request, profile or self._detected, prompt, on_chunks)
        limits = LoopLimits(self._n_ctx, request.max_tokens)
        outcome = self._loop.generate(
            self._tokens(prompt), request.sampling, limits, stream.take, on_progress, cancel
        )
        stream.finish()
        return _stats(request.id, outcome, stream, self._backend.stage_seconds())

    def save_state(self, folder: StateFolder, name: str, key: str) -> SavedState | None:
        """Keep the cache on disk; None when there is none or the engine or the disk refused."""
        backend, cached = self._backend, self._loop.cached

        def write(path: Path) -> int:
            assert isinstance(backend, SavingBackend)
            if not backend.save_state(path, cached):
                raise OSError("the engine could not write its state")
            return len(cached)

        if not cached or not isinstance(backend, SavingBackend):
            return None
        return folder.save(name, key, write)

    def restore_state(self, folder: StateFolder, name: str, key: str) -> int:
        """Replace the cache by one kept on disk; returns its tokens, 0 when none can be used."""
        backend, loop = self._backend, self._loop

        def read(path: Path) -> int:
            assert isinstance(backend, SavingBackend)
            loop.cached = backend.load_state(path)
            return len(loop.cached)

        if not isinstance(backend, SavingBackend):
            return 0
        return folder.load(name, key, read)

    def _prepare(self, request: GenerationRequest, profile: ChatProfile | None) -> PreparedPrompt:
        return prepare(
            request.messages,
            profile or self._detected,
            self._backend.tokenizer,
            continue_last=request.continue_last,
        )

    def _tokens(self, prompt: PreparedPrompt) -> list[int]:
        encode = self._backend.tokenizer.encode
        return [
            token
            for segment in prompt.segments
            for token in encode(segment.text, parse_special=segment.special)
        ]


@dataclass
class _Stream:
    """Text on its way out: stop strings, reasoning split, then chunks about every 30 ms."""

    request: GenerationRequest
    profile: ChatProfile
    prompt: PreparedPrompt
    on_chunks: OnChunks
    notices: list[str] = field(default_factory=list)
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        self.notices.extend(self.prompt.notices)
        self._stops = StopMatcher((*self.request.stop, *self.prompt.stop))
        self.parser = (
            ReasoningParser(
                self.prompt.starts_inside_reasoning, self.profile.open_tag, self.profile.close_tag
            )
            if self.profile.kind == "reasoning"
            else None
        )
        self._pending: list[Piece] = []
        self._tokens = 0
        self._total = 0
        self._first = self._flushed = 0.0

    def take(self, text: str, tokens: int) -> bool:
        """The OnText of the token loop."""
        self._tokens += tokens
        self._total += tokens
        if self.parser is not None and self.parser.inside:
            self.reasoning_tokens += tokens
        self._add(self._stops.feed(text))
        now = time.perf_counter()
        if not self._first:
            self._first = now
        if now - self._flushed >= COALESCE_SECONDS and self._pending:
            self._flush(now)
        return not self._stops.stopped

    def finish(self) -> None:
        self._add(self._stops.finish())
        if self.parser is not None:
            self._pending.extend(self.parser.finish())
            if self.parser.inside:
                self.notices.append("thinking_cut")
            if self.parser.missing_opening:
                self.notices.append("missing_opening_tag")
        if self._pending or self._tokens:
            self._flush(time.perf_counter())

    def _add(self, text: str) -> None:
        if not text:
            return
        if self.parser is None:
            self._pending.append((text, False))
        else:
            self._pending.extend(self.parser.feed(text))

    def _flush(self, now: float) -> None:
        tps = (self._total - 1) / (now - self._first) if self._total > 1 else None
        chunks = [
            TokenChunk(self.request.id, text, is_reasoning, 0)
            for text, is_reasoning in _joined(self._pending)
        ] or [TokenChunk(self.request.id, "", False, 0)]
        last = chunks[-1]
        chunks[-1] = TokenChunk(last.request_id, last.text, last.is_reasoning, self._tokens)
        self._pending, self._tokens, self._flushed = [], 0, now
        self.on_chunks(tuple(chunks), tps)


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for text, is_reasoning in pieces:
        if joined and joined[-1][1] == is_reasoning:
            joined[-1] = (joined[-1][0] + text, is_reasoning)
        else:
            joined.append((text, is_reasoning))
    return joined


def _stats(
    request_id: str, outcome: LoopOutcome, stream: _Stream, stages: dict[str, float]
) -> GenerationStats:
    times = outcome.times
    total = times.ended - times.started
    decode_seconds = times.ended - times.started - times.first_token
    decoded = len(outcome.generated) - 1
    evaluated = outcome.prompt_tokens - outcome.cached_tokens
    engine = times.prefill + times.engine
    notices = list(stream.notices)
    if outcome.finish_reason == "loop":
        notices.append("loop_detected")
    return GenerationStats(
        request_id=request_id,
        finish_reason=outcome.finish_reason,
        prompt_tokens=outcome.prompt_tokens,
        cached_tokens=outcome.cached_tokens,
        generated_tokens=len(outcome.generated),
        reasoning_tokens=stream.reasoning_tokens,
        time_to_first_token=times.first_token,
        prefill_seconds=times.prefill,
        decode_seconds=decode_seconds,
        prefill_tps=evaluated / times.prefill if times.prefill > 0 else None,
        decode_tps=decoded / decode_seconds if decoded > 0 and decode_seconds > 0 else None,
        peak_memory=peak_memory(),
        engine_share=engine / total,
        sampling_share=times.sampling / total,
        other_share=max(0.0, 1 - (engine + times.sampling) / total),
        draft_tokens=outcome.drafted,
        accepted_tokens=outcome.accepted,
        stage_seconds=stages,
        notices=tuple(notices),
        unopened_reasoning=0 if stream.parser is None else stream.parser.unopened_length,
    )


def peak_memory() -> int:
    """Highest resident set of this process so far, in bytes. Includes mapped weights."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # ru_maxrss would begin with the parent's size at the fork
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
