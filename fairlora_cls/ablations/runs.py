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
from fairlora_cls.evaluation.metrics import QUANTITIES
from fairlora_cls.evaluation.summary import HARMS, capitalised
from fairlora_cls.evaluation.text_sample import TextMetric, text_gaps
from fairlora_cls.evaluation.verdicts import BINARY
from fairlora_cls.files import read_json
from fairlora_cls.presentation.numbers import PlainQuantity, Quantity

# What the report of an ablation leads with, where the runs' reports have it.
HEADLINE_METRICS = ("accuracy", "auroc")
HEADLINE_GAPS = ("max_acc_gap", "equalized_odds_difference")
SHORT_TITLES = {"max_acc_gap": "MaxAccGap", "equalized_odds_difference": "Equalized odds"}
PROBE = "probe_auroc"  # of an attribute: read by a fresh probe from what the head reads
PROBE_BEFORE = "probe_auroc_before"  # from the model before training
MOST_METRICS = 5  # of reports that have none of the headline metrics, as those of texts
SIZES = ("n", "positives", "examples")  # what a report says of the size of a group


@dataclass(frozen=True)
class Number:
    """One number of a run's report; None where undefined."""

    value: float | None
    interval: tuple[float, float] | None = None
    null_mean: float | None = None  # of a gap: what chance alone would show
    null_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class RunVerdict:
    """What a run's own report says of one declared endpoint between the groups of an attribute."""

    attribute: str
    endpoint: str
    verdict: str  # evidence | equal | undecided | undefined
    worse: str | None  # the group served worst


@dataclass(frozen=True)
class RunResult:
    """One run of the plan: finished, failed or waiting."""

    job: Job
    status: str  # complete, failed or waiting
    error: str = ""
    seconds: float | None = None
    # "" (all examples) or attribute → quantity → number
    numbers: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    n: int | None = None  # test examples
    headline: str | None = None  # the metric that a report on texts leads with
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: QUANTITIES)  # of its task
    notes: tuple[str, ...] = ()  # what the run itself had to say
    # attribute → group → its size and the declared endpoints, None where undefined
    groups: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    verdicts: tuple[RunVerdict, ...] = ()
    margin: float | None = None  # the largest difference that counts as equal
    has_two_classes: bool = False

    def endpoint_title(self, endpoint: str) -> str:
        """'Cases missed', 'AUROC', as the run's own report calls it."""
        if endpoint in HARMS and self.has_two_classes:
            return HARMS[endpoint].title
        quantity = self.quantities.get(endpoint)
        return capitalised(quantity.title if quantity else endpoint)


@dataclass(frozen=True)
class FollowedQuantity(Quantity):
    """A metric or gap that the report follows: `attribute` is "" for all examples."""

    attribute: str
    name: str
    measure: Quantity = field(compare=False)

    @property
    def title(self) -> str:
        """'Accuracy', 'MaxAccGap of ethnicity'."""
        title = SHORT_TITLES.get(self.name, self.measure.title)
        return f"{title} of {self.attribute}" if self.attribute else title

    @property
    def unit(self) -> str:
        return self.measure.unit

    @property
    def column(self) -> str:
        return column_of(self.attribute, self.name)


def column_of(attribute: str, name: str) -> str:
    """What a quantity is called in ablation.csv."""
    return f"{attribute}:{name}" if attribute else name


def group_column(attribute: str, group: str, name: str) -> str:
    """What a group's size or endpoint is called in ablation.csv: 'ethnicity:Hispanic:sensitivity'.

    A colon within a name is written %3A, so that no two columns have one name.
    """
    return ":".join(
        part.replace("%", "%25").replace(":", "%3A") for part in (attribute, group, name)
    )


def read_runs(plan: Plan, failures: Mapping[Path, str]) -> list[RunResult]:
    """Every job's result, in the plan's order; `failures`: run folder → why it failed."""
    return [_read_run(job, failures.get(job.folder)) for job in plan.jobs]


def headline_quantities(results: Sequence[RunResult]) -> list[FollowedQuantity]:
    """What the report follows: accuracy, AUROC, MaxAccGap, equalized odds and probes where the runs
    have them; else the first few metrics that they have, their own headline before all, with its
    gap."""
    finished = [result for result in results if result.numbers]
    if not finished:
        return []
    first = finished[0]
    everywhere = {  # attribute → the names that all runs have
        attribute: [
            name
            for name in numbers
            if all(name in other.numbers.get(attribute, {}) for other in finished)
        ]
        for attribute, numbers in first.numbers.items()
    }
    defined = [name for name in everywhere.pop("") if first.numbers[""][name].value is not None]
    defined.sort(key=lambda name: name != first.headline)  # stable: the rest keep their order
    metrics = [name for name in HEADLINE_METRICS if name in defined] or defined[:MOST_METRICS]
    gap_names = HEADLINE_GAPS if metrics[0] in HEADLINE_METRICS else (f"{metrics[0]}_gap",)
    followed = {"": metrics}
    for attribute, names in everywhere.items():
        gaps = [name for name in names if name not in (PROBE, PROBE_BEFORE)]
        gaps = [name for name in gap_names if name in gaps] or gaps[:1]
        followed[attribute] = gaps + [PROBE] * (PROBE in names)
    known = {**first.quantities, PROBE: PlainQuantity("AUROC of a fresh probe", "score")}
    return [
        FollowedQuantity(
            attribute, name, known.get(name) or PlainQuantity(name.replace("_", " "), "score")
        )
        for attribute, names in followed.items()
        for name in names
    ]


