"""What quantization cost: perplexity, Kullback-Leibler divergence and same-top-token share of one
model against another over the same text, with confidence intervals and a verdict.

Knows how figures follow from scores; `quant.quality.scores` works those out. Perplexity is exp of
the mean negative log-likelihood of the text's own next tokens.
"""

import math
from collections.abc import Mapping, Sequence

from quant.estimate import Estimate
from quant.quality.estimates import mean_estimate, quantile_estimate
from quant.quality.figures import QualityReport, TextQuality, Verdict
from quant.quality.scores import (
    WINDOWS,
    Logits,
    OnTokens,
    Scored,
    Scores,
    TextScores,
    Windows,
    ignore_tokens,
    score,
)

# (largest mean KL in nats, smallest same-top share) of each verdict but the last.
_VERDICTS: tuple[tuple[Verdict, float, float], ...] = (
    ("faithful", 0.01, 0.95),
    ("close", 0.06, 0.89),
    ("noticeable", 0.25, 0.78),
)


def compare(
    texts: Mapping[str, Sequence[int]],
    source: Logits,
    target: Logits,
    *,
    windows: Windows = WINDOWS,
    within: float | None = None,
    on_tokens: OnTokens = ignore_tokens,
    names: tuple[str, str] = ("", ""),
) -> QualityReport:
    """One model against its source; see `quant.quality.scores.score`."""
    scored = score(texts, source, (target,), windows=windows, within=within, on_tokens=on_tokens)
    return report_of(scored, scored.targets[0], names)


def report_of(scored: Scored, target: TextScores, names: tuple[str, str]) -> QualityReport:
    """The figures of one target; `names` are the source's and its own."""
    everything = Scores.joined(list(target.values()))
    kl, same = mean_estimate(everything.kl), mean_estimate(everything.same)
    return QualityReport(
        source=names[0],
        target=names[1],
        tokens=len(everything.kl),
        planned=scored.planned,
        source_perplexity=_exponential(mean_estimate(everything.source_nll)),
        perplexity=_exponential(mean_estimate(everything.target_nll)),
        perplexity_ratio=_exponential(mean_estimate(everything.target_nll - everything.source_nll)),
        kl_mean=kl,
        kl_p99=quantile_estimate(everything.kl, 0.99),
        same_top=_share(same),
        verdict=verdict_of(kl.value, same.value),
        texts=tuple(_text(name, part) for name, part in target.items()),
        seconds=scored.seconds,
    )


def verdict_of(kl_mean: float | None, same_top: float | None) -> Verdict:
    """How far the target diverges, by mean KL (nats per token) and same-top share (0..1): both must
    be within a verdict's bounds. A target without one of them is damaged."""
    if kl_mean is None or same_top is None:
        return "damaged"
    for verdict, largest_kl, smallest_share in _VERDICTS:
        if kl_mean <= largest_kl and same_top >= smallest_share:
            return verdict
    return "damaged"


def _exponential(estimate: Estimate) -> Estimate:
    return estimate.through(lambda value: math.exp(min(value, 700.0)))


def _share(estimate: Estimate) -> Estimate:
    return estimate.through(lambda value: min(1.0, max(0.0, value)))


def _text(name: str, scores: Scores) -> TextQuality:
    return TextQuality(
        name=name,
        tokens=len(scores.kl),
        source_perplexity=_exponential(mean_estimate(scores.source_nll)).value,
        perplexity=_exponential(mean_estimate(scores.target_nll)).value,
        kl_mean=mean_estimate(scores.kl).value,
        same_top=mean_estimate(scores.same).value,
    )
