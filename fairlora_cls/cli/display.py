"""Progress of a run, or of a grid of runs: bars on a terminal and in a notebook, plain lines elsewhere.

It goes to standard error, so that what a verb writes can be piped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fairlora_cls.cli.terminal import IS_MAIN, plain_console
from fairlora_cls.presentation.numbers import show_duration

if TYPE_CHECKING:
    from fairlora_cls.ablations.plan import Job


class RunDisplay:
    """A bar per stage, with images a second and the time left."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.task: Any = None

    def stage(self, name: str, total: int, done: int = 0) -> None:
        if self.task is not None:
            self.progress.update(self.task, completed=self.progress.tasks[-1].total)
        self.task = self.progress.add_task(name, total=total, completed=done, note="")

    def advance(self, count: int, note: str = "") -> None:
        self.progress.update(self.task, advance=count, **({"note": note} if note else {}))

    def say(self, text: str) -> None:
        self.progress.console.print(text)


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
        number = self.total - self.waiting + self.ended
        how = f"failed: {error}" if error else "done"
        self.progress.console.print(
            f"[{number}/{self.total}] {job.setting}, seed {job.seed}: {how} in {show_duration(seconds)}"
            + (f"; about {left} left" if left else ""),
        )

    def _left(self) -> str:
        """Time left at the pace of this command's own runs; '' at the end."""
        remaining = self.waiting - self.ended
        pace = (time.monotonic() - self.began) / self.ended
        return show_duration(pace * remaining) if remaining else ""


@contextmanager
def open_display() -> Iterator[RunDisplay]:
    """The display while one run works."""
    with _bars(_Speed(), TimeRemainingColumn(compact=True)) as progress:
        yield RunDisplay(progress)


@contextmanager
def open_grid(waiting: int, done: int) -> Iterator[GridDisplay]:
    """The display while `waiting` runs are made of which `done` were finished before."""
    with _bars(soft_wrap=True) as progress:
        yield GridDisplay(progress, waiting, done)


def _bars(*columns: ProgressColumn, **options: Any) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *columns,
        TextColumn("{task.fields[note]}", markup=False),
        console=plain_console(stderr=True, quiet=not IS_MAIN, **options),
    )


class _Speed(ProgressColumn):
    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "")
