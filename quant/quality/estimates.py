"""Means and quantiles of figures per token, with 95 % confidence intervals.

Knows arrays of one number per position, in the text's order; knows no model.
"""

import math

import numpy as np
import numpy.typing as npt

from quant.estimate import Estimate

F64 = npt.NDArray[np.float64]

# Neighbouring tokens err together; intervals treat this many as one observation.
_CLUSTER = 32
_Z95 = 1.959964


def mean_estimate(values: F64) -> Estimate:
    """Mean of `values` [positions] with an interval from the spread of clusters of neighbouring
    tokens; none where the values fill fewer than two clusters, and no figure at all where one is
    not finite.

    The error is the cluster-robust one with the correction G / (G - 1) for G clusters, the interval
    Student's with G - 1 degrees of freedom.
    """
    mean = float(values.mean())
    if not math.isfinite(mean):
        return Estimate(None)
    clusters = np.array_split(values - mean, max(1, len(values) // _CLUSTER))
    if len(clusters) < 2:
        return Estimate(mean)
    sums = np.array([cluster.sum() for cluster in clusters])
    correction = len(clusters) / (len(clusters) - 1)
    error = math.sqrt(float((sums**2).sum()) * correction) / len(values)
    reach = _t95(len(clusters) - 1) * error
    return Estimate(mean, mean - reach, mean + reach)


def _t95(freedom: int) -> float:
    """Student's t at 97.5 %, by the series of Abramowitz and Stegun 26.7.5: within 4 % from two
    degrees of freedom on, within 0.2 % from five on."""
    z, n = _Z95, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def quantile_estimate(values: F64, share: float) -> Estimate:
    """The quantile `share` (0..1) of `values` [positions], between two order statistics: their
    ranks lie 1.96 standard deviations of the binomial distribution about n * share. No figure
    where a value is not finite."""
    if not np.isfinite(values).all():
        return Estimate(None)
    ordered, count = np.sort(values), len(values)
    spread = _Z95 * math.sqrt(count * share * (1 - share))
    ranks = (
        max(0, math.floor(count * share - spread)),
        min(count - 1, math.ceil(count * share + spread)),
    )
    return Estimate(
        float(np.quantile(ordered, share)), float(ordered[ranks[0]]), float(ordered[ranks[1]])
    )
