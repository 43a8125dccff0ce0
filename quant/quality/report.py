"""What quantization cost: perplexity, Kullback-Leibler divergence and same-top-token share of one
model against another over the same text, with confidence intervals and a verdict.

Logits come from callables and are consumed block by block: memory grows by four numbers a token,
never by a vocabulary. Knows no engine and no file format.

KL(P || Q) is summed over the vocabulary per position, P from the source, in nats; perplexity is
exp of the mean negative log-likelihood of the text's own next tokens.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quant.errors import IncompatibleShape
from quant.quality.figures import Estimate, QualityReport, TextQuality, Verdict

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Logits of positions first.. of a window, in order, as blocks [n, vocabulary]; the window starts
# with an empty cache.
Logits = Callable[[Sequence[int], int], Iterator[F32]]

# Positions worked on at once: bounds the float copies at 8 times the vocabulary.
_ROWS = 8
# Neighbouring tokens err together; intervals treat this many as one observation.
_CLUSTER = 32
_Z95 = 1.959964
# (largest mean KL in nats, smallest same-top share) of each verdict but the last.
_VERDICTS: tuple[tuple[Verdict, float, float], ...] = (
    ("faithful", 0.01, 0.95),
    ("close", 0.06, 0.89),
    ("noticeable", 0.25, 0.78),
)


@dataclass(frozen=True)
class Windows:
    """How a text is cut: windows of `context` tokens, scored from position `skip` on. A last,
    shorter window counts when at least twice `skip` long, unless `whole_only`. `first_token`, where
    a model wants one (BOS), takes the place of each window's first."""

    context: int = 512
    skip: int = 64
    whole_only: bool = False
    first_token: int | None = None

    def cut(self, tokens: Sequence[int]) -> list[list[int]]:
        windows = [list(tokens[i : i + self.context]) for i in range(0, len(tokens), self.context)]
        if self.first_token is not None:
            for window in windows:
                window[0] = self.first_token
        shortest = self.context if self.whole_only else min(2 * self.skip, self.context)
        return [window for window in windows if len(window) >= max(shortest, self.skip + 2)]


WINDOWS = Windows()


@dataclass(frozen=True)
class _Scores:
    """Per scored position: negative log-likelihood under source and target, KL, same top token."""

    source_nll: F64
    target_nll: F64
    kl: F64
    same: F64

    @staticmethod
    def joined(parts: Sequence["_Scores"]) -> "_Scores":
        return _Scores(
            np.concatenate([part.source_nll for part in parts]),
            np.concatenate([part.target_nll for part in parts]),
            np.concatenate([part.kl for part in parts]),
            np.concatenate([part.same for part in parts]),
        )


OnTokens = Callable[[int, int, str], None]


def ignore_tokens(done: int, total: int, name: str) -> None:
    """The OnTokens of a caller that does not care."""


def compare(
    texts: Mapping[str, Sequence[int]],
    source: Logits,
    target: Logits,
    *,
    windows: Windows = WINDOWS,
    on_tokens: OnTokens = ignore_tokens,
    names: tuple[str, str] = ("", ""),
    error_by_role: Mapping[str, float] | None = None,
) -> QualityReport:
    """Score both models on token ids per text name. `on_tokens(done, total, text)` is called per
    block and may raise to cancel. Raises IncompatibleShape when no text fills a window or the
    vocabularies differ."""
    started = time.monotonic()
    cuts = {name: windows.cut(tokens) for name, tokens in texts.items()}
    total = sum(len(window) - windows.skip - 1 for cut in cuts.values() for window in cut)
    if total <= 0:
        raise IncompatibleShape(reason="text_too_short", tensor=None, shape=[])
    scores: dict[str, list[_Scores]] = {}
    done = 0
    for name, cut in cuts.items():
        for window in cut:
            for part in _score_window(window, windows.skip, source, target):
                done += len(part.kl)
                on_tokens(done, total, name)
                scores.setdefault(name, []).append(part)
    per_text = {name: _Scores.joined(parts) for name, parts in scores.items()}
    report = _summary(per_text, names)
    seconds = time.monotonic() - started
    return replace(report, error_by_role=dict(error_by_role or {}), seconds=seconds)


