"""What a change of a table must do to its report: theorems, each checked on tables drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzzing.cases import Kind, close, differences, one
from tests.fuzzing.prediction_tables import decimal_commas
from tests.fuzzing.sheets import (
    STRANGE_NAMES,
    Sheet,
    as_written,
    index_column,
    other_order_of_columns,
    other_order_of_rows,
)

Report = Mapping[str, Any]
ATTRIBUTES = ("sex", "race")
# Gaps between rates of which each group's is a mean over its own examples.
GAPS_OF_MEANS = ("max_acc_gap", "sensitivity_gap", "specificity_gap", "fpr_gap", "demographic_parity_difference", "brier_gap")  # fmt: skip
RANKINGS = ("auroc", "average_precision")


def make_sheet(generator: np.random.Generator) -> Sheet:
    """Two classes, 30 to 60 examples, no probability of exactly one half."""
    count = int(generator.integers(30, 60))
    label = generator.integers(2, size=count)
    label[:2] = (0, 1)
    hundredths = generator.integers(1, 4999, count)
    high = generator.random(count) < np.where(label == 1, 0.75, 0.25)
    score = np.where(high, 10000 - hundredths, hundredths)
    columns = {
        "id": [f"e{i}" for i in range(count)],
        "label": [("no", "yes")[k] for k in label],
        "prob_no": [f"{(10000 - s) / 10000:.4f}" for s in score],
        "prob_yes": [f"{s / 10000:.4f}" for s in score],
        "sex": [one(generator, "FM") for _ in range(count)],
        "race": [one(generator, ["A", "B", "C", ""]) for _ in range(count)],
    }
    return Sheet(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def measure(
    sheet: Sheet, folder: Path, attributes: Iterable[str] | None = ATTRIBUTES, **options: Any
) -> Report:
    from fairlora_cls.evaluation.prediction_table import read_predictions
    from fairlora_cls.evaluation.report import fairness_report

    file = folder / f"{len(list(folder.iterdir()))}.csv"
    file.write_bytes(sheet.written())
    table = read_predictions(file, positive=options.pop("positive", None))
    return fairness_report(
        table, attributes, bootstrap=options.pop("bootstrap", 0), **options
    ).to_dict()


def values_of(report: Report) -> dict[str, Any]:
    """All that is measured, without the words: warnings name ids and files."""
    kept = ("n", "positive", "overall", "attributes", "one_vs_rest", "decision")
    return {key: report[key] for key in kept if key in report}


def must_equal(one_report: Any, other: Any) -> None:
    wrong = differences(one_report, other)
    assert not wrong, f"{len(wrong)} numbers differ: {wrong[:3]}"


def _mapped(sheet: Sheet, column: str, names: Mapping[str, str]) -> Sheet:
    return sheet.with_column(column, [names.get(c, c) for c in sheet.column(column)])


# Each property gets a generator, a sheet and a folder, and raises AssertionError where it fails.


def _same_after(change: Callable[[np.random.Generator, Sheet], Sheet]) -> Callable:
    def holds(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
        other = measure(change(generator, sheet), folder)
        must_equal(values_of(measure(sheet, folder)), values_of(other))

    return holds


def _longer_numbers(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    end = one(generator, ["0", "0000000", "e0", "e+00"])
    for name in ("prob_no", "prob_yes"):
        sheet = sheet.with_column(name, [c + end for c in sheet.column(name)])
    return sheet


def _other_ids(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    names = [f"{one(generator, STRANGE_NAMES)} {i}" for i in generator.permutation(len(sheet.rows))]
    return sheet.with_column("id", names)


def _given_predictions(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    """The prediction that the probabilities give anyway."""
    likeliest = ["yes" if float(p) > 0.5 else "no" for p in sheet.column("prob_yes")]
    return sheet.with_column("prediction", likeliest)


def _a_score(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    header = [n if n != "prob_yes" else "score" for n in sheet.header]
    places = [i for i, name in enumerate(header) if name != "prob_no"]
    return sheet.with_header(header).reordered(places)


def _units_of_one(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    return sheet.with_column("unit", [f"P{i}" for i in range(len(sheet.rows))])


def _spaces_around(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    return sheet.with_column("sex", [f" {c} " for c in sheet.column("sex")])


def unrelated_column(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    name = one(generator, [n for n in STRANGE_NAMES if "×" not in n])
    more = sheet.with_column(name, [one(generator, "xyz") for _ in sheet.rows])
    must_equal(values_of(measure(sheet, folder)), values_of(measure(more, folder)))


def renamed_groups(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Names that stand in the same order, so that ties fall alike."""
    names = {"F": "a (F)", "M": "b [M]"}
    before = values_of(measure(sheet, folder, ["sex"]))
    after = values_of(measure(_mapped(sheet, "sex", names), folder, ["sex"]))

    def rename(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {names.get(k, k): rename(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [rename(v) for v in value]
        return names.get(value, value) if isinstance(value, str) else value

    must_equal(rename(before), after)


def renamed_classes(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    names = {
        "no": one(generator, ["z", "[0]", "0", "$n$"]),
        "yes": one(generator, ["a", "1", "yes|no"]),
    }
    other = _mapped(sheet, "label", names)
    other = other.with_header([
        f"prob_{names[n.removeprefix('prob_')]}" if n.startswith("prob_") else n for n in other.header
    ])  # fmt: skip
    before, after = measure(sheet, folder), measure(other, folder)
    must_equal(before["overall"], after["overall"])
    must_equal(_groups(before), _groups(after))
    assert after["positive"] == names["yes"]


def _groups(report: Report) -> Any:
    return {name: (a["groups"], a["gaps"]) for name, a in report["attributes"].items()}


def other_order_of_classes(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """With the positive class named, the order of its columns has no meaning."""
    places = list(range(len(sheet.header)))
    no, yes = sheet.header.index("prob_no"), sheet.header.index("prob_yes")
    places[no], places[yes] = yes, no
    before = measure(sheet, folder)
    after = measure(sheet.reordered(places), folder, positive="yes")
    must_equal(before["overall"], after["overall"])
    must_equal(_groups(before), _groups(after))


def other_positive_class(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Sensitivity and specificity change places; accuracy and AUROC stay."""
    yes, no = measure(sheet, folder)["overall"], measure(sheet, folder, positive="no")["overall"]
    pairs = {"accuracy": "accuracy", "auroc": "auroc", "sensitivity": "specificity", "ppv": "npv", "brier": "brier"}  # fmt: skip
    for name, other in pairs.items():
        assert close(yes[name]["value"], no[other]["value"]), f"{name} and {other}"


def complemented_scores(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Turned over, a ranking has AUROC 1 − AUROC, and every right decision is wrong."""
    no, yes = sheet.column("prob_no"), sheet.column("prob_yes")
    turned = sheet.with_column("prob_no", yes).with_column("prob_yes", no)
    before, after = measure(sheet, folder), measure(turned, folder)
    for name in ("auroc", "accuracy", "sensitivity", "specificity"):
        for one_result, other in zip(_results(before), _results(after), strict=True):
            first, second = one_result[name]["value"], other[name]["value"]
            assert first is None or close(first, 1 - second), f"{name}: {first} and {second}"


def _results(report: Report) -> list[Mapping[str, Any]]:
    """Everyone's numbers and every group's."""
    groups = [g for a in report["attributes"].values() for g in a["groups"].values()]
    return [report["overall"], *groups]


def monotone_scores(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """A ranking is all that AUROC and average precision see."""
    squared = [float(p) ** 2 for p in sheet.column("prob_yes")]
    other = sheet.with_column("prob_yes", [repr(p) for p in squared])
    other = other.with_column("prob_no", [repr(1 - p) for p in squared])
    for one_result, result in zip(
        _results(measure(sheet, folder)), _results(measure(other, folder)), strict=True
    ):
        for name in RANKINGS:
            first, second = one_result[name]["value"], result[name]["value"]
            assert close(first, second), f"{name}: {first} and {second}"


def everyone_twice(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Twice the same people: twice the counts, the same rates and gaps."""
    again = sheet.with_column("id", [f"{c} again" for c in sheet.column("id")])
    both = replace(sheet, rows=(*sheet.rows, *again.rows))
    before, after = measure(sheet, folder), measure(both, folder)
    assert after["n"] == 2 * before["n"]
    for one_result, other in zip(_results(before), _results(after), strict=True):
        for name, found in one_result.items():
            if isinstance(found, Mapping):
                assert close(found["value"], other[name]["value"]), name
    for name, attribute in before["attributes"].items():
        for gap, found in attribute["gaps"].items():
            other = after["attributes"][name]["gaps"][gap]
            assert close(found["value"], other["value"]), f"{gap} of {name}"


def merged_groups(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Two groups taken as one have a rate between theirs: no gap of rates grows."""
    before = measure(sheet, folder, ["race"])["attributes"]["race"]["gaps"]
    merged = _mapped(sheet, "race", {"A": "B"})
    after = measure(merged, folder, ["race"])["attributes"]["race"]["gaps"]
    for gap in GAPS_OF_MEANS:
        first, second = before[gap]["value"], after[gap]["value"]
        if first is not None and second is not None:
            assert second <= first + 1e-9, f"{gap} grows from {first} to {second}"


def parts_and_whole(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Groups are a partition: counts add up, and rates are means weighed by them."""
    report = measure(sheet, folder, ["race", "sex×race"])
    for name, attribute in report["attributes"].items():
        groups = list(attribute["groups"].values())
        assert sum(g["n"] for g in groups) == report["n"], f"n of {name}"
        for metric, size in (("accuracy", "n"), ("selection_rate", "n"), ("brier", "n"), ("sensitivity", "positives")):  # fmt: skip
            shares = [g[size] * g[metric]["value"] for g in groups if g[size]]
            whole = sum(shares) / sum(g[size] for g in groups)
            assert close(whole, report["overall"][metric]["value"]), f"{metric} of {name}"
        accuracies = [g["accuracy"]["value"] for g in groups]
        gap = attribute["gaps"]["max_acc_gap"]["value"]
        assert gap is None or close(gap, max(accuracies) - min(accuracies)), f"gap of {name}"


def one_group(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Of a single group there is no gap, or none that is not zero."""
    alone = sheet.with_column("sex", ["F"] * len(sheet.rows))
    report = measure(alone, folder, ["sex"])
    for gap, found in report["attributes"]["sex"]["gaps"].items():
        wanted = (None, 1.0) if gap.endswith("ratio") else (None, 0.0)
        assert found["value"] in wanted, f"{gap} is {found['value']}"


def other_attributes(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """What is asked beside an attribute does not change what is measured of it."""
    alone = measure(sheet, folder, ["race"])["attributes"]["race"]
    beside = measure(sheet, folder, ["sex", "sex×race", "race"])["attributes"]["race"]
    for key in ("groups", "gaps", "equity_scaled"):
        must_equal(alone[key], beside[key])


def more_resamples(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Intervals hold no value hostage: values are the same with and without them, p in [0, 1]."""
    plain, drawn = measure(sheet, folder), measure(sheet, folder, bootstrap=25, seed=int(generator.integers(2**31)))  # fmt: skip
    for one_result, other in zip(_results(plain), _results(drawn), strict=True):
        for name, found in other.items():
            if isinstance(found, Mapping):
                assert close(found["value"], one_result[name]["value"]), name
                low, high = found["interval"] or (0, 0)
                assert low is None or low <= high + 1e-12, f"{name}: {found['interval']}"
    for attribute in drawn["attributes"].values():
        for gap, found in attribute["gaps"].items():
            assert found["p_value"] is None or 0 < found["p_value"] <= 1, f"p of {gap}"


def the_same_seed(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    options = {"bootstrap": 25, "seed": int(generator.integers(2**31))}
    must_equal(measure(sheet, folder, **options), measure(sheet, folder, **options))


def compared_with_itself(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """A model differs from itself by nothing, and a pair turned round by the opposite sign."""
    from fairlora_cls.evaluation.comparison import compare_predictions
    from fairlora_cls.evaluation.prediction_table import read_predictions

    file, again = folder / "one.csv", folder / "again.csv"
    file.write_bytes(sheet.written())
    again.write_bytes(other_order_of_rows(generator, sheet).written())
    tables = {"one": read_predictions(file), "again": read_predictions(again)}
    found = compare_predictions(tables, ["sex"], bootstrap=0).to_dict()
    wrong = [
        d for d in _named(found, "difference") if isinstance(d, int | float) and abs(d) > 1e-12
    ]
    assert not wrong, f"a model differs from itself by {wrong[:3]}"


def _named(values: Any, key: str) -> list[Any]:
    """All values under a key, however deep; of one that holds more, its `value`."""
    if isinstance(values, list | tuple):
        return [found for value in values for found in _named(value, key)]
    if not isinstance(values, Mapping):
        return []
    own = [values[key]] if key in values else []
    own = [v.get("value") if isinstance(v, Mapping) else v for v in own]
    return own + [found for value in values.values() for found in _named(value, key)]


def permuted_texts(generator: np.random.Generator, sheet: Sheet, folder: Path) -> None:
    """Texts in another order score the same, and better texts do not score worse."""

    from fairlora_cls.evaluation.report import text_report
    from fairlora_cls.texts.generations import read_generations
    from fairlora_cls.texts.scores import score_texts
    from tests.fuzzing.texts import make_rows, written

    def report(rows: list[dict], name: str) -> Report:
        file = folder / f"{name}.jsonl"
        file.write_bytes(written(rows))
        texts = read_generations(file)
        scored = score_texts(texts, ["rouge_l", "bleu_1", "exact_match"])
        return text_report(texts, scored, ["sex"], bootstrap=0).to_dict()

    rows = make_rows(generator)
    before = report(rows, "before")
    after = report([rows[i] for i in generator.permutation(len(rows))], "after")
    for key in ("n", "overall"):
        must_equal(before[key], after[key])
    must_equal(before["attributes"]["sex"]["groups"], after["attributes"]["sex"]["groups"])
    perfect = report([{**row, "text": row["reference"]} for row in rows], "perfect")
    assert close(perfect["overall"]["exact_match"]["value"], 1.0), "texts that are their references"
    assert close(perfect["overall"]["rouge_l"]["value"], 1.0), "texts that are their references"


PROPERTIES: Mapping[str, Callable[[np.random.Generator, Sheet, Path], None]] = {
    "another order of rows": _same_after(other_order_of_rows),
    "another order of columns": _same_after(other_order_of_columns),
    "longer numbers": _same_after(_longer_numbers),
    "decimal commas": _same_after(decimal_commas),
    "tabs": _same_after(as_written(separator="\t")),
    "a byte order mark": _same_after(as_written(encoding="utf-8-sig")),
    "other ids": _same_after(_other_ids),
    "an index column": _same_after(index_column),
    "given predictions": _same_after(_given_predictions),
    "a score for two probabilities": _same_after(_a_score),
    "units of one example": _same_after(_units_of_one),
    "spaces around names": _same_after(_spaces_around),
    "an unrelated column": unrelated_column,
    "renamed groups": renamed_groups,
    "renamed classes": renamed_classes,
    "another order of classes": other_order_of_classes,
    "another positive class": other_positive_class,
    "complemented scores": complemented_scores,
    "monotone scores": monotone_scores,
    "everyone twice": everyone_twice,
    "merged groups": merged_groups,
    "parts and whole": parts_and_whole,
    "one group": one_group,
    "other attributes": other_attributes,
    "intervals": more_resamples,
    "the same seed": the_same_seed,
    "compared with itself": compared_with_itself,
    "permuted texts": permuted_texts,
}


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    name = one(generator, list(PROPERTIES))
    applied.append(name)
    PROPERTIES[name](generator, make_sheet(generator), folder)


KIND = Kind(prepare=lambda folder: folder, case=case, short=10, heavy=200)
