"""A tiny group must not drown a gap between large ones."""

import numpy as np
import pytest

from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report


def table(groups):
    """`groups`: name → (examples, right answers); labels alternate."""
    names, labels, answers = [], [], []
    for name, (count, right) in groups.items():
        for place in range(count):
            label = place % 2
            names.append(name)
            labels.append(label)
            answers.append(label if place < right else 1 - label)
    chances = np.where(np.array(answers) == 1, 0.9, 0.1)
    return Predictions(
        ids=tuple(map(str, range(len(names)))),
        labels=np.array(labels),
        predictions=np.array(answers),
        probabilities=np.column_stack([1 - chances, chances]),
        classes=("no", "yes"),
        attributes={"age": np.array(names, dtype=object)},
    )


# Like HAM10000's test split: five images of unknown age, all right, beside 93 % and 74 %.
HIDDEN = {"young": (293, 273), "middle": (511, 418), "old": (217, 160), "Unknown": (5, 5)}


def test_the_gap_that_five_images_hide():
    report = fairness_report(table(HIDDEN), bootstrap=300)
    result = report.attributes["age"]
    over_all, larger = result.gaps["max_acc_gap"], result.larger_groups
    assert over_all.value == pytest.approx(1 - 160 / 217)
    assert over_all.p_value > 0.05 > 50 * larger.p_value
    assert larger.value == pytest.approx(273 / 293 - 160 / 217)
    assert (larger.best, larger.worst, larger.left_out) == ("young", "old", ("Unknown",))
    assert larger.null_mean < 0.06
    assert larger.p_value_headline < 0.01
    (verdict,) = (v for v in report.verdicts if v.endpoint == "accuracy")
    assert (verdict.verdict, verdict.worse, verdict.left_out) == ("evidence", "old", ("Unknown",))
    assert report.to_dict()["attributes"]["age"]["larger_groups"]["worst"] == "old"


def test_both_tests_of_an_attribute_count_in_the_correction():
    """Holm over two tests: the smaller p is doubled, the larger one stays or is raised to it."""
    result = fairness_report(table(HIDDEN), bootstrap=300).attributes["age"]
    over_all, larger = result.gaps["max_acc_gap"], result.larger_groups
    assert larger.p_value_headline == pytest.approx(min(1, 2 * larger.p_value))
    assert over_all.p_value_headline == pytest.approx(max(over_all.p_value, 2 * larger.p_value))


def test_equal_larger_groups_show_nothing():
    equal = {"young": (300, 240), "old": (300, 238), "Unknown": (5, 5)}
    report = fairness_report(table(equal), bootstrap=200)
    result = report.attributes["age"]
    assert result.larger_groups.p_value > 0.5
    assert "evidence" not in {v.verdict for v in report.verdicts}


@pytest.mark.parametrize(
    "groups",
    [
        {"young": (60, 50), "old": (60, 40)},  # none is small
        {"young": (60, 50), "old": (10, 4), "Unknown": (5, 5)},  # one is left
    ],
)
def test_nothing_to_compare_without_the_small_ones(groups):
    report = fairness_report(table(groups), bootstrap=50)
    assert report.attributes["age"].larger_groups is None


def test_suppression_leaves_it_out():
    report = fairness_report(table(HIDDEN), bootstrap=50, suppress_below=10)
    assert report.attributes["age"].larger_groups is None
