"""The verb `ablate`: a grid of runs, resumable, one table and its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora_cls.cli import options
from fairlora_cls.cli.display import open_grid
from fairlora_cls.cli.terminal import exit_codes, show_ablation, terminal, write_data

if TYPE_CHECKING:
    from fairlora_cls.ablations.plan import Plan


def ablate(
    ablation: Annotated[
        str,
        typer.Argument(
            metavar="ABLATION.yaml", help="An ablation file, or a shipped one by its name."
        ),
    ],
    data: options.Data = None,
    model: options.Model = None,
    prompt: options.Prompt = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A recipe key for all runs, or an axis: grid.seed=[42,43].",
        ),
    ] = None,
    output: Annotated[Path | None, options.output("Folder", "runs/<name>")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes (default: one per GPU, or one); they share the cores."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Ray cluster: its address, auto, or local for one on this machine.",
        ),
    ] = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Another ablation's folder, or any with finished runs: those that train alike are copied.",
        ),
    ] = None,
    quick: options.Quick = False,
    print_commands: Annotated[
        bool,
        typer.Option(
            "--print", help="Only print a train command per unfinished run, for a cluster's queue."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace runs of another recipe in the folder.")
    ] = False,
    skip_unreadable: options.SkipUnreadable = False,
    png: options.Png = False,
    debug: options.Debug = False,
) -> None:
    """A grid of runs: finished ones are kept, a killed ablation goes on, one report over all."""
    with exit_codes(debug, "The same command goes on where it stood."):
        from fairlora_cls.ablations.ablate import job_commands, run_ablation
        from fairlora_cls.ablations.execution import hold_ablation
        from fairlora_cls.ablations.finished_runs import copy_finished
        from fairlora_cls.ablations.plan import make_plan
        from fairlora_cls.files import require_writable

        plan = make_plan(
            ablation,
            output,
            options.shortcut_values(data, model, prompt=prompt),
            settings or (),
            quick=quick,
        )
        require_writable(plan.folder)
        copied = []
        if reuse:
            with hold_ablation(plan.folder):
                copied = copy_finished(plan, reuse)
        if print_commands:
            for command in job_commands(plan, overwrite=overwrite):
                write_data(f"{command}\n")
            return
        terminal.print(
            f"{plan.name}: {len(plan.settings)} settings × {len(plan.seeds)} seeds → {plan.folder}",
        )
        if reuse:
            terminal.print(f"{len(copied)} of {len(plan.jobs)} runs copied.")
        execute = _execution(plan, jobs, ray, skip_unreadable)
        report = run_ablation(plan, execute, overwrite=overwrite, png=png)
        show_ablation(report, str(plan.folder / "report.html"))
    failed = sum(run.status == "failed" for run in report.runs)
    if failed:
        terminal.print(
            f"{failed} of {len(report.runs)} runs failed; the same command tries them again.",
        )
        raise typer.Exit(1)


def _execution(plan: Plan, jobs: int | None, ray: str | None, skip_unreadable: bool) -> Any:
    """How the runs are made: in processes of this machine, or on Ray."""

    def execute(waiting: Any) -> Any:
        chosen = {"processes": jobs, "skip_unreadable": skip_unreadable}
        with open_grid(len(waiting), len(plan.jobs) - len(waiting)) as display:
            if ray is None:
                from fairlora_cls.ablations.execution import run_here

                return run_here(waiting, plan.folder, display, **chosen)
            from fairlora_cls.ablations.on_ray import run_on_ray

            return run_on_ray(waiting, ray, display, **chosen)

    return execute
