"""Operating points by hand, chosen on validation only, and stated in the report."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    write_predictions,
)
from fairlora_cls.evaluation.report import fairness_report, write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.thresholds import (
    ThresholdRule,
    apply_operating_point,
    choose_operating_point,
    describe_operating_point,
    judge_by_rule,
    load_validation,
    operating_point_section,
    parse_threshold,
)
from fairlora_cls.recipe import build_recipe

CLASSES = ("no", "yes")


def table(scores, labels, positive=1):
    scores = np.array(scores)
    probabilities = np.column_stack([1 - scores, scores])
    return Predictions(
        range(len(labels)),
        labels,
        (scores > 0.5).astype(int),
        probabilities,
        CLASSES,
        {"g": np.array(["a", "b"] * len(labels), dtype=object)[: len(labels)]},
        positive,
    )


# sensitivity (of 4) and specificity (of 4) from each score on:
#           .9: 1/4 4/4 | .8: 2/4 4/4 | .7: 2/4 3/4 | .6: 3/4 3/4 | .4: 3/4 2/4 | .3: 4/4 2/4 …
SCORES = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
LABELS = [1, 1, 0, 1, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("rule", "threshold", "sensitivity", "specificity"),
    [
        ("youden", 0.8, 0.5, 1.0),  # J = 0.5, as at 0.6 and 0.3: the highest threshold of the three
        ("sensitivity=0.75", 0.6, 0.75, 0.75),
        ("sensitivity=0.7", 0.6, 0.75, 0.75),
        ("sensitivity=0.8", 0.3, 1.0, 0.5),
        ("sensitivity=1", 0.3, 1.0, 0.5),
        ("sensitivity=0", 0.9, 0.25, 1.0),
    ],
)
def test_chosen_on_validation_by_hand(rule, threshold, sensitivity, specificity):
    point = choose_operating_point(rule, CLASSES, "yes", table(SCORES, LABELS))
    assert point.threshold == pytest.approx(threshold)
    assert (point.sensitivity, point.specificity) == (sensitivity, specificity)
    assert (point.chosen_on, point.images) == ("validation", 8)
    text = describe_operating_point(point)
    assert "called 'yes'" in text
    assert f"{threshold:.4g} or more" in text
    assert "chosen on 8 validation images" in text


def test_the_other_class_may_be_the_positive_one():
    point = choose_operating_point("sensitivity=1", CLASSES, "no", table(SCORES, LABELS))
    assert point.threshold == pytest.approx(1 - 0.7)
    judged = apply_operating_point(table([0.75, 0.65], [0, 1]), point)
    assert judged.predictions.tolist() == [1, 0]


def test_classes_in_another_order():
    there = table(SCORES, LABELS)
    turned = Predictions(
        there.ids,
        1 - there.labels,
        1 - there.predictions,
        there.probabilities[:, ::-1],
        CLASSES[::-1],
    )
    assert choose_operating_point("youden", CLASSES, "yes", turned) == choose_operating_point(
        "youden", CLASSES, "yes", there
    )


def test_a_fixed_value_and_argmax_need_no_validation():
    point = choose_operating_point("0.3", CLASSES, "yes", None)
    assert apply_operating_point(table(SCORES, LABELS), point).predictions.tolist() == [1] * 6 + [
        0,
        0,
    ]
    assert "was given, not chosen" in describe_operating_point(point)
    point = choose_operating_point("argmax", ("a", "b", "c"), "c", None)
    three = Predictions([1], [0], [2], [[0.5, 0.3, 0.2]], "abc")
    assert apply_operating_point(three, point).predictions.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("argmax", ThresholdRule("argmax")),
        (" youden ", ThresholdRule("youden")),
        ("0.30", ThresholdRule("fixed", 0.3)),
        ("sensitivity=.9", ThresholdRule("sensitivity", 0.9)),
    ],
)
def test_rules_are_read(text, rule):
    assert parse_threshold(text) == rule


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yoden", "did you mean 'youden'"),
        ("1.5", "1.5 must be a fraction"),
        ("sensitivity=90", "90 must be a fraction"),
        ("sensitivity=", "nothing must be a fraction"),
        ("sensitivity", "did you mean 'sensitivity=0.9'"),
        ("specificity=0.9", "is not a rule"),
        ("nan", "is not a rule"),
        ("", "is not a rule"),
    ],
)
def test_bad_rules(text, words):
    with pytest.raises(InputError, match=words):
        parse_threshold(text)


def test_what_cannot_be_chosen():
    with pytest.raises(InputError, match="needs two classes, and these predictions have 3"):
        choose_operating_point("0.3", ("a", "b", "c"), "c", None)
    with pytest.raises(InputError, match="--validation"):
        choose_operating_point("youden", CLASSES, "yes", None)
    with pytest.raises(InputError, match="all 2 validation images are of one class"):
        choose_operating_point("youden", CLASSES, "yes", table([0.2, 0.3], [1, 1]))
    with pytest.raises(InputError, match="without a label"):
        choose_operating_point("youden", CLASSES, "yes", table([0.2, 0.3], [1, -1]))
    with pytest.raises(InputError, match="classes no, yes, and the test predictions a, b"):
        choose_operating_point("youden", ("a", "b"), "b", table(SCORES, LABELS))


def test_the_report_states_it(tmp_path):
    point = choose_operating_point("youden", CLASSES, "yes", table(SCORES, LABELS))
    judged = apply_operating_point(table(SCORES[::-1], LABELS), point)
    report = fairness_report(judged, bootstrap=0)
    write_report(add_sections(report, [operating_point_section(point)]), tmp_path)
    sentence = describe_operating_point(point)
    assert sentence.replace("'", "&#39;") in (tmp_path / "report.html").read_text("utf-8")
    assert sentence in (tmp_path / "report.md").read_text("utf-8")
    stored = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert stored["operating_point"]["threshold"] == pytest.approx(0.8)
    assert stored["operating_point"]["rule"] == "youden"


def test_chosen_on_the_judged_images_is_said():
    judged, section = judge_by_rule(table(SCORES, LABELS), "youden", table(SCORES, LABELS))
    assert judged.predictions.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert "the very images judged here, which flatters" in section.sentences[0]
    other = table(SCORES[::-1], LABELS[::-1])
    assert (
        "not on the images judged here"
        in judge_by_rule(other, "youden", table(SCORES, LABELS))[1].sentences[0]
    )


@pytest.fixture
def folder(tmp_path):
    """test.csv and validation.csv as in a run folder."""
    write_predictions(table(SCORES[::-1], LABELS[::-1]), tmp_path / "test.csv")
    write_predictions(table(SCORES, LABELS), tmp_path / "validation.csv")
    return tmp_path


def test_validation_beside_the_table_is_found(folder):
    assert load_validation(folder / "test.csv").labels.tolist() == LABELS
    assert load_validation(folder / "validation.csv") is None
    named = load_validation(folder / "validation.csv", folder / "test.csv")
    assert named.labels.tolist() == LABELS[::-1]
    with pytest.raises(InputError, match="is the table that is judged"):
        load_validation(folder / "test.csv", folder / "test.csv")


def test_the_verb_report(folder):
    arguments = ["report", str(folder / "test.csv"), "--bootstrap", "0", "--output"]
    chosen = ["--threshold", "sensitivity=0.75"]
    done = CliRunner().invoke(app, [*arguments, str(folder / "a"), *chosen])
    assert done.exit_code == 0, done.output
    stored = json.loads((folder / "a" / "report.json").read_text("utf-8"))
    assert stored["operating_point"]["threshold"] == pytest.approx(0.6)
    assert stored["overall"]["sensitivity"]["value"] == 0.75
    plain = CliRunner().invoke(app, [*arguments, str(folder / "b")])
    assert plain.exit_code == 0
    assert "operating_point" not in json.loads((folder / "b" / "report.json").read_text("utf-8"))
    (folder / "validation.csv").unlink()
    done = CliRunner().invoke(app, [*arguments, str(folder / "c"), *chosen])
    assert done.exit_code == 2
    assert "--validation" in done.output
    assert not (folder / "c").exists()


def test_the_recipe_key():
    assert build_recipe({"report": {"threshold": 0.3}}).report.threshold == "0.3"
    assert build_recipe({}, ["report.threshold=youden"]).report.threshold == "youden"
    with pytest.raises(InputError, match=r"report.threshold: threshold 'yoden' is not a rule; did"):
        build_recipe({}, ["report.threshold=yoden"])


def test_a_run_is_judged_at_its_threshold(small_run, tmp_path):
    """The small run's report says argmax; evaluate may choose on the run's validation."""
    stored = json.loads((small_run[0] / "report" / "report.json").read_text("utf-8"))
    assert stored["operating_point"]["rule"] == "argmax"
    arguments = ["evaluate", str(small_run[0]), "--output", str(tmp_path / "e")]
    done = CliRunner().invoke(app, [*arguments, "--threshold", "sensitivity=1"])
    assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "e" / "report" / "report.json").read_text("utf-8"))
    validation = read_predictions(small_run[0] / "predictions" / "validation.csv")
    expected = validation.probabilities[validation.labels == 1, 1].min()
    assert stored["operating_point"]["threshold"] == pytest.approx(expected)
    done = CliRunner().invoke(app, [*arguments, "--threshold", "yuden"])
    assert done.exit_code == 2
    assert "did you mean 'youden'" in done.output
