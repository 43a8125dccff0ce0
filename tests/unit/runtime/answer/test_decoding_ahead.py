"""Engines that work on their own: the next step begins before a token's text is written."""

from collections.abc import Sequence

import pytest

from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.backend import LoadReport
from runtime.generation import SamplingParams
from runtime.plan import Placement
from runtime.progress import CancelToken, OnProgress, ignore_progress

END = 0
PROMPT = (101, 102)
LIMITS = LoopLimits(n_ctx=64, max_tokens=None)


class Letters:
    """Token n is the nth letter; 0 ends the turn."""

    n_vocab, bos_text, eos_text = 200, "", ""
    chat_template: str | None = None

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        return [ord(letter) - 96 for letter in text]

    def piece(self, token: int) -> bytes:
        return bytes([96 + token])

    def is_end(self, token: int) -> bool:
        return token == END


class Engine:
    """Draws a fixed sequence; writes down what was asked of it."""

    tokenizer = Letters()

    def __init__(self, tokens: Sequence[int], *, asynchronous: bool) -> None:
        self._tokens = list(tokens)
        self._drawn = 0
        self._working = False
        self.asynchronous = asynchronous
        self.evaluated: list[int] = []
        self.events: list[str] = []

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        raise NotImplementedError

    def unload(self) -> None:
        raise NotImplementedError

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        assert not self._working

    def truncate(self, n_tokens: int) -> int:
        assert not self._working
        del self.evaluated[n_tokens:]
        return n_tokens

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        self.evaluated.extend(tokens)

    def decode(self, token: int) -> None:
        self.evaluated.append(token)
        self.events.append(f"decode {token}")
        self._working = self.asynchronous

    def wait(self) -> None:
        self._working = False

    def sample(self) -> int:
        assert not self._working
        self._drawn += 1
        return self._tokens[self._drawn - 1]

    def stage_seconds(self) -> dict[str, float]:
        return {}


def run(
    engine: Engine, limits: LoopLimits = LIMITS, stop_at: str = ""
) -> tuple[LoopOutcome, TokenLoop, str]:
    loop = TokenLoop(engine)
    written: list[str] = []

    def on_text(text: str, _tokens: int) -> bool:
        engine.events.append(f"write {text}")
        written.append(text)
        return text != stop_at

    outcome = loop.generate(
        PROMPT, SamplingParams(), limits, on_text, ignore_progress, CancelToken()
    )
    return outcome, loop, "".join(written)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_answer_is_the_same_either_way(asynchronous: bool) -> None:
    engine = Engine([3, 1, 2, END], asynchronous=asynchronous)
    outcome, loop, text = run(engine)
    assert text == "cab"
    assert outcome.generated == (3, 1, 2, END)
    assert outcome.finish_reason == "stop"
    assert loop.cached == engine.evaluated == [*PROMPT, 3, 1, 2]


def test_text_is_written_while_the_device_works() -> None:
    engine = Engine([3, 1, END], asynchronous=True)
    run(engine)
    assert engine.events == ["decode 3", "write c", "decode 1", "write a"]


def test_an_engine_that_blocks_writes_first() -> None:
    engine = Engine([3, 1, END], asynchronous=False)
    run(engine)
    assert engine.events == ["write c", "decode 3", "write a", "decode 1"]


def test_a_stop_string_leaves_the_cache_known() -> None:
    engine = Engine([3, 1, 2], asynchronous=True)
    outcome, loop, text = run(engine, stop_at="a")
    assert text == "ca"
    assert outcome.finish_reason == "stop"
    assert loop.cached == engine.evaluated == [*PROMPT, 3, 1]
    assert not engine._working


def test_the_last_token_of_the_budget_is_not_evaluated() -> None:
    engine = Engine([3, 1, 2], asynchronous=True)
    outcome, loop, text = run(engine, LoopLimits(n_ctx=64, max_tokens=2))
    assert (text, outcome.finish_reason) == ("ca", "length")
    assert loop.cached == [*PROMPT, 3]
