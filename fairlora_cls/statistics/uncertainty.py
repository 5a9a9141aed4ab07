"""How far could each group's value lie from the truth, and what follows for differences between groups?

G groups, R resamples, K classes. Every kind of metric gives the same: 95 % limits, and a centre and
standard error that never say a group without a miss is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from fairlora_cls.statistics.intervals import (
    CONFIDENCE,
    LEAST_DRAWS,
    Z,
    wilson_interval,
)
from fairlora_cls.statistics.simultaneous import (
    area_interval,
    area_variance,
    largest_difference,
    share_centre_and_error,
)

Limits = tuple[float, float]

WILSON, NEWCOMBE, STUDENT = "wilson", "newcombe", "t"
EFFECTIVE = "effective wilson"  # of as many independent examples as would vary as much
ALIKE = "all resamples agree"
NOISY = "noise alone raises it"
FEW_DRAWN = f"fewer than {LEAST_DRAWS} resamples"
LEAST_ERRORS = 5  # that a mean of errors sums up to, for its resamples to tell how much it varies
LEAST_VARIANCE = 1e-12
MANY = 100  # positives, and negatives
MOST_DRAWS, MOST_NUMBERS = 10_000, 100_000  # simulated, of errors


@dataclass(frozen=True)
class Uncertainty:
    """Of one metric in every group; NaN where it cannot be told."""

    method: str  # wilson | newcombe | effective wilson | t
    low: np.ndarray  # (G,)
    high: np.ndarray
    centres: np.ndarray  # (G,) that differences start from
    errors: np.ndarray  # (G,) and their standard errors
    reason: str = ALIKE  # why it cannot be told
    most: float = 1.0  # no difference can be larger

    def limits(self, group: int) -> Limits | None:
        """The interval of a group; None where it cannot be told."""
        low, high = float(self.low[group]), float(self.high[group])
        return None if np.isnan(low) or np.isnan(high) else (low, high)


def of_shares(values: np.ndarray, counts: np.ndarray) -> Uncertainty:
    """Shares of so many independent examples: Wilson's limits."""
    counts = _or_nan(counts)
    centred = share_centre_and_error(values, counts)
    return Uncertainty(WILSON, *wilson_interval(values, counts), *centred)


def of_fractions(
    values: np.ndarray, drawn: np.ndarray, units: np.ndarray, few: np.ndarray | None = None
) -> Uncertainty:
    """Any fractions, by their resamples: Wilson's limits of as many independent examples as would vary
    as much.

    drawn: (R, G); units: (G,) examples, or patients or lesions, that were drawn; few: (G,) mask of the
        means of so few errors that the rare large ones may all be missing, in the resamples too: the
        limits are those of a share of `units`, which no mean of fractions goes beyond
    """
    if len(drawn) < LEAST_DRAWS:
        return unknown(len(values), FEW_DRAWN)
    counts = _or_nan(effective_counts(values, drawn, units))
    if few is not None:
        counts = np.where(few, np.fmin(counts, units), counts)
    centred = share_centre_and_error(values, counts)
    return Uncertainty(EFFECTIVE, *wilson_interval(values, counts), *centred)


