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

from fairlora_cls.ablations.plan import Plan
from fairlora_cls.ablations.runs import FollowedQuantity, Number, RunResult
from fairlora_cls.statistics.intervals import ROUNDING, SIGNIFICANCE, holm_by
from fairlora_cls.statistics.seeds import DIFFERENCES, FRACTIONS, SeedValues, over_seeds


@dataclass(frozen=True)
class OverSeeds(SeedValues):
    """One quantity of one setting; of a single run the interval is its own, over test images."""

    null_mean: float | None  # of a gap: means over the runs
    null_interval: tuple[float, float] | None


@dataclass(frozen=True)
class SettingResult:
    """A setting with its finished runs."""

    name: str
    values: Mapping[str, object]
    seeds: tuple[int, ...]
    numbers: Mapping[FollowedQuantity, OverSeeds]


@dataclass(frozen=True, kw_only=True)
class Contrast(SeedValues):
    """Setting minus reference in one quantity, over the seeds that both have."""

    setting: str
    quantity: FollowedQuantity
    seeds: tuple[int, ...]
    p_seeds: float | None = None  # None of one seed
    p_images: float | None = None  # None where the runs share no test images
    p_value: float | None = None  # the larger one
    p_holm: float | None = None

    @property
    def is_evidence(self) -> bool:
        return self.p_holm is not None and self.p_holm <= SIGNIFICANCE


def summarise_settings(
    plan: Plan, results: Sequence[RunResult], quantities: Sequence[FollowedQuantity]
) -> list[SettingResult]:
    """Every setting that has a finished run."""
    summaries = []
    for setting in plan.settings:
        own = [r for r in results if r.job.setting == setting.name and r.numbers]
        if own:
            seeds = tuple(result.job.seed for result in own)
            numbers = {
                quantity: _over_seeds([_number(result, quantity) for result in own])
                for quantity in quantities
            }
            summaries.append(SettingResult(setting.name, setting.values, seeds, numbers))
    return summaries


def contrast_settings(
    settings: Sequence[SettingResult],
    reference: str,
    quantities: Sequence[FollowedQuantity],
    p_images: Mapping[tuple[str, FollowedQuantity], float],
) -> list[Contrast]:
    """Each setting against the reference, in every quantity; empty without the reference.

    p_images: of other test images alone, by setting
    """
    by_name = {setting.name: setting for setting in settings}
    if reference not in by_name:
        return []
    plain = [
        _contrast(by_name[reference], setting, quantity, p_images.get((setting.name, quantity)))
        for setting in settings
        if setting.name != reference
        for quantity in quantities
    ]
    p_values = {number: contrast.p_value for number, contrast in enumerate(plain)}
    corrected = holm_by(p_values, kind=lambda number: plain[number].quantity.name)
    return [replace(each, p_holm=corrected.get(number)) for number, each in enumerate(plain)]


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


def _number(result: RunResult, quantity: FollowedQuantity) -> Number:
    return result.numbers.get(quantity.attribute, {}).get(quantity.name, Number(None))


def _over_seeds(numbers: Sequence[Number]) -> OverSeeds:
    nulls = [number.null_mean for number in numbers if number.null_mean is not None]
    bands = [number.null_interval for number in numbers if number.null_interval is not None]
    mean = over_seeds([number.value for number in numbers], FRACTIONS)
    if len(numbers) == 1:
        mean = replace(mean, interval=numbers[0].interval)
    return OverSeeds(
        **vars(mean),
        null_mean=float(np.mean(nulls)) if nulls else None,
        null_interval=tuple(np.mean(bands, axis=0).tolist()) if bands else None,
    )


def _contrast(
    reference: SettingResult,
    setting: SettingResult,
    quantity: FollowedQuantity,
    p_images: float | None,
) -> Contrast:
    seeds = tuple(seed for seed in setting.seeds if seed in reference.seeds)
    first, other = (
        dict(zip(each.seeds, each.numbers[quantity].values, strict=True))
        for each in (reference, setting)
    )
    difference = over_seeds(
        np.array([other[seed] for seed in seeds], dtype=float)
        - np.array([first[seed] for seed in seeds], dtype=float),
        DIFFERENCES,
    )
    plain = Contrast(**vars(difference), setting=setting.name, quantity=quantity, seeds=seeds)
    if plain.mean is None:
        return plain
    p_seeds = t_test(np.array(plain.values))
    p_value = max((p for p in (p_seeds, p_images) if p is not None), default=None)
    return replace(plain, p_seeds=p_seeds, p_images=p_images, p_value=p_value)


def t_test(differences: np.ndarray) -> float | None:
    """Two-sided paired t-test; None of one seed, and of seeds that change nothing."""
    if len(differences) < 2 or np.ptp(differences) <= ROUNDING:
        return None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
