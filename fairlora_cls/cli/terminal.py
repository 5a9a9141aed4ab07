"""How the command line speaks: progress, tables, and errors as one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from fairlora_cls.errors import InputError, sentence
from fairlora_cls.presentation.numbers import SCORE

if TYPE_CHECKING:
    from fairlora_cls.runs.train import Outcome

IS_MAIN = os.environ.get("RANK", "0") == "0"


def plain_console(**options: Any) -> Console:
    """A console that shows texts as they are: names may hold square brackets and colons."""
    return Console(highlight=False, markup=False, emoji=False, **options)


errors = plain_console(stderr=True, soft_wrap=True)
terminal = plain_console()


@contextmanager
def exit_codes(debug: bool, go_on: str = "") -> Iterator[None]:
    """One clear sentence instead of a traceback: exit 2 for bad input, 1 for a failed run, 130 for
    Ctrl-C, after which `go_on` says how to go on."""
    try:
        yield
    except (typer.Exit, BrokenPipeError):  # typer ends quietly where the reader of a pipe is gone
        raise
    except KeyboardInterrupt as error:
        if debug:
            raise
        _say_error(f"{sentence(error)} {go_on}".strip())
        raise typer.Exit(130) from None
    except Exception as error:
        if debug:
            raise
        _say_error(sentence(error, "; --debug shows where"))
        raise typer.Exit(2 if isinstance(error, InputError) else 1) from None


def _say_error(text: str) -> None:
    if IS_MAIN:
        errors.print(f"Error: {text}")


def speak_any_encoding() -> None:
    """Show what the terminal's encoding lacks as question marks instead of ending on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def write_data(text: str) -> None:
    """Write what another program reads (CSV, JSON, commands) to standard output, always as UTF-8."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


class TerminalDisplay:
    """Progress on a terminal: a bar with images/s and time left per stage; plain lines elsewhere."""

    def __init__(self, progress: Any):
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


@contextmanager
def open_display() -> Iterator[TerminalDisplay]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f} images/s" if speed else "")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    # stderr, so that `predict` can be piped.
    console = plain_console(stderr=True, quiet=not IS_MAIN)
    with Progress(*columns, console=console) as progress:
        yield TerminalDisplay(progress)


def show_outcome(outcome: Outcome) -> None:
    if outcome.report is None:  # another process than the first
        return
    where = outcome.folder / "report"
    show_report(outcome.method, outcome.report, where)


def show_report(method: str, found: Any, folder: Path) -> None:
    numbers = found.to_dict()
    table = _texts_table if numbers.get("task") == "generate" else _classes_table
    terminal.print(table(method, numbers))
    for warning in numbers["warnings"]:
        terminal.print(f"! {warning}", soft_wrap=True)
    terminal.print(f"Report: {folder / 'report.html'}")


def _texts_table(method: str, numbers: dict[str, Any]) -> Table:
    """Every metric beside the constant answer, and its gap between the groups of each attribute."""
    table = Table(title_justify="left")
    for heading in (method, "mean", "constant", *numbers["attributes"]):
        table.add_column(heading, justify="left" if heading == method else "right")
    for name, metric in numbers["metrics"].items():
        gaps = (found["gaps"][f"{name}_gap"] for found in numbers["attributes"].values())
        table.add_row(
            metric["title"],
            SCORE.show(numbers["overall"][name]["value"]),
            SCORE.show(numbers["constant"]["scores"].get(name, {}).get("value")),
            *(_gap_beside_chance(gap) for gap in gaps),
        )
    table.caption = "attributes: gap between groups (by chance)" if numbers["attributes"] else None
    return table


def _gap_beside_chance(gap: dict[str, Any]) -> str:
    return f"{SCORE.show(gap['value'])} ({SCORE.show(gap['null_mean'])})"


def _classes_table(method: str, numbers: dict[str, Any]) -> Table:
    overall = numbers["overall"]
    table = Table(title_justify="left")
    for heading in (
        "method",
        "accuracy",
        "AUROC",
        "attribute",
        "MaxAccGap",
        "by chance",
        "eq. odds diff.",
    ):
        names = heading in ("method", "attribute")  # in one piece, so that they can be searched for
        table.add_column(heading, justify="left" if names else "right", no_wrap=names)
    first = [
        method,
        SCORE.show(overall["accuracy"]["value"]),
        SCORE.show(overall["auroc"]["value"]),
    ]
    for name, attribute in numbers["attributes"].items() or {"": None}.items():
        gaps = attribute["gaps"] if attribute else {}
        gap, odds = gaps.get("max_acc_gap", {}), gaps.get("equalized_odds_difference", {})
        table.add_row(
            *first,
            name,
            SCORE.show(gap.get("value")),
            SCORE.show(gap.get("null_mean")),
            SCORE.show(odds.get("value")),
        )
        first = ["", "", ""]
    return table


def show_check(report: Any, folder: Path) -> None:
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for finding in report.findings:
        terminal.print(f"{finding.severity:>7}", style=colours[finding.severity], end="  ")
        terminal.print(f"{finding.message} ({finding.code})", soft_wrap=True)
    for numbers in report.tables:
        table = Table(title=numbers.caption, title_justify="left")
        for place, heading in enumerate(numbers.header):
            table.add_column(heading, justify="right" if place else "left")
        for row in numbers.texts():
            table.add_row(*row)
        terminal.print(table)
    terminal.print(f"Page: {folder / 'check.html'}")