def runs_table(plan: Plan, results: Sequence[RunResult]) -> str:
    """ablation.csv: a row per run: its setting, what it varies, seed, status, every metric, every
    gap with the mean of its null, every group's size and declared endpoints, seconds, folder."""
    keys = list(dict.fromkeys(key for setting in plan.settings for key in setting.values))
    values = {setting.name: setting.values for setting in plan.settings}
    rows = [
        {
            "setting": result.job.setting,
            **{key: show_value(values[result.job.setting].get(key, "")) for key in keys},
            "seed": result.job.seed,
            "status": result.status,
            **_cells(result),
            **_group_cells(result),
            "seconds": "" if result.seconds is None else f"{result.seconds:.1f}",
            "folder": result.job.folder.relative_to(plan.folder),
            "error": result.error,
        }
        for result in results
    ]
    columns = ["setting", *keys, "seed", "status"]
    for cells_of in (_cells, _group_cells):
        columns += dict.fromkeys(column for result in results for column in cells_of(result))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*columns, "seconds", "folder", "error"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _read_run(job: Job, error: str | None) -> RunResult:
    if error is not None:
        return RunResult(job, "failed", error)
    if not is_finished(job.folder):
        return RunResult(job, "waiting")
    report = read_json(job.folder / "report" / "report.json")
    state = read_json(job.folder / "run.json")
    numbers = {"": {name: _number(values) for name, values in report["overall"].items()}}
    for attribute, result in report["attributes"].items():
        numbers[attribute] = {name: _number(values) for name, values in result["gaps"].items()}
    for attribute, states in state.get("probes", {}).items():
        if attribute in numbers:
            read = states["head_input"]
            numbers[attribute][PROBE] = _number(read["after"], "auroc")
            numbers[attribute][PROBE_BEFORE] = _number(read["before"], "auroc")
    return RunResult(
        job,
        "complete",
        seconds=sum(state.get("timings", {}).get("seconds", {}).values()),
        numbers=numbers,
        n=report["n"],
        headline=report.get("headline"),
        quantities=_text_quantities(report["metrics"]) if "metrics" in report else QUANTITIES,
        notes=tuple(state.get("notes", ())),
        groups={a: _groups(report, result) for a, result in report["attributes"].items()},
        verdicts=tuple(
            RunVerdict(v["attribute"], v["endpoint"], v["verdict"], v["worse"])
            for v in report.get("verdicts", ())
        ),
        margin=report.get("endpoints", {}).get("margin"),
        has_two_classes=len(report.get("classes", ())) == 2,
    )


def _groups(
    report: Mapping[str, Any], result: Mapping[str, Any]
) -> dict[str, dict[str, float | None]]:
    """Group → its size and what was declared of it, of one attribute."""
    endpoints = report.get("endpoints", {}).get("names", BINARY)
    return {
        group: {size: values[size] for size in SIZES if size in values}
        | {name: _endpoint(result, group, name) for name in endpoints}
        for group, values in result.get("groups", {}).items()
    }


def _endpoint(result: Mapping[str, Any], group: str, endpoint: str) -> float | None:
    """A metric of a group, or 'sensitivity of melanoma', of one class against the rest."""
    metrics, name = result["groups"][group], endpoint
    if endpoint not in metrics:
        name, _, label = endpoint.partition(" of ")
        classes = result.get("one_vs_rest", {}).get("groups", {}).get(group, {}).get("classes", {})
        metrics = classes.get(label, {})
    return metrics[name]["value"] if name in metrics else None


def _text_quantities(described: Mapping[str, Mapping[str, Any]]) -> dict[str, Quantity]:
    """The metrics that a report on texts describes, and their gaps."""
    metrics = {name: TextMetric(**values) for name, values in described.items()}
    gaps = text_gaps(metrics).items()
    return metrics | {name: PlainQuantity(f"{gap.title} gap", gap.unit) for name, gap in gaps}


def _number(values: Mapping[str, Any], key: str = "value") -> Number:
    interval, band = values.get("interval"), values.get("null_interval")
    return Number(
        values[key], interval and tuple(interval), values.get("null_mean"), band and tuple(band)
    )


def _cells(result: RunResult) -> dict[str, str]:
    """Column of ablation.csv → number."""
    cells = {}
    for attribute, numbers in result.numbers.items():
        for name, number in numbers.items():
            column = column_of(attribute, name)
            cells[column] = "" if number.value is None else f"{number.value:.6g}"
            if number.null_mean is not None:
                cells[f"{column}_null_mean"] = f"{number.null_mean:.6g}"
    return cells


def _group_cells(result: RunResult) -> dict[str, str]:
    """Column of ablation.csv → a group's size or endpoint."""
    return {
        group_column(attribute, group, name): "" if value is None else _plain(value)
        for attribute, groups in result.groups.items()
        for group, values in groups.items()
        for name, value in values.items()
    }


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
