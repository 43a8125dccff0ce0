"""What a quality measurement tells, as values; `quant.quality.report` works them out.

Knows no arithmetic and imports no numpy: the application shows these figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from quant.estimate import Estimate, Outcome

Verdict = Literal["faithful", "close", "noticeable", "damaged"]


@dataclass(frozen=True)
class TextQuality:
    """The figures of one text, None where not finite. `tokens` counts scored positions, `kl_mean`
    is in nats per token, `same_top` a share (0..1)."""

    name: str
    tokens: int
    source_perplexity: float | None
    perplexity: float | None
    kl_mean: float | None
    same_top: float | None


@dataclass(frozen=True)
class QualityReport:
    """What one model lost against its source. `tokens` counts scored positions, `planned` those of
    the whole texts: more, where time ran out. `perplexity_ratio` is target / source, KL is in nats
    per token, `same_top` a share (0..1);
    `error_by_role` relative root mean square error of the weights, None where not finite."""

    source: str
    target: str
    tokens: int
    planned: int
    source_perplexity: Estimate
    perplexity: Estimate
    perplexity_ratio: Estimate
    kl_mean: Estimate
    kl_p99: Estimate
    same_top: Estimate
    verdict: Verdict
    texts: tuple[TextQuality, ...]
    error_by_role: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class TextDifference:
    """By how much the first model's mean KL exceeds the second's over one text, in nats."""

    name: str
    tokens: int
    kl_difference: Estimate


@dataclass(frozen=True)
class PairedReport:
    """Two models against one source over the same positions. Differences are first - second, so
    that a divergence below 0 means that the first diverges less; `outcome` is the one that
    measurably does."""

    first: QualityReport
    second: QualityReport
    outcome: Outcome
    kl_difference: Estimate
    same_top_difference: Estimate
    texts: tuple[TextDifference, ...]


@dataclass(frozen=True)
class SchemeQuality:
    """A model at 4 bits in one way (a name of `quant.quality.schemes.SCHEMES`), against itself."""

    scheme: str
    bits_per_weight: float
    report: QualityReport


@dataclass(frozen=True)
class SchemesReport:
    """The model `source` at 4 bits in several ways."""

    source: str
    schemes: tuple[SchemeQuality, ...]
