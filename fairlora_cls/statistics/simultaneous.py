"""How far apart could any two groups really lie? One interval that holds for all pairs at once.

G groups, M metrics. After Tukey and Kramer: q is the 95 % point of the studentised range of G
independent values, over the root of two. It is exact where the groups' errors are equal and holds
more often where they are not (Hayter 1984). Of several metrics that are independent each is taken
at the M-th root of 95 % (Šidák 1967).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from fairlora_cls.statistics.intervals import CONFIDENCE, Z

STEPS = 45  # of bisection


def largest_difference(centres: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """The 95 % simultaneous interval of the largest true difference between two groups.

    centres, errors: (G,), or (M, G) of M metrics, estimates and their standard errors, G >= 2, errors
    above 0. From max(0, max |d| - q s) to max |d| + q s, over all pairs (and metrics) with the
    difference d and s² = s_i² + s_j².
    """
    centres, errors = np.atleast_2d(centres), np.atleast_2d(errors)
    metrics, groups = centres.shape
    first, second = np.triu_indices(groups, 1)
    apart = np.abs(centres[:, first] - centres[:, second])
    joint = np.sqrt(errors[:, first] ** 2 + errors[:, second] ** 2)
    wide = _critical_value(groups, metrics) * joint
    return float(max(0.0, (apart - wide).max())), float((apart + wide).max())


@lru_cache(maxsize=256)
def _critical_value(groups: int, metrics: int) -> float:
    level = CONFIDENCE ** (1 / metrics)
    lowest = np.linspace(-9, 9, 361)  # of the smallest of G standard normal values
    density = np.exp(-(lowest**2) / 2) / np.sqrt(2 * np.pi) * (lowest[1] - lowest[0])
    below, above = 0.0, 20.0
    for _ in range(STEPS):
        span = (below + above) / 2
        share = groups * (density * (ndtr(lowest + span) - ndtr(lowest)) ** (groups - 1)).sum()
        below, above = (below, span) if share > level else (span, above)
    return above / np.sqrt(2)


def share_centre_and_error(value: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of shares of `count` examples: (hits + 2) / (count + 4) and its standard error, so that a group
    without a miss is not taken for certain (Agresti and Caffo 2000)."""
    centre = (value * count + 2) / (count + 4)
    return centre, np.sqrt(centre * (1 - centre) / (count + 4))


def area_interval(area, positives, negatives):
    """The 95 % interval of an area under the ROC curve, of numbers or of arrays: Newcombe's method 5
    (2006).

    Solves |A - θ| = 1.96 sqrt(V(θ)) for θ on both sides of A; its width is never 0.
    """
    area = np.asarray(area, float)
    ends = []
    for outside in (0.0, 1.0):
        beyond, within = np.full_like(area, outside), area  # the end lies between
        for _ in range(STEPS):
            middle = (beyond + within) / 2
            error = Z * np.sqrt(area_variance(middle, positives, negatives))
            is_beyond = np.abs(area - middle) > error
            beyond = np.where(is_beyond, middle, beyond)
            within = np.where(is_beyond, within, middle)
        ends.append(np.where(area == outside, outside, within)[()])
    return tuple(ends)


def area_variance(true, positives, negatives):
    """V(θ) of Newcombe's method 5: of an area θ among so many positives and negatives."""
    half = (positives + negatives) / 2 - 1
    ranked = 1 + half * (1 - true) / (2 - true) + half * true / (1 + true)
    return true * (1 - true) * ranked / (positives * negatives)
