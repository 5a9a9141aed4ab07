"""Which interval, bias and p-value follow from a set of draws, or from a few seeds?

R draws, S seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

Asked = TypeVar("Asked", bound=Hashable)

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05  # a corrected p-value up to it is evidence
ROUNDING = 1e-9  # equal numbers reached by different sums must count as equal
FEW_EXAMPLES = 100  # below these, resampling misleads of a share
FEW_OF_A_KIND = 10
BIAS_TO_MENTION = 0.25  # standard errors; Efron and Tibshirani 1993, section 10.3
Z = float(ndtri((1 + CONFIDENCE) / 2))
LEAST_DRAWS = 40  # whose 2.5 % is one draw: of fewer no percentile is told
FEW_DRAWS = 10  # as many draws beyond the observed gap measure its p-value well enough
TAIL_DRAWS = 50  # draws from which a tail is continued
FEWEST_SEEDS = 3  # of two seeds the values say more than an interval of one degree of freedom


def interval(draws: np.ndarray) -> tuple[float, float] | None:
    """The middle 95 % of the draws that are defined; None where fewer than half are, or fewer than
    LEAST_DRAWS."""
    defined = _defined(draws, LEAST_DRAWS)
    if defined is None:
        return None
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)


def wide_interval(draws: np.ndarray) -> tuple[float, float] | None:
    """`interval`; None where all of the middle draws agree: that says nothing of certainty."""
    limits = interval(draws)
    return None if limits is None or limits[0] == limits[1] else limits


def bias_corrected_interval(value: float, draws: np.ndarray) -> tuple[float, float] | None:
    """Efron's BC interval: percentiles moved by the share of draws that lie below the value.

    z0 = Phi^-1(share below, ties half); limits at Phi(2 z0 -+ 1.96). None where fewer than half of
    the draws are defined, or fewer than LEAST_DRAWS, and where 97.5 % of them lie on one side of the value: no choice of
    percentiles corrects such a bias.
    """
    defined = _defined(draws, LEAST_DRAWS)
    if defined is None:
        return None
    rounding = 1e-12
    below = (defined < value - rounding).mean() + (np.abs(defined - value) <= rounding).mean() / 2
    if not (1 - CONFIDENCE) / 2 < below < (1 + CONFIDENCE) / 2:
        return None
    low, high = np.percentile(defined, 100 * ndtr(2 * ndtri(below) + np.array([-Z, Z])))
    return float(low), float(high)


def bootstrap_bias(value: float, draws: np.ndarray) -> tuple[float, bool] | None:
    """Mean of the draws minus the value, and whether that is more than BIAS_TO_MENTION of their
    standard deviation. None without defined draws."""
    defined = draws[~np.isnan(draws)]
    if len(defined) == 0:
        return None
    bias = float(defined.mean() - value)
    return bias, abs(bias) > max(BIAS_TO_MENTION * float(defined.std()), 1e-12)


def wilson_interval(value, count):
    """Wilson's score interval of a rate among `count` examples (Wilson 1927): low and high, of
    numbers or of arrays."""
    value, count = np.asarray(value, float), np.asarray(count, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (value + Z**2 / (2 * count)) / (1 + Z**2 / count)
        half = Z / (1 + Z**2 / count) * np.sqrt(value * (1 - value) / count + (Z / count) ** 2 / 4)
    low = np.where(
        value <= 0, 0.0, np.maximum(0.0, centre - half)
    )  # exactly, whatever the rounding
    high = np.where(value >= 1, 1.0, np.minimum(1.0, centre + half))
    return low[()], high[()]


def is_small(value: float, count: float) -> bool:
    """Whether a rate rests on so few examples, or so few of a kind, that resampling misleads."""
    fewer = count * min(value, 1 - value)
    return count < FEW_EXAMPLES or fewer < FEW_OF_A_KIND - 1e-9


def p_value(observed: float, null: np.ndarray, smaller_is_worse: bool = False) -> float:
    """(1 + #{null at least as bad as observed}) / (1 + R), so never 0 (Phipson and Smyth 2010)."""
    as_bad = null <= observed + ROUNDING if smaller_is_worse else null >= observed - ROUNDING
    return float((1 + as_bad.sum()) / (1 + len(null)))


def tail_p_value(observed: float, null: np.ndarray, smaller_is_worse: bool = False) -> float:
    """`p_value`, continued beyond the draws where fewer than FEW_DRAWS are as bad.

    Beyond the TAIL_DRAWS worst draws the tail is taken as exponential with their mean excess: an
    approximation, too large where the null's tail is as light as a normal one's, and too small where
    it is heavier than exponential.
    """
    plain = p_value(observed, null, smaller_is_worse)
    if len(null) < 4 * TAIL_DRAWS or plain * (1 + len(null)) >= 1 + FEW_DRAWS:
        return plain
    sign = -1 if smaller_is_worse else 1
    worst_first = np.sort(sign * null)[::-1]
    if len(np.unique(np.round(worst_first[:TAIL_DRAWS], 9))) < FEW_DRAWS:
        return plain  # few people can be dealt in few ways: such a null has no tail to continue
    start = worst_first[TAIL_DRAWS]
    excess = float((worst_first[:TAIL_DRAWS] - start).mean())
    if excess <= 0:
        return plain
    tail = TAIL_DRAWS / len(null) * float(np.exp(-(sign * observed - start) / excess))
    return min(plain, max(tail, 1e-12))


def swap_p_value(observed: float, chance: np.ndarray) -> float | None:
    """Two-sided: (1 + #{|chance| >= |observed|}) / (1 + R), over the draws that are defined; None
    where fewer than half are."""
    defined = _defined(chance)
    return None if defined is None else p_value(abs(observed), np.abs(defined))


def seed_interval(values: np.ndarray, *, fractions: bool = False) -> tuple[float, float] | None:
    """The 95 % t-interval of the mean of (S,) values; None of fewer than FEWEST_SEEDS.

    It says how far training anew would move the number on this test set, not how far another test
    set would.

    fractions: on the logit scale, with the mean's standard error (delta method), so that the limits
        lie between 0 and 1 as the values must
    """
    from scipy import stats

    if len(values) < FEWEST_SEEDS:
        return None
    mean, error = float(values.mean()), float(stats.sem(values))
    if error == 0:
        return mean, mean
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    if not fractions:
        return mean - half, mean + half
    reach = half / (mean * (1 - mean))
    return float(expit(logit(mean) - reach)), float(expit(logit(mean) + reach))


def holm(p_values: Mapping[Asked, float]) -> dict[Asked, float]:
    """Holm's step-down correction: p_(i) * (m - i + 1), made monotone and cut off at 1."""
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = largest
    return corrected


def holm_by(
    p_values: Mapping[Asked, float | None], kind: Callable[[Asked], Hashable]
) -> dict[Asked, float]:
    """Holm's correction over the questions of each kind by themselves; None was not tested."""
    kinds: dict[Hashable, dict[Asked, float]] = {}
    for asked, value in p_values.items():
        if value is not None:
            kinds.setdefault(kind(asked), {})[asked] = value
    return {asked: p for of_kind in kinds.values() for asked, p in holm(of_kind).items()}


def _defined(draws: np.ndarray, least: int = 1) -> np.ndarray | None:
    """The draws that are defined; None where fewer than half are, or fewer than `least`."""
    defined = draws[~np.isnan(draws)]
    return None if len(defined) < least or 2 * len(defined) < len(draws) else defined
