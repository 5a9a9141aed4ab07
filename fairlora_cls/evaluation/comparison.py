"""Are two models really different on the same examples, or do a few images decide?

N examples, G groups, R resamples. `compare_predictions` computes; `write_comparison` (in
`comparison_files.py`) writes.
"""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    ComparedRun,
    Comparison,
    Difference,
    GapDifference,
    Pair,
)
from fairlora_cls.evaluation.flips import DECIDABLE_GAPS, fewest_deciding
from fairlora_cls.evaluation.groupings import MOST_GROUPS
from fairlora_cls.evaluation.intervals import holm
from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, measure
from fairlora_cls.evaluation.paired import (
    PairedDraws,
    paired_bootstrap,
    swap_p_value,
    swapped,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.seeds import OVERALL, contest_methods, pair_runs, summarise_methods
from fairlora_cls.evaluation.uncertainty import affordable_draws, confusion_by_group, interval

Quantities = dict[str, np.ndarray]  # name -> () of the data, (R,) of draws


@dataclass(frozen=True)
class View:
    """All examples, or one attribute: its groups, and what is to be compared."""

    attribute: str  # OVERALL: all examples
    names: tuple[str, ...]
    codes: np.ndarray  # (N,)


@dataclass(frozen=True)
class ViewDraws:
    """The quantities of one view: of the data, of paired resamples, and with answers swapped."""

    observed: dict[str, Quantities]  # run -> quantities
    bootstrap: dict[str, Quantities]
    chance: dict[tuple[str, str], Quantities]  # pair -> other minus reference, both swapped


def compare_predictions(
    tables: Mapping[str, Predictions],
    attributes: str | Iterable[str] | None = None,
    *,
    recipes: Mapping[str, tuple[str, int]] | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
    notes: str | Iterable[str] = (),
) -> Comparison:
    """Compares models on the same examples: each with the first, paired.

    tables: run name -> predictions; matched by id
    attributes: columns of the first table, or intersections such as "sex×race"; None takes all
    recipes: run name -> (method, seed) of runs that belong to a method trained with several seeds;
        a run that is not named is a method of its own
    bootstrap: resamples per interval and swaps per p-value; 0 leaves both out
    Raises InputError where ids, labels, classes or groups differ between the tables.
    """
    if bootstrap < 0:
        raise InputError(f"bootstrap is {bootstrap}; it must be 0 or more resamples.")
    tables = align(tables)
    recipes = recipes or {}
    runs = tuple(ComparedRun(name, *recipes.get(name, (name, None))) for name in tables)
    reference = next(iter(tables.values()))
    names = listed_names(reference.attributes if attributes is None else attributes)
    views = [View(OVERALL, ("all",), np.zeros(len(reference.ids), dtype=int))]
    views += [_view(tables, name) for name in names]
    pairs, pairing_notes = pair_runs(runs)
    draws = _draw_all(tables, views, pairs, affordable_draws(bootstrap, len(reference.ids)), seed)
    values = {
        name: {
            view.attribute: {quantity: float(v) for quantity, v in found.observed[name].items()}
            for view, found in zip(views, draws, strict=True)
        }
        for name in tables
    }
    return Comparison(
        n=len(reference.ids),
        units=None if reference.units is None else len(set(reference.units)),
        classes=reference.classes,
        positive=reference.classes[reference.positive],
        runs=runs,
        pairs=_pairs(tables, views, draws, pairs),
        methods=summarise_methods(runs, values),
        contests=contest_methods(runs, values),
        notes=(*pairing_notes, *map(str, listed_names(notes))),
        bootstrap=bootstrap,
        seed=seed,
    )


def _view(tables: Mapping[str, Predictions], attribute: str) -> View:
    reference = next(iter(tables.values()))
    names, codes = np.unique(reference.group_names(attribute), return_inverse=True)
    if len(names) > MOST_GROUPS:
        raise InputError(
            f"attribute '{attribute}' has {len(names)} different values; it looks like a number or "
            "an identifier: put it into bins, or name other attributes"
        )
    require_same_groups(tables, attribute)
    return View(attribute, tuple(map(str, names)), codes)


def _draw_all(
    tables: Mapping[str, Predictions],
    views: list[View],
    pairs: list[tuple[str, str]],
    draws: int,
    seed: int,
) -> list[ViewDraws]:
    """Every view's draws, side by side on all cores. The draws of a view depend on its groups and
    the seed only, so a pair's numbers do not change with the other runs, nor with its order."""
    from threadpoolctl import threadpool_limits

    def resample(view: View, number: int) -> dict[str, Quantities]:
        generator = np.random.default_rng([seed, number, 0])
        models = list(tables.values())
        found = paired_bootstrap(models, view.codes, len(view.names), draws, generator)
        return {name: _of_draws(view, part) for name, part in zip(tables, found, strict=True)}

    def swap(view: View, number: int, pair: tuple[str, str]) -> Quantities:
        generator = np.random.default_rng([seed, number, 1])
        both = (tables[name] for name in pair)
        first, second = swapped(*both, view.codes, len(view.names), draws, generator)
        first, second = _of_draws(view, first), _of_draws(view, second)
        return {name: second[name] - first[name] for name in first}

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = []
        for number, view in enumerate(views):
            resampled = pool.submit(resample, view, number) if draws else None
            swaps = {pair: pool.submit(swap, view, number, pair) for pair in pairs if draws}
            waiting.append((view, resampled, swaps))
        return [
            ViewDraws(
                {name: _observed(view, table) for name, table in tables.items()},
                resampled.result() if resampled else {},
                {pair: found.result() for pair, found in swaps.items()},
            )
            for view, resampled, swaps in waiting
        ]


def _observed(view: View, table: Predictions) -> Quantities:
    overall, by_code = measure(table, view.codes)
    by_group = {
        metric: np.array([by_code[code][metric] for code in range(len(view.names))])
        for metric in METRICS
    }
    return _quantities(view, {name: np.asarray(v) for name, v in overall.items()}, by_group)


def _of_draws(view: View, draws: PairedDraws) -> Quantities:
    return _quantities(view, draws.overall, draws.by_group)


def _quantities(view: View, overall: Quantities, by_group: Quantities) -> Quantities:
    """Metrics of all examples; gaps and equity-scaled scores of an attribute."""
    if view.attribute == OVERALL:
        return dict(overall)
    gaps = {name: gap.values(by_group) for name, gap in GAPS.items()}
    scaled = {
        name: score.function(overall[score.metric], by_group[score.metric])
        for name, score in EQUITY_SCALED.items()
    }
    return gaps | scaled


def _pairs(
    tables: Mapping[str, Predictions],
    views: list[View],
    draws: list[ViewDraws],
    pairs: list[tuple[str, str]],
) -> tuple[Pair, ...]:
    plain = [[_differences(found, pair) for found in draws] for pair in pairs]
    plain = _correct(plain)
    return tuple(
        Pair(
            *pair,
            overall=differences[0],
            attributes={
                view.attribute: _attribute(tables, view, pair, found)
                for view, found in zip(views[1:], differences[1:], strict=True)
            },
        )
        for pair, differences in zip(pairs, plain, strict=True)
    )


def _differences(draws: ViewDraws, pair: tuple[str, str]) -> dict[str, Difference]:
    reference, other = (draws.observed[name] for name in pair)
    found = {}
    for name in reference:
        values = float(reference[name]), float(other[name])
        difference = values[1] - values[0]
        if np.isnan(difference):
            found[name] = Difference(*map(_or_none, values), None, None, None, None)
            continue
        limits = p_value = None
        if draws.bootstrap:
            resampled = [draws.bootstrap[run][name] for run in pair]
            limits = interval(resampled[1] - resampled[0])
            p_value = swap_p_value(difference, draws.chance[pair][name])
        found[name] = Difference(*values, difference, limits, p_value, None)
    return found


def _correct(
    pairs: list[list[dict[str, Difference]]],
) -> list[list[dict[str, Difference]]]:
    """Fills in p_holm: for each quantity, over all pairs and all attributes."""
    corrected = [[{} for _ in views] for views in pairs]
    places: dict[str, list[tuple[int, int]]] = {}
    for row, views in enumerate(pairs):
        for column, found in enumerate(views):
            for name in found:
                places.setdefault(name, []).append((row, column))
    for name, cells in places.items():
        found = {cell: pairs[cell[0]][cell[1]][name] for cell in cells}
        p_values = holm({cell: d.p_value for cell, d in found.items() if d.p_value is not None})
        for (row, column), difference in found.items():
            p_holm = p_values.get((row, column))
            corrected[row][column][name] = replace(difference, p_holm=p_holm)
    return corrected


def _attribute(
    tables: Mapping[str, Predictions],
    view: View,
    pair: tuple[str, str],
    found: dict[str, Difference],
) -> AttributeDifferences:
    confusions = {
        name: confusion_by_group(tables[name], view.codes, len(view.names)) for name in pair
    }
    positive = tables[pair[0]].positive

    def decided(name: str):
        if name not in DECIDABLE_GAPS:
            return None
        return fewest_deciding(GAPS[name], confusions, view.names, positive)

    counts = np.bincount(view.codes, minlength=len(view.names))
    return AttributeDifferences(
        groups={name: int(count) for name, count in zip(view.names, counts, strict=True)},
        gaps={name: GapDifference(**vars(found[name]), deciding=decided(name)) for name in GAPS},
        equity_scaled={name: found[name] for name in EQUITY_SCALED},
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
