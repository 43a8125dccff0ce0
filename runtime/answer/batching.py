"""Several answers at a time from one loaded model: requests join and leave between evaluations.

Each answer has a seat, which is one sequence of the engine with its own cached tokens. A step
evaluates one token for every running answer, all of them together, and then at most one
micro-batch of prompts, each prompt by itself. Prompts are never mixed with other rows, so that what
an answer is computed from has the same shape whoever else is answered. Knows no engine and no pipe.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.answer.decoding import LoopLimits, LoopOutcome, LoopTimes, StopRules, common_prefix
from runtime.answer.streaming import AnswerStream, OnChunks, stats_of
from runtime.backend import SequenceBackend
from runtime.errors import ContextOverflow, EngineError, InvalidRequest
from runtime.generation import (
    FinishReason,
    GenerationRequest,
    GenerationStats,
)
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress
from runtime.prompt.chat_profile import ChatProfile
from runtime.prompt.prompting import Prompter

FLUSH_SECONDS = 0.05  # between flushes of concurrent answers: all are flushed in the same step
WORTH_REUSING = 16  # with fewer cached tokens, a seat is chosen by age, not by content


@dataclass(frozen=True)
class Listener:
    """Receives what comes of a request. `ended` is called once, with the stats or with the error
    that ended it."""

    chunks: OnChunks
    progress: OnProgress
    ended: Callable[[GenerationStats | Exception], None]


@dataclass
class _Answer:
    request: GenerationRequest
    prompt: list[int]
    stream: AnswerStream
    listener: Listener
    cancel: CancelToken
    times: LoopTimes = field(default_factory=LoopTimes)
    reused: int = 0
    rules: StopRules | None = None  # None until the prompt is evaluated
    sampled: int = -1  # the token sampled last, not yet evaluated


@dataclass
class _Seat:
    sequence: int
    cached: list[int] = field(default_factory=list)
    answer: _Answer | None = None
    left_at: int = 0  # when it was last freed, counted in answers


class BatchAnswerer:
    """Answers up to `backend.n_sequences` requests at a time; further ones wait in order."""

    def __init__(self, backend: SequenceBackend, n_ctx: int) -> None:
        self._backend = backend
        self._n_ctx = n_ctx
        self._prompter = Prompter(backend.tokenizer)
        self._waiting: deque[_Answer] = deque()
        self._seats = [_Seat(index) for index in range(backend.n_sequences)]
        self._answered = 0
        self._flushed_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self._waiting) or any(seat.answer for seat in self._seats)

    def count(self, request: GenerationRequest, profile: ChatProfile | None) -> int:
        """Prompt tokens of a request."""
        return len(self._tokens(request, profile)[0])

    def join(
        self,
        request: GenerationRequest,
        profile: ChatProfile | None,
        listener: Listener,
        cancel: CancelToken,
    ) -> None:
        """Take a request in. Raises InvalidRequest, ContextOverflow, TemplateFailed."""
        tokens, stream = self._tokens(request, profile, listener.chunks)
        if not tokens:
            raise InvalidRequest(field="prompt", reason="no_tokens")
        if len(tokens) >= self._n_ctx:
            raise ContextOverflow(n_tokens=len(tokens), n_ctx=self._n_ctx)
        self._waiting.append(_Answer(request, tokens, stream, listener, cancel))

    def _tokens(
        self,
        request: GenerationRequest,
        profile: ChatProfile | None,
        on_chunks: OnChunks = lambda _chunks, _tps: None,
    ) -> tuple[list[int], AnswerStream]:
        chosen = self._prompter.profile(request, profile)
        prompt = self._prompter.prepare(request, chosen)
        prefix = self._backend.text_prefix if request.prompt is not None else ()
        tokens = [*prefix, *self._prompter.tokens(prompt)]
        return tokens, AnswerStream(request, chosen, prompt, on_chunks)

    def step(self) -> None:
        """Evaluate once: a token of every running answer, then prompts up to a micro-batch.

        In this order the first token of an answer is sent as soon as its prompt is evaluated.
        """
        self._drop_cancelled()
        self._seat_waiting()
        self._pace()
        self._decode()
        room = self._backend.chunk
        for seat in self._seats:
            if seat.answer is not None and seat.answer.rules is None and room > 0:
                room -= self._prefill(seat, seat.answer, room)

    def _pace(self) -> None:
        """Flush all answers in the same steps, so that their text is written at once."""
        streams = [seat.answer.stream for seat in self._seats if seat.answer is not None]
        if len(streams) == 1:
            streams[0].every = None
            return
        now = time.perf_counter()
        due = now - self._flushed_at >= FLUSH_SECONDS
        if due:
            self._flushed_at = now
        for stream in streams:
            stream.every = 0.0 if due else math.inf

    # -- join and leave   ----------------------------------------------------------------------

    def _drop_cancelled(self) -> None:
        for answer in [a for a in self._waiting if a.cancel.cancelled]:
            self._waiting.remove(answer)
            answer.listener.ended(Cancelled())
        for seat in self._seats:
            if seat.answer is not None and seat.answer.cancel.cancelled:
                self._leave(seat, "cancelled" if seat.answer.rules else Cancelled())

    def _seat_waiting(self) -> None:
        free = [seat for seat in self._seats if seat.answer is None]
        while free and self._waiting:
            answer = self._waiting.popleft()
            seat = max(free, key=lambda seat: _worth(seat, answer.prompt))
            try:
                self._begin(seat, answer)
            except EngineError as error:
                answer.listener.ended(error)
            else:
                free.remove(seat)

    def _begin(self, seat: _Seat, answer: _Answer) -> None:
        """Give an answer its seat, with as much of the seat's cache as fits its prompt."""
        request = answer.request
        self._backend.begin(seat.sequence, request.sampling, answer.prompt, request.grammar)
        answer.times.started = time.perf_counter()
        # At least one token is left to evaluate: only an evaluation makes logits.
        common = min(common_prefix(seat.cached, answer.prompt), len(answer.prompt) - 1)
        answer.reused = self._rewind(seat, common)
        seat.answer = answer

    def _rewind(self, seat: _Seat, n_tokens: int) -> int:
        kept = self._backend.truncate(seat.sequence, n_tokens)
        del seat.cached[kept:]
        return kept

    def _leave(self, seat: _Seat, how: FinishReason | Exception) -> None:
        """Free a seat and report the end. Its cache stays for a prompt with the same beginning."""
        answer, seat.answer = seat.answer, None
        assert answer is not None
        self._answered += 1
        seat.left_at = self._answered
        if isinstance(how, Exception):
            answer.listener.ended(how)
            return
        assert answer.rules is not None
        answer.times.ended = time.perf_counter()
        answer.stream.finish()
        outcome = LoopOutcome(
            how, len(answer.prompt), answer.reused, tuple(answer.rules.generated), answer.times
        )
        answer.listener.ended(stats_of(answer.request.id, outcome, answer.stream, {}))

    # -- evaluating ----------------------------------------------------------------------------

    def _prefill(self, seat: _Seat, answer: _Answer, room: int) -> int:
        """Evaluate the next piece of a prompt and, after its last, sample; returns the tokens
        evaluated.

        Pieces end at multiples of the micro-batch, counted from the first token, so that they do
        not depend on what else there is to evaluate.
        """
        done, chunk = len(seat.cached), self._backend.chunk
        piece = answer.prompt[done : (done // chunk + 1) * chunk]
        if len(piece) > room and room < chunk:
            return room  # the whole piece in the next step
        try:
            self._backend.prefill(seat.sequence, piece, answer.cancel)
        except (Cancelled, EngineError) as error:
            self._rewind(seat, done)
            self._leave(seat, error)
            return len(piece)
        seat.cached.extend(piece)
        done, total = len(seat.cached), len(answer.prompt)
        answer.listener.progress(Progress("prefill", done, total, "tokens"))
        if done == total:
            answer.times.prefill = time.perf_counter() - answer.times.started
            limits = LoopLimits.of(answer.request, self._n_ctx)
            room_left = self._n_ctx - total
            answer.rules = StopRules(self._backend.tokenizer, limits, room_left, answer.stream.take)
            self._draw(seat, answer)
            answer.times.first_token = time.perf_counter() - answer.times.started
        return len(piece)

    def _decode(self) -> None:
        under_way = [(s, s.answer) for s in self._seats if s.answer is not None and s.answer.rules]
        if not under_way:
            return
        before = time.perf_counter()
        try:
            self._backend.decode([(seat.sequence, answer.sampled) for seat, answer in under_way])
        except EngineError as error:
            for seat, _answer in under_way:
                self._rewind(seat, 0)
                self._leave(seat, error)
            return
        seconds = time.perf_counter() - before
        for seat, answer in under_way:
            seat.cached.append(answer.sampled)
            answer.times.engine += seconds
            self._draw(seat, answer)

    def _draw(self, seat: _Seat, answer: _Answer) -> None:
        backend, stream = self._backend, answer.stream
        assert answer.rules is not None
        before = time.perf_counter()
        token = backend.sample(seat.sequence, bound=not stream.inside_reasoning)
        if answer.request.logprobs is not None and not backend.tokenizer.is_end(token):
            stream.add_logprob(backend.logprob(seat.sequence, token, answer.request.logprobs))
        answer.times.sampling += time.perf_counter() - before
        answer.sampled = token
        reason = answer.rules.take(token)
        if reason is not None:
            self._leave(seat, reason)


def _worth(seat: _Seat, prompt: Sequence[int]) -> tuple[int, int]:
    """How much of a prompt a free seat has cached; with little, the longest unused seat wins."""
    common = common_prefix(seat.cached, prompt)
    return (common if common >= WORTH_REUSING else 0, -seat.left_at)
