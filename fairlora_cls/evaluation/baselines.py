"""Does a model see more than what needs no model? Baselines that lie beside its predictions.

A run keeps, beside its tables of predictions, what the label is told from without it: the file's
size, the brightness, who the patient is. N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairlora_cls.data.answers import read_numbers
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.measuring import plain_estimate
from fairlora_cls.evaluation.prediction_table import PROBABILITY, Predictions, read_cells
from fairlora_cls.evaluation.results import Estimate, FairnessReport
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.files import write_atomically
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import SCORE
from fairlora_cls.statistics.draws import affordable_draws, paired_bootstrap

FILE = "baselines.csv"
PROBE = "a linear probe on the frozen image features"  # sees the picture; the others do not
TITLE = "Beside what needs no model"
STREAM = 1604  # of random numbers; no attribute has this place
READINGS = {
    "more": "the model sees more",
    "less": "the model sees less",
    "not shown": "the model is not shown to see more",
    "not tested": "the difference was not tested",
}


@dataclass(frozen=True)
class BaselineResult:
    """One baseline, and the model minus it, paired."""

    name: str
    auroc: Estimate
    difference: Estimate
    reading: str  # a key of READINGS


def write_baselines(
    path: Path, ids: Sequence[str], classes: Sequence[str], chances: Mapping[str, np.ndarray]
) -> None:
    """Writes `id` and a column `<baseline>: <class>` per baseline and class, all or nothing; of two
    classes only the second has one. chances: baseline → probabilities (N, K), kept to 6 digits."""
    columns = {"id": list(ids)}
    for name, own in chances.items():
        for code in _told(classes):
            columns[f"{name}: {classes[code]}"] = own[:, code]
    table = pd.DataFrame(columns)
    write_atomically(path, lambda draft: table.to_csv(draft, index=False, float_format="%.6g"))


def read_baselines(path: Path, predictions: Predictions) -> dict[str, Predictions]:
    """Baseline → its answers to those examples of a table that the file knows, in the table's order;
    empty where it knows none, or has no column of the table's classes. Raises InputError."""
    table = read_cells(path)
    if "id" not in table:
        raise InputError(f"'{path}' has no column 'id'.")
    row_of = {name: row for row, name in enumerate(table["id"])}
    shared = np.array([row for row, name in enumerate(predictions.ids) if name in row_of], int)
    if not len(shared):
        return {}
    own = predictions.rows(shared)
    table = table.iloc[[row_of[name] for name in own.ids]]
    told = _told(own.classes)
    ends = [f": {own.classes[code]}" for code in told]
    names = [column.removesuffix(ends[0]) for column in table if column.endswith(ends[0])]
    answers = {}
    for name in names:
        columns = [f"{name}{end}" for end in ends]
        if name and all(column in table for column in columns):
            values = read_numbers(table, columns, PROBABILITY)
            chances = np.column_stack([1 - values, values]) if len(told) == 1 else values
            answers[name] = replace(own, probabilities=chances, predictions=chances.argmax(axis=1))
    return answers


def add_baselines(report: FairnessReport, predictions: Predictions, folder: Path) -> FairnessReport:
    """The report with the model beside the baselines that lie in a folder, on the same examples; as it
    is where none lie there. What the model is not shown to beat is the first warning; a file that
    cannot be read is named in one."""
    if not (folder / FILE).is_file():
        return report
    try:
        answers = read_baselines(folder / FILE, predictions)
    except InputError as error:
        reasons = "; ".join(problem.rstrip(".") for problem in error.problems)
        text = f"Whether the model beats what needs no model is not known: {reasons}."
        return replace(report, warnings=(*report.warnings, text))
    if not answers:
        return report
    if report.suppressed_below is not None:
        text = "Left out: a baseline that knows the patients' groups could reveal small counts."
        section = Section(TITLE, (text,), is_folded=True, key="baselines")
        return replace(report, sections=(*report.sections, section))
    model, results = compare_with_baselines(predictions, answers, report.bootstrap, report.seed)
    known = len(next(iter(answers.values())).ids)
    section = baseline_section(model, results, known, len(predictions.ids))
    return replace(
        report,
        sections=(*report.sections, section),
        warnings=(*baseline_warnings(model, results), *report.warnings),
    )


