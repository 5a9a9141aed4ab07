"""How far apart could any two groups really lie? One interval that holds for all pairs at once.

G groups. After Tukey's studentised range: of independent normal values with the groups' standard
errors, q is the 95 % point of the largest |Z_i - Z_j| / sqrt(s_i² + s_j²) over all pairs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from fairlora_cls.statistics.intervals import CONFIDENCE

MOST_DRAWS = 10_000
MOST_NUMBERS = 4_000_000  # simulated
HELD = 1 << 20  # at once


def largest_difference(centres: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """The 95 % simultaneous interval of the largest true difference between two groups.

    centres, errors: (G,) estimates and their standard errors, G >= 2, errors above 0. From
    max(0, max |d| - q s) to max |d| + q s, over all pairs with the difference d and s² = s_i² + s_j².
    """
    first, second = np.triu_indices(len(centres), 1)
    apart = np.abs(centres[first] - centres[second])
    joint = np.sqrt(errors[first] ** 2 + errors[second] ** 2)
    scaled = tuple(float(error) for error in np.round(errors / errors.max(), 6))
    wide = _critical_value(scaled) * joint
    return float(max(0.0, (apart - wide).max())), float((apart + wide).max())


@lru_cache(maxsize=256)
def _critical_value(errors: tuple[float, ...]) -> float:
    own = np.array(errors)
    first, second = np.triu_indices(len(own), 1)
    draws = max(200, min(MOST_DRAWS, MOST_NUMBERS // len(first)))
    values = np.random.default_rng(20231019).standard_normal((draws, len(own))) * own
    joint = np.sqrt(own[first] ** 2 + own[second] ** 2)
    largest = np.empty(draws)
    step = max(1, HELD // len(first))  # pairs of many groups are many
    for start in range(0, draws, step):
        part = values[start : start + step]
        apart = np.abs(part[:, first] - part[:, second]) / joint
        largest[start : start + step] = apart.max(axis=1)
    return float(np.quantile(largest, CONFIDENCE))


def share_centre_and_error(value: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of shares of `count` examples: (hits + 2) / (count + 4) and its standard error, so that a group
    without a miss is not taken for certain (Agresti and Caffo 2000)."""
    centre = (value * count + 2) / (count + 4)
    return centre, np.sqrt(centre * (1 - centre) / (count + 4))


def area_interval(area: float, positives: float, negatives: float) -> tuple[float, float]:
    """The 95 % interval of an area under the ROC curve: Newcombe's method 5 (2006).

    Solves |A - θ| = 1.96 sqrt(V(θ)) for θ on both sides of A; its width is never 0.
    """
    from scipy.optimize import brentq

    z = ndtri((1 + CONFIDENCE) / 2)

    def beyond(true: float) -> float:
        return abs(area - true) - z * np.sqrt(area_variance(true, positives, negatives))

    low = 0.0 if area <= 0 else brentq(beyond, 0.0, min(area, 1 - 1e-9))
    high = 1.0 if area >= 1 else brentq(beyond, max(area, 1e-9), 1.0)
    return float(low), float(high)


def area_variance(true: float, positives: float, negatives: float) -> float:
    """V(θ) of Newcombe's method 5: of an area θ among so many positives and negatives."""
    half = (positives + negatives) / 2 - 1
    ranked = 1 + half * (1 - true) / (2 - true) + half * true / (1 + true)
    return true * (1 - true) * ranked / (positives * negatives)
