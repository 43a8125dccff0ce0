"""Coefficients that turn predicted time terms into this machine's times, learnt from finished runs.

A prediction is a sum of terms in seconds ("weights:Q4_0@cpu", "attention@cpu" ...). Each term has
a coefficient, 1 until runs show otherwise; terms of one kind share part of theirs, so that a run of
one weight format teaches about the others. Knows statistics; knows no model and no device.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.plan import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Z80 = 1.2816  # standard deviations of a two-sided 80 % interval
NOISE = 0.13  # relative spread of runs about a fitted prediction: between runs, minutes and shapes
WIDEST = 0.25  # a wider interval would be useless to a user
HUBER = 1.5  # residuals beyond so many deviations weigh less: a disturbed run must not count much
KEPT_OBSERVATIONS = 400

# Prior spread of the logarithm of each coefficient, by kind; the second is what one variant (a
# weight format) may differ from its kind.
PRIORS: Mapping[str, tuple[float, float]] = {
    "weights": (0.14, 0.08),
    "operations": (0.5, 0.0),
    "attention": (0.3, 0.2),
    "sampling": (0.5, 0.0),
    "transfer": (0.7, 0.0),
    "link": (0.7, 0.0),
    "host_head": (0.4, 0.0),
    "host_weights": (0.25, 0.0),
    "prefill": (0.17, 0.13),
    "prefill_attention": (0.3, 0.2),
    "prefill_operations": (0.4, 0.0),
    "prefill_copy": (0.4, 0.0),
}


# And what one thread count may differ. A profile reads all formats at a thread count within a
# moment, and a disturbance affects all of them: without its own parameter it would distort the
# format's, and with it the predictions for other thread counts.
THREADS_PRIOR = 0.12


@dataclass(frozen=True)
class Observation:
    """One finished phase: the terms that were predicted (seconds each) and the seconds it took."""

    engine: str
    terms: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class EngineCoefficients:
    """Logarithms of one engine's coefficients with their covariance, in the order of `names`."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    noise: float
    observations: int


@dataclass(frozen=True)
class Calibration:
    """Coefficients per engine for one machine; empty means nothing has been learnt yet."""

    engines: Mapping[str, EngineCoefficients]

    def seconds(self, engine: str, terms: Mapping[str, float]) -> Interval:
        """The predicted time of a sum of terms with its 80 % interval, in seconds."""
        known = self.engines.get(engine)
        means = dict(zip(known.names, known.means, strict=True)) if known else {}
        scaled = {
            term: value * math.exp(sum(means.get(name, 0.0) for name in parameters(term)))
            for term, value in terms.items()
        }
        total = sum(scaled.values())
        gradient: dict[str, float] = {}
        for term, value in scaled.items():
            for name in parameters(term):
                gradient[name] = gradient.get(name, 0.0) + value / total
        noise = known.noise if known else NOISE
        deviation = math.sqrt(noise**2 + _variance(known, gradient))
        return interval(total, deviation)

    def observations(self, engine: str) -> int:
        known = self.engines.get(engine)
        return known.observations if known else 0


UNCALIBRATED = Calibration({})


def interval(median: float, deviation: float) -> Interval:
    """The 80 % interval of a log-normal figure, never wider than WIDEST either way."""
    factor = min(math.exp(Z80 * deviation), 1 + WIDEST)
    return Interval(median / factor, median, median * factor)


def parameters(term: str) -> tuple[str, ...]:
    """The parameters whose sum is the logarithm of a term's coefficient.

    "weights:Q4_0@cpu" depends on what all weights on that device share and on the format's own,
    "prefill:Q4_0/2@cpu" also on what all prompts with two threads share.
    """
    kind, _, device = term.partition("@")
    base, _, variant = kind.partition(":")
    own, _, threads = variant.partition("/")
    names = [f"{base}@{device}"]
    if own:
        names.append(f"{base}:{own}@{device}")
    if threads:
        names.append(f"{base}/{threads}@{device}")
    return tuple(names)


def fit(observations: Iterable[Observation]) -> Calibration:
    """Coefficients from finished runs, by robust regression of log times with the priors above."""
    by_engine: dict[str, list[Observation]] = {}
    for observation in observations:
        if observation.seconds > 0 and sum(observation.terms.values()) > 0:
            by_engine.setdefault(observation.engine, []).append(observation)
    return Calibration(
        {name: _fit_engine(runs[-KEPT_OBSERVATIONS:]) for name, runs in by_engine.items()}
    )


