"""Net benefit by hand, and what the report says of it."""

import numpy as np
import pytest

from fairlora_cls.evaluation.net_benefit import decision_curve, own_threshold
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.evaluation.results import Decision

# Ten people, four of them ill.
TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
SCORE = np.array([0.9, 0.6, 0.35, 0.02, 0.7, 0.25, 0.15, 0.07, 0.03, 0.01])


def people(truth, score, threshold=0.5, units=None, **attributes):
    return Predictions(
        range(len(truth)),
        truth.astype(int),
        (score >= threshold).astype(int),
        np.column_stack([1 - score, score]),
        ("healthy", "ill"),
        attributes,
        units=units,
    )


def benefits(predictions, **options):
    return fairness_report(predictions, **({"bootstrap": 0} | options)).to_dict()["net_benefit"]


def test_ten_people_by_hand():
    found = benefits(people(TRUTH, SCORE))
    assert found["own_threshold"] == 0.5
    at = {each["threshold"]: each for each in found["overall"]}
    assert list(at) == [0.05, 0.1, 0.2, 0.3, 0.5]
    # From 20% on: 3 ill, 2 healthy acted on: 3/10 - 2/10 · 0.25; all: 4/10 - 6/10 · 0.25.
    assert (at[0.2]["found"], at[0.2]["false_alarms"]) == (3, 2)
    assert at[0.2]["model"]["value"] == pytest.approx(0.25)
    assert at[0.2]["treat_all"] == pytest.approx(0.25)
    assert at[0.2]["without_model"] == "all"
    assert at[0.2]["gain"]["value"] == pytest.approx(0)
    # From 50% on: 2 ill, 1 healthy: 2/10 - 1/10; all: 4/10 - 6/10.
    assert at[0.5]["model"]["value"] == pytest.approx(0.1)
    assert at[0.5]["treat_all"] == pytest.approx(-0.2)
    assert (at[0.5]["without_model"], at[0.5]["gain"]["value"]) == ("nobody", pytest.approx(0.1))
    # From 5% on: 3 ill, 4 healthy: 3/10 - 4/10 / 19; all: 4/10 - 6/10 / 19.
    assert at[0.05]["gain"]["value"] == pytest.approx((-1 + 2 / 19) / 10)


def test_the_curve_is_the_same():
    curve = {threshold: (own, every) for threshold, own, every in decision_curve(TRUTH, SCORE)}
    assert curve[0.2] == pytest.approx((0.25, 0.25))
    assert curve[0.5] == pytest.approx((0.1, -0.2))
    assert curve[0.98][0] == 0  # nobody is acted on


@pytest.mark.parametrize(
    ("decision", "threshold"),
    [
        (Decision("argmax", (0.5, 0.5)), 0.5),
        (Decision("threshold", (0.2874, 0.3101)), 0.3),
        (Decision("threshold", (0.3119, 0.3131)), 0.312),
        (Decision("threshold", (0.4, 1.0)), None),
        (Decision("argmax", None), None),
        (Decision("given", None), None),
        (None, None),
    ],
)
def test_the_threshold_of_the_predictions(decision, threshold):
    assert own_threshold(decision) == (
        None if threshold is None else pytest.approx(threshold, abs=1e-3)
    )


def test_a_moved_threshold_acts_as_the_table_does():
    assert benefits(people(TRUTH, SCORE, 0.26))["own_threshold"] is None  # from 0.25 to 0.35
    close = np.append(SCORE, [0.26, 0.29])
    found = benefits(people(np.append(TRUTH, [False, True]), close, 0.28))
    assert found["own_threshold"] == pytest.approx(0.28, abs=0.02)
    own = next(e for e in found["overall"] if e["threshold"] == found["own_threshold"])
    assert (own["found"], own["false_alarms"]) == (4, 1)


def noisy(count, seed):
    generator = np.random.default_rng(seed)
    truth = generator.random(count) < 0.4
    score = 1 / (1 + np.exp(-(3 * truth - 1.5 + generator.normal(0, 1.2, count))))
    return truth, score


def test_few_people_still_have_an_interval_with_width():
    truth, score = np.arange(12) < 3, np.full(12, 0.01)
    found = benefits(people(truth, score), bootstrap=50)["overall"][-2]
    assert found["model"]["value"] == 0
    low, high = found["model"]["interval"]
    assert low < -0.05 < 0.05 < high  # none acted on says little of the next twelve
    assert found["model"]["interval_method"] == "mover"


