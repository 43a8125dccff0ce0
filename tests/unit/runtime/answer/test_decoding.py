"""The token loop around the scripted engine: reuse, limits, stops, cancel, and honest clocks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop, common_prefix
from runtime.backends.fake import END, FakeBackend
from runtime.errors import ContextOverflow
from runtime.generation import SamplingParams
from runtime.progress import Cancelled, CancelToken, OnProgress, ignore_progress
from tests.helpers.fake_engine import fake_placement

GREEDY = SamplingParams(temperature=0)


class Recorded(FakeBackend):
    """The scripted engine, noting what it was asked to evaluate."""

    def __init__(self) -> None:
        super().__init__()
        self.prefilled: list[int] = []

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        self.prefilled.extend(tokens)
        super().prefill(tokens, on_progress, cancel)

    @property
    def cache(self) -> list[int]:
        return self._cache


def backend(folder: Path, **script: Any) -> Recorded:
    path = folder / "script.fake"
    path.write_text(json.dumps(script))
    made = Recorded()
    made.load(str(path), fake_placement(), ignore_progress, CancelToken())
    return made


def run(
    loop: TokenLoop,
    prompt: Sequence[int],
    n_ctx: int = 1000,
    max_tokens: int | None = None,
    on_text: Any = lambda text, tokens: True,
    cancel: CancelToken | None = None,
) -> LoopOutcome:
    limits = LoopLimits(n_ctx, max_tokens)
    return loop.generate(prompt, GREEDY, limits, on_text, ignore_progress, cancel or CancelToken())


def test_the_cache_and_its_record_agree(tmp_path: Path) -> None:
    engine = backend(tmp_path, pieces=["a", "b", "c"])
    loop = TokenLoop(engine)
    outcome = run(loop, [1, 2, 3])
    assert outcome.generated == (END + 1, END + 2, END + 3, END)
    assert loop.cached == engine.cache == [1, 2, 3, END + 1, END + 2, END + 3]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=6))
def test_whatever_is_asked_only_the_new_is_evaluated(prompts: list[list[int]]) -> None:
    engine = Recorded()
    loop = TokenLoop(engine)
    for prompt in prompts:
        before = list(loop.cached)
        engine.prefilled.clear()
        outcome = run(loop, prompt, max_tokens=1)
        shared = min(common_prefix(before, prompt), len(prompt) - 1)
        assert outcome.cached_tokens == shared
        assert engine.prefilled == prompt[shared:]
        assert loop.cached == engine.cache == prompt


def test_an_engine_that_keeps_less_is_believed(tmp_path: Path) -> None:
    class Forgetful(Recorded):
        def truncate(self, n_tokens: int) -> int:
            return super().truncate(0)

    engine = Forgetful()
    loop = TokenLoop(engine)
    run(loop, [1, 2, 3, 4])
    again = run(loop, [1, 2, 3, 4])
    assert again.cached_tokens == 0
    assert loop.cached == engine.cache == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("n_ctx", "max_tokens", "reason", "count"),
    [(100, None, "stop", 11), (100, 4, "length", 4), (8, None, "context", 5), (8, 5, "context", 5),
     (8, 2, "length", 2), (4, None, "context", 1), (100, 10, "length", 10), (100, 11, "stop", 11)],
)  # fmt: skip
def test_limits(
    tmp_path: Path, n_ctx: int, max_tokens: int | None, reason: str, count: int
) -> None:
    loop = TokenLoop(backend(tmp_path, pieces=list("abcdefghij")))
    outcome = run(loop, [1, 2, 3], n_ctx, max_tokens)
    assert (outcome.finish_reason, len(outcome.generated)) == (reason, count)
    assert len(loop.cached) < n_ctx


@pytest.mark.parametrize("length", [4, 5, 50])
def test_a_prompt_without_room_is_refused_before_any_work(tmp_path: Path, length: int) -> None:
    engine = backend(tmp_path, pieces=["a"])
    with pytest.raises(ContextOverflow) as caught:
        run(TokenLoop(engine), [1] * length, n_ctx=4)
    assert caught.value.facts == {"n_tokens": length, "n_ctx": 4}
    assert engine.prefilled == []


def test_who_listens_may_stop(tmp_path: Path) -> None:
    seen: list[str] = []

    def take(text: str, tokens: int) -> bool:
        seen.append(text)
        return len(seen) < 2

    outcome = run(TokenLoop(backend(tmp_path, pieces=["a", "b", "c"])), [1], on_text=take)
    assert seen == ["a", "b"]
    assert outcome.finish_reason == "stop"


def test_cancel_in_the_answer_keeps_what_came(tmp_path: Path) -> None:
    token = CancelToken()
    engine = backend(tmp_path, pieces=["a", "b", "c"])
    loop = TokenLoop(engine)

    def take(text: str, tokens: int) -> bool:
        if text == "b":
            token.cancel()
        return True

    outcome = run(loop, [1, 2], on_text=take, cancel=token)
    assert (outcome.finish_reason, outcome.generated) == ("cancelled", (END + 1, END + 2))
    assert loop.cached == engine.cache == [1, 2, END + 1]


def test_cancel_in_the_prompt_leaves_a_usable_loop(tmp_path: Path) -> None:
    engine = backend(tmp_path, pieces=["a"], prefill_seconds_per_token=0.0001)
    loop = TokenLoop(engine)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        run(loop, [1] * 500, cancel=token)
    assert loop.cached == engine.cache == []
    assert run(loop, [1, 2]).finish_reason == "stop"


def test_a_repeating_answer_is_stopped(tmp_path: Path) -> None:
    class Repeating(Recorded):
        def sample(self) -> int:
            return 65 + len(self._cache) % 3

    limits = LoopLimits(5000, None)
    loop = TokenLoop(Repeating())
    take = lambda text, tokens: True  # noqa: E731
    outcome = loop.generate([1], GREEDY, limits, take, ignore_progress, CancelToken())
    assert outcome.finish_reason == "loop"
    assert len(outcome.generated) < 1000


def test_time_is_put_where_it_was_spent(tmp_path: Path) -> None:
    engine = backend(
        tmp_path,
        pieces=["x"] * 10,
        prefill_seconds_per_token=0.002,
        decode_seconds_per_token=0.02,
    )
    times = run(TokenLoop(engine), [1] * 50).times
    assert times.prefill >= 0.1
    assert times.engine >= 0.2
    assert times.first_token >= times.prefill
    total = times.ended - times.started
    assert times.prefill + times.engine + times.sampling <= total
    assert times.prefill + times.engine > 0.8 * total


def test_common_prefix() -> None:
    assert common_prefix([], [1]) == 0
    assert common_prefix([1, 2], [1, 2, 3]) == 2
    assert common_prefix([1, 2, 3], [1, 9, 3]) == 1
