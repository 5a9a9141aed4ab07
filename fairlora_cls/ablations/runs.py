"""A finished run's folder → the numbers that an ablation's table and report need.

They come from report.json and run.json alone, so a run of any task, and of any machine, can be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlora_cls.ablations.finished_runs import is_finished
from fairlora_cls.ablations.plan import Job, Plan, show_value
from fairlora_cls.files import read_json

# What the report of an ablation leads with, where the runs' reports have it.
HEADLINE_METRICS = ("accuracy", "auroc")
HEADLINE_GAPS = ("max_acc_gap", "equalized_odds_difference")
PROBE = "probe_auroc"  # of an attribute: read by a fresh probe from what the head reads
PROBE_BEFORE = "probe_auroc_before"  # from the model before training
MOST_METRICS = 5  # of reports that have none of the headline metrics, as those of texts


@dataclass(frozen=True)
class Measured:
    """One number of a run's report; None where undefined."""

    value: float | None
    interval: tuple[float, float] | None = None
    null_mean: float | None = None  # of a gap: what chance alone would show
    null_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class RunResult:
    """One run of the plan: finished, failed or waiting."""

    job: Job
    status: str  # complete, failed or waiting
    error: str = ""
    seconds: float | None = None
    # "" (all examples) or attribute → quantity → number
    numbers: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    n: int | None = None  # test examples
    headline: str | None = None  # the metric that a report on texts leads with
    titles: Mapping[str, str] = field(default_factory=dict)  # of metrics that the report names
    notes: tuple[str, ...] = ()  # what the run itself had to say


@dataclass(frozen=True)
class Quantity:
    """A number that the report follows: `attribute` is "" for all examples."""

    attribute: str
    name: str
    title: str = field(default="", compare=False)  # in words, where the run's report gives one

    @property
    def column(self) -> str:
        return f"{self.attribute}:{self.name}" if self.attribute else self.name


def read_runs(plan: Plan, failures: Mapping[Path, str]) -> list[RunResult]:
    """Every job's result, in the plan's order; `failures`: run folder → why it failed."""
    return [_read_run(job, failures.get(job.folder)) for job in plan.jobs]


def headline_quantities(results: Sequence[RunResult]) -> list[Quantity]:
    """What the report follows: accuracy, AUROC, MaxAccGap, equalized odds and probes where the runs
    have them; else the first few metrics that they have, their own headline before all, with its
    gap."""
    finished = [result for result in results if result.numbers]
    if not finished:
        return []
    first = finished[0]

    def everywhere(place: str) -> list[str]:
        return [
            name
            for name in first.numbers[place]
            if all(name in other.numbers.get(place, {}) for other in finished)
        ]

    defined = [name for name in everywhere("") if first.numbers[""][name].value is not None]
    defined.sort(key=lambda name: name != first.headline)  # stable: the rest keep their order
    metrics = [name for name in HEADLINE_METRICS if name in defined] or defined[:MOST_METRICS]
    gap_names = HEADLINE_GAPS if metrics[0] in HEADLINE_METRICS else (f"{metrics[0]}_gap",)
    titles = dict(first.titles) | {f"{k}_gap": f"{v} gap" for k, v in first.titles.items()}
    titles[PROBE] = "AUROC of a fresh probe"
    places = [("", metrics)]
    for attribute in first.numbers:
        if attribute:
            known = everywhere(attribute)
            gaps = [name for name in known if name not in (PROBE, PROBE_BEFORE)]
            gaps = [name for name in gap_names if name in gaps] or gaps[:1]
            places.append((attribute, gaps + [PROBE] * (PROBE in known)))
    return [
        Quantity(place, name, titles.get(name, "")) for place, names in places for name in names
    ]


def runs_table(plan: Plan, results: Sequence[RunResult]) -> str:
    """ablation.csv: a row per run: its setting, what it varies, seed, status, every metric, every
    gap with the mean of its null, folder, seconds."""
    keys = list(dict.fromkeys(key for setting in plan.settings for key in setting.values))
    values = {setting.name: setting.values for setting in plan.settings}
    columns: dict[str, tuple[str, str, str]] = {}
    for result in results:
        for place, numbers in result.numbers.items():
            for name, found in numbers.items():
                column = Quantity(place, name).column
                columns.setdefault(column, (place, name, "value"))
                if found.null_mean is not None:
                    columns.setdefault(f"{column}_null_mean", (place, name, "null_mean"))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["setting", *keys, "seed", "status", *columns, "seconds", "folder", "error"])
    for result in results:
        job = result.job
        writer.writerow(
            [
                job.setting,
                *(show_value(values[job.setting].get(key, "")) for key in keys),
                job.seed,
                result.status,
                *(_cell(result, *where) for where in columns.values()),
                "" if result.seconds is None else f"{result.seconds:.1f}",
                job.folder.relative_to(plan.folder),
                result.error,
            ]
        )
    return buffer.getvalue()


def _cell(result: RunResult, place: str, name: str, part: str) -> str:
    found = result.numbers.get(place, {}).get(name)
    value = None if found is None else getattr(found, part)
    return "" if value is None else f"{value:.6g}"


def _read_run(job: Job, error: str | None) -> RunResult:
    if error is not None:
        return RunResult(job, "failed", error)
    if not is_finished(job.folder):
        return RunResult(job, "waiting")
    report = read_json(job.folder / "report" / "report.json")
    state = read_json(job.folder / "run.json")
    numbers = {"": {name: _measured(found) for name, found in report["overall"].items()}}
    for attribute, result in report["attributes"].items():
        numbers[attribute] = {name: _measured(found) for name, found in result["gaps"].items()}
    for attribute, states in state.get("probes", {}).items():
        if attribute in numbers:
            read = states["head_input"]
            numbers[attribute][PROBE] = _measured(read["after"], "auroc")
            numbers[attribute][PROBE_BEFORE] = _measured(read["before"], "auroc")
    seconds = sum(state.get("timings", {}).get("seconds", {}).values())
    titles = {name: found["title"] for name, found in report.get("metrics", {}).items()}
    return RunResult(
        job,
        "complete",
        "",
        seconds,
        numbers,
        report["n"],
        report.get("headline"),
        titles,
        tuple(state.get("notes", ())),
    )


def _measured(found: Mapping[str, Any], value: str = "value") -> Measured:
    def pair(key: str) -> tuple[float, float] | None:
        limits = found.get(key)
        return (limits[0], limits[1]) if limits else None

    return Measured(found[value], pair("interval"), found.get("null_mean"), pair("null_interval"))
