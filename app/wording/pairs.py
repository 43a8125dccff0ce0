"""Which of two models diverged less from their source, and whether a costlier result was kept, in
words.

Knows `quant.quality.figures`; the window translates the sentences.
"""

from app.wording.sentences import CHOICES, PAIRS
from app.wording.units import format_divergence
from app.wording.worded import Worded, worded
from quant.estimate import Choice, Estimate
from quant.quality.figures import PairedReport


def pair_sentence(pair: PairedReport, first: str, second: str, source: str) -> Worded:
    """Which of two models, by the names given, is closer to the source, and by how much."""
    better, worse = (second, first) if pair.outcome == "second" else (first, second)
    names = {
        "first": first,
        "second": second,
        "better": better,
        "worse": worse,
        "source": source,
    }
    decided = "neither" if pair.outcome == "neither" else "closer"
    if pair.kl_difference.value is None:
        code = "both_no_numbers" if decided == "neither" else "no_numbers"
    else:
        code = "too_short" if pair.kl_difference.low is None else decided
    return worded(PAIRS[code], {**names, **_facts(pair.kl_difference, pair.outcome == "first")})


def choice_sentence(choice: Choice) -> Worded:
    """Which result was kept, and why."""
    kept = {"first": "costlier", "second": "cheaper", "neither": "neither"}[choice.outcome]
    if choice.kl_difference.value is None:
        broken = {"costlier": "cheaper", "cheaper": "costlier", "neither": "both"}[kept]
        code = f"{broken}_no_numbers"
    else:
        code = "too_short" if choice.kl_difference.low is None else kept
    facts = _facts(choice.kl_difference, choice.outcome == "first")
    for name, kl in (("cheaper", choice.cheaper_kl), ("costlier", choice.costlier_kl)):
        facts[name] = _figure(kl.value)
    return worded(CHOICES[code], {**facts, "tokens": choice.tokens})


def _facts(difference: Estimate, turned: bool) -> dict[str, object]:
    """A difference and its interval; `turned` to say by how much the first is lower."""
    figures = (difference.value, difference.low, difference.high)
    if turned:
        value, high, low = (None if figure is None else -figure for figure in figures)
    else:
        value, low, high = figures
    return {"difference": _figure(value), "low": _figure(low), "high": _figure(high)}


def _figure(value: float | None) -> str:
    return "–" if value is None else format_divergence(value)
