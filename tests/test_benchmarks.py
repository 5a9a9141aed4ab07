"""The scripts of benchmarks/: their documented commands exist, and what they count is right."""

import csv
import re
import runpy
import shlex
import sys

import numpy as np
import pytest

from benchmarks.equal_eyes import POPULATION, group_numbers
from benchmarks.over_seeds import append_rows, known_runs, read_rows, seeds_table
from benchmarks.penalty_direction import directions
from tests.test_readme import REPOSITORY, TEXTS

FOLDER = REPOSITORY / "benchmarks"
SCRIPTS = sorted(p for p in FOLDER.glob("*.py") if "__main__" in p.read_text(encoding="utf-8"))
COMMANDS = sorted(
    {
        line.strip()
        for path in (*TEXTS, *SCRIPTS)
        for line in re.findall(
            r"(?<=python benchmarks/)\w+\.py[^`\n]*", path.read_text(encoding="utf-8")
        )
    }
)


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script of benchmarks/ as `python` would; returns what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            runpy.run_path(str(FOLDER / name), run_name="__main__")
        except SystemExit as stop:
            if stop.code:
                pytest.fail(capsys.readouterr().err)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_commands_have_the_options_that_the_scripts_take(script, command):
    name, *words = shlex.split(command)
    verb = words[:1] if words[:1] in (["run"], ["table"]) else []
    told = script(name, *verb, "--help")
    assert [w for w in words if w.startswith("--") and w not in told] == []


def test_every_script_is_documented():
    assert {p.name for p in SCRIPTS} == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("name", ["table1", "lambda"])
def test_the_tables_of_more_eyes_are_those_of_the_experiments(script, name):
    reference = {"table1": "vanilla", "lambda": "gap_weight=0"}[name]
    rows = REPOSITORY / "docs" / "experiments" / f"glaucoma_{name}_more_eyes.csv"
    told = script("more_eyes.py", "table", rows, "--reference", reference)
    text = (REPOSITORY / "docs" / "experiments.md").read_text(encoding="utf-8")
    gaps = dict(re.findall(r"^\| ([^|]+) \| 5 \|(?:[^|]*\|){3} (0\.\d+) ±", told, re.MULTILINE))
    assert len(gaps) >= 4
    for setting, gap in gaps.items():
        if setting != "zero-shot":
            assert f"{100 * float(gap):.1f} ±" in text, setting


def test_the_table_of_the_methods_is_that_of_the_documents(script):
    told = script("objectives.py", "table", FOLDER / "results" / "objectives.csv")
    text = (REPOSITORY / "docs" / "objectives.md").read_text(encoding="utf-8")
    missing = [line for line in told.strip().splitlines() if line not in text]
    assert missing == []


def test_the_power_stated_is_found_in_studies_and_stands_in_the_documents(script):
    path = FOLDER / "results" / "power.csv"
    told = script("power.py", "table", path).strip().splitlines()
    text = (REPOSITORY / "docs" / "report.md").read_text(encoding="utf-8")
    assert [line for line in told if line not in text] == []
    assert len(told) == 2 + 5
    for row in read_rows(path):
        assert 0.78 <= int(row["found"]) / int(row["studies"]) <= 0.82, row["setting"]


def test_the_table_of_the_intervals_is_that_of_the_documents(script):
    told = script("coverage.py", "table", FOLDER / "results" / "coverage.csv")
    text = (REPOSITORY / "docs" / "coverage.md").read_text(encoding="utf-8")
    missing = [line for line in told.strip().splitlines() if line not in text]
    assert missing == []


ROWS = [  # three seeds of a reference, of two others one seed fewer and one number missing
    {"setting": "plain", "seed": 1, "gap": 0.10, "share": ""},
    {"setting": "plain", "seed": 2, "gap": 0.20, "share": ""},
    {"setting": "plain", "seed": 3, "gap": 0.30, "share": ""},
    {"setting": "new", "seed": 1, "gap": 0.10, "share": 0.5},
    {"setting": "new", "seed": 2, "gap": 0.18, "share": 0.7},
    {"setting": "once | small", "seed": 3, "gap": 0.25, "share": 1.0},
]


