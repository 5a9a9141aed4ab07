"""How far apart are samples that share nobody: two groups, two cohorts, several sites?

k sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fairlora_cls.statistics.intervals import CONFIDENCE

FEWEST_SITES = 3  # for a prediction interval: of two, nothing is left to tell their spread


@dataclass(frozen=True)
class Known:
    """A value and its 95 % interval; None where undefined or not computed."""

    value: float | None
    interval: tuple[float, float] | None = None


def difference(first: Known, second: Known) -> Known:
    """first − second of independent samples, with an interval made of both intervals.

    Each limit squares and adds the two distances from value to limit that lie on its side (Newcombe
    1998, method 10; Zou and Donner 2008), which keeps the intervals' unequal sides.
    """
    if first.value is None or second.value is None:
        return Known(None)
    apart = first.value - second.value
    if first.interval is None or second.interval is None:
        return Known(apart)
    (low, high), (other_low, other_high) = first.interval, second.interval
    below = np.hypot(first.value - low, other_high - second.value)
    above = np.hypot(high - first.value, second.value - other_low)
    return Known(apart, (float(apart - below), float(apart + above)))


def disadvantage(worse: Known, better: Known, which_way: str) -> Known:
    """How much worse the first group is served than the second; below 0 where it is served better.
    which_way: of the metric, higher | lower | neither is better"""
    return difference(worse, better) if which_way == "lower" else difference(better, worse)


@dataclass(frozen=True)
class RandomEffects:
    """What sites have in common, and how far they truly differ (DerSimonian and Laird 1986)."""

    mean: float
    error: float  # standard error of the mean
    tau_squared: float  # variance between sites beyond what their sizes explain
    i_squared: float  # its share of all variance, after Higgins and Thompson (2002)
    sites: int

    def prediction_interval(self) -> tuple[float, float] | None:
        """Where the true value of a new site may lie: 95 %, t with k − 2 degrees of freedom (Higgins,
        Thompson and Spiegelhalter 2009). None of fewer than FEWEST_SITES."""
        if self.sites < FEWEST_SITES:
            return None
        half = float(stdtrit(self.sites - 2, (1 + CONFIDENCE) / 2))
        half *= float(np.sqrt(self.tau_squared + self.error**2))
        return self.mean - half, self.mean + half


def random_effects(effects: np.ndarray, variances: np.ndarray) -> RandomEffects:
    """Of (k,) sites' values and the variances of these, k >= 2, variances above 0."""
    weights, freedom = 1 / variances, len(effects) - 1
    q = float((weights * (effects - np.average(effects, weights=weights)) ** 2).sum())
    tau_squared = max(
        0.0, (q - freedom) / float(weights.sum() - (weights**2).sum() / weights.sum())
    )
    weights = 1 / (variances + tau_squared)
    return RandomEffects(
        mean=float(np.average(effects, weights=weights)),
        error=float(weights.sum() ** -0.5),
        tau_squared=tau_squared,
        i_squared=max(0.0, (q - freedom) / q) if q > 0 else 0.0,
        sites=len(effects),
    )
