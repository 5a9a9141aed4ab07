"""Inputs broken at random: never a traceback, a changed meaning, a half-written file or a changed input.

`python -m tests.fuzzing KIND --seed S --first N --cases 1` repeats one case.
"""

import json

import numpy as np
import pytest

from tests.fuzzing import cases, sheets
from tests.fuzzing.kinds import KINDS
from tests.fuzzing.prediction_tables import read_predictions_plainly
from tests.fuzzing.recipes import lost, read_recipe_plainly


@pytest.mark.parametrize("name", KINDS)
def test_broken_inputs(name, tmp_path):
    found = list(cases.run_cases(name, 0, range(KINDS[name].short), tmp_path))
    assert not found, "\n".join(found)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", KINDS)
def test_many_broken_inputs(name, seed, tmp_path):
    found = list(cases.run_cases(name, seed, range(KINDS[name].heavy), tmp_path))
    assert not found, "\n".join(found)


def test_the_two_forms_have_their_sizes():
    assert all(kind.short <= 100 for kind in KINDS.values())
    assert sum(kind.heavy for kind in KINDS.values()) >= 2000


# The judge itself: each of these is wrong, and is found.


def test_a_case_is_the_same_again(tmp_path):
    drawn = []

    def case(base, generator, folder, applied):
        drawn.append(generator.random())
        applied.append("a mutation")
        raise KeyError("labels")

    kind = cases.Kind(lambda folder: None, case, short=1, heavy=1)
    found = cases.run_case(kind, "texts", 5, 7, None, tmp_path / "one")
    cases.run_case(kind, "texts", 5, 7, None, tmp_path / "two")
    cases.run_case(kind, "texts", 5, 8, None, tmp_path / "three")
    assert drawn[0] == drawn[1] != drawn[2]
    for word in ("KeyError", "labels", "a mutation", "texts --seed 5 --first 7"):
        assert word in found


@pytest.mark.parametrize(
    ("code", "errors"),
    [
        (0, "Traceback (most recent call last)"),
        (3, "Error: an exit code of its own"),
        (2, ""),
        (2, "Error: "),
        (2, "Error: the first sentence\nError: the second sentence"),
        (1, "Error: 'labels' (KeyError; --debug shows where)"),
    ],
)
def test_a_bad_end_is_found(code, errors):
    with pytest.raises(AssertionError):
        cases.judge_end(cases.Outcome(code, "", errors), (0, 1, 2))


def test_a_good_end_is_none():
    said = "Progress 100 %\nError: the recipe has 2 errors:\n  one\n  two\n"
    cases.judge_end(cases.Outcome(2, "", said), (0, 2))


def test_changed_inputs_and_leftovers_are_found(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a")
    with pytest.raises(AssertionError, match="changed"), cases.untouched(tmp_path):
        table.write_text("b")
    with pytest.raises(AssertionError, match="changed"), cases.untouched(tmp_path):
        (tmp_path / "more").mkdir()
    with pytest.raises(AssertionError, match="more"):
        cases.judge_folder(tmp_path, "table.csv")
    (tmp_path / "more" / ".0123456789ab.report").mkdir()
    with pytest.raises(AssertionError, match="0123456789ab"):
        cases.judge_folder(tmp_path, "table.csv", "more")


def test_json_that_is_none_is_found(tmp_path):
    file = tmp_path / "report.json"
    file.write_text('{"value": NaN}')
    with pytest.raises(AssertionError, match="NaN"):
        cases.read_plain_json(file)
    file.write_text('{"value": ')
    with pytest.raises(json.JSONDecodeError):
        cases.read_plain_json(file)


def test_differences_of_reports():
    report = {"n": 4, "groups": {"F": {"value": 0.5}}, "gaps": [0.1, None]}
    assert cases.differences(report, {**report, "gaps": (0.1 + 1e-12, None)}) == []
    assert cases.differences(report, {**report, "n": 5})
    assert cases.differences(report, {**report, "groups": {"M": {"value": 0.5}}})
    assert cases.differences(report, {**report, "gaps": [0.1, 0.0]})
    assert cases.differences(report, {**report, "gaps": [0.1]})


TABLE = b"id,label,prob_no,prob_yes,sex\na,no,0.9,0.1,F\nb,yes,0.6,0.4,M\nc,yes,0.2,0.8,F\nd,no,0.3,0.7,\n"


def test_a_plain_reading():
    reading = read_predictions_plainly(TABLE)
    assert (reading.n, reading.classes, reading.accuracy) == (4, ["no", "yes"], 0.5)
    assert reading.groups == {"sex": {"F": (2, 1.0), "M": (1, 0.0), "missing": (1, 0.0)}}
    assert reading.auroc == 0.75  # of four pairs of yes and no, 0.4 stands below 0.7


@pytest.mark.parametrize(
    "data",
    [
        TABLE.replace(b"sex", b"label "),
        TABLE.replace(b"0.9,", b"nan,"),
        TABLE.replace(b"0.9,", b"0.8,"),
        TABLE.replace(b"a,no", b"b,no"),
        TABLE.replace(b"a,no", b"a,n o"),
        TABLE.replace(b",F", b",F,F", 1),
        TABLE.replace(b"0.1,F", b"0.1"),
        TABLE.replace(b"F", b"\0"),
        TABLE.replace(b"F", b"\xff"),
        TABLE.replace(b"F", b'"F'),
        TABLE.splitlines()[0],
        b"",
    ],
)
def test_what_no_one_can_read(data):
    with pytest.raises(sheets.UnclearError):
        read_predictions_plainly(data)


def test_a_plain_reading_of_recipes():
    given = read_recipe_plainly(b"seed: 3\ntraining: {epochs: 2, learning_rate: 1e-3}\n")
    kept = {"seed": 3, "training": {"epochs": 2, "learning_rate": 0.001, "batch_size": 8}}
    assert lost(given, kept) == []
    assert lost(given, {**kept, "seed": 42})
    assert lost(given, {**kept, "training": {"epochs": 1, "learning_rate": 0.001}})
    assert lost({"epochs": "true"}, {"epochs": 1})
    with pytest.raises(sheets.UnclearError):
        read_recipe_plainly(b"seed: 3\nseed: 4\n")


@pytest.mark.parametrize("mutation", sheets.broken_sheets(("sex",), ("id",)), ids=lambda m: m.name)
def test_mutations_leave_their_input(mutation):
    sheet = sheets.Sheet(("id", "sex"), (("a", "F"), ("b", "M")))
    before = sheet.written()
    mutation.change(np.random.default_rng(0), sheet)
    assert sheet.written() == before
