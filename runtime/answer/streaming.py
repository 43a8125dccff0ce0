"""Text of one answer on its way out, and the measurements of the finished answer.

Stop strings, reasoning split, chunks about every 30 ms, or 50 ms when no core is free. Knows no
backend, no pipe and no process.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.answer.decoding import LoopOutcome
from runtime.generation import GenerationRequest, GenerationStats, TokenChunk, TokenLogprob
from runtime.machine.cores import logical_cores
from runtime.prompt.chat import PreparedPrompt
from runtime.prompt.chat_profile import ChatProfile
from runtime.prompt.reasoning import Piece, ReasoningParser
from runtime.prompt.stopping import StopMatcher

if sys.platform == "win32":
    import psutil
else:
    import resource

COALESCE_SECONDS = 0.025  # a window at 35 frames a second gets text for each; cheap beside decoding
SPARING_SECONDS = 0.05  # where reading the chunks takes cores from the engine
FREE_CORES = 0.6  # with fewer free, reading chunks slows the engine

OnChunks = Callable[[tuple[TokenChunk, ...], float | None], None]


@dataclass
class AnswerStream:
    """Takes text token by token and hands out chunks; `finish` ends it."""

    request: GenerationRequest
    profile: ChatProfile
    prompt: PreparedPrompt
    on_chunks: OnChunks
    every: float | None = None  # seconds between chunks, the first goes at once; None: by the load
    notices: list[str] = field(default_factory=list)
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        self.notices.extend(self.prompt.notices)
        stops = () if self.request.full_length else (*self.request.stop, *self.prompt.stop)
        self._stops = StopMatcher(stops)
        self.parser = (
            ReasoningParser(
                self.prompt.starts_inside_reasoning, self.profile.open_tag, self.profile.close_tag
            )
            if self.profile.kind == "reasoning"
            else None
        )
        self._pending: list[Piece] = []
        self._logprobs: list[TokenLogprob] = []
        self._tokens = 0
        self._total = 0
        self._untagged = 0  # as marked
        self._first = self._flushed = 0.0
        self._used = time.process_time()
        self._wait = COALESCE_SECONDS

    @property
    def inside_reasoning(self) -> bool:
        """Whether the next token belongs to the reasoning."""
        return self.parser is not None and self.parser.inside

    def add_logprob(self, logprob: TokenLogprob) -> None:
        """Add the probability of the token whose text `take` gets next."""
        self._logprobs.append(logprob)

    def take(self, text: str, tokens: int) -> bool:
        """The OnText of the token loop."""
        self._tokens += tokens
        self._total += tokens
        if self.inside_reasoning:
            self.reasoning_tokens += tokens
        self._add(self._stops.feed(text))
        now = time.perf_counter()
        if not self._first:
            self._first = now
        wait = self._wait if self.every is None else self.every
        if self._pending and (not self._flushed or now - self._flushed >= wait):
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
        pieces = _joined(self._pending) or [("", False)]
        chunks = [TokenChunk(self.request.id, text, inside, 0) for text, inside in pieces]
        text, inside = pieces[-1]
        chunks[-1] = TokenChunk(self.request.id, text, inside, self._tokens, tuple(self._logprobs))
        self._mark_untagged_reasoning(chunks)
        self._pending, self._logprobs = [], []
        self._pace(now)
        self._tokens, self._flushed = 0, now
        self.on_chunks(tuple(chunks), tps)

    def _pace(self, now: float) -> None:
        """Wait for the next chunk by the cores that this process left free since the last one."""
        used = time.process_time()
        kept = (used - self._used) / max(now - self._flushed, 1e-6)
        free = logical_cores() - kept
        self._wait = SPARING_SECONDS if free < FREE_CORES else COALESCE_SECONDS
        self._used = used

    def _mark_untagged_reasoning(self, chunks: list[TokenChunk]) -> None:
        """Mark the piece of the answer with which earlier ones turn out to have been reasoning."""
        if self.parser is None or self.parser.untagged_chars == self._untagged:
            return
        self._untagged = self.parser.untagged_chars
        at = max(at for at, chunk in enumerate(chunks) if not chunk.is_reasoning)
        chunks[at] = replace(chunks[at], untagged_reasoning_chars=self._untagged)


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for text, is_reasoning in pieces:
        if joined and joined[-1][1] == is_reasoning:
            joined[-1] = (joined[-1][0] + text, is_reasoning)
        else:
            joined.append((text, is_reasoning))
    return joined


def stats_of(
    request_id: str,
    outcome: LoopOutcome,
    stream: AnswerStream,
    stages: dict[str, float],
    mean_threads: float = 0.0,
) -> GenerationStats:
    """The measurements of a finished answer."""
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
        mean_threads=mean_threads,
        notices=tuple(notices),
        untagged_reasoning_chars=0 if stream.parser is None else stream.parser.untagged_chars,
    )


def peak_memory() -> int:
    """Highest resident set of this process since its start, in bytes: loading, earlier answers and
    mapped weights included."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # ru_maxrss would begin with the parent's size at the fork
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
