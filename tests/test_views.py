"""Controlled gaps, shares and curves against plain loops."""

import numpy as np
import pytest
from sklearn.metrics import auc

from fairlora_cls.evaluation.class_parts import describe_decision
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import controlled_gaps
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report


def table(labels, score, threshold=0.5, **attributes) -> Predictions:
    score = np.asarray(score, dtype=float)
    return Predictions(
        range(len(score)),
        labels,
        (score > threshold).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {name: np.array(values, dtype=object) for name, values in attributes.items()},
    )


def named(codes) -> Grouping:
    return Grouping(("A", "B"), codes)


def test_a_gap_explained_by_another_attribute_vanishes_when_that_is_held():
    """Old patients are harder to diagnose; group B is older. Inside an age the groups are equal."""
    generator = np.random.default_rng(0)
    group = np.repeat([0, 1], 2000)
    old = (generator.random(4000) < np.where(group == 1, 0.8, 0.2)).astype(int)
    labels = generator.integers(0, 2, 4000)
    right = generator.random(4000) < np.where(old == 1, 0.6, 0.9)
    predictions = table(labels, np.where(right == labels, 0.9, 0.1))
    found = controlled_gaps(
        class_sample(predictions), named(group), {"age": old}, 30, 1000, np.random.default_rng(1)
    ).gaps["max_acc_gap"]
    raw = abs(right[group == 0].mean() - right[group == 1].mean())
    assert raw > 0.12
    assert found.value < 0.04
    assert found.p_value > 0.05
    by_hand = sum(
        (old == age).mean()
        * abs(right[(old == age) & (group == 0)].mean() - right[(old == age) & (group == 1)].mean())
        for age in (0, 1)
    )
    assert found.value == pytest.approx(by_hand)
    assert (found.strata, found.examples) == (2, 4000)


def test_small_strata_and_strata_of_one_group_stay_out():
    labels = np.arange(100) % 2
    predictions = table(labels, np.where(np.arange(100) % 4 < 2, 0.8, 0.3))
    group = np.r_[np.arange(40) % 2, np.zeros(40, dtype=int), np.arange(20) % 2]
    strata = np.repeat([0, 1, 2], [40, 40, 20])
    sample, held = class_sample(predictions), {"age": strata}
    found = controlled_gaps(sample, named(group), held, 30, 50, np.random.default_rng(0)).gaps
    assert (found["max_acc_gap"].strata, found["max_acc_gap"].examples) == (1, 40)
    none = controlled_gaps(sample, named(group), held, 50, 50, np.random.default_rng(0)).gaps
    assert none["max_acc_gap"].value is None
    assert none["max_acc_gap"].strata == 0


# Berkeley 1973 (Bickel, Hammel and O'Connell 1975): department → men admitted, rejected; women.
BERKELEY = {
    "A": (512, 313, 89, 19),
    "B": (353, 207, 17, 8),
    "C": (120, 205, 202, 391),
    "D": (138, 279, 131, 244),
    "E": (53, 138, 94, 299),
    "F": (22, 351, 24, 317),
}


@pytest.fixture(scope="module")
def berkeley():
    admitted, sexes, departments = [], [], []
    for department, counts in BERKELEY.items():
        admitted += np.repeat([1, 0, 1, 0], counts).tolist()
        sexes += np.repeat(["men", "women"], [sum(counts[:2]), sum(counts[2:])]).tolist()
        departments += [department] * sum(counts)
    score = np.where(np.array(admitted) == 1, 0.9, 0.1)
    labels = np.ones(len(score), dtype=int)  # accuracy is the share admitted
    predictions = table(labels, score, sex=sexes, department=departments)
    return fairness_report(predictions, bootstrap=200)


def test_berkeley_reverses_inside_departments(berkeley):
    """Pooled 44.5 % of the men and 30.4 % of the women; inside departments, by their sizes: mean of
    the absolute differences .064, with men minus women −.043."""
    result = berkeley.attributes["sex"]
    overall, inside = result.gaps["max_acc_gap"], result.controlled.gaps["max_acc_gap"]
    assert (overall.best, overall.worst) == ("men", "women")
    assert overall.value == pytest.approx(1198 / 2691 - 557 / 1835)
    assert overall.value == pytest.approx(0.142, abs=0.0005)
    assert (inside.best, inside.worst) == ("women", "men")
    assert inside.value == pytest.approx(0.064, abs=0.0005)
    assert inside.signed == pytest.approx(-0.043, abs=0.0005)
    stored = berkeley.to_dict()["attributes"]["sex"]["controlled"]["gaps"]["max_acc_gap"]
    assert (stored["worst"], stored["signed"]) == ("men", inside.signed)
    (said,) = (text for text in berkeley.warnings if "reverses" in text)
    assert "department" in said
    assert "men against women" in said
    assert "−4.3 points" in said


