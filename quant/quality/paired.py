"""Two models against the same source, position by position: which diverges less, and whether
the text can tell.

A pair's difference has a far narrower interval than the figures of either, since both err where
the text is hard. Knows scores and figures; no engine, no file format.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from quant.estimate import Estimate, Outcome
from quant.quality.estimates import mean_estimate
from quant.quality.figures import PairedReport, TextDifference
from quant.quality.report import report_of
from quant.quality.scores import (
    WINDOWS,
    Logits,
    OnTokens,
    Scored,
    Scores,
    Windows,
    ignore_tokens,
    score,
)


def compare_pair(
    texts: Mapping[str, Sequence[int]],
    source: Logits,
    first: Logits,
    second: Logits,
    *,
    windows: Windows = WINDOWS,
    within: float | None = None,
    on_tokens: OnTokens = ignore_tokens,
    names: tuple[str, str, str] = ("", "", ""),
) -> PairedReport:
    """Two models against one source, which is evaluated once; see `quant.quality.scores.score`.
    `names` are those of the source, the first and the second."""
    scored = score(
        texts, source, (first, second), windows=windows, within=within, on_tokens=on_tokens
    )
    return paired_report(scored, names)


def paired_report(scored: Scored, names: tuple[str, str, str]) -> PairedReport:
    """The figures of two targets and of their difference."""
    first, second = scored.targets
    ours, theirs = Scores.joined(list(first.values())), Scores.joined(list(second.values()))
    difference = mean_estimate(ours.kl - theirs.kl)
    return PairedReport(
        first=report_of(scored, first, (names[0], names[1])),
        second=report_of(scored, second, (names[0], names[2])),
        outcome=_outcome(ours, theirs, difference),
        kl_difference=difference,
        same_top_difference=mean_estimate(ours.same - theirs.same),
        texts=tuple(
            TextDifference(name, len(part.kl), mean_estimate(part.kl - second[name].kl))
            for name, part in first.items()
        ),
    )


def _outcome(first: Scores, second: Scores, kl_difference: Estimate) -> Outcome:
    """By the difference; of a model with numbers and one without, the former."""
    sound, other_sound = (bool(np.isfinite(scores.kl).all()) for scores in (first, second))
    if sound != other_sound:
        return "first" if sound else "second"
    return outcome_of(kl_difference)


def outcome_of(kl_difference: Estimate) -> Outcome:
    """Which model diverges less by the mean of first - second: "neither" unless the whole interval
    is on one side of 0."""
    if kl_difference.high is not None and kl_difference.high < 0:
        return "first"
    if kl_difference.low is not None and kl_difference.low > 0:
        return "second"
    return "neither"
