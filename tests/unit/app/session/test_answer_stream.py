"""The iterator over an answer, on what calls back while it generates."""

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from app.logs import start_logging
from app.session.answer_stream import stream_answer
from runtime.generation import GenerationRequest, GenerationStats, Message, TokenChunk
from runtime.process.protocol import Streamed
from runtime.progress import Cancelled, CancelToken

REQUEST = GenerationRequest("r", (Message("user", "Q"),))
STATS = GenerationStats(
    "r", "stop", 1, 0, 3, 1, 0.1, 0.1, 0.2, 10.0, 9.0, 1, untagged_reasoning_chars=4
)
OnStream = Callable[[Streamed], None]


def thinker(
    _request: GenerationRequest, on_stream: OnStream, _stop: CancelToken
) -> GenerationStats:
    on_stream(Streamed("r", (TokenChunk("r", "Hm.\n", False, 1),), None))
    four = TokenChunk("r", "Four", False, 1, untagged_reasoning_chars=4)
    on_stream(Streamed("r", (four, TokenChunk("r", ".", False, 1)), 8.0))
    return STATS


def test_each_part_has_what_is_new_and_all_so_far() -> None:
    first, second, third, last = stream_answer(thinker, REQUEST)
    assert [part.text for part in (first, second, third, last)] == ["Hm.\n", "Four", ".", ""]
    assert (first.so_far.answer, first.tokens, first.tokens_per_second) == ("Hm.\n", 1, None)
    assert (second.so_far.answer, second.so_far.reasoning) == ("Four", "Hm.")
    assert (third.tokens, third.tokens_per_second) == (3, 8.0)
    assert third.seconds_to_first_token == first.seconds_to_first_token
    assert not third.so_far.settled
    assert (last.so_far.answer, last.so_far.reasoning) == ("Four.", "Hm.")
    assert last.so_far.settled
    assert (last.finish_reason, last.stats, last.tokens_per_second) == ("stop", STATS, 9.0)


def test_closing_waits_until_the_generation_has_ended() -> None:
    ended = threading.Event()

    def endless(
        request: GenerationRequest, on_stream: OnStream, stop: CancelToken
    ) -> GenerationStats:
        on_stream(Streamed("r", (TokenChunk("r", "a", False, 1),), None))
        stop.wait(20)
        ended.set()
        raise Cancelled

    parts = stream_answer(endless, REQUEST)
    assert next(parts).text == "a"
    parts.close()
    assert ended.is_set()


def test_a_token_forgets_the_answers_that_have_ended() -> None:
    cancel = CancelToken()
    seen: list[CancelToken] = []

    def generate(
        request: GenerationRequest, on_stream: OnStream, stop: CancelToken
    ) -> GenerationStats:
        seen.append(stop)
        return thinker(request, on_stream, stop)

    list(stream_answer(generate, REQUEST, cancel))
    gone = weakref.ref(seen.pop())
    gc.collect()
    assert gone() is None


def test_nothing_begins_before_the_first_part_is_asked_for() -> None:
    def never(*_: object) -> GenerationStats:
        raise AssertionError("it has begun")

    stream_answer(never, REQUEST).close()


def test_errors_are_raised_and_what_nobody_reads_is_logged(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    def broken(
        _request: GenerationRequest, on_stream: OnStream, stop: CancelToken
    ) -> GenerationStats:
        on_stream(Streamed("r", (TokenChunk("r", "a", False, 1),), None))
        stop.wait(0.1)
        raise ZeroDivisionError

    parts = stream_answer(broken, REQUEST)
    assert next(parts).text == "a"
    with pytest.raises(ZeroDivisionError):
        next(parts)
    expect_log("a cancelled answer failed")
    start_logging(tmp_path / "stillroom.log")
    left = stream_answer(broken, REQUEST)
    next(left)
    left.close()
    logging.shutdown()
    assert "Traceback" in (tmp_path / "stillroom.log").read_text()