def compare_with_baselines(
    predictions: Predictions, answers: Mapping[str, Predictions], bootstrap: int, seed: int
) -> tuple[Estimate, tuple[BaselineResult, ...]]:
    """The model's AUROC on the baselines' examples, and each baseline beside it: both are drawn alike,
    whole units where known."""
    ids = next(iter(answers.values())).ids
    row_of = {name: row for row, name in enumerate(predictions.ids)}
    model = predictions.rows(np.array([row_of[name] for name in ids]))
    samples = [replace(class_sample(each), counted=False) for each in (model, *answers.values())]
    everyone = np.ones((1, len(ids)), dtype=np.int32)
    values = [float(sample.weighted(everyone)["auroc"][0]) for sample in samples]
    drawn = paired_bootstrap(
        samples,
        np.zeros(len(ids), dtype=int),
        1,
        affordable_draws(bootstrap, len(ids)),
        np.random.default_rng([seed, STREAM]),
    )
    draws = [each.overall["auroc"] for each in drawn]
    return _estimate(values[0], draws[0]), tuple(
        _result(name, value, own, values[0], draws[0])
        for name, value, own in zip(answers, values[1:], draws[1:], strict=True)
    )


def _result(
    name: str, value: float, own: np.ndarray, model_value: float, model: np.ndarray
) -> BaselineResult:
    difference = _estimate(model_value - value, model - own)
    reading = "not tested"
    if difference.interval is not None:
        low, high = difference.interval
        reading = "more" if low > 0 else "less" if high < 0 else "not shown"
    elif len(model) and model_value <= value:  # all resamples agree, such as that both are perfect
        reading = "not shown"
    return BaselineResult(name, _estimate(value, own), difference, reading)


def _estimate(value: float, draws: np.ndarray) -> Estimate:
    """Without an interval where all resamples agree: that says nothing of certainty."""
    found = plain_estimate(value, draws)
    if found.interval is not None and found.interval[0] == found.interval[1]:
        return Estimate(found.value, None, "none: all resamples agree")
    return found


def baseline_section(
    model: Estimate, results: Sequence[BaselineResult], known: int, of: int
) -> Section:
    """The report's part on baselines. known: examples, of so many, that they have answers to."""
    examples = f"the {of:,} examples" if known == of else f"{known:,} of the {of:,} examples"
    return Section(
        key="baselines",
        title=TITLE,
        is_folded=True,
        sentences=(
            f"Each baseline is a logistic regression on the training split, asked about {examples} of "
            "this report, as the model was. What the model does not reach beyond them need not come "
            "from the picture.",
            *(describe_baseline(model, result) for result in results),
        ),
        tables=(
            Table(
                "AUROC without the model, and the model's on the same examples (0.5 is chance)",
                ("From", "AUROC", "This model", "Model minus baseline", "Reading"),
                tuple(
                    (
                        Cell(result.name),
                        _cell(result.auroc),
                        _cell(model),
                        Cell(
                            SCORE.show_signed(result.difference.value),
                            SCORE.show_signed_range(result.difference.interval),
                        ),
                        Cell(READINGS[result.reading]),
                    )
                    for result in results
                ),
            ),
        ),
        values={
            "n": known,
            "model": asdict(model),
            "baselines": {
                result.name: {
                    "auroc": asdict(result.auroc),
                    "difference": asdict(result.difference),
                    "reading": result.reading,
                }
                for result in results
            },
        },
    )


def describe_baseline(model: Estimate, result: BaselineResult) -> str:
    """'File size alone 0.710, this model 0.680: the model is not shown to see more (…).'"""
    alone = "" if result.name == PROBE else " alone"
    limits = result.difference.interval
    why = ""
    if limits is not None:
        why = (
            f" (difference {SCORE.show_signed(result.difference.value)}, 95% interval "
            f"{SCORE.show_signed_range(limits)})"
        )
    return (
        f"{capitalised(result.name)}{alone} {SCORE.show(result.auroc.value)}, this "
        f"model {SCORE.show(model.value)}: {READINGS[result.reading]}{why}."
    )


def baseline_warnings(model: Estimate, results: Sequence[BaselineResult]) -> list[str]:
    """A sentence on the baselines that the model is not shown to beat, and one where the probe is
    among them."""
    shown = f"With an AUROC of {SCORE.show(model.value)} the model"
    unbeaten = [result for result in results if result.reading in ("less", "not shown")]
    named = [f"{r.name} ({SCORE.show(r.auroc.value)})" for r in unbeaten if r.name != PROBE]
    warnings = []
    if named:
        warnings.append(
            f"{shown} is not shown to see more than can be told without it, from "
            f"{enumerate_names(named)} alone."
        )
    for probe in unbeaten:
        if probe.name == PROBE:
            does = "does worse" if probe.reading == "less" else "is not shown to do better"
            warnings.append(f"{shown} {does} than {PROBE} ({SCORE.show(probe.auroc.value)}).")
    return warnings


def _cell(estimate: Estimate) -> Cell:
    return Cell(SCORE.show(estimate.value), SCORE.show_range(estimate.interval))


def _told(classes: Sequence[str]) -> range:
    """The classes whose probability is kept: the second of two tells the first."""
    return range(1, 2) if len(classes) == 2 else range(len(classes))
