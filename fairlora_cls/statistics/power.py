"""How large must a true gap be for this test set to show it, and how many examples would it take?

G groups, M simulated studies. Each group's metric is normal around its true value with standard
error unit / sqrt(count); `unit`, the standard deviation per counted example, is the bootstrap's
standard error of all examples times the root of their count, so that patients with several images
count as what they tell. One group lags, the others are equal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fairlora_cls.statistics.gaps import Gap

MOST_STUDIES = 20_000
MOST_NUMBERS = 2_000_000  # simulated at once
POWER = 0.8
LEVEL = 0.05
TARGET_GAP = 0.05  # fractions: the gap that a study should be able to find
MOST_EXAMPLES = 10_000_000  # per group, beyond which a plan is no plan


@dataclass(frozen=True)
class Spread:
    """One metric of a gap: its level overall, its standard deviation per example, and counts."""

    level: float
    unit: float
    counts: np.ndarray  # (G,) how many examples each group's value rests on


@lru_cache(maxsize=4)
def standard_studies(groups: int, metrics: int) -> np.ndarray:
    """(metrics, M, G) standard normal errors: the same for every gap, so that gaps compare."""
    studies = min(MOST_STUDIES, MOST_NUMBERS // groups)
    return np.random.default_rng(20231019).standard_normal((metrics, studies, groups))


def smallest_detectable_gap(gap: Gap, spreads: Mapping[str, Spread]) -> float | None:
    """The true gap found in 80 % of such studies at the 5 % level, if the smallest group lags.

    For a ratio, the true ratio that is found. None where even the largest possible gap is not, or
    where the metric does not vary.
    """
    return _smallest(gap, [spreads[name] for name in gap.metrics])


def examples_to_detect(gap: Gap, spreads: Mapping[str, Spread]) -> int | None:
    """How many examples each of G equal groups needs (positives for sensitivity, and so on), for a
    true gap of TARGET_GAP to be found in 80 % of studies. None beyond MOST_EXAMPLES."""
    groups = len(next(iter(spreads.values())).counts)
    ones = np.ones(groups)
    chosen = [Spread(s.level, s.unit, ones) for s in (spreads[name] for name in gap.metrics)]
    if not _varies(chosen):
        return None
    study = _Study(gap, chosen)

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


def _smallest(gap: Gap, spreads: list[Spread]) -> float | None:
    if not _varies(spreads):
        return None
    study = _Study(gap, spreads)
    level = spreads[study.metric].level
    largest = level if gap.kind == "ratio" else 1.0

    def found(lag: float) -> bool:
        return study.power(lag) >= POWER

    if largest <= 0 or not found(largest):
        return None
    lag = _bisect(found, 0.0, largest)
    return 1 - lag / level if gap.kind == "ratio" else lag


def _varies(spreads: list[Spread]) -> bool:
    return all(
        np.isfinite(s.unit) and s.unit > 0 and len(s.counts) > 1 and (s.counts > 0).all()
        for s in spreads
    )


class _Study:
    """Simulated values of all groups but the lagging one, ready for any lag and any scale."""

    def __init__(self, gap: Gap, spreads: list[Spread]):
        errors = [s.unit / np.sqrt(s.counts) for s in spreads]
        self.ratio = gap.kind == "ratio"
        self.metric = int(np.argmax([e.max() for e in errors]))  # the one in which a group lags
        self.lagging = int(np.argmax(errors[self.metric]))
        draws = standard_studies(len(errors[0]), len(errors))
        self.levels = [s.level for s in spreads]
        self.limit_of_one: float | None = None
        self.own, self.highest, self.lowest = [], [], []
        for error, normal in zip(errors, draws, strict=True):
            values = normal * error
            others = np.delete(values, self.lagging, axis=1)
            self.own.append(values[:, self.lagging])
            self.highest.append(others.max(axis=1))
            self.lowest.append(others.min(axis=1))

    def power(self, lag: float, scale: float = 1.0) -> float:
        """Share of studies whose gap is beyond 95 % of those of equal groups."""
        limit, lagging = self._limit(scale), self._gaps(lag, scale)
        if self.ratio:
            return float((lagging <= limit).mean()) if limit > 0 else 0.0
        return float((lagging >= limit).mean())

    def _limit(self, scale: float) -> float:
        if self.ratio:
            return float(np.quantile(self._gaps(0.0, scale), LEVEL))
        if self.limit_of_one is None:  # equal groups' differences grow with the scale
            self.limit_of_one = float(np.quantile(self._gaps(0.0, 1.0), 1 - LEVEL))
        return scale * self.limit_of_one

    def _gaps(self, lag: float, scale: float) -> np.ndarray:
        gaps = []
        for metric, level in enumerate(self.levels):
            shift = lag if metric == self.metric else 0.0
            own = scale * self.own[metric] - shift
            high = np.maximum(scale * self.highest[metric], own)
            low = np.minimum(scale * self.lowest[metric], own)
            if self.ratio:
                high, low = np.clip(level + high, 1e-9, None), np.clip(level + low, 0, None)
                gaps.append(low / high)
            else:
                gaps.append(high - low)
        return np.minimum.reduce(gaps) if self.ratio else np.maximum.reduce(gaps)


def _bisect(found: Callable[[float], bool], low: float, high: float, steps: int = 18) -> float:
    """The smallest argument that is found, between one that is not and one that is."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
