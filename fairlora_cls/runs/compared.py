"""Run folders and prediction tables given by path → named predictions, with method and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora_cls.data.examples import Example
from fairlora_cls.data.groups import INTERSECTION, single_attributes
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, are_two_cohorts
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.thresholds import (
    ARGMAX,
    judge_file,
)
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.folder import recipe_of, split_predictions
from fairlora_cls.texts.generations import Generations, read_generations
from fairlora_cls.texts.scores import TextScores, needed_metrics, score_texts, usual_metrics


@dataclass(frozen=True)
class ComparedRuns:
    """What a comparison needs to know of the paths a user gave."""

    tables: dict[str, Predictions] | dict[str, Generations]
    recipes: dict[str, tuple[str, int]]  # run → (method, seed); tables have none
    attributes: tuple[str, ...] | None  # what the first run's report covers; None: not a run
    notes: tuple[str, ...] = ()  # the operating points, where one is not argmax
    scores: dict[str, TextScores] = field(default_factory=dict)  # of texts
    # What the first run's recipe declares for its report, by argument of the report.
    declared: dict[str, Any] = field(default_factory=dict)


def load_compared_runs(
    paths: Sequence[Path],
    positive: str | None = None,
    threshold: str | None = None,
    unit: str | None = None,
) -> ComparedRuns:
    """Reads every run's test predictions, or the table itself, and finds the seeds of one recipe.

    threshold: a rule for all (see `thresholds.py`), chosen on each one's own validation; None: of a
        run, also on other data (`evaluate`), its recipe's report.threshold, so that its report and
        the comparison agree; of a table the predictions that it holds
    Runs whose recipes differ in nothing but `seed` and `name` are one method. Raises InputError for
    a path that is neither, a run without predictions, and a path given twice.
    """
    names = run_names(paths)
    tables, found, notes = {}, {}, []
    for path, name in zip(paths, names, strict=True):
        file = predictions_of(path)
        table = read_predictions(file, positive=positive, unit=unit)
        if path.is_dir():
            found[name] = recipe_of(path)
        run = _run_of_evaluation(file)
        recipe = found.get(name) or (recipe_of(run) if run else None)
        rule = threshold or (recipe.report.threshold if recipe else None)
        if rule is not None:
            validation = split_predictions(run, "validation") if run else None
            table, section = judge_file(table, rule, file, validation)
            notes += [f"{name}: {text}" for text in section.sentences if rule != ARGMAX]
        tables[name] = table
    covered, declared = _covered(found, names[0]), _declared(found, names[0])
    return ComparedRuns(tables, _methods(found), covered, tuple(notes), declared=declared)


def _run_of_evaluation(file: Path) -> Path | None:
    """The run whose `evaluate` wrote this table into its own folder; None of any other table."""
    folder = file.absolute().parent.parent
    is_evaluation = file.name == "predictions.csv" and folder.name == "evaluations"
    return folder.parent if is_evaluation and (folder.parent / "run.json").is_file() else None


def texts_of(path: Path) -> Path | None:
    """The file of a generative run's test texts, or the .jsonl that was given; None: not texts."""
    if path.is_dir():
        file = path / "predictions" / "test.jsonl"
        return file if file.is_file() else None
    return path if path.suffix.lower() == ".jsonl" else None


def load_compared_texts(
    paths: Sequence[Path], metrics: Sequence[str] | None = None
) -> ComparedRuns:
    """Reads every run's test texts, or the file itself, brings them into one order and scores them.

    metrics: those asked for; None takes the usual ones of the first file. Raises InputError where one
    is not texts, for a path given twice, and where ids or references differ.
    """
    tables, found = {}, {}
    for path, name in zip(paths, run_names(paths), strict=True):
        file = texts_of(path)
        if file is None:
            raise InputError(
                f"'{path}' holds no texts, and others do; compare texts with texts, and classes with "
                "classes."
            )
        tables[name] = read_generations(file)
        if path.is_dir():
            found[name] = recipe_of(path)
    tables = tables if are_two_cohorts(tables) else align(tables)
    first = next(iter(tables))
    own = needed_metrics(metrics or usual_metrics(tables[first]))
    scores = {name: score_texts(table, own) for name, table in tables.items()}
    covered, declared = _covered(found, first), _declared(found, first)
    return ComparedRuns(tables, _methods(found), covered, scores=scores, declared=declared)


