"""An ablation file: what it says, and every mistake in its own keys at once.

The recipes that follow from it are made, and checked, in `plan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlora_cls.data.examples import LARGEST_SEED
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.plain_yaml import parse_yaml
from fairlora_cls.recipe import recipe_values, safe_name, shipped_recipes

KEYS = ("name", "base", "set", "grid", "settings", "reference")
SEED = "seed"
LONGEST = 80  # characters of an ablation's name, and of a setting's folder


@dataclass(frozen=True)
class Definition:
    """An ablation file, read: keys of recipes are dotted."""

    name: str
    base: Mapping[str, Any]  # nested values of the base recipe
    fixed: Mapping[str, Any]  # key → value, the same for all runs
    grid: Mapping[str, Sequence[Any]]  # key → values, all combined; without the seed
    settings: Sequence[tuple[str, Mapping[str, Any]]]  # name or "" → the values that go together
    seeds: tuple[int, ...] | None  # None: the base recipe's
    reference: str | None  # the setting that others are compared with; None: the first


def is_ablation(path: Path) -> bool:
    """Whether a YAML file describes an ablation rather than one run."""
    return "base" in recipe_values(path)


def read_definition(given: str, overrides: Sequence[str] = ()) -> Definition:
    """An ablation file, or a shipped one by name, with `grid.KEY=[…]` overrides applied.

    Raises InputError listing every mistake of the file's own keys.
    """
    path = find_recipe(given, Path())
    values = recipe_values(path)
    problems = [f"{key}: unknown key{nearest(key, KEYS)}" for key in values if key not in KEYS]
    grid = _mapping(values, "grid", problems)
    fixed = _mapping(values, "set", problems)
    for text in overrides:
        key, _, value = text.partition("=")
        try:
            grid[key.strip().removeprefix("grid.")] = parse_yaml(value, f"--set '{text[:80]}'")
        except InputError as error:
            problems += error.problems
    for key, listed in grid.items():
        if not isinstance(listed, list) or not listed:
            problems.append(
                f"grid.{key}: a list of values is needed, such as [0, 0.5] (got {listed!r})"
            )
        elif len({repr(value) for value in listed}) < len(listed):
            problems.append(f"grid.{key}: a value is listed twice ({listed})")
    settings = _settings(values.get("settings", []), problems)
    seeds = grid.pop(SEED, None)
    if isinstance(seeds, list) and not all(_is_seed(seed) for seed in seeds):
        problems.append(
            f"grid.seed: seeds are whole numbers from 0 to {LARGEST_SEED} (got {seeds})"
        )
    problems += _doubled(fixed, grid, settings)
    base: dict[str, Any] = {}
    if not isinstance(values.get("base"), str):
        problems.append("base: name the base recipe, a file beside this one or a shipped recipe")
    else:
        try:
            base = recipe_values(find_recipe(values["base"], path.parent))
        except InputError as error:
            problems += [f"base: {problem}" for problem in error.problems]
    name = values.get("name")
    if name is None:
        name = safe_name(path.stem)[:LONGEST] or "ablation"
    elif str(name) != safe_name(str(name))[:LONGEST] or not name:
        problems.append(
            f"name: '{str(name)[:80]}' cannot be a folder's name; write at most {LONGEST} letters, "
            "digits, '_', '-' and '.', with no '.' at its ends"
        )
    reference = values.get("reference")
    if problems:
        raise InputError(problems, "The ablation")
    return Definition(
        name=str(name),
        base=base,
        fixed=fixed,
        grid=grid,
        settings=settings,
        seeds=tuple(seeds) if seeds else None,
        reference=None if reference is None else str(reference),
    )


def find_recipe(given: str, beside: Path) -> Path:
    """A YAML file by its path, relative to `beside`, or a shipped recipe by its name."""
    path = beside / Path(given).expanduser()
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if given in shipped:
        return shipped[given]
    raise InputError(f"There is no recipe '{given}'{nearest(given, shipped)}")


def _mapping(values: Mapping[str, Any], key: str, problems: list[str]) -> dict[str, Any]:
    mapping = values.get(key) or {}
    if not isinstance(mapping, dict):
        problems.append(f"{key}: keys with their values are needed, such as seed: [42, 43]")
        return {}
    return {str(name): value for name, value in mapping.items()}


def _settings(listed: Any, problems: list[str]) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(listed, list):
        problems.append("settings: a list of settings is needed, each keys with their values")
        return []
    settings = []
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict):
            problems.append(
                f"settings[{number}]: keys with their values are needed (got {entry!r})"
            )
            continue
        values = {str(key): value for key, value in entry.items() if key != "name"}
        if SEED in values:
            problems.append(f"settings[{number}].seed: seeds are an axis of their own: grid.seed")
        settings.append((str(entry.get("name", "")), values))
    return settings


def _is_seed(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 0 <= value <= LARGEST_SEED


def _doubled(
    fixed: Mapping[str, Any],
    grid: Mapping[str, Any],
    settings: Sequence[tuple[str, Mapping[str, Any]]],
) -> list[str]:
    linked = {key for _, values in settings for key in values}
    return [f"grid.{key}: settings change this key too" for key in grid if key in linked] + [
        f"set.{key}: the grid or a setting changes this key too"
        for key in fixed
        if key in grid or key in linked
    ]