def effective_counts(values: np.ndarray, drawn: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(G,) of how many independent examples a share would vary as much as these fractions do.

    value (1 - value) / s² · (1.96 / t)², with the bootstrap's s² · units / (units - 1) and Student's t
    of units - 1 degrees of freedom (Korn and Graubard 1998). Where the resamples tell nothing, the
    units themselves: no mean of fractions varies more.
    """
    variance = _variance(drawn, units)
    with np.errstate(invalid="ignore", divide="ignore"):
        counts = values * (1 - values) / variance * (Z / _student(units)) ** 2
    return np.where(_is_known(values, variance, units), counts, units)


def of_areas(
    values: np.ndarray,
    counts: Sequence[np.ndarray],
    units: Sequence[np.ndarray] | None,
    drawn: np.ndarray,
) -> Uncertainty:
    """Areas under one ROC curve: Newcombe's limits. Of whole units the counts are divided by how much
    more the resamples vary than he expects of single examples; of MANY single ones by how much more
    or less, for he expects scores of one shape.

    counts, units: (G,) positives and negatives, and units that have some; None: examples are alone
    """
    sides = [_or_nan(side) for side in counts]
    units, is_alone = units or sides, units is None
    fewest = np.minimum(*units)
    variance = _variance(drawn, fewest) * (_student(fewest) / Z) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        more = variance / area_variance(values, *sides)
    known = _is_known(values, variance, fewest)
    more = np.where(known, more, 1.0)
    if is_alone:
        known &= fewest >= MANY
    else:
        more = np.maximum(1, more)
    sides = [
        np.where(known, side / more, _or_nan(unit)) for side, unit in zip(sides, units, strict=True)
    ]
    pairs = sides[0] * sides[1]
    centres = (values * pairs + 1) / (pairs + 2)  # so that no area is certain
    errors = np.sqrt(area_variance(centres, *sides))
    return Uncertainty(NEWCOMBE, *area_interval(values, *sides), centres, errors)


def of_f1(values: np.ndarray, labelled: np.ndarray, selected: np.ndarray) -> Uncertainty:
    """F1 is 2J / (1 + J), where J is the share of hits among all that are labelled or selected: Wilson's
    limits of J (Lam, Gopal and Qian 2023). labelled, selected: (G,) counts of examples."""
    hits = values * (labelled + selected) / 2
    either = _or_nan(labelled + selected - hits)
    share = of_shares(hits / either, either)
    low, high, centres = (2 * x / (1 + x) for x in (share.low, share.high, share.centres))
    return Uncertainty(WILSON, low, high, centres, share.errors * 2 / (1 + share.centres) ** 2)


def of_means(parts: Sequence[Uncertainty], values: np.ndarray, drawn: np.ndarray) -> Uncertainty:
    """Means over K classes of fractions whose limits are known: the distances to the limits add up as
    standard errors do, correlated as the resamples are (Zou and Donner 2008).

    values: (K, G) of the parts, NaN where a class is not there; drawn: (K, R, G)
    """
    there = ~np.isnan(values)
    count = np.maximum(there.sum(axis=0), 1)
    correlations = _correlations(drawn)

    def root(distances: np.ndarray) -> np.ndarray:
        """(K, G) → (G,), of their mean."""
        distances = np.where(there, distances, 0)
        squared = np.einsum("jg,jkg,kg->g", distances, correlations, distances)
        return np.sqrt(np.maximum(squared, 0)) / count

    low, high, centres, errors = (
        np.stack([getattr(part, side) for part in parts])
        for side in ("low", "high", "centres", "errors")
    )
    mean, centre = (
        np.where(there.any(axis=0), np.where(there, each, 0).sum(axis=0) / count, np.nan)
        for each in (values, centres)
    )
    limits = np.maximum(mean - root(values - low), 0), np.minimum(mean + root(high - values), 1)
    return Uncertainty(parts[0].method, *limits, centre, root(errors), parts[0].reason)


def of_recalls(parts: Sequence[Uncertainty], values: np.ndarray, counts: np.ndarray) -> Uncertainty:
    """Means of the recalls of K classes: the wider of the parts' limits put together and Wilson's for one
    recall of all classes, of as many examples as would vary as much: each alone is narrow near 1.

    values: (K, G) of the parts, NaN where a class is not there; counts: (K, G) examples of each
    """
    there = ~np.isnan(values)
    present = np.maximum(there.sum(axis=0), 1)
    drawn = np.zeros((len(values), 1, values.shape[1]))  # classes are of different examples
    mean = of_means(parts, values, drawn)
    alike = present**2 / _or_nan(np.where(there, 1 / np.maximum(counts, 1), 0).sum(axis=0))
    low, high = wilson_interval(np.where(there, values, 0).sum(axis=0) / present, alike)
    return replace(mean, low=np.minimum(mean.low, low), high=np.maximum(mean.high, high))


def of_numbers(values: np.ndarray, drawn: np.ndarray, units: np.ndarray) -> Uncertainty:
    """Values on any scale, by their resamples: Student's limits."""
    if len(drawn) < LEAST_DRAWS:
        return unknown(len(values), FEW_DRAWN)
    variance = _variance(drawn, units)
    errors = np.where(variance > LEAST_VARIANCE, np.sqrt(variance), np.nan) * _student(units) / Z
    limits = values - Z * errors, values + Z * errors
    return Uncertainty(STUDENT, *limits, values, errors, most=np.inf)


def unknown(groups: int, reason: str) -> Uncertainty:
    """Nothing can be told."""
    nothing = np.full(groups, np.nan)
    return Uncertainty("none", nothing, nothing, nothing, nothing, reason)


def gap_limits(
    kind: str, metrics: Sequence[Uncertainty], compared: np.ndarray, value: float
) -> Limits | None:
    """The 95 % simultaneous interval of a gap: of the largest difference between two groups in any of
    the metrics, or of the smallest ratio. It always holds the observed value; None where a group's
    uncertainty cannot be told. compared: (G,) mask."""
    centres = np.stack([each.centres[compared] for each in metrics])
    errors = np.stack([each.errors[compared] for each in metrics])
    if centres.shape[1] < 2 or not (errors > 0).all():  # false of NaN
        return None
    if kind == "ratio":  # a difference of logarithms
        low, high = largest_difference(np.log(centres), errors / centres)
        low, high = np.exp(-high), np.exp(-low)
    else:
        low, high = largest_difference(centres, errors)
    most = min(each.most for each in metrics)
    return float(min(low, value)), float(max(min(high, most), value))


def why_unknown(metrics: Sequence[Uncertainty], compared: np.ndarray) -> str:
    """Why the groups of the (G,) mask have no such interval."""
    return next((each.reason for each in metrics if np.isnan(each.errors[compared]).any()), ALIKE)


def distances_limits(
    uncertainty: Uncertainty, compared: np.ndarray, weights: np.ndarray, value: float
) -> Limits | None:
    """The 95 % interval of the sum of the groups' distances from the whole: the observed one more or
    less what the errors' distances sum up to. weights: (G,) the groups' shares of the whole."""
    errors, shares = uncertainty.errors[compared], weights[compared] / weights[compared].sum()
    if len(errors) < 2 or not (errors > 0).all():
        return None
    drawn = _standard_draws(len(errors)) * errors
    apart = np.abs(drawn - (drawn @ shares)[:, None]).sum(axis=1)
    most = float(np.quantile(apart, CONFIDENCE))
    return max(0.0, value - most), value + most


def _is_known(values: np.ndarray, variance: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(G,) whether the resamples tell how much a fraction varies."""
    return (variance > LEAST_VARIANCE) & (units > 1) & (values > 0) & (values < 1)


def _variance(drawn: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(G,) of (R, G) resamples, as if `units` had been drawn from many; NaN where fewer than half of
    the resamples, or LEAST_DRAWS, are defined."""
    defined = ~np.isnan(drawn)
    count = defined.sum(axis=0)
    few = (count < LEAST_DRAWS) | (2 * count < len(drawn))
    count = np.where(few, np.nan, count)
    mean = np.where(defined, drawn, 0).sum(axis=0) / count
    squares = (np.where(defined, drawn - mean, 0) ** 2).sum(axis=0) / count
    return squares * units / np.where(units > 1, units - 1.0, np.nan)


def _student(units: np.ndarray) -> np.ndarray:
    """(G,) the 97.5 % point of Student's t; NaN of a single unit."""
    freedom = np.where(units > 1, units - 1.0, np.nan)
    return stdtrit(freedom, (1 + CONFIDENCE) / 2)


def _correlations(drawn: np.ndarray) -> np.ndarray:
    """(K, R, G) → (K, K, G), 0 where resamples of a class agree."""
    apart = np.where(np.isnan(drawn), 0, drawn - _mean_of_draws(drawn))
    products = np.einsum("jrg,krg->jkg", apart, apart)
    scale = np.sqrt(np.maximum(np.einsum("kkg->kg", products), LEAST_VARIANCE))
    together = products / scale[:, None] / scale[None]
    along = np.arange(len(drawn))
    together[along, along] = 1
    return together


def _mean_of_draws(drawn: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(drawn)
    count = np.maximum(defined.sum(axis=1, keepdims=True), 1)
    return np.where(defined, drawn, 0).sum(axis=1, keepdims=True) / count


def _or_nan(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts, float)
    return np.where(counts > 0, counts, np.nan)


@lru_cache(maxsize=32)
def _standard_draws(groups: int) -> np.ndarray:
    """(draws, G) standard normal values, the same for every score."""
    draws = max(200, min(MOST_DRAWS, MOST_NUMBERS // groups))
    return np.random.default_rng(20231019).standard_normal((draws, groups))
