"""Which setting would one choose without looking at test: by validation, over the seeds.

The rules are those of `training.select_by`, on the mean of the seeds' validation numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fairlora_cls.ablations.plan import Plan
from fairlora_cls.ablations.runs import RunResult
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import read_predictions
from fairlora_cls.evaluation.selection import (
    GROUP,
    group_costs,
    largest_gap,
    rank_candidates,
    selection_score,
    selection_values,
    too_costly,
)
from fairlora_cls.evaluation.thresholds import judge_by_rule
from fairlora_cls.runs.folder import split_predictions

RULES = ("accuracy", "auroc", "worst_group_accuracy", "bounded_accuracy", "bounded_auroc")


@dataclass(frozen=True)
class Validation:
    """A setting's validation numbers, means over its seeds; NaN where undefined."""

    accuracy: float
    auroc: float
    worst_group_accuracy: float
    gap: float  # largest MaxAccGap of `attributes`
    variety: float  # answers other than the most frequent one, over labels other than theirs
    group_accuracy: Mapping[str, float] = field(
        default_factory=dict
    )  # "attribute/group" → accuracy


@dataclass(frozen=True)
class Selection:
    """What one rule chooses."""

    rule: str
    setting: str
    bound_met: bool | None  # of bounded rules: whether this setting is within the bound


@dataclass(frozen=True)
class Selections:
    """Every rule's choice and what it was made on."""

    own_rule: str  # of the reference's training.select_by
    gap_bound: float
    gap_cost: float
    attributes: tuple[str, ...]  # whose groups the rules look at: protected by any setting
    validation: Mapping[str, Validation]
    chosen: tuple[Selection, ...]
    # Settings within the bound that cost a group too much → "attribute/group" → how much.
    refused: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def select_settings(plan: Plan, results: Sequence[RunResult]) -> Selections | None:
    """None where the runs have no validation tables of classes, as those that write texts."""
    recipes = {setting.name: setting.recipe for setting in plan.settings}
    training = recipes[plan.reference].training
    attributes = tuple(
        dict.fromkeys(a for recipe in recipes.values() for a in recipe.objective.protect)
    ) or tuple(recipes[plan.reference].data.sensitive)
    by_setting: dict[str, list[Validation]] = {}
    for result in results:
        if result.numbers:
            try:
                validation = _validation(result, attributes)
            except InputError:
                return None
            by_setting.setdefault(result.job.setting, []).append(validation)
    if not by_setting:
        return None
    means = {name: _mean(runs) for name, runs in by_setting.items()}
    chosen = [_choose(rule, means, training.gap_bound, training.gap_cost) for rule in RULES]
    costly = {
        name: too_costly(costs, training.gap_cost)
        for name, costs in zip(means, group_costs([*map(_values, means.values())]), strict=True)
    }
    return Selections(
        training.select_by,
        training.gap_bound,
        training.gap_cost,
        attributes,
        means,
        tuple(selection for selection in chosen if selection is not None),
        {n: cost for n, cost in costly.items() if cost and means[n].gap <= training.gap_bound},
    )


def _validation(result: RunResult, attributes: Sequence[str]) -> Validation:
    table = read_predictions(split_predictions(result.job.folder, "validation"))
    table, _ = judge_by_rule(table, result.job.recipe.report.threshold, table)
    groups = {attribute: table.group_names(attribute) for attribute in attributes}
    values = selection_values(
        table.labels, table.predictions, table.probabilities, table.positive, groups
    )
    return Validation(
        values["accuracy"],
        values["auroc"],
        values["worst_group_accuracy"],
        largest_gap(values),
        _others(table.predictions) / max(_others(table.labels), 1),
        {name.removeprefix(GROUP): v for name, v in values.items() if name.startswith(GROUP)},
    )


def _others(codes: np.ndarray) -> int:
    """How many are not of the most frequent class."""
    return int(len(codes) - np.bincount(codes).max())


def _mean(runs: Sequence[Validation]) -> Validation:
    numbers = [[n for n in vars(run).values() if not isinstance(n, Mapping)] for run in runs]
    groups = [g for g in runs[0].group_accuracy if all(g in run.group_accuracy for run in runs)]
    return Validation(
        *np.mean(numbers, axis=0).tolist(),
        {group: float(np.mean([run.group_accuracy[group] for run in runs])) for group in groups},
    )


def _values(mean: Validation) -> dict[str, float]:
    """As of `selection_values`."""
    return {
        "accuracy": mean.accuracy,
        "auroc": mean.auroc,
        "worst_group_accuracy": mean.worst_group_accuracy,
        **{f"{GROUP}{group}": value for group, value in mean.group_accuracy.items()},
    }


def _choose(
    rule: str, means: Mapping[str, Validation], gap_bound: float, gap_cost: float
) -> Selection | None:
    metric = rule.removeprefix("bounded_")
    if any(np.isnan(getattr(mean, metric)) for mean in means.values()):
        return None
    candidates = [
        {**(values := _values(mean)), "score": selection_score(values, mean.gap, rule, gap_bound)}
        for mean in means.values()
    ]
    best = list(means)[rank_candidates(candidates, rule, gap_cost)[0]]
    bound_met = None if metric == rule else means[best].gap <= gap_bound
    return Selection(rule, best, bound_met)
