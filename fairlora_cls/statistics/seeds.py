"""What does one number show over the seeds of a method, or the difference of two methods?

S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.statistics.intervals import seed_interval


@dataclass(frozen=True)
class SeedValues:
    """One number over the seeds of a method: mean and 95 % t-interval over the seeds."""

    mean: float | None
    interval: tuple[float, float] | None
    values: tuple[float | None, ...]  # in the order of the seeds


def over_seeds(values: Sequence[float | None] | np.ndarray) -> SeedValues:
    """The (S,) values of a number, None or NaN where undefined; no mean where one of them is, for
    a mean over some of the seeds would be of another question. No interval of a single seed."""
    numbers = np.array(values, dtype=float)
    each = tuple(None if np.isnan(value) else float(value) for value in numbers)
    if None in each or not each:
        return SeedValues(None, None, each)
    return SeedValues(float(numbers.mean()), seed_interval(numbers), each)