def test_more_images_of_the_same_people_make_nothing_surer():
    truth, score = noisy(150, 0)
    once = benefits(people(truth, score), bootstrap=400)["overall"][2]["model"]
    repeated = people(
        np.repeat(truth, 4), np.repeat(score, 4), units=np.repeat(np.arange(150), 4).tolist()
    )
    fourfold = benefits(repeated, bootstrap=400)["overall"][2]["model"]
    assert fourfold["value"] == pytest.approx(once["value"])
    assert np.ptp(fourfold["interval"]) == pytest.approx(np.ptp(once["interval"]), rel=0.2)


@pytest.fixture(scope="module")
def unequal():
    """Equal people in unequal groups: B has the disease three times as often, C's model is worse."""
    generator = np.random.default_rng(3)
    group = np.repeat(["A", "B", "C"], 400)
    truth = generator.random(1200) < np.where(group == "B", 0.6, 0.2)
    good = 4.0 * truth - 2.0 + generator.normal(0, 1.2, 1200)
    score = 1 / (1 + np.exp(-np.where(group == "C", generator.normal(0, 1.2, 1200), good)))
    return truth, score, group


def test_another_share_of_disease_is_no_gap(unequal):
    truth, score, group = (values[:800] for values in unequal)
    found = benefits(people(truth, score, g=group), bootstrap=300)["attributes"]["g"]
    raw = [found["groups"][name]["at"][-1]["model"]["value"] for name in "AB"]
    assert raw[1] - raw[0] > 0.2  # with three times as many cases more are found
    alike = [found["groups"][name]["with_equal_prevalence"] for name in "AB"]
    assert found["gap"]["value"] == pytest.approx(abs(alike[1] - alike[0]))
    assert found["gap"]["value"] < 0.05
    assert found["gap"]["p_value"] > 0.05


def test_a_worse_model_is(unequal):
    truth, score, group = unequal
    report = fairness_report(people(truth, score, g=group), bootstrap=300)
    found = report.to_dict()["net_benefit"]["attributes"]["g"]
    assert (found["gap"]["worst"], found["gap"]["undefined_groups"]) == ("C", ())
    assert found["gap"]["p_value_holm"] < 0.01
    section = next(each for each in report.sections if each.key == "net_benefit")
    assert any("g: C (" in sentence and "n = 400" in sentence for sentence in section.sentences)
    (point,) = section.points
    assert "for C (n = 400)" in point


def test_a_tiny_group_takes_no_part_in_the_gap(unequal):
    truth, score, group = unequal
    group = np.where(np.arange(1200) < 15, "tiny", group)
    gap = benefits(people(truth, score, g=group), bootstrap=50)["attributes"]["g"]["gap"]
    assert gap["undefined_groups"] == ("tiny",)


def test_of_more_classes_the_positive_one_against_the_rest():
    three = Predictions(
        range(10),
        np.where(TRUTH, 2, np.arange(10) % 2),
        np.where(SCORE > 0.5, 2, 0),
        np.column_stack([(1 - SCORE) / 2, (1 - SCORE) / 2, SCORE]),
        ("a", "b", "ill"),
        {"g": ["x", "y"] * 5},
    )
    found = benefits(three)
    assert (found["class"], found["own_threshold"]) == ("ill", None)
    assert found["overall"][2]["model"]["value"] == pytest.approx(0.25)
    assert found["attributes"]["g"]["gap"] is None


def test_a_group_that_acting_harms_is_told_so_among_the_warnings():
    """200 of each group, half with disease; of B the model calls exactly the wrong half."""
    from fairlora_cls.evaluation.report import fairness_report

    labels = np.tile([0, 1], 200)
    groups = np.repeat(["A", "B"], 200)
    right = (groups == "A") & (np.arange(400) % 10 > 0)
    scores = np.where((labels == 1) == right, 0.9, 0.1)
    table = Predictions(
        ids=tuple(map(str, range(400))),
        labels=labels,
        predictions=(scores > 0.5).astype(int),
        probabilities=np.column_stack([1 - scores, scores]),
        classes=("no", "yes"),
        attributes={"group": groups.astype(object)},
        positive=1,
    )
    report = fairness_report(table, ["group"], bootstrap=100)
    first = report.warnings[0]
    assert "worse than" in first
    assert "group: B" in first
    assert "group: A" not in first
    (section,) = (s for s in report.sections if s.key == "net_benefit")
    assert not any(
        "not shown to bring" in text and "group: B" in text for text in section.sentences
    )
