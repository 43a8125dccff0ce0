"""An answer as an iterator, in the manner of mlx-lm's `stream_generate`.

Turns what calls back while it generates into something to iterate over; closing the iterator, or
leaving its loop, cancels the generation. Knows threads; knows no engine and no model.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Thread, get_ident

from app.unexpected import log_unexpected
from runtime.answer.answer_text import AnswerText
from runtime.generation import FinishReason, GenerationRequest, GenerationStats
from runtime.process.protocol import Streamed
from runtime.progress import CancelToken

logger = logging.getLogger(__name__)

Generate = Callable[[GenerationRequest, Callable[[Streamed], None], CancelToken], GenerationStats]


@dataclass(frozen=True)
class AnswerPart:
    """A piece of an answer, with how far the answer is.

    `text` is new since the part before, and the model's thinking where `is_reasoning`. `so_far` is
    all of the answer: there the reasoning is right even where it had no opening tag.
    `seconds_to_first_token` begins with the request. `finish_reason` and `stats`, what was measured
    in the worker, come with the last part, which has no text.
    """

    text: str = ""
    is_reasoning: bool = False
    so_far: AnswerText = field(default_factory=AnswerText)
    tokens: int = 0
    tokens_per_second: float | None = None
    seconds_to_first_token: float | None = None
    finish_reason: FinishReason | None = None
    stats: GenerationStats | None = None

    def followed_by(self, event: Streamed, seconds: float) -> "Iterator[AnswerPart]":
        """The parts that an event makes which came so many seconds after the request."""
        part = self
        for chunk in event.chunks:
            first = part.seconds_to_first_token
            part = AnswerPart(
                chunk.text,
                chunk.is_reasoning,
                part.so_far.extended((chunk,)),
                part.tokens + chunk.tokens,
                event.decode_tps,
                seconds if first is None else first,
            )
            yield part

    def last(self, stats: GenerationStats) -> "AnswerPart":
        """The part that ends the answer."""
        return replace(
            self,
            text="",
            so_far=self.so_far.ended(stats),
            tokens=stats.generated_tokens,
            tokens_per_second=stats.decode_tps,
            finish_reason=stats.finish_reason,
            stats=stats,
        )


def stream_answer(
    generate: Generate, request: GenerationRequest, cancel: CancelToken | None = None
) -> Generator[AnswerPart, None, None]:
    """The parts of one answer as they come; nothing begins before the first is asked for.

    `cancel` ends the answer with what there is; one that is set already raises Cancelled. Raises
    what `generate` raises. Closing waits until the generation has ended; a bug that shows only then
    is logged.
    """
    stop, outer = CancelToken(), cancel or CancelToken()
    outer.raise_if_cancelled()
    with outer.calling(stop.cancel):
        yield from _parts(generate, request, stop)


def _parts(
    generate: Generate, request: GenerationRequest, stop: CancelToken
) -> Generator[AnswerPart, None, None]:
    box: SimpleQueue[Streamed | GenerationStats | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            box.put(generate(request, box.put, stop))
        except BaseException as error:
            if stop.cancelled:  # nobody may read on to meet it
                log_unexpected(logger, error, "a cancelled answer")
            box.put(error)

    started, part, consumer = time.monotonic(), AnswerPart(), get_ident()
    thread = Thread(target=work, name="answer", daemon=True)
    thread.start()
    try:
        while part.stats is None:
            consumer = get_ident()
            item = box.get()
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, GenerationStats):
                part = part.last(item)
                yield part
            else:
                for each in part.followed_by(item, time.monotonic() - started):
                    part = each
                    yield part
    finally:
        stop.cancel()
        # A collector may close an abandoned iterator on any thread, even one this answer waits for.
        if get_ident() == consumer:
            thread.join()
