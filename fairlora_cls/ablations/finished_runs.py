"""Which runs of a plan are there already: in its own folder, or in another ablation's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.plan import Job, Plan
from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json, whole_folder
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.folder import is_run_folder, read_state, recipe_difference, recipe_of


def is_finished(folder: Path) -> bool:
    """Whether the run in `folder` is complete, with its report; one that is cut is made again."""
    if not is_run_folder(folder):
        return False
    try:
        report = read_json(folder / "report" / "report.json")
        return read_state(folder)["status"] == "complete" and {"n", "overall", "attributes"} <= set(
            report
        )
    except InputError:
        return False


def unfinished_jobs(plan: Plan, *, overwrite: bool) -> list[Job]:
    """The jobs to run; `overwrite` of each says whether it replaces a run of another recipe.

    Raises InputError, before anything runs, for folders that hold a run of another recipe, unless
    `overwrite` allows to replace them.
    """
    waiting, other = [], []
    for job in plan.jobs:
        difference = _difference(job)
        if difference:
            other.append(f"{job.folder} ({difference})")
        if difference or not is_finished(job.folder):
            waiting.append(replace(job, overwrite=bool(difference)))
    if other and not overwrite:
        raise InputError(
            f"{len(other)} runs in '{plan.folder}' are of another recipe or broken, the first: {other[0]}. "
            "Name another folder with --output, or replace these runs with --overwrite."
        )
    return waiting


def copy_finished(plan: Plan, folders: Sequence[Path]) -> list[Job]:
    """Copy finished runs from `folders` to where the plan has none and wants one that trains alike.

    Looks at every depth. Returns the jobs that are done by it; their folders keep the name under
    which they were run. Raises InputError for a folder that holds no finished run.
    """
    finished: list[tuple[dict[str, Any], Path]] = []
    for folder in folders:
        runs = [
            path.parent for path in sorted(folder.rglob("run.json")) if is_finished(path.parent)
        ]
        if not runs:
            raise InputError(f"There is no finished run in '{folder}' (--reuse).")
        finished += [(what_trains(recipe_of(run)), run) for run in runs]
    taken = []
    for job in plan.jobs:
        wanted = what_trains(job.recipe)
        source = next((run for recipe, run in finished if recipe == wanted), None)
        if source is None or job.folder.exists():
            continue
        with whole_folder(job.folder) as draft:
            shutil.copytree(
                source, draft, ignore=shutil.ignore_patterns("lock"), dirs_exist_ok=True
            )
        taken.append(job)
    return taken


def what_trains(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values less its name, the method told by its parts and what has λ = 0 left out.

    Two recipes that agree in it give the same run: `fr` with λ = 0 and `vanilla`, say.
    """
    values = recipe.model_dump(exclude={"name"})
    objective = values["objective"]
    preset = OBJECTIVES[objective.pop("method")]
    weights = dict(objective["penalties"])
    own_weight = objective.pop("gap_weight")
    if preset.penalty:
        weights[preset.penalty] = weights.get(preset.penalty, 0.0) + own_weight
    objective["penalties"] = {name: weight for name, weight in weights.items() if weight}
    objective |= {"base": preset.base, "dependence": preset.dependence, "trains": preset.trains}
    return values


def _difference(job: Job) -> str:
    """What the run in the job's folder has otherwise than the job; '' where nothing or no run.

    A finished run may be of any recipe that trains alike; one to go on with only of the job's own.
    """
    if not is_run_folder(job.folder):
        return ""
    try:
        recipe = recipe_of(job.folder)
    except InputError as error:
        return str(error)
    if is_finished(job.folder) and what_trains(recipe) == what_trains(job.recipe):
        return ""
    return recipe_difference(recipe, job.recipe)