def test_rows_are_kept_and_compared_seed_by_seed(tmp_path):
    """t of 2 degrees of freedom at 97.5 %: 4.302653.

    plain: mean 0.2, s 0.1, half 4.302653 · 0.1 / √3 = 0.248. Two seeds are shown as they are.
    Differences 0 and −0.02: t = −0.01 / 0.01 = −1, p = 0.5 (the t-distribution of one degree of
    freedom is Cauchy's).
    """
    path = tmp_path / "new" / "rows.csv"
    assert read_rows(path) == []
    append_rows(path, list(ROWS[0]), ROWS[:4])
    append_rows(path, list(ROWS[0]), ROWS[4:])
    with path.open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(ROWS)
    assert b"\r" not in path.read_bytes()
    assert known_runs(path) == {(row["setting"], str(row["seed"])) for row in ROWS}
    told = seeds_table(read_rows(path), "plain", ["gap", "share"], ["gap"]).splitlines()
    assert told == [
        "| setting | seeds | gap | share | gap − plain's |",
        "| --- | --- | --- | --- | --- |",
        "| plain | 3 | 0.200 ± 0.248 |  |  |",
        "| new | 2 | 0.100, 0.180 | 0.500, 0.700 | +0.000, -0.020 (p 0.5) |",
        "| once, small | 1 | 0.250 | 1.000 | -0.050 |",
        "",
        "gap, Holm's correction over 1: none left.",
    ]


def test_what_holm_leaves():
    rows = [
        {"setting": s, "seed": str(i), "gap": str(0.1 * i + shift)}
        for s, shifts in {
            "plain": (0, 0, 0),
            "sure": (-0.1, -0.101, -0.099),
            "not": (1, -1, 0),
        }.items()
        for i, shift in enumerate(shifts)
    ]
    last = seeds_table(rows, "plain", ["gap"], ["gap"]).splitlines()[-1]
    # t = −0.1 / (0.001 / √3) = −173.2: p = 3.3e-5 of 2 degrees of freedom, twice that by Holm
    assert last == "gap, Holm's correction over 2: sure (6.7e-05)."


def test_numbers_of_the_groups():
    def rates(accuracy):
        names = ("auroc", "sensitivity", "specificity")
        return {"accuracy": {"value": accuracy}, **{n: {"value": accuracy - 0.1} for n in names}}

    accuracies = {"Hispanic": 0.6, "Non-Hispanic": 0.9, "Unknown": 0.8}
    gaps = {"max_acc_gap": {"value": 0.3}, "equalized_odds_difference": {"value": 0.4}}
    report = {
        "overall": {"auroc": {"value": 0.85}},
        "attributes": {
            "ethnicity": {"groups": {g: rates(a) for g, a in accuracies.items()}, "gaps": gaps}
        },
    }
    found = group_numbers(report)
    assert set(POPULATION) == set(accuracies)
    assert sum(POPULATION.values()) == pytest.approx(1)
    assert found["accuracy"] == pytest.approx(sum(POPULATION[g] * a for g, a in accuracies.items()))
    assert found["worst_group_accuracy"] == 0.6
    assert found["hispanic_auroc"] == pytest.approx(0.5)
    assert found["non_hispanic_sensitivity"] == pytest.approx(0.8)


def test_which_way_a_rare_group_is_pushed():
    """Two groups, one of them always surer: where both are there, the other is always the lowest."""
    codes = np.array([0] * 90 + [1] * 10)
    there, lowest, highest = directions(np.where(codes == 1, 0.2, 0.9), codes, 1, 8, 2000)
    # both are there unless all eight are of one group: 1 − 0.9^8 − 0.1^8 = 0.570
    assert there == pytest.approx(0.570, abs=3 * np.sqrt(0.57 * 0.43 / 2000))
    assert lowest == there
    assert highest == 0
