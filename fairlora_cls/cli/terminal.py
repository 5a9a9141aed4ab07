"""How the command line speaks: tables, and errors as one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from fairlora_cls.errors import InputError, sentence
from fairlora_cls.presentation.numbers import SCORE

if TYPE_CHECKING:
    from fairlora_cls.ablations.results import AblationReport
    from fairlora_cls.ablations.runs import FollowedQuantity
    from fairlora_cls.ablations.statistics import OverSeeds
    from fairlora_cls.checking.findings import CheckReport
    from fairlora_cls.evaluation.results import Report
    from fairlora_cls.presentation.document import Table as Numbers

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


def show_report(method: str, report: Report, folder: Path) -> None:
    """What a reader must know first, the best-known numbers, every warning, where the report lies."""
    from fairlora_cls.evaluation.summary import describe_in_short

    numbers = report.to_dict()
    for text in describe_in_short(report):
        terminal.print(text, soft_wrap=True)
    table = _texts_table if numbers.get("task") == "generate" else _classes_table
    terminal.print(table(method, numbers))
    for warning in numbers["warnings"]:
        terminal.print(f"! {warning}", soft_wrap=True)
    terminal.print(f"Report: {folder / 'report.html'}")


def _texts_table(method: str, numbers: dict[str, Any]) -> Table:
    """Every metric beside the constant answer, and its gap between the groups of each attribute."""
    table = _table([method, "mean", "constant", *numbers["attributes"]])
    for name, metric in numbers["metrics"].items():
        gaps = (attribute["gaps"][f"{name}_gap"] for attribute in numbers["attributes"].values())
        table.add_row(
            metric["title"],
            SCORE.show(numbers["overall"][name]["value"]),
            SCORE.show(numbers["constant"]["scores"].get(name, {}).get("value")),
            *(f"{SCORE.show(gap['value'])} ({SCORE.show(gap['null_mean'])})" for gap in gaps),
        )
    table.caption = "attributes: gap between groups (by chance)" if numbers["attributes"] else None
    return table


def _classes_table(method: str, numbers: dict[str, Any]) -> Table:
    names = ("method", "attribute")  # in one piece, so that they can be searched for
    headings = (
        "method",
        "accuracy",
        "AUROC",
        "attribute",
        "MaxAccGap",
        "by chance",
        "eq. odds diff.",
    )
    table = _table(headings, names, no_wrap=True)
    overall = [numbers["overall"][name]["value"] for name in ("accuracy", "auroc")]
    first = [method, *map(SCORE.show, overall)]
    for name, attribute in numbers["attributes"].items() or {"": {"gaps": {}}}.items():
        gap = attribute["gaps"].get("max_acc_gap", {})
        odds = attribute["gaps"].get("equalized_odds_difference", {})
        shown = (gap.get("value"), gap.get("null_mean"), odds.get("value"))
        table.add_row(*first, name, *map(SCORE.show, shown))
        first = ["", "", ""]
    return table


def show_check(report: CheckReport, folder: Path) -> None:
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for finding in report.findings:
        terminal.print(f"{finding.severity:>7}", style=colours[finding.severity], end="  ")
        terminal.print(f"{finding.message} ({finding.code})", soft_wrap=True)
    for numbers in report.tables:
        show_numbers(numbers)
    terminal.print(f"Page: {folder / 'check.html'}")


def show_numbers(numbers: Numbers, *, no_wrap: bool = False) -> None:
    """A table of a page without its small print. no_wrap: the first column stays in one piece."""
    table = _table(numbers.header, title=numbers.caption, no_wrap=no_wrap)
    for row in numbers.texts():
        table.add_row(*row)
    terminal.print(table)


def show_ablation(report: AblationReport, place: str) -> None:
    """The table of settings, what the data decide, and what one would choose by validation."""
    from fairlora_cls.ablations.wording import (
        describe_evidence,
        describe_selection,
        describe_settings,
        describe_undecided,
    )

    shown = report.leading()
    titles = (q.title + ("\n(by chance)" if q.attribute else "") for q in shown)
    table = _table(["setting", "seeds", *titles], no_wrap=True)
    for setting in report.settings:
        cells = [_cell(quantity, setting.numbers[quantity]) for quantity in shown]
        table.add_row(setting.name, str(len(setting.seeds)), *cells)
    terminal.print(table)
    for text in [*describe_settings(report), *describe_evidence(report)]:
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


def _cell(quantity: FollowedQuantity, over_seeds: OverSeeds) -> str:
    show, chance = quantity.show, over_seeds.null_mean
    by_chance = "" if chance is None else f"\n({show(chance)})"
    return (show(over_seeds.mean) + by_chance).replace(" points", " p.")


def _table(
    headings: Sequence[str],
    names: Collection[str] | None = None,
    *,
    no_wrap: bool = False,
    title: str | None = None,
) -> Table:
    """An empty table whose columns of `names` (default: the first) stand left, numbers right."""
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        left = place == 0 if names is None else heading in names
        table.add_column(heading, justify="left" if left else "right", no_wrap=no_wrap and left)
    return table