def _covered(recipes: dict[str, Recipe], first: str) -> tuple[str, ...] | None:
    return report_attributes(recipes[first]) if first in recipes else None


def _declared(recipes: dict[str, Recipe], first: str) -> dict[str, Any]:
    if first not in recipes:
        return {}
    minimum = recipes[first].report.minimum_group_size
    return declared_endpoints(recipes[first]) | {"minimum_group_size": minimum}


def predictions_of(path: Path) -> Path:
    """The table of a run's test predictions, or the table that was given. Raises InputError."""
    return split_predictions(path, "test") if path.is_dir() else path


def report_attributes(recipe: Recipe) -> tuple[str, ...]:
    """The sensitive attributes, and those intersections of them that the objective protects."""
    sensitive = recipe.data.sensitive
    known = set(single_attributes(sensitive))
    protected = [p for p in recipe.objective.protect if set(single_attributes([p])) <= known]
    return tuple(dict.fromkeys([*sensitive, *protected]))


def written_columns(recipe: Recipe) -> list[str]:
    """The attributes that predictions hold: the sensitive ones and the site; other columns are the
    patients' own."""
    return single_attributes([*recipe.data.sensitive, *site_columns(recipe)])


def site_columns(recipe: Recipe) -> list[str]:
    """The attributes that name the site, if the report looks at sites."""
    return single_attributes(recipe.report.site or ())


def trained_sites(recipe: Recipe, training: Iterable[Example]) -> set[str] | None:
    """The sites of the training examples; None where the report does not look at sites."""
    columns = site_columns(recipe)
    cells = ([example.attributes.get(name) for name in columns] for example in training)
    return {INTERSECTION.join(cell) for cell in cells if None not in cell} if columns else None


def declared_endpoints(recipe: Recipe) -> dict[str, Any]:
    """What a report judges, and where that was declared, by argument of the report."""
    declared = "default" if recipe.report.endpoints is None else "recipe"
    return {
        "endpoints": recipe.report.endpoints,
        "margin": recipe.report.margin,
        "declared": declared,
    }


def run_names(paths: Sequence[Path]) -> list[str]:
    """A short name of each path: its last part, or the folder of what `evaluate` calls predictions,
    with as many parts before it as tell it apart."""
    resolved = [path.resolve() for path in paths]
    for place, path in enumerate(resolved):
        if path in resolved[:place]:
            raise InputError(f"'{paths[place]}' is given twice; name each run once.")
    named = [path.parent if path.stem == "predictions" else path for path in resolved]
    parts = [(*path.parts[1:-1], path.name if path.is_dir() else path.stem) for path in named]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in resolved]


def _methods(recipes: dict[str, Recipe]) -> dict[str, tuple[str, int]]:
    """Recipes that differ in nothing but seed and name share a method: called by its objective
    where no other recipe here has that one, else by its first run. Of two runs of one recipe and
    one seed (other machines, other threads) the second is a method of its own."""
    kinds: list[tuple[dict, str, dict[int, str]]] = []  # content, objective, seed -> run
    for name, recipe in recipes.items():
        content = recipe.model_dump(exclude={"seed", "name"})
        same = (runs for other, _, runs in kinds if other == content and recipe.seed not in runs)
        runs = next(same, None)
        if runs is None:
            kinds.append((content, recipe.objective.method, {recipe.seed: name}))
        else:
            runs[recipe.seed] = name
    objectives = [objective for _, objective, _ in kinds]
    return {
        run: (objective if objectives.count(objective) == 1 else next(iter(runs.values())), seed)
        for _, objective, runs in kinds
        for seed, run in runs.items()
    }
