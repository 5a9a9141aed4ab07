"""How far do groups lie apart? Gaps, and overall values made smaller by what separates the groups.

G groups. A value that the data cannot give is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairlora_cls.presentation.numbers import Quantity

Values = Mapping[str, np.ndarray]  # metric → (..., G)


@dataclass(frozen=True)
class Gap(Quantity):
    """How far the groups lie apart in one or two metrics.

    Of two metrics the larger difference, or the smaller ratio, is taken.
    """

    title: str
    metrics: tuple[str, ...]
    unit: str  # points | score | ratio
    exchangeable_within: str  # of the first metric; see `Measure`
    kind: str = "difference"  # difference: max - min over groups | ratio: min / max

    def values(self, by_group: Values) -> np.ndarray:
        """(..., G) values of each metric → (...) gaps, over the groups where it is defined.

        NaN where fewer than two groups remain, for one of the metrics, and for the ratio 0/0.
        """
        each = np.stack([spread(by_group[name], self.kind) for name in self.metrics])
        return each.min(axis=0) if self.kind == "ratio" else each.max(axis=0)  # NaN stays NaN

    def undefined(self, by_group: Values) -> np.ndarray:
        """(G,) mask of the groups that the gap leaves out."""
        return np.any([np.isnan(by_group[name]) for name in self.metrics], axis=0)


@dataclass(frozen=True)
class EquityScaled(Quantity):
    """The overall value of a metric, made smaller by what separates the groups."""

    title: str
    metric: str
    function: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (...), (..., G) → (...)
    unit = "score"


def fairllava_score(overall: np.ndarray, by_group: np.ndarray) -> np.ndarray:
    """overall / (1 + gap), the gap in percentage points: overall / (1 + 100 * (max - min)).

    FairLLaVA states both in points; the ratio is the same. (...), (..., G) → (...).
    """
    return overall / (1 + 100 * spread(by_group, "difference"))


def fairclip_score(overall: np.ndarray, by_group: np.ndarray) -> np.ndarray:
    """overall / (1 + sum_g |group - overall|), all in fractions (FairCLIP's ES-AUC).

    Groups where the metric is undefined are left out; NaN where fewer than two remain.
    (...), (..., G) → (...).
    """
    distances = np.abs(by_group - np.asarray(overall)[..., None])
    total = np.where(_enough_groups(by_group), np.nansum(distances, axis=-1), np.nan)
    return overall / (1 + total)


EQUITY_VARIANTS = {"FairLLaVA": fairllava_score, "FairCLIP": fairclip_score}


def equity_scaled(nouns: Mapping[str, str]) -> dict[str, EquityScaled]:
    """Every variant of EQUITY_VARIANTS for each metric, by name and noun: `<metric>_fairllava` …"""
    return {
        f"{metric}_{variant.lower()}": EquityScaled(
            f"Equity-scaled {noun} ({variant})", metric, function
        )
        for variant, function in EQUITY_VARIANTS.items()
        for metric, noun in nouns.items()
    }


def extreme_groups(gap: Gap, by_group: Values, better: Mapping[str, str]) -> tuple[int, int] | None:
    """Codes of the best and worst group, of the metric that decides the gap, from (G,) values.

    better: metric → higher | lower | neither. Where neither way is better (selection rate), best is
    the highest. None where the gap is NaN.
    """
    if np.isnan(gap.values(by_group)):
        return None
    spreads = [float(spread(by_group[name], gap.kind)) for name in gap.metrics]
    name = gap.metrics[np.argmin(spreads) if gap.kind == "ratio" else np.argmax(spreads)]
    lowest, highest = int(np.nanargmin(by_group[name])), int(np.nanargmax(by_group[name]))
    return (lowest, highest) if better[name] == "lower" else (highest, lowest)


def spread(by_group: np.ndarray, kind: str) -> np.ndarray:
    """(..., G) → (...): max - min, or min / max, over the groups that are not NaN."""
    highest, lowest = np.fmax.reduce(by_group, axis=-1), np.fmin.reduce(by_group, axis=-1)
    if kind == "ratio":
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = lowest / highest
    else:
        apart = highest - lowest
    return np.where(_enough_groups(by_group), apart, np.nan)


def _enough_groups(by_group: np.ndarray) -> np.ndarray:
    return (~np.isnan(by_group)).sum(axis=-1) >= 2
