"""How often a penalty that compares groups sees each of them: the share of steps that hold it.

N training examples, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.checking.findings import CheckReport, Finding, list_some
from fairlora_cls.data.batching import SAMPLERS, micro_batches
from fairlora_cls.data.examples import Splits
from fairlora_cls.data.groups import cross_groups, encode_groups
from fairlora_cls.objectives.objectives import OBJECTIVES, Objective, build_objective
from fairlora_cls.presentation.document import text_table
from fairlora_cls.presentation.numbers import RATE, show_count
from fairlora_cls.recipe import Recipe

SELDOM = 0.5  # of the steps: a group that fewer of them hold is named
# Statistics → the key of `training` that says how many examples are compared, and what these are.
COMPARED = {
    "effective_batch": ("batch_size", "steps"),
    "micro_batch": ("micro_batch_size", "micro-batches"),
}


@dataclass(frozen=True)
class GroupPresence:
    """One group of a protected attribute in what a penalty compares: a step, or a micro-batch."""

    attribute: str
    group: str
    count: int  # its training examples
    share: float  # of the first epoch's steps, those with one of them or more


def outline_objective(recipe: Recipe) -> Objective:
    """The recipe's objective as far as it is known without data: of two groups, no dependences."""
    objective = recipe.objective
    return build_objective(
        objective.method,
        dict.fromkeys(objective.protect, (1, 1)),
        gap_weight=objective.gap_weight,
        penalties=objective.penalties,
        statistics=objective.statistics,
    )


def compared_size(recipe: Recipe) -> int | None:
    """How many examples a penalty compares at a time; None without one, or with running averages."""
    statistics = recipe.objective.statistics
    trains = OBJECTIVES[recipe.objective.method].trains
    if not trains or statistics not in COMPARED or not outline_objective(recipe).penalties:
        return None
    return getattr(recipe.training, COMPARED[statistics][0])


def count_presence(
    recipe: Recipe, splits: Splits, attributes: Sequence[str]
) -> list[GroupPresence]:
    """Every group that has training examples, over the steps as the recipe's sampler cuts them.

    `attributes` are those that the objective protects. [] where no penalty compares groups.
    """
    size = compared_size(recipe)
    if size is None or not splits.train or not attributes:
        return []
    merge_below = recipe.objective.merge_cells_below
    protected = [encode_groups(splits, name, merge_below) for name in attributes]
    training = recipe.training
    steps = SAMPLERS[training.sampler](
        cross_groups(protected, "train", len(splits.train)), training.batch_size, recipe.seed, 0
    )
    parts = [step[places] for step in steps for places in micro_batches(step, size)]
    found = []
    for groups in protected:
        codes = groups.codes["train"]
        held = [np.bincount(codes[part], minlength=len(groups.names)) > 0 for part in parts]
        shares = np.mean(held, axis=0)
        found += [
            GroupPresence(groups.attribute, name, count, float(share))
            for name, count, share in zip(groups.names, groups.counts, shares, strict=True)
            if count
        ]
    return found


def check_groups_in_steps(recipe: Recipe, splits: Splits, attributes: Sequence[str]) -> CheckReport:
    """Every group with the share of steps that hold it, and a warning that names those that fewer
    than SELDOM of the steps do; nothing where no penalty compares groups."""
    presence = count_presence(recipe, splits, attributes)
    if not presence:
        return CheckReport()
    size, training = compared_size(recipe), recipe.training
    key, unit = COMPARED[recipe.objective.statistics]
    shares = {f"{p.attribute} {p.group}": p.share for p in presence}
    table = text_table(
        f"Groups that the penalty sees, {size} examples at a time",
        ("group", "train", f"in the share of {unit}"),
        (
            (name, show_count(p.count), RATE.show(p.share))
            for name, p in zip(shares, presence, strict=True)
        ),
    )
    findings = []
    if seldom := [name for name, share in shares.items() if share < SELDOM]:
        named = list_some([f"{name} in {RATE.show(shares[name])}" for name in seldom])
        message = (
            f"The penalty of {recipe.objective.method} compares groups within {size} examples "
            f"(training.{key}; sampler {training.sampler}), and these are in fewer than half of the {unit}: "
            f"{named}. Where they are it is by an example or two, and chance decides which group "
            f"is raised; training.sampler=balanced or a larger training.{key} puts them into more."
        )
        findings.append(Finding("warning", "seldom-in-batch", message, tuple(seldom)))
    return CheckReport(findings, [table], {"groups_in_steps": shares})
