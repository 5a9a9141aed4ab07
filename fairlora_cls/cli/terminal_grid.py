"""Progress of a whole ablation on a terminal: runs done, time left, what each process is doing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from fairlora_cls.ablations.plan import Job
from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.runs import FollowedQuantity
from fairlora_cls.ablations.statistics import OverSeeds
from fairlora_cls.ablations.wording import (
    describe_evidence,
    describe_selection,
    describe_undecided,
)
from fairlora_cls.cli.terminal import IS_MAIN, plain_console, terminal


class GridDisplay:
    """A line for the grid and one per process; a line of text for each run that ends."""

    def __init__(self, progress: Progress, waiting: int, done: int):
        self.progress = progress
        self.waiting = waiting
        self.total = waiting + done
        self.ended = 0
        self.began = time.monotonic()
        self.whole = progress.add_task("Runs", total=self.total, completed=done, note="")
        self.lines: dict[int, Any] = {}
        self.names: dict[int, str] = {}

    def job_begins(self, worker: int, job: Job) -> None:
        self.names[worker] = f"{job.setting}, seed {job.seed}"
        line = self.progress.add_task(f"  {self.names[worker]}", total=None, note="")
        self.lines[worker] = line

    def stage(self, worker: int, name: str, total: int) -> None:
        self.progress.reset(
            self.lines[worker],
            total=total,
            description=f"  {self.names[worker]}: {name.lower()}",
        )

    def advance(self, worker: int, count: int) -> None:
        self.progress.advance(self.lines[worker], count)

    def job_ends(self, worker: int, job: Job, error: str | None, seconds: float) -> None:
        self.ended += 1
        left = self._left()
        self.progress.update(self.whole, advance=1, note=f"{left} left" if left else "")
        self.progress.remove_task(self.lines.pop(worker))
        place = self.total - self.waiting + self.ended
        said = f"failed: {error}" if error else "done"
        self.progress.console.print(
            f"[{place}/{self.total}] {job.setting}, seed {job.seed}: {said} in {duration(seconds)}"
            + (f"; about {left} left" if left else ""),
        )

    def _left(self) -> str:
        """Time left at the pace of this command's own runs; '' at the end."""
        remaining = self.waiting - self.ended
        pace = (time.monotonic() - self.began) / self.ended
        return duration(pace * remaining) if remaining else ""


@contextmanager
def open_grid(waiting: int, done: int) -> Iterator[GridDisplay]:
    """The display while `waiting` runs are made of which `done` were finished before."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = plain_console(stderr=True, quiet=not IS_MAIN, soft_wrap=True)
    with Progress(*columns, console=console) as progress:
        yield GridDisplay(progress, waiting, done)


def duration(seconds: float) -> str:
    """'48 s', '12 min', '3 h 20 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def show_ablation(report: AblationReport, place: str) -> None:
    """The table of settings, what the data decide, and what one would choose by validation."""
    shown = report.leading()
    table = Table(title_justify="left")
    table.add_column("setting", no_wrap=True)
    table.add_column("seeds", justify="right")
    for quantity in shown:
        chance = "\n(by chance)" if quantity.attribute else ""
        table.add_column(quantity.title + chance, justify="right")
    for setting in report.settings:
        cells = [_cell(quantity, setting.numbers[quantity]) for quantity in shown]
        table.add_row(setting.name, str(len(setting.seeds)), *cells)
    terminal.print(table)
    for text in describe_evidence(report):
        terminal.print(text)
    undecided = len(describe_undecided(report))
    if undecided:
        terminal.print(
            f"{undecided} of {len(report.contrasts)} comparisons with {report.reference} cannot be "
            "decided by these runs; the report names each.",
        )
    for text in describe_selection(report):
        terminal.print(text)
    for note in report.notes:
        terminal.print(f"! {note}", soft_wrap=True)
    terminal.print(f"Report: {place}")


def _cell(quantity: FollowedQuantity, found: OverSeeds) -> str:
    chance = f"\n({quantity.show(found.null_mean)})" if found.null_mean is not None else ""
    return (quantity.show(found.mean) + chance).replace(" points", " p.")
