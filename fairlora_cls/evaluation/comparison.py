"""Are two models really different on the same examples, or do a few images decide?

N examples, G groups, R resamples. `compare_predictions` and `compare_texts` compute;
`write_comparison` (in `comparison_files.py`) writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    ClassComparison,
    ComparedRun,
    Difference,
    GapDifference,
    Pair,
    TextComparison,
)
from fairlora_cls.evaluation.flips import fewest_deciding
from fairlora_cls.evaluation.groupings import Grouping, grouping_of
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import headline_metric
from fairlora_cls.evaluation.seeds import OVERALL, contest_methods, pair_runs, summarise_methods
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.evaluation.text_sample import shared_samples
from fairlora_cls.statistics import draws as drawing
from fairlora_cls.statistics.intervals import (
    bias_corrected_interval,
    holm_by,
    interval,
    swap_p_value,
)
from fairlora_cls.statistics.sample import Key, Measures, Sample
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.scores import TextScores

Values = dict[Key, np.ndarray]  # quantity, or (metric, group) → () of the data, (R,) of draws
CHANGED = ("accuracy", "sensitivity", "specificity", "auroc")  # of every group, where measured
Recipes = Mapping[str, tuple[str, int]]  # run → (method, seed)


@dataclass(frozen=True)
class ViewDraws:
    """The quantities of one view: of the data, of paired resamples, and with answers swapped."""

    observed: dict[str, Values]  # by run
    bootstrap: dict[str, Values]
    chance: dict[tuple[str, str], Values]  # pair → other minus reference, both swapped


def compare_predictions(
    tables: Mapping[str, Predictions],
    attributes: str | Iterable[str] | None = None,
    *,
    recipes: Recipes | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
    notes: str | Iterable[str] = (),
) -> ClassComparison:
    """Compares models on the same examples: each with the first, paired.

    tables: run name → predictions; matched by id
    attributes: columns of the first table, or intersections such as "sex×race"; None takes all
    recipes: run name → (method, seed) of runs that belong to a method trained with several seeds;
        a run that is not named is a method of its own
    bootstrap: resamples per interval and swaps per p-value; 0 leaves both out
    Raises InputError where ids, labels, classes or groups differ between the tables.
    """
    tables = align(tables)
    samples = {name: class_sample(table) for name, table in tables.items()}
    first = next(iter(tables.values()))
    draws = drawing.affordable_draws(bootstrap, len(first.ids))
    return ClassComparison(
        classes=first.classes,
        positive=first.classes[first.positive],
        **_compare(samples, tables, attributes, recipes, bootstrap, draws, seed, notes),
    )


def compare_texts(
    tables: Mapping[str, Generations],
    scores: Mapping[str, TextScores],
    attributes: str | Iterable[str] | None = None,
    *,
    headline: str | None = None,
    recipes: Recipes | None = None,
    bootstrap: int = 1000,
    seed: int = 42,
    notes: str | Iterable[str] = (),
) -> TextComparison:
    """Compares the texts of each run with those of the first, paired.

    tables: run name → texts, aligned; scores: of those texts
    headline: the metric that is judged; the others are as of `compare_predictions`
    Raises InputError for an unknown attribute or headline, and where groups differ.
    """
    samples = shared_samples(tables, scores)
    first = next(iter(samples.values()))
    return TextComparison(
        metrics=first.metrics,
        headline=headline_metric(first, headline),
        **_compare(samples, tables, attributes, recipes, bootstrap, bootstrap, seed, notes),
    )


def _compare(
    samples: Mapping[str, Sample],
    tables: Mapping[str, Predictions | Generations],
    attributes: str | Iterable[str] | None,
    recipes: Recipes | None,
    bootstrap: int,
    draws: int,
    seed: int,
    notes: str | Iterable[str],
) -> dict[str, Any]:
    """What comparisons of classes and of texts have in common, by field of `Comparison`."""
    if bootstrap < 0:
        raise InputError(f"bootstrap is {bootstrap}; it must be 0 or more resamples.")
    recipes = recipes or {}
    runs = tuple(ComparedRun(name, *recipes.get(name, (name, None))) for name in samples)
    reference, sample = next(iter(tables.values())), next(iter(samples.values()))
    views = {OVERALL: Grouping(("all",), np.zeros(len(sample), dtype=int))}
    for name in listed_names(reference.attributes if attributes is None else attributes):
        views[name] = grouping_of(reference, name)
        require_same_groups(tables, name)
    pairs, pairing_notes = pair_runs(runs)
    everyone = {run: _observed(each, views[OVERALL]) for run, each in samples.items()}

    def draw(place: int) -> ViewDraws:
        attribute, grouping = list(views.items())[place]
        return draw_view(samples, everyone, attribute, grouping, pairs, draws, (seed, place))

    drawn = dict(zip(views, side_by_side(draw, range(len(views))), strict=True))
    values = {
        run: {
            attribute: {
                name: float(value)
                for name, value in each.observed[run].items()
                if isinstance(name, str)
            }
            for attribute, each in drawn.items()
        }
        for run in samples
    }
    quantities = {**sample.metrics, **sample.gaps, **sample.equity_scaled}
    return {
        "n": len(sample),
        "units": None if sample.units is None else len(set(sample.units)),
        "runs": runs,
        "pairs": _pairs(samples, views, drawn, pairs),
        "methods": summarise_methods(runs, values),
        "contests": contest_methods(runs, values, quantities),
        "notes": (*pairing_notes, *map(str, listed_names(notes))),
        "bootstrap": draws,
        "seed": seed,
    }


def _observed(sample: Sample, grouping: Grouping) -> Measures:
    return sample.observed(grouping.codes, len(grouping.names))


def draw_view(
    samples: Mapping[str, Sample],
    everyone: Mapping[str, Measures],
    attribute: str,
    grouping: Grouping,
    pairs: list[tuple[str, str]],
    draws: int,
    stream: tuple[int, int],
) -> ViewDraws:
    """The draws depend on the view's groups and the seed only, so a pair's numbers do not change
    with the other runs, nor with its order."""
    codes, groups = grouping.codes, len(grouping.names)
    observed = {}
    for run, sample in samples.items():
        by_group = _observed(sample, grouping) if attribute else everyone[run]
        overall = {name: values[0] for name, values in everyone[run].items()}
        observed[run] = _quantities(sample, attribute, overall, by_group)
    if not draws:
        return ViewDraws(observed, {}, {})
    bootstrap = drawing.paired_bootstrap(
        list(samples.values()), codes, groups, draws, np.random.default_rng([*stream, 0])
    )
    chance = {}
    for pair in pairs:
        first, second = (samples[run] for run in pair)
        coins = np.random.default_rng([*stream, 1])
        swapped = drawing.swap(first, second, codes, groups, draws, coins)
        sides = [_of_draws(first, attribute, side) for side in swapped]
        chance[pair] = {name: sides[1][name] - sides[0][name] for name in sides[0]}
    return ViewDraws(
        observed,
        {
            run: _of_draws(sample, attribute, own)
            for (run, sample), own in zip(samples.items(), bootstrap, strict=True)
        },
        chance,
    )


def _of_draws(sample: Sample, attribute: str, draws: drawing.Draws) -> Values:
    return _quantities(sample, attribute, draws.overall, draws.by_group)


def _quantities(sample: Sample, attribute: str, overall: Measures, by_group: Measures) -> Values:
    """Metrics of all examples; gaps, equity-scaled scores and each group's metrics of an attribute."""
    if attribute == OVERALL:
        return {name: overall[name] for name in sample.metrics}
    of_groups = {
        (name, code): by_group[name][..., code]
        for name in changed_metrics(sample)
        for code in range(next(iter(by_group.values())).shape[-1])
    }
    gaps = {name: gap.values(by_group) for name, gap in sample.gaps.items()}
    scaled = {
        name: score.function(overall[score.metric], by_group[score.metric])
        for name, score in sample.equity_scaled.items()
    }
    return gaps | scaled | of_groups


