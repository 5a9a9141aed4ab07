"""Several seeds of one recipe: which runs belong together, and what do the methods show over seeds?

S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fairlora_cls.evaluation.comparison_results import (
    ComparedRun,
    MethodSeeds,
    SeedContest,
    SeedDifference,
)
from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.gaps import Gap
from fairlora_cls.statistics.intervals import ROUNDING
from fairlora_cls.statistics.sample import Measure
from fairlora_cls.statistics.seeds import DIFFERENCES, FRACTIONS, SeedValues, over_seeds

OVERALL = ""  # stands for all examples where an attribute could stand

Values = Mapping[str, Mapping[str, float]]  # attribute or OVERALL -> quantity -> value


def pair_runs(runs: Sequence[ComparedRun]) -> tuple[list[tuple[str, str]], list[str]]:
    """Which run is compared with which, reference first, and what a reader must know of it.

    The first run's method is the reference. Each other method is paired with it seed by seed; where
    they have no seed in common, their first runs are paired. Of one method only, each run is
    paired with the first.
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    if len(methods) == 1:
        return [(runs[0].name, run.name) for run in runs[1:]], []
    references = [run for run in runs if run.method == methods[0]]
    pairs, notes = [], []
    for method in methods[1:]:
        others = [run for run in runs if run.method == method]
        seeds = _common_seeds(references, others)
        if seeds:
            pairs += [(_of_seed(references, s).name, _of_seed(others, s).name) for s in seeds]
            alone = [r.name for r in (*references, *others) if r.seed not in seeds]
            if alone:
                notes.append(
                    f"{methods[0]} and {method} are paired by the seeds that both have "
                    f"({', '.join(map(str, seeds))}); without a partner: {', '.join(alone)}."
                )
            continue
        pairs.append((references[0].name, others[0].name))
        left = [run.name for run in (*references[1:], *others[1:])]
        if left:
            notes.append(
                f"{methods[0]} and {method} have no seed in common: {references[0].name} is paired "
                f"with {others[0].name}; without a partner: {', '.join(left)}."
            )
    return pairs, notes


def summarise_methods(
    runs: Sequence[ComparedRun], values: Mapping[str, Values]
) -> tuple[MethodSeeds, ...]:
    """Every number of each method that has two seeds or more. `values`: of each run by name."""
    found = []
    for method in dict.fromkeys(run.method for run in runs):
        own = [run for run in runs if run.method == method and run.seed is not None]
        if len(own) > 1:
            table = _by_quantity(
                [values[run.name] for run in own], lambda _, each: over_seeds(each, FRACTIONS)
            )
            seeds = tuple(run.seed for run in own)
            found.append(MethodSeeds(method, seeds, table.pop(OVERALL), table))
    return tuple(found)


def contest_methods(
    runs: Sequence[ComparedRun],
    values: Mapping[str, Values],
    quantities: Mapping[str, Quantity],
) -> tuple[SeedContest, ...]:
    """The first run's method against each other one, where both have two seeds or more in common."""
    first, *others = dict.fromkeys(run.method for run in runs)
    references = [run for run in runs if run.method == first]
    found = []
    for method in others:
        own = [run for run in runs if run.method == method]
        seeds = _common_seeds(references, own)
        if len(seeds) < 2:
            continue
        differences = [
            _subtract(values[_of_seed(own, s).name], values[_of_seed(references, s).name])
            for s in seeds
        ]
        table = _by_quantity(
            differences, lambda name, each: _seed_difference(quantities[name], each)
        )
        found.append(SeedContest(first, method, tuple(seeds), table.pop(OVERALL), table))
    return tuple(found)


def higher_is_better(quantity: Quantity) -> bool | None:
    """Of a metric, gap or equity-scaled score; None where neither way is better."""
    if isinstance(quantity, Measure):
        return {"higher": True, "lower": False, "neither": None}[quantity.better]
    return quantity.kind == "ratio" if isinstance(quantity, Gap) else True


def _seed_difference(quantity: Quantity, values: np.ndarray) -> SeedDifference:
    mean, higher = over_seeds(values, DIFFERENCES), higher_is_better(quantity)
    if mean.mean is None or higher is None:
        return SeedDifference(**vars(mean), wins=None, ties=None, share_won=None)
    gains = values if higher else -values
    wins, ties = int((gains > ROUNDING).sum()), int((np.abs(gains) <= ROUNDING).sum())
    return SeedDifference(
        **vars(mean), wins=wins, ties=ties, share_won=(wins + ties / 2) / len(values)
    )


def _by_quantity(tables: Sequence[Values], summarise) -> dict[str, dict[str, SeedValues]]:
    return {
        place: {
            quantity: summarise(quantity, np.array([table[place][quantity] for table in tables]))
            for quantity in quantities
        }
        for place, quantities in tables[0].items()
    }


def _subtract(other: Values, reference: Values) -> dict[str, dict[str, float]]:
    return {
        place: {name: value - reference[place][name] for name, value in quantities.items()}
        for place, quantities in other.items()
    }


def _common_seeds(first: Sequence[ComparedRun], second: Sequence[ComparedRun]) -> list[int]:
    there = {run.seed for run in second}
    return [run.seed for run in first if run.seed is not None and run.seed in there]


def _of_seed(runs: Sequence[ComparedRun], seed: int) -> ComparedRun:
    return next(run for run in runs if run.seed == seed)
