"""Which setting would one choose without looking at test: by validation, over the seeds.

The rules are those of `training.select_by`, on the mean of the seeds' validation numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.ablations.plan import Plan
from fairlora_cls.ablations.runs import RunResult
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import read_predictions
from fairlora_cls.evaluation.selection import largest_gap, selection_score, selection_values
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


@dataclass(frozen=True)
class Selection:
    """What one rule chooses."""

    rule: str
    setting: str
    bound_met: bool | None  # of bounded rules: whether any setting was within the bound


@dataclass(frozen=True)
class Selections:
    """Every rule's choice and what it was made on."""

    own_rule: str  # of the reference's training.select_by
    gap_bound: float
    attributes: tuple[str, ...]  # whose groups the rules look at: protected by any setting
    validation: Mapping[str, Validation]
    chosen: tuple[Selection, ...]


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
    chosen = [_choose(rule, means, training.gap_bound) for rule in RULES]
    return Selections(
        training.select_by,
        training.gap_bound,
        attributes,
        means,
        tuple(selection for selection in chosen if selection is not None),
    )


def _validation(result: RunResult, attributes: Sequence[str]) -> Validation:
    table = read_predictions(split_predictions(result.job.folder, "validation"))
    table, _ = judge_by_rule(table, result.job.recipe.report.threshold, table)
    groups = {
        attribute: np.unique(table.group_names(attribute), return_inverse=True)[1]
        for attribute in attributes
    }
    values = selection_values(
        table.labels, table.predictions, table.probabilities, table.positive, groups
    )
    return Validation(
        values["accuracy"],
        values["auroc"],
        values["worst_group_accuracy"],
        largest_gap(values),
        _others(table.predictions) / max(_others(table.labels), 1),
    )


def _others(codes: np.ndarray) -> int:
    """How many are not of the most frequent class."""
    return int(len(codes) - np.bincount(codes).max())


def _mean(runs: Sequence[Validation]) -> Validation:
    return Validation(*np.mean([list(vars(run).values()) for run in runs], axis=0).tolist())


def _choose(rule: str, means: Mapping[str, Validation], gap_bound: float) -> Selection | None:
    metric = rule.removeprefix("bounded_")
    if any(np.isnan(getattr(mean, metric)) for mean in means.values()):
        return None
    scores = {
        name: selection_score(vars(mean), mean.gap, rule, gap_bound) for name, mean in means.items()
    }
    within = any(mean.gap <= gap_bound for mean in means.values())
    bound_met = None if metric == rule else within
    return Selection(rule, max(scores, key=scores.__getitem__), bound_met)