def changed_metrics(sample: Sample) -> list[str]:
    """The metrics whose change is told of every group: CHANGED, or all of texts."""
    return [name for name in sample.metrics if name in CHANGED] or list(sample.metrics)


def _pairs(
    samples: Mapping[str, Sample],
    views: Mapping[str, Grouping],
    drawn: Mapping[str, ViewDraws],
    pairs: list[tuple[str, str]],
) -> tuple[Pair, ...]:
    differences = correct_differences(
        {
            (pair, attribute): paired_differences(draws, pair)
            for pair in pairs
            for attribute, draws in drawn.items()
        }
    )
    return tuple(
        Pair(
            *pair,
            overall=differences[pair, OVERALL],
            attributes={
                attribute: _attribute(
                    {run: samples[run] for run in pair}, grouping, differences[pair, attribute]
                )
                for attribute, grouping in views.items()
                if attribute
            },
        )
        for pair in pairs
    )


def paired_differences(draws: ViewDraws, pair: tuple[str, str]) -> dict[Key, Difference]:
    reference, other = (draws.observed[run] for run in pair)
    found = {}
    for name in reference:
        values = float(reference[name]), float(other[name])
        difference = values[1] - values[0]
        if np.isnan(difference):
            known = (None if np.isnan(value) else value for value in values)
            found[name] = Difference(*known, None, None, None, None)
            continue
        limits = corrected = p_value = None
        if draws.bootstrap:
            resampled = [draws.bootstrap[run][name] for run in pair]
            limits = interval(resampled[1] - resampled[0])
            corrected = bias_corrected_interval(difference, resampled[1] - resampled[0])
            p_value = swap_p_value(difference, draws.chance[pair][name])
        found[name] = Difference(*values, difference, limits, p_value, None, corrected)
    return found


def correct_differences(
    views: Mapping[tuple, dict[Key, Difference]],
) -> dict[tuple, dict[Key, Difference]]:
    """Fills in p_holm: for each quantity, over all pairs and all attributes (and groups)."""
    asked = {(view, key): d.p_value for view, each in views.items() for key, d in each.items()}
    corrected = holm_by(
        asked, kind=lambda place: place[1] if isinstance(place[1], str) else (place[1][0], "groups")
    )
    return {
        view: {key: replace(d, p_holm=corrected.get((view, key))) for key, d in each.items()}
        for view, each in views.items()
    }


def _attribute(
    pair: Mapping[str, Sample], grouping: Grouping, differences: Mapping[Key, Difference]
) -> AttributeDifferences:
    codes, groups = grouping.codes, len(grouping.names)
    hits = {run: sample.hits(codes, groups) for run, sample in pair.items()}
    sample = next(iter(pair.values()))
    counts = np.bincount(codes, minlength=groups)
    return AttributeDifferences(
        groups={name: int(count) for name, count in zip(grouping.names, counts, strict=True)},
        gaps={
            name: GapDifference(
                **vars(differences[name]), deciding=fewest_deciding(gap, hits, grouping.names)
            )
            for name, gap in sample.gaps.items()
        },
        equity_scaled={name: differences[name] for name in sample.equity_scaled},
        changes={
            group: {name: differences[name, code] for name in changed_metrics(sample)}
            for code, group in enumerate(grouping.names)
        },
    )
