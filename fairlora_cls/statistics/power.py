"""How large must a true gap be for this test set to show it, and how many examples would it take?

G groups, M simulated studies. Each group's metric is normal around its true value. One group lags,
the others are at the level of all. The lagging group's standard error is that of its own level: of
shares it grows towards one half, so that a group at 90 % varies more than others at 97 %. Chance, of
which a gap must be beyond 95 %, is that of equal groups at the level of all groups together. `unit`
is the bootstrap's standard error of all examples times the root of their count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.stats import norm, qmc

from fairlora_cls.statistics.gaps import Gap
from fairlora_cls.statistics.simultaneous import area_variance

MOST_STUDIES = 2**14  # powers of two, as Sobol's points need
MOST_NUMBERS = 2**21  # simulated at once
POWER = 0.8
LEVEL = 0.05
TARGET_GAP = 0.05  # fractions: the gap that a study should be able to find
MOST_EXAMPLES = 10_000_000  # per group, beyond which a plan is no plan


@dataclass(frozen=True)
class Spread:
    """One metric of a gap: its level overall, its standard deviation per example there, and counts."""

    level: float
    unit: float
    counts: np.ndarray  # (G,) how many examples, or units, each group's value rests on
    better: str = "higher"  # higher | lower | neither
    share_of: np.ndarray | None = None  # (G,) examples that a share is one of; None: no share
    sides: tuple[float, float] | None = None  # of an area: all positives and negatives; None: none

    @property
    def direction(self) -> int:
        """Which way a group lags: -1 down, 1 up; the other way where there is no room for TARGET_GAP."""
        down = self.level >= 0.5 if self.better == "neither" else self.better == "higher"
        room = self.level if down else 1 - self.level
        return -1 if down == (room >= TARGET_GAP) else 1

    def growth(self, level: float) -> float:
        """The standard error at another level, relative to that at the level of all."""
        return float(np.sqrt(max(0.0, self._variance(level) / self._variance(self.level))))

    def _variance(self, level: float) -> float:
        if self.sides is not None:
            return area_variance(level, *self.sides)
        return 1.0 if self.share_of is None else level * (1 - level)


@lru_cache(maxsize=4)
def standard_studies(groups: int, metrics: int) -> np.ndarray:
    """(metrics, M, G) standard normal errors, spread evenly (Sobol's points): the same for every gap,
    so that gaps compare."""
    exponent = int(np.log2(min(MOST_STUDIES, MOST_NUMBERS // groups)))
    points = qmc.Sobol(groups * metrics, seed=20231019).random_base2(exponent)
    return np.moveaxis(norm.ppf(points).reshape(-1, metrics, groups), 1, 0).copy()


def smallest_detectable_gap(gap: Gap, spreads: Mapping[str, Spread]) -> float | None:
    """The true gap found in 80 % of such studies at the 5 % level, if the smallest group lags.

    For a ratio, the true ratio that is found. None where even the largest possible gap is not, or
    where the metric does not vary.
    """
    chosen = [spreads[name] for name in gap.metrics]
    if not _varies(chosen):
        return None
    study = _Study(gap, chosen, LEVEL, counts_are_whole=True)
    lagging = study.lagging_metric
    largest = lagging.level if lagging.direction < 0 else 1 - lagging.level

    def found(lag: float) -> bool:
        return study.power(lag) >= POWER

    if largest <= 0 or not found(largest):
        return None
    lag = _bisect(found, 0.0, largest)
    if gap.kind != "ratio":
        return lag
    low, high = sorted((lagging.level, lagging.level + lagging.direction * lag))
    return low / high


def examples_to_detect(gap: Gap, spreads: Mapping[str, Spread], level: float = LEVEL) -> int | None:
    """How many examples each of G equal groups needs (positives for sensitivity, and so on), for a
    true gap of TARGET_GAP to be found in 80 % of studies. None beyond MOST_EXAMPLES.

    level: what a p-value must not exceed; where several tests are corrected together, LEVEL divided
        by their number
    """
    groups = len(next(iter(spreads.values())).counts)
    chosen = [replace(spreads[name], counts=np.ones(groups)) for name in gap.metrics]
    if not _varies(chosen):
        return None
    study = _Study(gap, chosen, level)

    def found(exponent: float) -> bool:
        return study.power(TARGET_GAP, scale=10 ** (-exponent / 2)) >= POWER

    highest = np.log10(MOST_EXAMPLES)
    if not found(highest):
        return None
    return int(np.ceil(10 ** _bisect(found, 0.0, highest)))


def lagging_group(gap: Gap, spreads: Mapping[str, Spread]) -> int | None:
    """The group whose lag is hardest to see: the one with the fewest examples. None where several
    have as few."""
    counts = spreads[gap.metrics[0]].counts
    return int(counts.argmin()) if (counts == counts.min()).sum() == 1 else None


def _varies(spreads: list[Spread]) -> bool:
    return all(
        np.isfinite(s.unit) and s.unit > 0 and len(s.counts) > 1 and (s.counts > 0).all()
        for s in spreads
    )


class _Study:
    """Simulated values of all groups, ready for any lag and any scale."""

    def __init__(
        self, gap: Gap, spreads: list[Spread], level: float, counts_are_whole: bool = False
    ):
        errors = [s.unit / np.sqrt(s.counts) for s in spreads]
        self.spreads, self.level = spreads, level
        self.is_ratio = gap.kind == "ratio"
        self.metric = int(np.argmax([e.max() for e in errors]))  # the one in which a group lags
        lagging = int(np.argmax(errors[self.metric]))
        counts = self.lagging_metric.counts
        self.share_lagging = counts[lagging] / counts.sum()
        self.step = _whole_counts(self.lagging_metric, lagging) if counts_are_whole else 0.0
        draws = standard_studies(len(errors[0]), len(errors))
        self.own, self.highest, self.lowest = [], [], []
        for error, normal in zip(errors, draws, strict=True):
            values = normal * error
            others = np.delete(values, lagging, axis=1)
            self.own.append(values[:, lagging])
            self.highest.append(others.max(axis=1))
            self.lowest.append(others.min(axis=1))

    @property
    def lagging_metric(self) -> Spread:
        return self.spreads[self.metric]

    def power(self, lag: float, scale: float = 1.0) -> float:
        """Share of studies whose gap is beyond what equal groups at the level of all show."""
        spread = self.lagging_metric
        lag = spread.direction * lag
        chance = self._gaps(lag * self.share_lagging, 0.0, scale)
        lagging = self._gaps(0.0, lag, scale)
        if self.is_ratio:
            limit = np.quantile(chance, self.level)
            return float((lagging <= limit).mean()) if limit > 0 else 0.0
        return float((lagging >= np.quantile(chance, 1 - self.level) + self.step).mean())

    def _gaps(self, shift: float, lag: float, scale: float) -> np.ndarray:
        """(M,) gaps of studies in which all groups are `shift` from the level, and one `lag` more."""
        gaps = []
        for place, spread in enumerate(self.spreads):
            moved, more = (shift, lag) if place == self.metric else (0.0, 0.0)
            level = spread.level + moved
            width = scale * spread.growth(level)
            own = more + scale * spread.growth(level + more) * self.own[place]
            high = np.maximum(width * self.highest[place], own)
            low = np.minimum(width * self.lowest[place], own)
            if self.is_ratio:
                high, low = np.clip(level + high, 1e-9, None), np.clip(level + low, 0, None)
                gaps.append(low / high)
            else:
                gaps.append(high - low)
        return np.minimum.reduce(gaps) if self.is_ratio else np.maximum.reduce(gaps)


def _whole_counts(spread: Spread, lagging: int) -> float:
    """By how much a test of counts finds less than one of values without steps.

    A gap moves by one example of the lagging group and one of the largest other. The limit of a test
    lies up to such a step too high; its two tails, and the more groups the more of them, divide it.
    """
    if spread.share_of is None:
        return 0.0
    step = 1 / spread.share_of[lagging] + 1 / np.delete(spread.share_of, lagging).max()
    return step / (2 * len(spread.share_of))


def _bisect(found: Callable[[float], bool], low: float, high: float, steps: int = 18) -> float:
    """The smallest argument that is found, between one that is not and one that is."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
