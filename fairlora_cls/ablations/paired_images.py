"""How far would a setting and the reference differ if each test image's answers were exchanged?

R draws, G groups. For each draw a coin per image (or patient) decides whether the two settings
exchange their answers to it, in the runs of all seeds alike where these have the same images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.runs import FollowedQuantity, RunResult
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.thresholds import judge_by_rule, load_validation
from fairlora_cls.runs.folder import split_predictions
from fairlora_cls.statistics.draws import Draws, swap

# (setting, quantity) → (R,) mean difference over the seeds, answers exchanged
ImageDraws = Mapping[tuple[str, FollowedQuantity], np.ndarray]


def draw_exchanged_images(
    results: Sequence[RunResult],
    reference: str,
    quantities: Sequence[FollowedQuantity],
    draws: int,
) -> tuple[dict[tuple[str, FollowedQuantity], np.ndarray], list[str]]:
    """Draws of every setting that has its test images in common with the reference, and why others
    have none."""
    from threadpoolctl import threadpool_limits

    jobs: dict[str, dict[int, Job]] = {}
    for result in results:
        if result.numbers:
            jobs.setdefault(result.job.setting, {})[result.job.seed] = result.job
    first = jobs.pop(reference, {})
    known = [q for q in quantities if q.name in (GAPS if q.attribute else METRICS)]

    @cache
    def table(setting: str, seed: int) -> Predictions:
        job = first[seed] if setting == reference else jobs[setting][seed]
        file = split_predictions(job.folder, "test")
        judged, _ = judge_by_rule(
            read_predictions(file), job.recipe.report.threshold, load_validation(file)
        )
        return judged

    def draw(setting: str) -> dict[tuple[str, FollowedQuantity], np.ndarray] | str:
        seeds = [seed for seed in jobs[setting] if seed in first]
        try:
            pairs = [
                align({reference: table(reference, s), setting: table(setting, s)}) for s in seeds
            ]
            each = [_exchange(pair, known, draws) for pair in pairs]
        except InputError as error:
            return f"{setting} and {reference} are not compared image by image: {error}"
        return {
            (setting, quantity): np.mean([found[quantity] for found in each], axis=0)
            for quantity in known
            if each
        }

    found, notes = {}, []
    if not known:
        notes.append(
            "Settings are compared over seeds only: their metrics are not those of classes."
        )
    if not (known and draws):
        return found, notes
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        for drawn in pool.map(draw, jobs):
            if isinstance(drawn, str):
                notes.append(drawn)
            else:
                found |= drawn
    return found, notes


def _exchange(
    pair: Mapping[str, Predictions], quantities: Sequence[FollowedQuantity], draws: int
) -> dict[FollowedQuantity, np.ndarray]:
    """Second minus first in each quantity. The coins depend on the number of images alone."""
    first, second = pair.values()
    found = {}
    for attribute in dict.fromkeys(quantity.attribute for quantity in quantities):
        names, codes = np.array(["all"]), np.zeros(len(first.ids), dtype=int)
        if attribute:
            require_same_groups(pair, attribute)
            names, codes = np.unique(first.group_names(attribute), return_inverse=True)
        coins = np.random.default_rng(0)
        both = swap(class_sample(first), class_sample(second), codes, len(names), draws, coins)
        for quantity in quantities:
            if quantity.attribute == attribute:
                values = [_of_draws(side, quantity) for side in both]
                found[quantity] = values[1] - values[0]
    return found


def _of_draws(draws: Draws, quantity: FollowedQuantity) -> np.ndarray:
    if quantity.attribute:
        return GAPS[quantity.name].values(draws.by_group)
    return draws.overall[quantity.name]
