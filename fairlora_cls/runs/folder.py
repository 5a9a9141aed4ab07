"""The folder of one run: created whole, never overwritten unasked, its state in run.json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairlora_cls.errors import InputError
from fairlora_cls.files import (
    hold,
    is_draft,
    read_json,
    remove_leftovers,
    require_replaceable,
    require_writable,
    whole_folder,
    write_json,
    write_text,
)
from fairlora_cls.presentation.writing import CHECKLIST, FIGURES, files_of
from fairlora_cls.recipe import Recipe, build_recipe, recipe_to_yaml, recipe_values

PACKAGES = (
    "fairlora-cls",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "fairlearn",
    "scikit-learn",
)


def installed_versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def is_run_folder(folder: Path) -> bool:
    return not _missing(folder)


def _missing(folder: Path) -> list[str]:
    return [name for name in ("recipe.yaml", "run.json") if not os.path.isfile(folder / name)]


def inspect_run_folder(
    folder: Path, recipe: Recipe, *, resume: bool, overwrite: bool
) -> dict[str, Any]:
    """What run.json says of the run to go on with, or {}; refuses to touch anything it should not.

    Raises InputError when the folder holds a run and neither --resume nor --overwrite is given,
    holds something that is not a run, or holds a run of another recipe, or cannot be written.
    """
    # A run that a killed --overwrite was about to replace comes back by this.
    remove_leftovers(folder.resolve().parent)
    if resume and is_run_folder(folder):
        require_writable(folder)
    else:
        require_replaceable(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    if not is_run_folder(folder):
        raise InputError(f"'{folder}' exists and is not a run folder; name another with --output.")
    if overwrite:
        return {}
    if not resume:
        raise InputError(
            f"The run folder '{folder}' exists; go on with it by --resume, replace it by --overwrite, "
            "or name another with --output."
        )
    difference = recipe_difference(recipe_of(folder), recipe)
    if difference:
        raise InputError(
            f"The run in '{folder}' is of another recipe ({difference}); resume it with "
            f"`fairlora-cls train {folder / 'recipe.yaml'} --output {folder} --resume`."
        )
    return read_state(folder)


def recipe_difference(kept: Recipe, asked: Recipe) -> str:
    """The first key, beside the name, in which two recipes differ, with both values, or ''."""
    return first_difference(*(r.model_dump(exclude={"name"}) for r in (kept, asked)))


def first_difference(kept: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> str:
    """`key: value here, value there` of the first key in which two nested mappings differ, or ''."""
    for key in {**kept, **asked}:
        here, there = kept.get(key), asked.get(key)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            if difference := first_difference(here, there, f"{path}{key}."):
                return difference
        elif here != there:
            return f"{path}{key} is {here} there and {there} here"
    return ""


def create_run_folder(
    folder: Path, recipe: Recipe, state: Mapping[str, Any], *, overwrite: bool
) -> None:
    """A new run folder with recipe.yaml and run.json; `overwrite` replaces a run that stands there.

    Raises InputError when another process made a run there in the meantime.
    """
    with whole_folder(folder, replaces=overwrite) as draft:
        write_text(draft / "recipe.yaml", recipe_to_yaml(recipe))
        write_json(draft / "run.json", state)
        (draft / "checkpoints").mkdir()
    if read_json(folder / "run.json") != state:
        raise InputError(
            f"Another process has just begun a run in '{folder}'; name another folder."
        )


def hold_run_folder(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from training in `folder`. Raises InputError when one does already."""
    return hold(
        folder / "checkpoints" / "lock",
        f"Another process is working in '{folder}'; wait for it, or name another with --output.",
    )


def require_run_folder(run: Path) -> None:
    """Raises InputError for a folder that no run has written."""
    if gone := _missing(run):
        raise InputError(f"'{run}' is not a run folder (no {' and no '.join(gone)}).")


def recipe_of(run: Path) -> Recipe:
    """The resolved recipe of a run folder.

    Raises InputError where run.json is cut, or recipe.yaml is not as the run wrote it.
    """
    require_run_folder(run)
    read_state(run)
    return build_recipe(recipe_values(run / "recipe.yaml"))


def read_state(run: Path) -> dict[str, Any]:
    """What run.json says. Raises InputError where it is gone or cut."""
    state = read_json(run / "run.json")
    if not isinstance(state.get("status"), str):
        raise InputError(f"'{run / 'run.json'}' does not say how the run stands (status).")
    return state


def update_state(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change some keys of run.json: a mapping is merged into the one that stands there, None
    removes the key."""
    state = read_state(folder)
    for key, value in changes.items():
        old = state.get(key)
        merges = isinstance(old, dict) and isinstance(value, dict)
        state[key] = {**old, **value} if merges else value
    state = {key: value for key, value in state.items() if value is not None}
    write_json(folder / "run.json", state)
    return state


def split_predictions(run: Path, split: str) -> Path:
    """A run's table of `validation` or `test` predictions. Raises InputError where there is none."""
    require_run_folder(run)
    table = run / "predictions" / f"{split}.csv"
    if table.with_suffix(".jsonl").is_file():
        raise InputError(f"The run '{run}' writes texts; this needs a run that classifies.")
    if not table.is_file():
        status = read_state(run)["status"]
        raise InputError(
            f"The run '{run}' has no predictions/{split}.csv (its status is '{status}'); finish it "
            "with `fairlora-cls train … --resume`."
        )
    return table


def claim_report_folder(folder: Path, stem: str = "report", beside: Iterable[str] = ()) -> None:
    """Refuse a folder for a report that holds anything else, since it will be replaced, and one that
    cannot be written. What a killed process left there goes.

    stem: name of the report's files, without their ending; beside: of other files that belong to it
    """
    if os.path.isfile(folder):
        raise InputError(f"'{folder}' is a file; name a folder for the report with --output.")
    require_writable(folder)
    if not folder.exists():
        return
    for place in (folder, folder / FIGURES):
        remove_leftovers(place)
    own = files_of(stem) | {CHECKLIST, *beside}
    # A draft that is still there is of a neighbour who is writing.
    foreign = sorted(p.name for p in folder.iterdir() if p.name not in own and not is_draft(p.name))
    if foreign:
        raise InputError(
            f"'{folder}' holds '{foreign[0]}', which is not part of a report; name another folder with --output."
        )