def _fit_engine(runs: Sequence[Observation]) -> EngineCoefficients:
    import numpy as np  # late: predictions are made at the start of a window, fits are not

    names = tuple(sorted({name for run in runs for term in run.terms for name in parameters(term)}))
    index = {name: position for position, name in enumerate(names)}
    prior = np.array([_prior(name) for name in names])
    theta = np.zeros(len(names))
    weights = np.ones(len(runs))
    for _ in range(30):
        residuals, jacobian = _linearised(runs, index, theta)
        weights = np.minimum(1.0, HUBER * NOISE / np.maximum(np.abs(residuals), 1e-12))
        information = (jacobian.T * weights) @ jacobian / NOISE**2 + np.diag(prior**-2)
        gradient = jacobian.T @ (weights * residuals) / NOISE**2 - theta / prior**2
        step = np.linalg.solve(information, gradient)
        theta = theta + step
        if float(np.abs(step).max()) < 1e-6:
            break
    residuals, jacobian = _linearised(runs, index, theta)
    information = (jacobian.T * weights) @ jacobian / NOISE**2 + np.diag(prior**-2)
    return EngineCoefficients(
        names=names,
        means=tuple(theta.tolist()),
        covariance=tuple(tuple(row) for row in np.linalg.inv(information).tolist()),
        noise=_noise(residuals),
        observations=len(runs),
    )


def _linearised(
    runs: Sequence[Observation], index: Mapping[str, int], theta: "npt.NDArray[np.float64]"
) -> "tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]":
    """Log residuals and the derivative of log predictions by each parameter."""
    import numpy as np

    residuals = np.zeros(len(runs))
    jacobian = np.zeros((len(runs), len(index)))
    for row, run in enumerate(runs):
        scaled = {
            term: value * math.exp(sum(theta[index[name]] for name in parameters(term)))
            for term, value in run.terms.items()
        }
        total = sum(scaled.values())
        residuals[row] = math.log(run.seconds / total)
        for term, value in scaled.items():
            for name in parameters(term):
                jacobian[row, index[name]] += value / total
    return residuals, jacobian


def _noise(residuals: "npt.NDArray[np.float64]") -> float:
    """Spread of what the fit leaves, from the median so that outliers do not widen everything;
    a few runs prove little, so the prior guess counts as eight of them."""
    import numpy as np

    spread = 1.4826 * float(np.median(np.abs(residuals)))
    count = len(residuals)
    return math.sqrt((8 * NOISE**2 + count * spread**2) / (8 + count))


def _prior(name: str) -> float:
    kind, _, _ = name.partition("@")
    if "/" in kind:
        return THREADS_PRIOR
    base, _, variant = kind.partition(":")
    shared, own = PRIORS[base]
    return own if variant else shared


def _variance(known: EngineCoefficients | None, gradient: Mapping[str, float]) -> float:
    """Variance of a log prediction: learnt parameters by covariance, the others by their prior."""
    learnt = set(known.names) if known else set()
    total = sum((g * _prior(name)) ** 2 for name, g in gradient.items() if name not in learnt)
    if known:
        vector = [gradient.get(name, 0.0) for name in known.names]
        total += sum(
            a * b * known.covariance[i][j]
            for i, a in enumerate(vector)
            for j, b in enumerate(vector)
            if a and b
        )
    return total


@dataclass(frozen=True)
class TrackRecord:
    """Accuracy of past predictions: share inside their interval, median absolute relative error."""

    runs: int
    median_error: float
    coverage: float


def track_record(pairs: Iterable[tuple[Interval, float]]) -> TrackRecord | None:
    """The record of (predicted, measured) pairs; None without any."""
    known = [(predicted, measured) for predicted, measured in pairs if predicted.median > 0]
    if not known:
        return None
    errors = sorted(abs(measured / predicted.median - 1) for predicted, measured in known)
    inside = sum(predicted.low <= measured <= predicted.high for predicted, measured in known)
    middle = len(errors) // 2
    median = errors[middle] if len(errors) % 2 else (errors[middle - 1] + errors[middle]) / 2
    return TrackRecord(len(known), median, inside / len(known))
