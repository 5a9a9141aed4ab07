"""Ablation file → plan: every setting's recipe, checked before anything runs, and every job."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.definition import LONGEST, SEED, Definition, read_definition
from fairlora_cls.data.datasets import DATASETS
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.recipe import Recipe, build_recipe, merge, nest, override_values, safe_name
from fairlora_cls.runs.quick import SEEDS, quick_values

# What stands beside the settings' folders.
OWN_NAMES = {
    *("figures", "recipes", "workers"),
    *("ablation.csv", "report.html", "report.json", "report.md"),
}


@dataclass(frozen=True)
class Setting:
    """One point of the ablation, run with every seed."""

    name: str
    slug: str  # its folder
    values: Mapping[str, Any]  # dotted key → value of all that the ablation varies
    recipe: Recipe  # with the first seed


@dataclass(frozen=True)
class Job:
    """One run."""

    setting: str
    seed: int
    folder: Path
    recipe: Recipe
    overwrite: bool = False  # whether it replaces a run of another recipe that stands there


@dataclass(frozen=True)
class Plan:
    """A whole ablation, ready to run."""

    name: str
    folder: Path
    settings: tuple[Setting, ...]
    reference: str  # name of the setting that others are compared with
    seeds: tuple[int, ...]
    jobs: tuple[Job, ...]  # seed by seed: what a killed ablation has done is comparable


def make_plan(
    given: str,
    output: Path | None = None,
    shortcuts: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    quick: bool = False,
) -> Plan:
    """Read an ablation file (or a shipped one by name) and settle every run's recipe.

    shortcuts: nested recipe values of the command line, for all runs
    overrides: `key=value` for all runs; `grid.KEY=[…]` replaces or adds an axis
    Raises InputError listing every error of the file and of all its recipes at once.
    """
    own = [text for text in overrides if text.startswith("grid.")]
    definition = read_definition(given, own)
    common = merge(shortcuts or {}, override_values(t for t in overrides if t not in own))
    points = _points(definition)
    _refuse_varied(definition, common)
    base = merge(definition.base, nested(definition.fixed))
    recipes, errors = {}, {}
    for name, values in points.items():
        chosen = merge(common, nested(values))
        whole = merge(base, chosen)
        try:
            recipes[name] = build_recipe(merge(quick_values(whole), chosen) if quick else whole)
        except InputError as error:
            errors[name] = error.problems
    if errors:
        raise InputError(_where(errors, len(points)), "The ablation")
    tasks = sorted({recipe.task for recipe in recipes.values()})
    if len(tasks) > 1:
        raise InputError(
            f"task: an ablation compares answers of one kind (got {' and '.join(tasks)})"
        )
    _require_data(recipes)
    seeds = definition.seeds or (next(iter(recipes.values())).seed,)
    seeds = seeds[:SEEDS] if quick and definition.seeds else seeds
    folder = output or Path("runs") / definition.name
    settings = _settings(points, recipes)
    reference = definition.reference or settings[0].name
    if reference not in recipes:
        raise InputError(
            f"reference: there is no setting '{reference}'{nearest(reference, recipes)}"
        )
    jobs = [
        Job(
            setting.name,
            seed,
            folder / setting.slug / f"seed-{seed}",
            setting.recipe.model_copy(
                update={SEED: seed, "name": f"{definition.name}-{setting.slug}-seed-{seed}"}
            ),
        )
        for seed in seeds
        for setting in settings
    ]
    return Plan(definition.name, folder, settings, reference, seeds, tuple(jobs))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested mappings."""
    return reduce(merge, (nest(key, value) for key, value in values.items()), {})


def _points(definition: Definition) -> dict[str, dict[str, Any]]:
    """Name → values of every setting: each linked setting with each point of the grid."""
    grid = definition.grid
    labels = _short_names(grid)
    points: dict[str, dict[str, Any]] = {}
    for linked_name, linked in definition.settings or [("", {})]:
        own_name = linked_name or _describe(linked, _short_names(linked))
        for combination in itertools.product(*grid.values()):
            values = dict(zip(grid, combination, strict=True))
            name = ", ".join(part for part in (own_name, _describe(values, labels)) if part)
            name = name or "base"
            if name in points:
                raise InputError(
                    f"settings: two settings are called '{name}'; give each a name", "The ablation"
                )
            points[name] = {**linked, **values}
    return points


def _short_names(keys: Mapping[str, Any]) -> dict[str, str]:
    """The last part of each key, or the whole key where two end alike."""
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return {
        key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)
    }


def _describe(values: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    return ", ".join(f"{labels[key]}={show_value(value)}" for key, value in values.items())


def show_value(value: Any) -> str:
    """A setting's value in few characters: lists joined by +, mappings as key:value."""
    if isinstance(value, list | tuple):
        return "+".join(map(show_value, value))
    if isinstance(value, Mapping):
        return "+".join(f"{key}:{show_value(item)}" for key, item in value.items())
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _refuse_varied(definition: Definition, common: Mapping[str, Any]) -> None:
    varied = [*definition.grid, *(key for _, values in definition.settings for key in values)]
    varied += [SEED] if definition.seeds else []
    for key in varied:
        value: Any = common
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            raise InputError(
                f"{key} is what this ablation varies; --set grid.{key}=[…] changes its values."
            )


def _where(errors: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """Each problem once: said of the base where every setting has it, else of its setting."""
    common = [p for p in next(iter(errors.values())) if all(p in e for e in errors.values())]
    common = common if len(errors) == count else []
    return common + [
        f"{name}: {problem}"
        for name, problems in errors.items()
        for problem in problems
        if problem not in common
    ]


def _require_data(recipes: Mapping[str, Recipe]) -> None:
    for recipe in recipes.values():
        source, path = recipe.data.source, recipe.data.place
        if not DATASETS[source].needs_path:
            continue
        if path is None:
            raise InputError(
                f"'{source}' needs its folder or file: --data {source}:PATH, or --quick for a trial "
                "on a simulated cohort."
            )
        if not path.exists():
            raise InputError(f"There is no '{path}' (data.path).")


def _settings(
    points: Mapping[str, Mapping[str, Any]], recipes: Mapping[str, Recipe]
) -> tuple[Setting, ...]:
    slugs: dict[str, str] = {}
    taken = set(OWN_NAMES)  # some file systems do not tell A from a
    for name in points:
        slug = safe_name(name.replace("=", "-"))[:LONGEST].strip("-.") or "setting"
        ends = itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
        slugs[name] = next(s for e in ends if (s := f"{slug}{e}").casefold() not in taken)
        taken.add(slugs[name].casefold())
    return tuple(Setting(n, slugs[n], values, recipes[n]) for n, values in points.items())
