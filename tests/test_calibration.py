"""Slope, intercept and observed / expected, of data whose answer is known."""

import numpy as np
import pytest

from fairlora_cls.evaluation.calibration import SEPARATED, calibration
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report

TENTHS = np.arange(1, 10) / 10


def as_expected(chances, each=100):
    """`each` examples of every chance, exactly so many of them positive as it says."""
    truth = [np.arange(each) < round(chance * each) for chance in chances]
    return np.concatenate(truth), np.repeat(chances, each)


def moved(chance, slope, intercept):
    """The score whose recalibration with that slope and intercept gives the chance."""
    return 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) - intercept) / slope))


def test_scores_that_come_true_have_slope_1_and_intercept_0():
    found = calibration(*as_expected(TENTHS), None)
    assert found.observed_expected.value == pytest.approx(1)
    assert found.slope.value == pytest.approx(1, abs=1e-6)
    assert found.intercept.value == pytest.approx(0, abs=1e-6)
    assert (found.n, found.positives) == (900, 450)
    assert found.slope.interval[0] < 1 < found.slope.interval[1]


def test_too_extreme_scores_have_the_slope_that_made_them_so():
    truth, chance = as_expected(TENTHS)
    found = calibration(truth, moved(chance, 0.5, 0.0), None)  # logits twice as far from 0
    assert found.slope.value == pytest.approx(0.5, abs=1e-6)
    assert found.slope.interval[1] < 1
    assert found.intercept.value == pytest.approx(0, abs=1e-6)  # symmetric around one half


def test_understated_risk_has_the_intercept_that_was_taken_off():
    truth, chance = as_expected(TENTHS)
    found = calibration(truth, moved(chance, 1.0, 0.7), None)
    assert found.intercept.value == pytest.approx(0.7, abs=1e-6)
    assert found.slope.value == pytest.approx(1, abs=1e-6)
    assert found.observed_expected.interval[0] > 1


def test_observed_by_expected_of_few_by_hand():
    # 3 of 10 positive, 2 expected: 1.5; Wilson's interval of 3 of 10 is 0.1078 to 0.6032.
    found = calibration(np.arange(10) < 3, np.full(10, 0.2), None)
    assert found.observed_expected.value == pytest.approx(1.5)
    assert found.observed_expected.interval == pytest.approx((0.539, 3.016), abs=1e-3)
    assert found.slope.value is None
    assert "(3)" in found.slope.interval_method


def test_scores_that_explain_who_is_positive_make_it_surer():
    truth, chance = as_expected([0.1, 0.9])
    low, high = calibration(truth, chance, None).observed_expected.interval
    plain_low, plain_high = calibration(truth, np.full(200, 0.5), None).observed_expected.interval
    # Residual variance 0.09 instead of 0.25: sqrt(0.36) = 0.6 of the width.
    assert (high - low) / (plain_high - plain_low) == pytest.approx(0.6, abs=0.02)


def test_examples_of_one_unit_count_once():
    truth, chance = as_expected(TENTHS, 20)
    alone = calibration(truth, chance, None)
    fourfold = calibration(
        np.repeat(truth, 4), np.repeat(chance, 4), np.repeat(np.arange(180), 4).astype(str)
    )
    for name in ("observed_expected", "slope", "intercept"):
        one, four = getattr(alone, name), getattr(fourfold, name)
        assert four.value == pytest.approx(one.value, abs=1e-6)
        widths = [np.ptp(each.interval) for each in (one, four)]
        assert widths[1] == pytest.approx(widths[0], rel=0.12)  # not half as wide


@pytest.mark.parametrize(
    ("truth", "score", "reason"),
    [
        (np.arange(40) < 20, np.where(np.arange(40) < 20, 0.9, 0.2), SEPARATED),
        (np.arange(40) < 20, np.where(np.arange(40) < 20, 0.2, 0.9), SEPARATED),
        (np.arange(40) < 20, np.full(40, 0.3), "none: all scores are equal"),
        (np.zeros(40, bool), np.full(40, 0.3), "none: fewer than 10 of a class (0)"),
    ],
)
def test_without_a_slope_the_reason_stands(truth, score, reason):
    slope = calibration(truth, score, None).slope
    assert (slope.value, slope.interval, slope.interval_method) == (None, None, reason)


def test_certainty_breaks_nothing():
    truth = np.arange(60) % 3 == 0
    score = np.where(np.arange(60) % 2, 1.0, 0.0)
    found = calibration(truth, score, None)
    assert found.observed_expected.value == pytest.approx(20 / 30)
    for each in (found.slope, found.intercept):
        assert np.isfinite([each.value, *each.interval]).all()
    nobody = calibration(truth, np.zeros(60), None)
    assert (nobody.observed_expected.value, nobody.slope.value) == (None, None)


@pytest.fixture(scope="module")
def two_groups():
    """A: as expected; B: twice as many cases as expected."""
    truth, chance = as_expected([0.2, 0.4, 0.2, 0.4])
    score = np.where(np.arange(400) < 200, chance, chance / 2)
    return Predictions(
        range(400),
        truth.astype(int),
        (score > 0.5).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": np.repeat(["A", "B"], 200)},
    )


def test_the_report_names_the_group_whose_risk_is_understated(two_groups):
    report = fairness_report(two_groups, bootstrap=20)
    section = next(each for each in report.sections if each.key == "calibration")
    groups = report.to_dict()["calibration"]["attributes"]["g"]
    assert groups["A"]["observed_expected"]["value"] == pytest.approx(1)
    assert groups["B"]["observed_expected"]["value"] == pytest.approx(2)
    (said,) = [s for s in section.sentences if s.startswith("Risk is understated")]
    assert "g: B (2.000, n = 200)" in said
    assert "g: A" not in said
    assert section.is_folded
    assert len(section.tables[0].rows) == 3


def test_a_suppressed_report_leaves_it_out(two_groups):
    report = fairness_report(two_groups, bootstrap=0, suppress_below=10)
    stored = report.to_dict()
    assert (stored["calibration"], stored["net_benefit"]) == ({}, {})
    assert not any(section.tables for section in report.sections)
    assert not any(result.curves for result in report.attributes.values())
