"""A measured figure with its interval, and what two of them decide.

Knows no arithmetic and imports no numpy: the application shows these values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["first", "second", "neither"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval. The bounds are None where the text was too short
    to tell; the value is None where it is no finite number, as of a damaged model."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def through(self, function: Callable[[float], float]) -> "Estimate":
        """The estimate of a growing function of the figure."""
        return Estimate(
            *(
                None if each is None else function(each)
                for each in (self.value, self.low, self.high)
            )
        )


@dataclass(frozen=True)
class Choice:
    """Whether a costlier result replaced a cheaper one. The outcome's "first" is the costlier;
    `kl_difference` is costlier - cheaper, in nats per token, over `tokens` positions."""

    costlier_kept: bool
    outcome: Outcome
    kl_difference: Estimate
    costlier_kl: Estimate
    cheaper_kl: Estimate
    tokens: int