def _summary(per_text: Mapping[str, _Scores], names: tuple[str, str]) -> QualityReport:
    everything = _Scores.joined(list(per_text.values()))
    kl, same = _mean(everything.kl), _mean(everything.same)
    return QualityReport(
        source=names[0],
        target=names[1],
        tokens=len(everything.kl),
        source_perplexity=_exponential(_mean(everything.source_nll)),
        perplexity=_exponential(_mean(everything.target_nll)),
        perplexity_ratio=_exponential(_mean(everything.target_nll - everything.source_nll)),
        kl_mean=kl,
        kl_p99=_quantile(everything.kl, 0.99),
        same_top=_share(same),
        verdict=verdict_of(kl.value, same.value),
        texts=tuple(_text(name, part) for name, part in per_text.items()),
    )


def verdict_of(kl_mean: float, same_top: float) -> Verdict:
    """How far the target strays: both figures must be within a verdict's bounds."""
    for verdict, largest_kl, smallest_share in _VERDICTS:
        if kl_mean <= largest_kl and same_top >= smallest_share:
            return verdict
    return "damaged"


def _score_window(
    window: Sequence[int], skip: int, source: Logits, target: Logits
) -> Iterator[_Scores]:
    """Scores of positions skip .. len - 2, each predicting the token after it."""
    position, end = skip, len(window) - 1
    for first, second in _paired(source(window, skip), target(window, skip)):
        rows = min(len(first), end - position)
        if rows <= 0:
            return
        following = np.asarray(window[position + 1 : position + 1 + rows])
        yield _score(first[:rows], second[:rows], following)
        position += rows


def _paired(source: Iterator[F32], target: Iterator[F32]) -> Iterator[tuple[F32, F32]]:
    """Blocks of equal length from two streams that may cut differently."""
    first, second = next(source, None), next(target, None)
    while first is not None and second is not None:
        rows = min(len(first), len(second), _ROWS)
        if first.shape[1] != second.shape[1]:
            raise IncompatibleShape(
                reason="vocabularies_differ",
                tensor="logits",
                shape=[first.shape[1], second.shape[1]],
            )
        yield first[:rows], second[:rows]
        first = first[rows:] if len(first) > rows else next(source, None)
        second = second[rows:] if len(second) > rows else next(target, None)


def _log_softmax(logits: F32) -> F64:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _score(source: F32, target: F32, following: npt.NDArray[np.int64]) -> _Scores:
    p, q = _log_softmax(source), _log_softmax(target)
    rows = np.arange(len(following))
    return _Scores(
        source_nll=-p[rows, following],
        target_nll=-q[rows, following],
        kl=np.einsum("ij,ij->i", np.exp(p), p - q),
        same=(source.argmax(axis=1) == target.argmax(axis=1)).astype(np.float64),
    )


def _mean(values: F64) -> Estimate:
    """Mean with an interval from the spread of clusters of neighbouring tokens."""
    mean = float(values.mean())
    clusters = np.array_split(values - mean, max(1, len(values) // _CLUSTER))
    if len(clusters) < 2:
        return Estimate(mean)
    sums = np.array([cluster.sum() for cluster in clusters])
    correction = len(clusters) / (len(clusters) - 1)
    error = _Z95 * math.sqrt(float((sums**2).sum()) * correction) / len(values)
    return Estimate(mean, mean - error, mean + error)


def _exponential(estimate: Estimate) -> Estimate:
    return estimate.through(lambda value: math.exp(min(value, 700.0)))


def _share(estimate: Estimate) -> Estimate:
    return estimate.through(lambda value: min(1.0, max(0.0, value)))


def _quantile(values: F64, share: float) -> Estimate:
    """A quantile with the order-statistic interval of the binomial distribution."""
    ordered, count = np.sort(values), len(values)
    spread = _Z95 * math.sqrt(count * share * (1 - share))
    ranks = (
        max(0, math.floor(count * share - spread)),
        min(count - 1, math.ceil(count * share + spread)),
    )
    return Estimate(
        float(np.quantile(ordered, share)), float(ordered[ranks[0]]), float(ordered[ranks[1]])
    )


def _text(name: str, scores: _Scores) -> TextQuality:
    return TextQuality(
        name=name,
        tokens=len(scores.kl),
        source_perplexity=math.exp(float(scores.source_nll.mean())),
        perplexity=math.exp(float(scores.target_nll.mean())),
        kl_mean=float(scores.kl.mean()),
        same_top=float(scores.same.mean()),
    )