def test_of_a_rate_of_errors_the_higher_is_worse_inside_strata_too():
    """Three groups in two strata of 30; false alarms of 10: a 2 and 4, b 5 and 6, c 8 in one only.

    From the strata's means of 5 (2, 5, 8) and 5 (4, 6): a −3 and −1, b 0 and 1, c 3.
    """
    alarms = {("x", 0): 2, ("y", 0): 4, ("x", 1): 5, ("y", 1): 6, ("x", 2): 8}
    score, codes, sites = [], [], []
    for (site, code), count in alarms.items():
        score += [0.9] * count + [0.1] * (10 - count)
        codes += [code] * 10
        sites += [site] * 10
    found = controlled_gaps(
        class_sample(table(np.zeros(50, dtype=int), score)),
        Grouping(("a", "b", "c"), np.array(codes)),
        {"site": np.unique(sites, return_inverse=True)[1]},
        20,
        0,
        np.random.default_rng(0),
    ).gaps["fpr_gap"]
    assert found.value == pytest.approx((30 * 0.6 + 20 * 0.2) / 50)
    assert (found.best, found.worst) == ("a", "c")
    assert found.signed == pytest.approx(0.6)  # a and c, over all too, where both are


def test_the_report_holds_the_other_attributes_and_no_intersection():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 400)
    columns = {name: generator.choice(["x", "y"], 400) for name in ("sex", "race", "age")}
    predictions = table(labels, generator.random(400), **columns)
    report = fairness_report(
        predictions, ["sex", "race", "age", "sex×race"], bootstrap=50, minimum_stratum_size=40
    )
    assert report.attributes["sex"].controlled.held == ("race", "age")
    assert report.attributes["sex"].controlled.minimum_stratum_size == 40
    assert report.attributes["sex×race"].controlled is None
    assert report.attributes["sex"].controlled.gaps["max_acc_gap"].p_value_holm is not None


def test_shares_and_curves_by_hand():
    generator = np.random.default_rng(3)
    groups = generator.choice(["A", "B"], 300)
    labels = (generator.random(300) < 0.4).astype(int)
    score = np.clip(0.3 * labels + generator.random(300) * 0.7, 0, 1).round(2)
    result = fairness_report(table(labels, score, g=groups), bootstrap=100).attributes["g"]
    for name in "AB":
        rows = groups == name
        share = result.prevalence.groups[name]["yes"]
        assert share.reference == pytest.approx(labels[rows].mean())
        assert share.predicted == pytest.approx((score[rows] > 0.5).mean())
        assert share.shift == pytest.approx(share.predicted - share.reference)
        low, high = share.shift_interval
        assert low <= share.shift <= high
        curves = result.curves[name]
        metrics = result.groups[name].metrics
        assert np.sum(curves.confusion) == rows.sum()
        assert np.sum(curves.score_histogram) == rows.sum()
        assert sum(curves.score_histogram[1]) == labels[rows].sum()
        x, y = np.array(curves.roc).T
        assert auc(x, y) == pytest.approx(metrics["auroc"].value, abs=0.01)
        error = sum(b.n * abs(b.outcome - b.confidence) for b in curves.reliability) / rows.sum()
        assert error == pytest.approx(metrics["ece"].value)
        for found in curves.reliability:
            inside = rows & (score >= found.low - 1e-9) & (score <= found.high + 1e-9)
            assert inside.sum() >= found.n
            assert found.interval[0] <= found.outcome <= found.interval[1]


def test_the_decision_rule_is_read_off_the_table():
    score = [0.1, 0.3, 0.45, 0.6, 0.9]
    assert describe_decision(table([0] * 5, score)).rule == "argmax"
    assert describe_decision(table([0] * 5, score)).threshold == (0.5, 0.5)
    low = describe_decision(table([0] * 5, score, threshold=0.4))
    assert (low.rule, low.threshold) == ("threshold", (0.3, 0.45))
    odd = Predictions(
        range(3), [0] * 3, [1, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], ("a", "b")
    )
    assert describe_decision(odd).rule == "given"


def test_every_metric_has_a_count_that_fits_its_value():
    """A rate times its count is a whole number, in each group."""
    generator = np.random.default_rng(4)
    groups = generator.choice(["A", "B", "C"], 200)
    predictions = table(generator.integers(0, 2, 200), generator.random(200), g=groups)
    result = fairness_report(predictions, bootstrap=20).attributes["g"]
    for group in result.groups.values():
        for name in ("accuracy", "sensitivity", "specificity", "fpr", "ppv", "npv"):
            estimate = group.metrics[name]
            hits = estimate.value * estimate.count
            assert hits == pytest.approx(round(hits), abs=1e-9), name
        assert set(group.metrics) == set(METRICS)
