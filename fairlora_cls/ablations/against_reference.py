"""Each setting beside the reference on the same test images: who gains, who loses, how sure is that?

S seeds that both have, R draws. Every number is a mean over the seeds. Two kinds of chance stand
between two settings, other test images and training anew. The images are drawn, and their answers
exchanged, in the runs of all seeds alike where these have the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.runs import FollowedQuantity, RunResult
from fairlora_cls.ablations.statistics import t_test
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.comparison import (
    Values,
    ViewDraws,
    changed_metrics,
    correct_differences,
    draw_view,
    paired_differences,
)
from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    ClassComparison,
    ComparedRun,
    Comparison,
    Difference,
    GapDifference,
    Pair,
    TextComparison,
)
from fairlora_cls.evaluation.groupings import Grouping, grouping_of
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.seeds import OVERALL
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.evaluation.text_sample import shared_samples
from fairlora_cls.evaluation.thresholds import judge_file
from fairlora_cls.runs.compared import texts_of
from fairlora_cls.runs.folder import split_predictions
from fairlora_cls.statistics.draws import affordable_draws
from fairlora_cls.statistics.intervals import tail_p_value
from fairlora_cls.statistics.sample import Key, Sample
from fairlora_cls.statistics.seeds import DIFFERENCES, over_seeds
from fairlora_cls.texts.generations import Generations, read_generations
from fairlora_cls.texts.scores import POOLED, TEXT_METRICS, TextScores, needed_metrics, score_texts

Answers = Predictions | Generations
SEED = 0  # of the draws: two ablations of the same answers say the same


@dataclass(frozen=True)
class AgainstReference:
    """What the test images say of each setting beside the reference."""

    comparison: Comparison | None  # a pair per setting; None: no setting can be compared so
    p_images: Mapping[tuple[str, FollowedQuantity], float]  # by setting: other images alone
    notes: tuple[str, ...]  # why settings, or some metrics of texts, are not compared


@dataclass(frozen=True)
class OneSeed:
    """The aligned test answers of the reference, which comes first, and of a setting."""

    tables: Mapping[str, Answers]
    samples: Mapping[str, Sample]


@dataclass(frozen=True)
class View:
    """One attribute, or everyone, over the seeds."""

    groups: dict[str, int]  # name → test images, the fewest of any seed
    differences: dict[Key, Difference]  # a group's under (metric, group)
    p_images: dict[Key, float]


def compare_with_reference(
    results: Sequence[RunResult],
    reference: str,
    quantities: Sequence[FollowedQuantity],
    draws: int,
) -> AgainstReference:
    """Every setting that has its test images in common with the reference, on the attributes of
    `quantities`."""
    jobs: dict[str, dict[int, Job]] = {}
    for result in results:
        if result.numbers:
            jobs.setdefault(result.job.setting, {})[result.job.seed] = result.job
    first = jobs.pop(reference, {})
    jobs = {name: own for name, own in jobs.items() if own.keys() & first.keys()}
    if not jobs:
        return AgainstReference(None, {}, ())
    metrics, notes = _text_metrics(results, quantities)
    if metrics == []:
        return AgainstReference(None, {}, tuple(notes))
    attributes = dict.fromkeys(quantity.attribute for quantity in quantities if quantity.attribute)

    @cache
    def of_reference(seed: int) -> tuple[Answers, TextScores | None]:
        answers = _read(first[seed])
        return answers, _scores(answers, metrics)

    def compare(setting: str) -> tuple[OneSeed, dict[str, View]] | str:
        seeds = []
        try:
            for seed in (seed for seed in jobs[setting] if seed in first):
                answers, scores = of_reference(seed)
                pair = align({reference: answers, setting: _read(jobs[setting][seed])})
                scored = {reference: scores, setting: _scores(pair[setting], metrics)}
                seeds.append(OneSeed(pair, _samples(pair, scored)))
                if metrics and metrics[0] not in seeds[-1].samples[setting].metrics:
                    raise InputError(f"no text of one of them has a score '{metrics[0]}'.")
            return seeds[0], _views(seeds, (OVERALL, *attributes), draws)
        except InputError as error:
            return f"{setting} and {reference} are not compared image by image: {error}"

    compared = dict(zip(jobs, side_by_side(compare, jobs), strict=True))
    notes += [said for said in compared.values() if isinstance(said, str)]
    compared = {name: each for name, each in compared.items() if not isinstance(each, str)}
    return AgainstReference(
        _comparison(reference, compared, metrics, draws) if compared else None,
        {
            (setting, quantity): views[quantity.attribute].p_images[quantity.name]
            for setting, (_, views) in compared.items()
            for quantity in quantities
            if quantity.name in views[quantity.attribute].p_images
        },
        tuple(notes),
    )


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


def _samples(
    pair: Mapping[str, Answers], scores: Mapping[str, TextScores | None]
) -> dict[str, Sample]:
    if None in scores.values():
        return {name: class_sample(table) for name, table in pair.items()}
    return shared_samples(pair, scores)


def _views(seeds: Sequence[OneSeed], attributes: Sequence[str], draws: int) -> dict[str, View]:
    """Attribute, or OVERALL → what its groups, or everyone, show. Raises InputError for groups that
    differ between reference and setting."""
    draws = min(affordable_draws(draws, len(next(iter(one.samples.values())))) for one in seeds)
    views = {}
    for place, attribute in enumerate(attributes):
        groupings = [_grouping(one, attribute) for one in seeds]
        each = [
            _draw(one, attribute, grouping, draws, (SEED, place))
            for one, grouping in zip(seeds, groupings, strict=True)
        ]
        sizes = [dict(zip(g.names, np.bincount(g.codes).tolist(), strict=True)) for g in groupings]
        groups = {
            name: min(of_seed[name] for of_seed in sizes)
            for name in sizes[0]
            if all(name in of_seed for of_seed in sizes)
        }
        views[attribute] = View(groups, *_over_seeds(each, tuple(seeds[0].tables)))
    return views


def _grouping(one: OneSeed, attribute: str) -> Grouping:
    table = next(iter(one.tables.values()))
    if attribute == OVERALL:
        return Grouping(("all",), np.zeros(len(table.ids), dtype=int))
    require_same_groups(one.tables, attribute)
    return grouping_of(table, attribute)


def _draw(
    one: OneSeed, attribute: str, grouping: Grouping, draws: int, stream: tuple[int, int]
) -> ViewDraws:
    """`draw_view` of one seed, with groups by name: seeds may have other groups."""
    everyone = {
        name: sample.observed(np.zeros(len(sample), dtype=int), 1)
        for name, sample in one.samples.items()
    }
    pair = tuple(one.samples)
    drawn = draw_view(one.samples, everyone, attribute, grouping, [pair], draws, stream)

    def named(values: Values) -> Values:
        return {
            key if isinstance(key, str) else (key[0], grouping.names[key[1]]): value
            for key, value in values.items()
        }

    return ViewDraws(
        *(
            {of: named(values) for of, values in part.items()}
            for part in (drawn.observed, drawn.bootstrap, drawn.chance)
        )
    )


def _over_seeds(
    seeds: Sequence[ViewDraws], pair: tuple[str, str]
) -> tuple[dict[Key, Difference], dict[Key, float]]:
    """Differences of the means, with both kinds of chance, and the p-values of other images alone."""
    mean = ViewDraws(
        *(
            {of: _mean([part[of] for part in parts]) for of in parts[0]}
            for parts in (
                [one.observed for one in seeds],
                [one.bootstrap for one in seeds],
                [one.chance for one in seeds],
            )
        )
    )
    both, p_images = {}, {}
    for key, images in paired_differences(mean, pair).items():
        if images.p_value is not None:
            chance = mean.chance[pair][key]
            chance = np.abs(chance[~np.isnan(chance)])
            p_images[key] = tail_p_value(abs(images.difference), chance)
        first, other = (np.array([one.observed[run][key] for one in seeds]) for run in pair)
        both[key] = _with_seeds(images, other - first, p_images.get(key))
    return both, p_images


def _mean(parts: Sequence[Values]) -> Values:
    return {
        key: np.mean([part[key] for part in parts], axis=0)
        for key in parts[0]
        if all(key in part for part in parts)
    }


def _with_seeds(images: Difference, by_seed: np.ndarray, p_images: float | None) -> Difference:
    """The larger p of other images and of training anew, and an interval that reaches as far as
    either's: it excludes 0 where both do; of two seeds, to both. by_seed: (S,) differences"""
    if images.difference is None:
        return images
    p_values = [p for p in (p_images, t_test(by_seed)) if p is not None]
    over = over_seeds(by_seed, DIFFERENCES).interval
    if over is None and len(by_seed) > 1:
        over = float(by_seed.min()), float(by_seed.max())
    limits = [each for each in (images.interval, over) if each is not None]
    return replace(
        images,
        p_value=max(p_values, default=None),
        interval=(min(low for low, _ in limits), max(high for _, high in limits))
        if limits
        else None,
        interval_bias_corrected=None,
    )


