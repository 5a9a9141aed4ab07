"""Each setting over its seeds, and each against the reference setting, paired.

S seeds, R draws. Two sources of chance stand between two settings: training anew (another seed) and
other test images. A paired t-test over the seeds asks of the first, a swap test over the images of
the second; a difference is evidence where neither explains it, so its p is the larger of the two
(an intersection-union test, Berger 1982), corrected by Holm's method over settings and attributes,
for each quantity by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from fairlora_cls.ablations.paired_images import ImageDraws
from fairlora_cls.ablations.plan import Plan
from fairlora_cls.ablations.runs import Measured, Quantity, RunResult
from fairlora_cls.statistics.intervals import holm, seed_interval, swap_p_value

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class OverSeeds:
    """One quantity of one setting. `interval` is the t-interval of the mean over the seeds, or of a
    single run its own bootstrap interval; None where undefined."""

    mean: float | None
    interval: tuple[float, float] | None
    values: tuple[float | None, ...]
    null_mean: float | None  # of a gap: means over the runs
    null_interval: tuple[float, float] | None


@dataclass(frozen=True)
class SettingResult:
    """A setting with its finished runs."""

    name: str
    values: Mapping[str, object]
    seeds: tuple[int, ...]
    numbers: Mapping[Quantity, OverSeeds]


@dataclass(frozen=True)
class Contrast:
    """Setting minus reference in one quantity, over the seeds that both have."""

    setting: str
    quantity: Quantity
    seeds: tuple[int, ...]
    mean: float | None
    interval: tuple[float, float] | None  # t-interval over the seeds
    p_seeds: float | None  # None of one seed
    p_images: float | None  # None where the runs share no test images
    p_value: float | None  # the larger one
    p_holm: float | None = None

    @property
    def is_evidence(self) -> bool:
        return self.p_holm is not None and self.p_holm <= SIGNIFICANCE


def summarise_settings(
    plan: Plan, results: Sequence[RunResult], quantities: Sequence[Quantity]
) -> list[SettingResult]:
    """Every setting that has a finished run."""
    found = []
    for setting in plan.settings:
        own = [r for r in results if r.job.setting == setting.name and r.numbers]
        if own:
            seeds = tuple(result.job.seed for result in own)
            numbers = {
                quantity: _over_seeds([_number(result, quantity) for result in own])
                for quantity in quantities
            }
            found.append(SettingResult(setting.name, setting.values, seeds, numbers))
    return found


def contrast_settings(
    settings: Sequence[SettingResult],
    reference: str,
    quantities: Sequence[Quantity],
    draws: ImageDraws,
) -> list[Contrast]:
    """Each setting against the reference, in every quantity; empty without the reference."""
    by_name = {setting.name: setting for setting in settings}
    if reference not in by_name:
        return []
    plain = [
        _contrast(by_name[reference], setting, quantity, draws)
        for setting in settings
        if setting.name != reference
        for quantity in quantities
    ]
    corrected: dict[int, float] = {}
    for name in dict.fromkeys(quantity.name for quantity in quantities):
        corrected |= holm(
            {
                place: contrast.p_value
                for place, contrast in enumerate(plain)
                if contrast.quantity.name == name and contrast.p_value is not None
            }
        )
    return [replace(c, p_holm=corrected.get(place)) for place, c in enumerate(plain)]


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of those (metric, gap) that none beats: no other has a metric at least as high and a gap
    at most as large, and is better in one."""
    return [
        name
        for name, (metric, gap) in points.items()
        if not any(
            other[0] >= metric and other[1] <= gap and other != (metric, gap)
            for other in points.values()
        )
    ]


def _number(result: RunResult, quantity: Quantity) -> Measured:
    return result.numbers.get(quantity.attribute, {}).get(quantity.name, Measured(None))


def _over_seeds(found: Sequence[Measured]) -> OverSeeds:
    values = tuple(number.value for number in found)
    nulls = [number.null_mean for number in found if number.null_mean is not None]
    bands = [number.null_interval for number in found if number.null_interval is not None]
    null_mean = float(np.mean(nulls)) if nulls else None
    band = tuple(np.mean(bands, axis=0).tolist()) if bands else None
    if None in values:  # a mean over some of the seeds would be of another question
        return OverSeeds(None, None, values, null_mean, band)
    numbers = np.array(values)
    limits = seed_interval(numbers) if len(numbers) > 1 else found[0].interval
    return OverSeeds(float(numbers.mean()), limits, values, null_mean, band)


def _contrast(
    reference: SettingResult, setting: SettingResult, quantity: Quantity, draws: ImageDraws
) -> Contrast:
    seeds = tuple(seed for seed in setting.seeds if seed in reference.seeds)
    values = [
        dict(zip(found.seeds, found.numbers[quantity].values, strict=True))
        for found in (reference, setting)
    ]
    pairs = [(values[0][seed], values[1][seed]) for seed in seeds]
    if not pairs or any(None in pair for pair in pairs):
        return Contrast(setting.name, quantity, seeds, None, None, None, None, None)
    differences = np.array([other - first for first, other in pairs])
    mean = float(differences.mean())
    p_seeds = _t_test(differences)
    chance = draws.get((setting.name, quantity))
    p_images = None if chance is None else swap_p_value(mean, chance)
    tested = [p for p in (p_seeds, p_images) if p is not None]
    return Contrast(
        setting.name,
        quantity,
        seeds,
        mean,
        seed_interval(differences),
        p_seeds,
        p_images,
        max(tested, default=None),
    )


def _t_test(differences: np.ndarray) -> float | None:
    """Two-sided paired t-test; None of one seed, and of seeds that change nothing."""
    if len(differences) < 2 or (differences == differences[0]).all():
        return None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
