"""How far would a setting and the reference differ if each test image's answers were exchanged?

R draws. For each draw a coin per image (or patient) decides whether the two settings exchange their
answers to it, in the runs of all seeds alike where these have the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.runs import FollowedQuantity, RunResult
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.evaluation.text_sample import shared_samples
from fairlora_cls.evaluation.thresholds import judge_file
from fairlora_cls.runs.compared import texts_of
from fairlora_cls.runs.folder import split_predictions
from fairlora_cls.statistics.draws import Draws, swap
from fairlora_cls.statistics.sample import Sample
from fairlora_cls.texts.generations import Generations, read_generations
from fairlora_cls.texts.scores import POOLED, TEXT_METRICS, TextScores, needed_metrics, score_texts

Answers = Predictions | Generations
# Of one setting: quantity → (R,) mean difference over the seeds, answers exchanged
Exchanged = dict[FollowedQuantity, np.ndarray]
ImageDraws = Mapping[tuple[str, FollowedQuantity], np.ndarray]  # the same of all settings


def draw_exchanged_images(
    results: Sequence[RunResult],
    reference: str,
    quantities: Sequence[FollowedQuantity],
    draws: int,
) -> tuple[dict[tuple[str, FollowedQuantity], np.ndarray], list[str]]:
    """Draws of every setting that has its test images in common with the reference, and why others,
    or some metrics of texts, have none."""
    jobs: dict[str, dict[int, Job]] = {}
    for result in results:
        if result.numbers:
            jobs.setdefault(result.job.setting, {})[result.job.seed] = result.job
    first = jobs.pop(reference, {})
    if not (draws and first):
        return {}, []
    metrics, notes = _text_metrics(results, quantities)
    if metrics == []:
        return {}, notes

    @cache
    def of_reference(seed: int) -> tuple[Answers, TextScores | None]:
        answers = _read(first[seed])
        return answers, _scores(answers, metrics)

    def draw(setting: str) -> Exchanged | str:
        each = []
        try:
            for seed in (seed for seed in jobs[setting] if seed in first):
                answers, scores = of_reference(seed)
                pair = align({reference: answers, setting: _read(jobs[setting][seed])})
                samples = _samples(
                    pair, {reference: scores, setting: _scores(pair[setting], metrics)}
                )
                each.append(_exchange(pair, samples, quantities, draws))
        except InputError as error:
            return f"{setting} and {reference} are not compared image by image: {error}"
        return {
            quantity: np.mean([one[quantity] for one in each], axis=0)
            for quantity in quantities
            if each and all(quantity in one for one in each)
        }

    exchanged = dict(zip(jobs, side_by_side(draw, jobs), strict=True))
    notes += [said for said in exchanged.values() if isinstance(said, str)]
    return {
        (setting, quantity): drawn
        for setting, of_setting in exchanged.items()
        if not isinstance(of_setting, str)
        for quantity, drawn in of_setting.items()
    }, notes


def _text_metrics(
    results: Sequence[RunResult], quantities: Sequence[FollowedQuantity]
) -> tuple[list[str] | None, list[str]]:
    """The followed metrics of texts that can be scored here, and a note of the others; None of runs
    of classes."""
    finished = next(result for result in results if result.numbers)
    if finished.job.recipe.task != "generate":
        return None, []
    pooled = (
        {} if "chexbert_f1" in finished.numbers[""] else POOLED
    )  # then the pooled F1 is CheXbert's
    here = [name for name, row in TEXT_METRICS.items() if row.needs is None] + [*pooled]
    followed = {quantity.name: quantity for quantity in quantities if not quantity.attribute}
    elsewhere = [quantity.title for name, quantity in followed.items() if name not in here]
    note = (
        f"Compared over seeds only, for the scores need another package or come from outside: "
        f"{', '.join(elsewhere)}."
    )
    return [name for name in followed if name in here], [note] * bool(elsewhere)


def _read(job: Job) -> Answers:
    """A run's test answers; of classes by the operating point of its recipe."""
    if texts := texts_of(job.folder):
        return read_generations(texts)
    file = split_predictions(job.folder, "test")
    rule = job.recipe.report.threshold
    return judge_file(read_predictions(file), rule, file)[0]


def _scores(answers: Answers, metrics: Sequence[str] | None) -> TextScores | None:
    return None if metrics is None else score_texts(answers, needed_metrics(metrics))


def _samples(pair: Mapping[str, Answers], scores: Mapping[str, TextScores | None]) -> list[Sample]:
    if None in scores.values():
        return [class_sample(table) for table in pair.values()]
    return list(shared_samples(pair, scores).values())


def _exchange(
    pair: Mapping[str, Answers],
    samples: Sequence[Sample],
    quantities: Sequence[FollowedQuantity],
    draws: int,
) -> Exchanged:
    """Second minus first in each quantity that the samples have. The coins depend on the number of
    images alone."""
    first, second = samples
    exchanged = {}
    for attribute in dict.fromkeys(quantity.attribute for quantity in quantities):
        codes, known = np.zeros(len(first), dtype=int), first.metrics
        if attribute:
            require_same_groups(pair, attribute)
            groups = next(iter(pair.values())).group_names(attribute)
            codes, known = np.unique(groups, return_inverse=True)[1], first.gaps
        coins = np.random.default_rng(0)
        both = swap(first, second, codes, int(codes.max()) + 1, draws, coins)
        for quantity in quantities:
            if quantity.attribute == attribute and quantity.name in known:
                values = [_of_draws(first, side, quantity) for side in both]
                exchanged[quantity] = values[1] - values[0]
    return exchanged


def _of_draws(sample: Sample, draws: Draws, quantity: FollowedQuantity) -> np.ndarray:
    if quantity.attribute:
        return sample.gaps[quantity.name].values(draws.by_group)
    return draws.overall[quantity.name]
