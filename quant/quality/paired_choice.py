"""Which of a pair is kept, by what was measured. Imports no numpy: the application decides."""

from quant.estimate import Choice
from quant.quality.figures import PairedReport


def choose(pair: PairedReport) -> Choice:
    """Whether the costlier result, the pair's first, replaces the cheaper one, its second: only
    where it measurably wins. Measure the pair on text used for neither calibration nor tuning."""
    return Choice(
        costlier_kept=pair.outcome == "first",
        outcome=pair.outcome,
        kl_difference=pair.kl_difference,
        costlier_kl=pair.first.kl_mean,
        cheaper_kl=pair.second.kl_mean,
        tokens=pair.first.tokens,
    )
