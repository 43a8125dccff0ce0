"""The difference of two models, against bigram tables whose divergences are known."""

from dataclasses import replace

import numpy as np
import pytest

from quant.estimate import Estimate
from quant.quality.figures import PairedReport
from quant.quality.paired import compare_pair, outcome_of
from quant.quality.paired_choice import choose
from quant.quality.report import compare
from quant.quality.scores import Windows
from tests.helpers.bigrams import F32, divergence, model, table, text
from tests.helpers.known import known

SOURCE = table(1)


def strayed(by: float, seed: int = 2) -> F32:
    """The source with noise of a standard deviation on its logits."""
    noise = np.random.default_rng(seed).standard_normal(SOURCE.shape).astype(np.float32)
    return SOURCE + np.float32(by) * noise


def pair(first: F32, second: F32, count: int = 3000, seed: int = 0) -> PairedReport:
    texts = {"a": text(count, seed), "b": text(count // 2, seed + 1000)}
    return compare_pair(
        texts, model(SOURCE, 64), model(first, 7), model(second, 33), names=("s", "x", "y")
    )


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def test_difference_is_that_of_the_two_divergences() -> None:
    first, second, tokens = strayed(0.3), strayed(0.4), text(100)
    report = compare_pair(
        {"t": tokens},
        model(SOURCE, 9),
        model(first, 7),
        model(second, 5),
        windows=Windows(100, 10),
    )
    expected = np.mean((divergence(SOURCE, first) - divergence(SOURCE, second))[tokens[10:99]])
    assert report.kl_difference.value == pytest.approx(expected, rel=1e-5)
    assert report.texts[0].kl_difference == report.kl_difference
    assert report.texts[0].tokens == 89
    both = known(report.first.kl_mean.value) - known(report.second.kl_mean.value)
    assert report.kl_difference.value == pytest.approx(both)


def test_each_of_the_two_is_reported_as_it_is_alone() -> None:
    found = pair(strayed(0.3), strayed(0.4))
    texts = {"a": text(3000), "b": text(1500, 1000)}
    alone = compare(texts, model(SOURCE, 64), model(strayed(0.4), 64), names=("s", "y"))
    assert replace(found.second, seconds=0) == replace(alone, seconds=0)
    assert [part.name for part in found.texts] == ["a", "b"]


def test_the_better_one_is_named_from_either_side() -> None:
    better, worse = strayed(0.3), strayed(0.33)
    assert pair(better, worse).outcome == "first"
    assert pair(worse, better).outcome == "second"
    assert pair(better, better).outcome == "neither"


def test_a_model_that_gives_no_numbers_loses_to_one_that_does() -> None:
    sound, broken = strayed(0.3), strayed(0.3)
    broken[3, 7] = np.nan
    assert pair(sound, broken).outcome == "first"
    assert pair(broken, sound).outcome == "second"
    assert pair(broken, broken).outcome == "neither"


def test_a_pair_tells_what_two_separate_intervals_cannot() -> None:
    """Both err where the text is hard: here, by an error they share and little of their own."""
    steps: F32 = np.linspace(0, 0.5, 50, dtype=np.float32)[:, None]
    hard: F32 = strayed(0.3) + steps * table(5)
    found = pair(hard, hard + (strayed(0.08, 9) - SOURCE), 8000)
    assert found.outcome == "first"
    assert found.first.kl_mean.high is not None
    assert found.second.kl_mean.low is not None
    assert found.first.kl_mean.high > found.second.kl_mean.low
    assert width(found.kl_difference) < width(found.first.kl_mean) / 2


def test_equal_models_seem_different_about_once_in_twenty_times() -> None:
    """Two tables that stray equally far in the mean over all tokens, though not at each."""
    order = np.random.default_rng(3).permutation(50)
    first = strayed(0.4)
    second = SOURCE + (first - SOURCE)[order]
    gap = divergence(SOURCE, first) - divergence(SOURCE, second)
    second = SOURCE + (second - SOURCE) * np.float32(_scale(second, float(gap.mean())))
    mean = float((divergence(SOURCE, first) - divergence(SOURCE, second)).mean())
    assert abs(mean) < 1e-4
    told = sum(pair(first, second, 800, seed).outcome != "neither" for seed in range(60))
    assert told <= 9


def _scale(second: F32, gap: float) -> float:
    """What the second's errors are to be multiplied by for its divergence to grow by `gap`."""
    own = float(divergence(SOURCE, second).mean())
    low, high = 0.5, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        grown = divergence(SOURCE, SOURCE + (second - SOURCE) * np.float32(middle)).mean()
        low, high = (middle, high) if grown < own + gap else (low, middle)
    return low


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [
        (Estimate(-0.02, -0.03, -0.01), "first"),
        (Estimate(0.02, 0.01, 0.03), "second"),
        (Estimate(-0.02, -0.05, 0.01), "neither"),
        (Estimate(-0.02), "neither"),
        (Estimate(0.0, 0.0, 0.0), "neither"),
    ],
)
def test_only_a_whole_interval_on_one_side_decides(estimate: Estimate, outcome: str) -> None:
    assert outcome_of(estimate) == outcome


def test_the_costlier_is_kept_only_where_it_measurably_wins() -> None:
    better, worse = strayed(0.3), strayed(0.33)
    won = choose(pair(better, worse))
    assert won.costlier_kept
    assert known(won.kl_difference.value) < 0
    assert known(won.costlier_kl.value) < known(won.cheaper_kl.value)
    assert won.tokens == pair(better, worse).first.tokens
    assert not choose(pair(worse, better)).costlier_kept
    undecided = choose(pair(better, better))
    assert (undecided.costlier_kept, undecided.outcome) == (False, "neither")


def test_a_text_too_short_to_tell_keeps_the_cheaper() -> None:
    report = compare_pair(
        {"t": text(128)}, model(SOURCE, 9), model(strayed(0.1), 9), model(strayed(0.9), 9)
    )
    assert report.kl_difference.low is None
    assert known(report.kl_difference.value) < 0
    assert not choose(report).costlier_kept