def _comparison(
    reference: str,
    compared: Mapping[str, tuple[OneSeed, Mapping[str, View]]],
    text_metrics: Sequence[str] | None,
    draws: int,
) -> Comparison:
    """A pair per setting, corrected together: for each quantity over all settings, attributes and
    groups."""
    corrected = correct_differences(
        {
            (setting, attribute): view.differences
            for setting, (_, views) in compared.items()
            for attribute, view in views.items()
        }
    )
    pairs = tuple(
        Pair(
            reference,
            setting,
            corrected[setting, OVERALL],
            {
                attribute: _attribute(seed, view, corrected[setting, attribute])
                for attribute, view in views.items()
                if attribute != OVERALL
            },
        )
        for setting, (seed, views) in compared.items()
    )
    seed, _ = next(iter(compared.values()))
    table, sample = seed.tables[reference], seed.samples[reference]
    shared = {
        "n": len(sample),
        "units": None if sample.units is None else len(set(sample.units)),
        "runs": tuple(ComparedRun(name, name, None) for name in (reference, *compared)),
        "pairs": pairs,
        "methods": (),
        "contests": (),
        "notes": (),
        "bootstrap": draws,
        "seed": SEED,
    }
    if text_metrics is not None:
        every = [dict(one.samples[reference].metrics) for one, _ in compared.values()]
        metrics = {name: metric for each in every for name, metric in each.items()}
        return TextComparison(metrics=metrics, headline=text_metrics[0], **shared)
    return ClassComparison(classes=table.classes, positive=table.classes[table.positive], **shared)


def _attribute(
    seed: OneSeed, view: View, differences: Mapping[Key, Difference]
) -> AttributeDifferences:
    sample = next(iter(seed.samples.values()))
    return AttributeDifferences(
        groups=view.groups,
        gaps={
            name: GapDifference(**vars(differences[name]))
            for name in sample.gaps
            if name in differences
        },
        equity_scaled={name: differences[name] for name in sample.equity_scaled},
        changes={
            group: {name: differences[name, group] for name in changed_metrics(sample)}
            for group in view.groups
        },
    )
