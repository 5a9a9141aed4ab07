"""The baseline table counts by hand: splits, groups, labels, what is missing, patients."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.data.examples import UNLABELLED, Example, Splits
from fairlora_cls.evaluation.baseline_table import (
    THIS,
    add_baseline_table,
    people_beside,
    people_of,
    people_of_splits,
    read_development,
)
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.evaluation.report import fairness_report, text_report
from fairlora_cls.runs.saved import evaluate
from fairlora_cls.texts.generations import generations_of, write_generations
from tests.test_text_report import outside


def table(labels, sexes, units=None, name="t"):
    labels = np.array(labels)
    attributes = {"sex": np.array(sexes, dtype=object), "age": np.array(["old"] * len(labels))}
    ids = [f"{name}{place}" for place in range(len(labels))]
    return Predictions(
        ids, labels, labels, np.eye(2)[labels], ("no", "yes"), attributes, units=units
    )


TEST = table([1, 1, 0, 0, 0, 1], ["F", "F", "F", "M", "M", ""], tuple("aabcde"))
TRAIN = table([1, 0, 0, 0], ["M", "M", "M", "X"], name="r")


def section_of(report):
    (section,) = (s for s in report.sections if s.key == "baseline_table")
    return section


def report_on(predictions, **settings):
    return fairness_report(predictions, ["sex", "sex×age"], bootstrap=0, **settings)


def test_every_cell_by_hand():
    people = {"train": people_of(TRAIN), "test": people_of(TEST)}
    section = section_of(add_baseline_table(report_on(TEST), people))
    assert section.is_folded
    test = section.values["test"]
    assert test["everyone"] == {"n": 6, "units": 5, "classes": {"no": 3, "yes": 3}}
    sex = test["attributes"]["sex"]
    assert sex["missing"] == 1
    assert sex["groups"] == {
        "F": {"n": 3, "units": 2, "classes": {"no": 1, "yes": 2}},
        "M": {"n": 2, "units": 2, "classes": {"no": 2}},
        "missing": {"n": 1, "units": 1, "classes": {"yes": 1}},
    }
    assert list(test["attributes"]["sex×age"]["groups"]) == ["F×old", "M×old", "missing×old"]
    assert section.values["train"]["attributes"]["sex"]["groups"]["M"]["n"] == 3
    rows = {(row[0].text, row[0].detail): row[1:] for row in section.tables[0].rows}
    assert list(rows)[:5] == [
        ("all", ""),
        ("F", "sex"),
        ("M", "sex"),
        ("missing", "sex"),
        ("X", "sex"),  # in training only
    ]
    train, own = rows["F", "sex"]
    assert (train.text, own.text) == ("0", "3 (50.0%)")
    assert own.detail == "2 'yes' (66.7%); 2 patients or lesions"
    assert rows["M", "sex"][0].detail == "1 'yes' (33.3%)"  # each example is a patient
    # 1 of 4 and 3 of 6 are yes; M is 3 of 4 and 2 of 6, F 0 and 3 of 6.
    assert "'yes' is 25.0% of train and 50.0% of test" in section.sentences[1]
    assert "F (sex) is 0.0% of train and 50.0% of test" in section.sentences[1]


def test_one_table_alone_has_no_difference_to_tell():
    section = section_of(add_baseline_table(report_on(TEST), {THIS: people_of(TEST)}))
    assert len(section.sentences) == 1
    assert section.tables[0].header == ("Group", THIS)


def test_small_counts_stay_hidden():
    report = add_baseline_table(report_on(TEST, suppress_below=3), {"test": people_of(TEST)})
    section = section_of(report)
    assert (section.values, section.tables) == ({}, ())
    assert len(section.sentences) == 1


def test_a_split_without_the_attribute_has_a_dash():
    bare = people_of(Predictions(["x"], [1], [1], [[0, 1]], ("no", "yes")))
    section = section_of(
        add_baseline_table(report_on(TEST), {"train": bare, "test": people_of(TEST)})
    )
    rows = {row[0].text: row[1] for row in section.tables[0].rows}
    assert rows["all"].text == "1"
    assert rows["F"].text == "–"
    assert section.values["train"]["attributes"]["sex"] == {"missing": 0, "groups": {}}


def test_many_classes_have_a_share_each_and_too_many_none():
    for classes, told in ((3, True), (9, False)):
        codes = np.arange(2 * classes) % classes
        names = tuple(f"c{code}" for code in range(classes))
        groups = {"sex": np.array(["F", "M"] * classes, dtype=object)}
        own = Predictions(range(len(codes)), codes, codes, np.eye(classes)[codes], names, groups)
        report = fairness_report(own, bootstrap=0)
        section = section_of(add_baseline_table(report, {THIS: people_of(own)}))
        assert ("'c2' (33.3%)" in section.sentences[0]) == told
        assert len(section.values[THIS]["everyone"]["classes"]) == classes


def test_of_a_run_s_data_each_split_is_counted():
    examples = [
        Example(str(k), Path(), k % 2, {"sex": "FM"[k % 2], "other": "x"}, f"p{k // 2}")
        for k in range(8)
    ]
    splits = Splits("s", ("no", "yes"), ("sex",), tuple(examples[:4]), (), tuple(examples[4:]))
    people = people_of_splits(splits, ["sex", "sex×age"])
    assert list(people) == ["train", "test"]
    assert people["train"].labels == ["no", "yes", "no", "yes"]
    assert people["test"].units == ["p2", "p2", "p3", "p3"]
    assert set(people["train"].attributes) == {"sex", "age"}  # and no other column
    unlabelled = Splits("s", (UNLABELLED,), ("sex",), tuple(examples[:1]), (), ())
    assert people_of_splits(unlabelled, ["sex"])["train"].labels == [None]


def test_tables_beside_are_counted_and_broken_ones_left_out(tmp_path):
    write_predictions(TEST, tmp_path / "test.csv")
    write_predictions(TRAIN, tmp_path / "train.csv")
    (tmp_path / "validation.csv").write_text("id,sex\n1,F\n")
    assert list(people_beside(tmp_path / "test.csv", TEST, None)) == ["train", "test"]
    assert list(people_beside(tmp_path / "other.csv", TEST, None)) == [THIS]
    asked = ["report", str(tmp_path / "test.csv"), "--attribute", "sex", "--bootstrap", "0"]
    result = CliRunner().invoke(app, [*asked, "--output", str(tmp_path / "r")])
    assert result.exit_code == 0
    found = json.loads((tmp_path / "r" / "report.json").read_text())["baseline_table"]
    assert found["train"]["everyone"]["n"] == 4
    assert found["test"]["attributes"]["sex"]["missing"] == 1
    assert "| TRIPOD+AI 20b" in (text := (tmp_path / "r" / "checklist.md").read_text())
    assert "train: 4 examples" in text


@pytest.mark.parametrize("split", ["test", "mine"])
def test_texts_count_images_once(split, tmp_path):
    """Two questions about each of 4 images."""
    texts = generations_of(
        {
            "id": f"i{image}#{question}",
            "question": question,
            "unit": f"p{image // 2}",
            "reference": "a",
            "text": "b",
            "label": ["no", "yes"][image % 2],
            "attributes": {"sex": "FFM"[image % 3]},
        }
        for image in range(4)
        for question in ("q1", "q2")
    )
    file = tmp_path / f"{split}.jsonl"
    write_generations(texts, file)
    write_generations(texts, tmp_path / "train.jsonl")
    people = people_beside(file, texts, None)
    assert list(people) == (["train", "test"] if split == "test" else [THIS])
    report = add_baseline_table(text_report(texts, outside(s=[0.5] * 8), bootstrap=0), people)
    counts = list(section_of(report).values.values())[-1]
    assert counts["everyone"] == {"n": 4, "units": 2, "classes": {"no": 2, "yes": 2}}
    assert counts["attributes"]["sex"]["groups"]["F"]["n"] == 3


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"baseline_table": {}}', '{"baseline_table": {"train": 1}}']
)
def test_a_run_whose_report_says_nothing_of_its_splits_is_managed(content, tmp_path):
    assert read_development(tmp_path) == {}
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text(content)
    assert read_development(tmp_path) == {}


def test_other_data_stand_beside_what_the_run_was_developed_on(
    small_run, cohort, tmp_path, display
):
    folder, _ = small_run
    other = {"path": str(cohort), "limit": 8}
    told = evaluate(folder, display, data=other, output=tmp_path / "e").report.to_dict()
    own = json.loads((folder / "report" / "report.json").read_text())["baseline_table"]
    found = told["baseline_table"]
    assert list(found) == ["train", "validation", "other data (test)"]
    assert found["train"] == own["train"]
    assert found["other data (test)"]["everyone"]["n"] == told["n"]
    assert "baselines" not in told


def test_a_run_tells_all_its_splits(small_run):
    folder, _ = small_run
    found = json.loads((folder / "report" / "report.json").read_text())["baseline_table"]
    assert {split: own["everyone"]["n"] for split, own in found.items()} == {
        "train": 48,
        "validation": 24,
        "test": 40,
    }
    assert sum(c["n"] for c in found["train"]["attributes"]["sex"]["groups"].values()) == 48
