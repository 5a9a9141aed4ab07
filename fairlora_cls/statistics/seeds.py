"""What does one number show over the seeds of a method, or the difference of two methods?

S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.intervals import seed_interval

FRACTIONS, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)  # what numbers of reports lie between


@dataclass(frozen=True)
class SeedValues:
    """One number over the seeds of a method: mean, and of three or more its 95 % t-interval."""

    mean: float | None
    interval: tuple[float, float] | None
    values: tuple[float | None, ...]  # in the order of the seeds


def over_seeds(
    values: Sequence[float | None] | np.ndarray, possible: tuple[float, float]
) -> SeedValues:
    """The (S,) values of a number, None or NaN where undefined; no mean where one of them is, for
    a mean over some of the seeds would be of another question. No interval of one or two seeds.

    possible: FRACTIONS or DIFFERENCES, which the interval does not leave unless a value does
    """
    numbers = np.array(values, dtype=float)
    each = tuple(None if np.isnan(value) else float(value) for value in numbers)
    if None in each or not each:
        return SeedValues(None, None, each)
    lowest, highest = possible
    within = lowest <= numbers.min() and numbers.max() <= highest
    limits = seed_interval(numbers, fractions=within and possible == FRACTIONS)
    if limits is not None and within:
        limits = max(lowest, limits[0]), min(highest, limits[1])
    return SeedValues(float(numbers.mean()), limits, each)


def show_seeds(quantity: Quantity, found: SeedValues, *, signed: bool = False) -> str:
    """The interval without unit, of two seeds the values: '79.1 to 82.4', '80.0 and 81.0'."""
    if found.interval is not None:
        return (quantity.show_signed_range if signed else quantity.show_range)(found.interval)
    if len(found.values) < 2 or None in found.values:
        return ""
    show = quantity.show_signed if signed else quantity.show_number
    return " and ".join(show(value).removesuffix(" points") for value in found.values)
