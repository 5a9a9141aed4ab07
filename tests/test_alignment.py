"""Answers of several models to the same examples: one order for tables and texts, mix-ups refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.alignment import align, require_same_groups
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.texts.generations import generations_of, write_generations

IDS = ("a", "b", "c", "d")
SEX = ("F", "M", "", "F")
RACE = ("x", "y", "y", "y")


def classes(order=range(4), unit=None) -> Predictions:
    """Four examples with labels 0 1 0 1 and scores .1 .2 .3 .4, in any order."""
    rows = list(order)
    score = np.array([0.1, 0.2, 0.3, 0.4])[rows]
    return Predictions(
        ids=[IDS[row] for row in rows],
        labels=np.array([0, 1, 0, 1])[rows],
        predictions=np.zeros(len(rows), dtype=int),
        probabilities=np.column_stack([1 - score, score]),
        classes=("no", "yes"),
        attributes={"sex": np.array(SEX)[rows], "race": np.array(RACE)[rows]},
        units=None if unit is None else [unit[row] for row in rows],
    )


def texts(order=range(4), unit=None):
    """Four texts t0 to t3 with references r0 to r3, in any order."""
    return generations_of(
        {
            "id": IDS[row],
            "reference": f"r{row}",
            "text": f"t{row}",
            "unit": None if unit is None else unit[row],
            "attributes": {"sex": SEX[row], "race": RACE[row]},
        }
        for row in order
    )


def answers(table) -> list:
    return list(table.probabilities[:, 1] if isinstance(table, Predictions) else table.texts)


def changed_truth(table):
    if isinstance(table, Predictions):
        return replace(table, labels=np.array([0, 1, 0, 0]))
    return replace(table, references=("r0", "r1", "r2", "another"))


both = pytest.mark.parametrize("table", [classes, texts])


@both
def test_examples_come_into_the_first_ones_order_with_their_groups_and_its_units(table):
    first, moved = table(unit="ppqq"), table([2, 0, 3, 1], unit="vwxy")
    aligned = align({"one": first, "two": moved})["two"]
    assert aligned.ids == IDS
    assert answers(aligned) == answers(first)
    assert aligned.group_names("sex×race").tolist() == ["F×x", "M×y", "missing×y", "F×y"]
    assert aligned.units == tuple("ppqq")


@both
def test_other_examples_and_other_truths_are_refused_by_number_and_id(table):
    with pytest.raises(InputError, match="two or more"):
        align({"one": table()})
    with pytest.raises(InputError, match=r"1 of 4 .* of 'one' are not in 'two'.* 'd'"):
        align({"one": table(), "two": table(range(3))})
    with pytest.raises(InputError, match=r"2 of 4 .* of 'two' are not in 'one'.* 'c'"):
        align({"one": table([0, 1]), "two": table()})
    with pytest.raises(
        InputError, match=r"of 1 of 4 examples differ between 'one' and 'two'.* 'd'"
    ):
        align({"one": table(), "two": changed_truth(table())})


@both
def test_other_groups_are_refused_with_both_values(table):
    first = table()
    other = replace(first, attributes={"sex": np.array(["F", "M", "M", "M"]), "race": RACE})
    tables = align({"one": first, "two": other})
    require_same_groups(tables, "race")
    for attribute, own, others in (("sex", "missing", "M"), ("sex×race", "missing×y", "M×y")):
        with pytest.raises(InputError, match=r"2 of 4 examples .* 'c'") as error:
            require_same_groups(tables, attribute)
        assert f"'{own}' and '{others}'" in str(error.value)
        assert f"'{attribute}'" in str(error.value)


@both
def test_a_table_without_the_attribute_takes_the_first_ones_groups(table):
    without = replace(table(), attributes={"race": RACE})
    require_same_groups({"one": table(), "two": without}, "sex×race")


@both
def test_compare_refuses_other_groups_on_the_command_line(table, tmp_path):
    write, end = (write_predictions, "csv") if table is classes else (write_generations, "jsonl")
    other = replace(table(), attributes={"sex": np.array(["F", "F", "", "F"])})
    paths = [tmp_path / f"{name}.{end}" for name in ("one", "two")]
    for path, written in zip(paths, (table(), other), strict=True):
        write(written, path)
    arguments = ["compare", *map(str, paths), "--attribute", "sex", "--bootstrap", "20"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "c")])
    assert done.exit_code == 2
    assert "'M' and 'F'" in done.output
    assert not (tmp_path / "c" / "comparison.json").exists()


def test_texts_may_differ_in_everything_but_reference_and_group(tmp_path):
    lines = [
        {"id": "a", "reference": "r", "text": text, "prompt": text, "complete": text == "x"}
        for text in "xy"
    ]
    paths = [tmp_path / f"{line['text']}.jsonl" for line in lines]
    for path, line in zip(paths, lines, strict=True):
        path.write_text(json.dumps(line) + "\n")
    arguments = ["compare", *map(str, paths), "--bootstrap", "0", "--output", str(tmp_path / "c")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
