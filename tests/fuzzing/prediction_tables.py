"""Prediction tables of any tool, broken, into report, compare and postprocess.

Where a report is written, its numbers are those of a plain reading of the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzzing.cases import (
    EITHER,
    REFUSED,
    SAME,
    SANE,
    Kind,
    Mutation,
    choose,
    close,
    judge_end,
    judge_folder,
    one,
    read_report,
    run_command,
    undrawn_figures,
    untouched,
)
from tests.fuzzing.sheets import (
    BROKEN_BYTES,
    NOT_PROBABILITIES,
    NOT_RECORDED,
    STRANGE_NAMES,
    Sheet,
    UnclearError,
    as_written,
    broken_sheets,
    dropped,
    in_cells,
    index_column,
    numbers_as_names,
    other_order_of_columns,
    other_order_of_rows,
    read_plainly,
    recorded,
    renamed,
    rewritten,
)

ATTRIBUTES = ("sex", "race")
PROBABILITIES = ("prob_no", "prob_yes", "prob_maybe", "score")
RESERVED = {"id", "label", "prediction", "score", "unit"}
ROWS = 30


def make_sheet(generator: np.random.Generator, rows: int = ROWS) -> Sheet:
    """Two or three classes, or a score; with predictions and units or without."""
    shape = one(generator, ["two", "two", "three", "score"])
    classes = ("no", "yes", "maybe") if shape == "three" else ("no", "yes")
    with_prediction, with_unit = generator.random() < 0.5, generator.random() < 0.3
    label = generator.integers(len(classes), size=rows)
    label[: len(classes)] = np.arange(len(classes))
    scores = generator.normal(size=(rows, len(classes))) + 1.5 * np.eye(len(classes))[label]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    shares = np.round(shares, 4)
    shares[:, 0] = 1 - shares[:, 1:].sum(axis=1)
    columns: dict[str, list[str]] = {"id": [f"e{i}" for i in range(rows)]}
    columns["label"] = [classes[k] for k in label]
    if with_prediction or shape == "score":
        columns["prediction"] = [classes[k] for k in shares.argmax(axis=1)]
    if shape == "score":
        columns["score"] = [f"{p:.4f}" for p in shares[:, 1]]
    else:
        columns |= {f"prob_{c}": [f"{p:.4f}" for p in shares[:, k]] for k, c in enumerate(classes)}
    columns["sex"] = [one(generator, "FM") for _ in range(rows)]
    columns["race"] = [one(generator, ["Asian", "Black", "White"]) for _ in range(rows)]
    if with_unit:
        columns["unit"] = [f"P{i // 2}" for i in range(rows)]
    return Sheet(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def decimal_commas(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    for name in set(PROBABILITIES) & set(sheet.header):
        sheet = sheet.with_column(name, [c.replace(".", ",") for c in sheet.column(name)])
    return as_written(separator=";")(generator, sheet)


NAMES = (*ATTRIBUTES, "unit")
SHEETS = (
    *broken_sheets(ATTRIBUTES, ("id", "label", *PROBABILITIES)),
    Mutation("a probability that is none", in_cells(PROBABILITIES, NOT_PROBABILITIES), REFUSED),
    Mutation("many probabilities that are none", in_cells(PROBABILITIES, NOT_PROBABILITIES, 0.5), REFUSED),
    Mutation("a probability of 0 or 1", in_cells(PROBABILITIES, ["0", "1", "1.0", "0.0", "1e-300", "-0.0", "+1"]), SANE),
    Mutation("an extreme number", in_cells(PROBABILITIES, ["0.99999999999999999999", "0." + "3" * 400]), SANE),
    Mutation("longer numbers", rewritten(PROBABILITIES, lambda c: c + "000"), SAME),
    Mutation("numbers with spaces", rewritten(PROBABILITIES, lambda c: f" {c} "), SAME),
    Mutation("numbers with exponents", rewritten(PROBABILITIES, lambda c: f"{float(c) * 10:.3f}e-1"), SAME),
    Mutation("a probability column dropped", dropped(PROBABILITIES), SANE),
    Mutation("a probability column renamed", renamed(PROBABILITIES, ["prob_", "Prob_yes", "prob_Yes", "prob", "prob_nan", "p", "prob_[x]"]), SANE),
    Mutation("a label that is no class", in_cells(["label"], ["maybe not", "Yes", "YES", "1", "[yes]", "yes|no", "y\nes"]), REFUSED),
    Mutation("a label not recorded", in_cells(["label"], NOT_RECORDED), REFUSED),
    Mutation("labels with spaces", rewritten(["label", "prediction"], lambda c: f" {c}", 0.5), SAME),
    Mutation("no labels", dropped(["label"]), REFUSED),
    Mutation("labels all alike", in_cells(["label"], ["no"], 1.1), SANE),
    Mutation("a misspelt column", renamed(["label", "prediction", "id"], ["Label", "labels", "lable", "ID", "Id", "predicton", "image_id"]), SANE),
    Mutation("a prediction that is no class", in_cells(["prediction"], ["Yes", "0", "0.7", "yes,"]), SANE),
    Mutation("scores as predictions", rewritten(["prediction"], lambda c: "0.25"), SANE),
    Mutation("strange ids", in_cells(["id"], [*STRANGE_NAMES, "NA", "nan", "null", "None"]), SAME),
    Mutation("numbers as ids", lambda g, s: s.with_column("id", [f"{i}.0" if i % 2 else str(i) for i in range(len(s.rows))]) if "id" in s.header else s, SAME),
    Mutation("an id twice", lambda g, s: s.with_column("id", [s.rows[0][0], *s.column("id")[:-1]]) if s.header[:1] == ("id",) and s.rows else s, SANE),
    Mutation("units not recorded", in_cells(["unit"], NOT_RECORDED, 0.4), SAME),
    Mutation("one unit", in_cells(["unit"], ["P0"], 1.1), SANE),
    Mutation("a reserved name", renamed(ATTRIBUTES, ["prob_x", "score", "prediction", "unit", "sex×race", "split"]), SANE),
    Mutation("other order of columns", other_order_of_columns, SAME),
    Mutation("other order of rows", other_order_of_rows, SAME),
    Mutation("an index column", index_column, SAME),
    Mutation("a byte order mark", as_written(encoding="utf-8-sig"), SAME),
    Mutation("semicolons", as_written(separator=";"), SAME),
    Mutation("tabs", as_written(separator="\t"), SAME),
    Mutation("bars", as_written(separator="|"), EITHER),
    Mutation("decimal commas", decimal_commas, SAME),
    Mutation("lines of DOS", as_written(ending="\r\n"), SAME),
    Mutation("lines of old Macs", as_written(ending="\r"), EITHER),
    Mutation("empty lines between", as_written(ending="\n\n"), SAME),
    Mutation("everything quoted", as_written(quoting=1), SAME),
    Mutation("other letters in cp1252", lambda g, s: as_written(encoding="cp1252")(g, in_cells(ATTRIBUTES, ["männlich"], 0.5)(g, s)), REFUSED),
    Mutation("class names that are numbers", lambda g, s: _numbered_classes(g, s), SANE),
)  # fmt: skip


def _numbered_classes(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    """Classes 0 and 1, whose labels a reader of numbers has written 0.0 and 1.0."""
    code = {"no": "0", "yes": "1", "maybe": "2"}
    header = [
        f"prob_{code[n.removeprefix('prob_')]}" if n.removeprefix("prob_") in code else n
        for n in sheet.header
    ]
    for name in {"label", "prediction"} & set(sheet.header):
        sheet = sheet.with_column(name, [code.get(c, c) for c in sheet.column(name)])
    sheet = sheet.with_header(header)
    return numbers_as_names(["label"])(generator, sheet)


@dataclass(frozen=True)
class Reading:
    """What a table says, by plain loops: the numbers that a report must show."""

    n: int
    classes: list[str]
    accuracy: float
    auroc: float | None  # of two classes
    groups: dict[str, dict[str, tuple[int, float]]]  # attribute → group → n, accuracy


def read_predictions_plainly(data: bytes) -> Reading:
    """Raises UnclearError for a table that must be refused."""
    header, rows = read_plainly(data)
    cells = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    if "id" not in cells or "label" not in cells:
        raise UnclearError("no id or label")
    if len(set(cells["id"])) < len(rows):
        raise UnclearError("an id twice")
    first_line = data.split(b"\n")[0]
    decimal_comma = b";" in first_line or b"\t" in first_line
    labels = [recorded(c) for c in cells["label"]]
    columns = [n for n in header if n.startswith("prob_")]
    if columns:
        classes = [recorded(n.removeprefix("prob_")) or "" for n in columns]
        shares = [[_number(c, decimal_comma) for c in cells[n]] for n in columns]
    elif "score" in cells:
        seen = {*labels, *map(recorded, cells.get("prediction", []))} - {None}
        classes = sorted(map(str, seen))
        if len(classes) != 2:
            raise UnclearError("a score of other than two classes")
        score = [_number(c, decimal_comma) for c in cells["score"]]
        shares = [[1 - p for p in score], score]
    else:
        raise UnclearError("no probabilities")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise UnclearError("classes that are not two")
    if any(abs(sum(row) - 1) > 1e-3 for row in zip(*shares, strict=True)):
        raise UnclearError("probabilities that do not sum to 1")
    if any(label not in classes for label in labels):
        raise UnclearError("a label that is no class")
    likeliest = [classes[row.index(max(row))] for row in zip(*shares, strict=True)]
    predicted = [recorded(c) for c in cells["prediction"]] if "prediction" in cells else likeliest
    if any(name not in classes for name in predicted):
        raise UnclearError("a prediction that is no class")
    right = [a == b for a, b in zip(labels, predicted, strict=True)]
    groups = {}
    for name in header:
        if name in RESERVED or name.startswith("prob_") or _unnamed(name):
            continue
        names = [recorded(c) or "missing" for c in cells[name]]
        groups[name] = {
            group: (names.count(group), _mean(r for r, g in zip(right, names, strict=True) if g == group))
            for group in set(names)
        }  # fmt: skip
    auroc = (
        _auroc(shares[1], [label == classes[1] for label in labels]) if len(classes) == 2 else None
    )
    return Reading(len(rows), classes, _mean(right), auroc, groups)


def _unnamed(column: str) -> bool:
    """A column without a name, as pandas calls it: of row numbers, or of who knows what."""
    return not column or column.startswith("Unnamed: ")


def _number(cell: str, decimal_comma: bool) -> float:
    text = cell.strip().replace(",", ".") if decimal_comma else cell.strip()
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise UnclearError(f"the probability {cell!r}")
    if not 0 <= float(text) <= 1:
        raise UnclearError(f"the probability {cell!r}")
    return float(text)


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _auroc(scores: list[float], positive: list[bool]) -> float | None:
    """The share of pairs in the right order, ties for a half."""
    high = [s for s, p in zip(scores, positive, strict=True) if p]
    low = [s for s, p in zip(scores, positive, strict=True) if not p]
    pairs = [1.0 if h > other else 0.5 if h == other else 0.0 for h in high for other in low]
    return _mean(pairs) if pairs else None


def judge_numbers(report: dict[str, Any], reading: Reading, every_attribute: bool) -> None:
    """The report says what the reading says."""
    assert report["n"] == reading.n, f"n is {report['n']}, and the table has {reading.n} rows"
    assert list(report["classes"]) == reading.classes, f"classes {report['classes']}"
    accuracy = report["overall"]["accuracy"]["value"]
    assert close(accuracy, reading.accuracy), f"accuracy {accuracy}, and it is {reading.accuracy}"
    if reading.auroc is not None and report["positive"] == reading.classes[1]:
        auroc = report["overall"]["auroc"]["value"]
        assert close(auroc, reading.auroc), f"AUROC {auroc}, and it is {reading.auroc}"
    shown = {n.strip() for n in report["attributes"] if not _unnamed(n) or n in reading.groups}
    invented = shown - reading.groups.keys()
    assert not invented, f"invented attributes: {sorted(invented)}"
    assert not every_attribute or shown == reading.groups.keys(), f"attributes {sorted(shown)}"
    for name, attribute in report["attributes"].items():
        if name.strip() not in shown:
            continue
        groups = {
            group: (values["n"], values["accuracy"]["value"])
            for group, values in attribute["groups"].items()
        }
        wanted = reading.groups[name.strip()]
        assert groups.keys() == wanted.keys(), f"groups of {name}: {sorted(groups.keys() ^ wanted)}"
        for group, (count, rate) in wanted.items():
            shown_count, shown_rate = groups[group]
            assert shown_count == count, f"{name} {group}: {shown_count} of {count} examples"
            assert close(shown_rate, rate), f"{name} {group}: accuracy {shown_rate}, it is {rate}"


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    original = make_sheet(generator)
    if generator.random() < 0.7:
        chosen, holds = choose(generator, SHEETS, applied)
        sheet = original
        for mutation in chosen:
            sheet = mutation.change(generator, sheet)
        data, changed = sheet.written(), sheet.written() != original.written()
    else:
        chosen, holds = choose(generator, BROKEN_BYTES, applied)
        data = original.written()
        for mutation in chosen:
            data = mutation.change(generator, data)
        changed = data != original.written()
    if not changed:  # the table has no such column
        holds = SAME
    table = folder / "table.csv"
    table.write_bytes(data)
    named = generator.random() < 0.3
    options = ["--attribute", "sex"] if named else []
    bootstrap = 20 if generator.random() < 0.2 else 0
    with undrawn_figures(generator.random() < 0.04), untouched(table):
        outcome = run_command(
            "report", table, "--bootstrap", bootstrap, "--output", folder / "report", *options
        )
        judge_end(outcome, (0, 2))
        judge_folder(folder, "table.csv", *(["report"] if outcome.code == 0 else []))
    if outcome.code == 0:
        report = read_report(folder / "report")
        assert holds != REFUSED, "exit 0"
        try:
            reading = read_predictions_plainly(data)
        except UnclearError as error:
            raise AssertionError(f"exit 0, and the table is not to be read: {error}") from error
        judge_numbers(report, reading, not named)
        if holds in (SAME, EITHER):
            assert named or not any(map(_unnamed, report["attributes"])), "an invented attribute"
            judge_numbers(report, read_predictions_plainly(original.written()), not named)
    assert outcome.code == 0 or holds != SAME, f"exit {outcome.code}: {outcome.errors[-300:]}"
    if generator.random() < 0.15:
        _other_verbs(generator, original, data, folder)


def _other_verbs(
    generator: np.random.Generator, original: Sheet, data: bytes, folder: Path
) -> None:
    """The other readers of such tables refuse it, or write whole files."""
    ours, theirs = folder / "ours.csv", folder / "theirs.csv"
    ours.write_bytes(original.written())
    theirs.write_bytes(data)
    pair = [ours, theirs] if generator.random() < 0.5 else [theirs, ours]
    written = folder / "written"
    arguments = one(
        generator,
        [
            ("compare", *pair, "--bootstrap", 0, "--output", written),
            ("postprocess", pair[0], "--validation", pair[1], "--attribute", "sex", "--bootstrap", 0, "--output", written / "p.csv"),
            ("postprocess", pair[0], "--validation", pair[1], "--attribute", "sex", "--bootstrap", 0, "--output", written),
            ("report", ours, "--threshold", "youden", "--validation", theirs, "--bootstrap", 0, "--output", written),
            ("report", theirs, "--suppress-below", 5, "--bootstrap", 0, "--output", written),
            ("report", theirs, "--attribute", "sex×race", "--bootstrap", 0, "--output", written),
            ("report", ours, "--features", theirs, "--bootstrap", 0, "--output", written),
            ("report", theirs, "--unit", "race", "--positive", "no", "--bootstrap", 0, "--output", written),
        ],
    )  # fmt: skip
    with undrawn_figures(), untouched(ours, theirs):
        outcome = run_command(*arguments)
    names = " ".join(str(a) for a in arguments[:1])
    try:
        judge_end(outcome, (0, 2))
        wanted = ["written"] if outcome.code == 0 else []
        judge_folder(folder, "table.csv", "report", "ours.csv", "theirs.csv", *wanted)
    except AssertionError as error:
        raise AssertionError(f"{names} {arguments[3:]}: {error}") from error


KIND = Kind(prepare=lambda folder: folder, case=case, short=30, heavy=550)
