"""Scoring against a budget of time: the texts take turns, and what was left out is told."""

import pytest

from quant.quality.report import compare, report_of
from quant.quality.scores import Windows, score
from tests.helpers.bigrams import model, table, text

WINDOWS = Windows(100, 9)  # 90 scored positions each


class Clock:
    """Says what time it would be had every call for a window's logits taken so long."""

    def __init__(self, *seconds: float) -> None:
        self.now = 50.0
        self._seconds = list(seconds)

    def __call__(self) -> float:
        return self.now

    def tick(self, done: int, planned: int, name: str) -> None:
        if done % 90 == 0:
            self.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]


def scored_texts(clock: Clock, within: float | None) -> dict[str, int]:
    """Scored positions of three texts of four windows each."""
    texts = {name: text(400, seed) for seed, name in enumerate("abc")}
    scored = score(
        texts,
        model(table(1), 90),
        (model(table(2), 90),),
        windows=WINDOWS,
        within=within,
        on_tokens=clock.tick,
        clock=clock,
    )
    assert scored.planned == 12 * 90
    assert scored.seconds == clock.now - 50
    report = report_of(scored, scored.targets[0], ("s", "t"))
    assert report.planned == scored.planned
    assert report.tokens == sum(part.tokens for part in report.texts)
    return {part.name: part.tokens for part in report.texts}


def test_without_a_budget_all_is_scored() -> None:
    assert scored_texts(Clock(60.0), None) == {"a": 360, "b": 360, "c": 360}


def test_time_that_runs_out_leaves_the_texts_equal_shares() -> None:
    assert scored_texts(Clock(5.0), 33.0) == {"a": 180, "b": 180, "c": 180}


def test_no_window_is_begun_that_would_end_too_late() -> None:
    assert scored_texts(Clock(5.0), 20.0) == {"a": 180, "b": 90, "c": 90}
    assert scored_texts(Clock(5.0), 19.0) == {"a": 90, "b": 90, "c": 90}
    assert scored_texts(Clock(9.0, 1.0), 17.9) == {"a": 90}


def test_the_first_window_is_scored_however_slow() -> None:
    assert scored_texts(Clock(1000.0), 10.0) == {"a": 90}


def test_spread_windows_come_from_all_over_a_text() -> None:
    windows = Windows(4, 1)
    taken = windows.spread(range(100), 3)
    assert windows.cut(taken) == [[0, 1, 2, 3], [33, 34, 35, 36], [66, 67, 68, 69]]
    assert windows.spread(range(12), 3) == list(range(12))
    assert windows.cut(windows.spread(range(13), 3)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_the_order_of_the_texts_is_kept_and_changes_no_figure() -> None:
    source, target = model(table(1), 64), model(table(2), 64)
    texts = {"long": text(900), "short": text(200, 1)}
    report = compare(texts, source, target, windows=WINDOWS)
    assert [part.name for part in report.texts] == ["long", "short"]
    alone = compare({"long": texts["long"]}, source, target, windows=WINDOWS)
    assert report.texts[0].kl_mean == pytest.approx(alone.kl_mean.value)
