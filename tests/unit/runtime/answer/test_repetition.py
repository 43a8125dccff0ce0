"""Loops are noticed soon, ordinary answers never, at a cost that does not grow."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answer.repetition import MIN_REPEATED, MIN_ROUNDS, LoopDetector


def tokens_until_noticed(tokens: list[int]) -> int | None:
    detector = LoopDetector()
    for count, token in enumerate(tokens, start=1):
        if detector.add(token):
            return count
    return None


@pytest.mark.parametrize("period", [1, 2, 7, 8, 9, 40, 128, 300, 1500])
def test_exact_loop_of_any_period(period: int) -> None:
    rng = random.Random(period)
    start = [rng.randrange(150_000) for _ in range(500)]
    line = rng.sample(range(150_000), period)
    noticed = tokens_until_noticed(start + line * (20 + 1000 // period))
    assert noticed is not None
    assert noticed <= 500 + period + max(MIN_REPEATED, MIN_ROUNDS * period) + 20


def test_says_what_it_found() -> None:
    detector = LoopDetector()
    assert any(detector.add(token) for token in list(range(50)) * 30)
    assert detector.found is not None
    assert (detector.found.kind, detector.found.period) == ("exact", 50)


def test_near_loop_with_a_changing_number() -> None:
    line = list(range(1000, 1060))
    tokens = [token for number in range(100) for token in [*line, number]]
    noticed = tokens_until_noticed(tokens)
    assert noticed is not None
    assert noticed < 2000


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_text_is_no_loop(seed: int) -> None:
    rng = random.Random(seed)
    # A small vocabulary, so that short n-grams repeat by chance.
    assert tokens_until_noticed([rng.randrange(12) for _ in range(3000)]) is None


def test_repeating_the_whole_once_is_no_loop() -> None:
    rng = random.Random(1)
    body = [rng.randrange(150_000) for _ in range(1000)]
    assert tokens_until_noticed(body * 2) is None
    assert tokens_until_noticed(body * 3) is None


def test_a_table_is_no_loop() -> None:
    rng = random.Random(2)
    rows = [[9, 220, 10, rng.randrange(1000), 9, rng.randrange(1000), 9, 198] for _ in range(200)]
    assert tokens_until_noticed([token for row in rows for token in row]) is None


def test_cost_does_not_grow_with_length() -> None:
    detector = LoopDetector()
    rng = random.Random(3)

    def seconds(count: int) -> float:
        tokens = [rng.randrange(150_000) for _ in range(count)]
        started = time.thread_time()
        for token in tokens:
            detector.add(token)
        return time.thread_time() - started

    early = min(seconds(2000) for _ in range(3))
    seconds(60_000)
    late = min(seconds(2000) for _ in range(3))
    assert late < 12 * early
