"""plan → finished runs → ablation.csv and the report: what the verb `ablate` does."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from fairlora_cls.ablations.execution import hold_ablation
from fairlora_cls.ablations.finished_runs import unfinished_jobs
from fairlora_cls.ablations.plan import Job, Plan
from fairlora_cls.ablations.results import AblationReport, build_report
from fairlora_cls.ablations.runs import read_runs, runs_table
from fairlora_cls.files import write_text
from fairlora_cls.recipe import recipe_to_yaml

Execute = Callable[[list[Job]], Mapping[Path, str]]  # jobs → run folder → why it failed


def run_ablation(
    plan: Plan, execute: Execute, *, overwrite: bool = False, png: bool = False
) -> AblationReport:
    """Run what is not finished, and write table and report over all that is.

    Raises InputError for folders that hold other runs, and RunError where no run has finished.
    """
    from fairlora_cls.ablations.files import write_ablation

    with hold_ablation(plan.folder):
        waiting = unfinished_jobs(plan, overwrite=overwrite)
        failures = execute(waiting) if waiting else {}
        results = read_runs(plan, failures)
        write_text(plan.folder / "ablation.csv", runs_table(plan, results))
        report = build_report(plan, results)
        write_ablation(report, plan.folder, png)
    return report


def job_commands(plan: Plan, *, overwrite: bool = False) -> list[str]:
    """A `fairlora-cls train` command for every run that is not finished, for a cluster's queue.

    Writes the resolved recipes that the commands name into the folder's recipes/.
    """
    commands = []
    for job in unfinished_jobs(plan, overwrite=overwrite):
        file = plan.folder / "recipes" / f"{job.folder.parent.name}-{job.folder.name}.yaml"
        write_text(file, recipe_to_yaml(job.recipe))
        going_on = "--overwrite" if job.overwrite else "--resume"
        commands.append(
            shlex.join(["fairlora-cls", "train", str(file), "--output", str(job.folder), going_on])
        )
    return commands
