"""Chunks come less often while the engine leaves no core to those who read them."""

from itertools import pairwise

import pytest

from runtime.answer import streaming
from runtime.answer.streaming import COALESCE_SECONDS, SPARING_SECONDS, AnswerStream
from runtime.generation import GenerationRequest, Message
from runtime.machine.cores import logical_cores
from runtime.prompt.chat import PreparedPrompt
from runtime.prompt.chat_profile import ChatProfile


class Clock:
    """The time, and the processor time of an engine that keeps some cores busy."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used = 0.0

    def step(self, seconds: float, cores: float) -> None:
        self.now += seconds
        self.used += seconds * cores

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.used


@pytest.mark.parametrize("every", [None, 0.0])
def test_chunks_come_by_the_cores_that_are_free(
    every: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(streaming, "time", clock)
    request = GenerationRequest("r", (Message("user", "Q"),))
    times: list[float] = []
    stream = AnswerStream(
        request,
        ChatProfile(),
        PreparedPrompt((), False, (), ()),
        lambda _chunks, _tps: times.append(clock.now),
        every,
    )

    def longest(cores: float) -> float:
        times.clear()
        for _ in range(200):
            clock.step(0.005, cores)
            stream.take("word ", 1)
        return max(b - a for a, b in pairwise(times[4:]))

    total = logical_cores()
    waits = [longest(cores) for cores in (total - 1, total, total - 1)]
    expected = (
        [COALESCE_SECONDS, SPARING_SECONDS, COALESCE_SECONDS] if every is None else [0.005] * 3
    )
    assert waits == pytest.approx(expected, abs=0.006)
