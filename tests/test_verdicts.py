"""Verdicts on declared endpoints: evidence where it is, equality shown, what could hide, who is harmed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.measuring import measure_groups
from fairlora_cls.evaluation.overview import report_overview
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.evaluation.summary import describe_in_short, describe_verdict
from fairlora_cls.evaluation.verdicts import (
    class_endpoints,
    correct_verdicts,
    judge_endpoints,
)
from fairlora_cls.statistics.simultaneous import (
    area_interval,
    area_variance,
    largest_difference,
    share_centre_and_error,
)


def counted(groups, **options):
    """Predictions of a classifier: group → (cases found, cases, false alarms, others)."""
    labels, answers, names = [], [], []
    for name, (hits, cases, alarms, others) in groups.items():
        labels += [1] * cases + [0] * others
        answers += [1] * hits + [0] * (cases - hits) + [1] * alarms + [0] * (others - alarms)
        names += [name] * (cases + others)
    score = np.where(np.array(answers) == 1, 0.8, 0.2)
    probabilities = np.column_stack([1 - score, score])
    attributes = {"group": np.array(names, dtype=object)}
    table = Predictions(
        range(len(labels)), labels, answers, probabilities, ("no", "yes"), attributes
    )
    return fairness_report(table, **{"bootstrap": 200} | options)


def verdicts_of(report):
    return {v.endpoint: v for v in report.verdicts}


@pytest.fixture(scope="module")
def eyes():
    """The default cohort's test: 25 of 42 glaucomas of Hispanic patients are found, 743 of 851 of
    Non-Hispanic ones."""
    return counted({"Hispanic": (25, 42, 3, 50), "Non-Hispanic": (743, 851, 137, 954)})


def test_a_disease_missed_more_often_is_evidence(eyes):
    found = verdicts_of(eyes)["sensitivity"]
    assert (found.verdict, found.worse, found.better) == ("evidence", "Hispanic", "Non-Hispanic")
    assert found.gap == pytest.approx(743 / 851 - 25 / 42)
    assert found.p_value_family < 0.01
    low, high = found.interval
    assert low < found.gap < high
    first = " ".join(describe_in_short(eyes))
    assert "of 100 cases ('yes') in the group Hispanic, 40 (" in first
    assert "of 100 in the group Non-Hispanic, 13 (" in first
    assert "(42 and 851 of them" in first
    assert "It finds 768 of 893 cases" in first


def test_a_report_holds_what_was_declared_and_every_verdict(eyes):
    stored = eyes.to_dict()
    assert stored["endpoints"] == {
        "names": ("sensitivity", "specificity", "auroc", "accuracy"),
        "margin": 0.05,
        "declared": "default",
    }
    assert [v["endpoint"] for v in stored["verdicts"]] == list(stored["endpoints"]["names"])
    assert {v["attribute"] for v in stored["verdicts"]} == {"group"}


def test_small_groups_are_undecided_and_it_is_said_what_could_hide():
    """Table 1 of the glaucoma paper: right for 970 of 1,816, 43 of 76, 57 of 108."""
    report = counted(
        {
            "Non-Hispanic": (485, 908, 423, 908),
            "Hispanic": (22, 38, 17, 38),
            "Unknown": (29, 54, 26, 54),
        }
    )
    found = verdicts_of(report)["accuracy"]
    assert found.verdict == "undecided"
    assert 0.1 < found.hidden_up_to < 0.3
    alone = report.attributes["group"].gaps["max_acc_gap"].power.needed_per_group
    assert found.tests_counted == 4
    assert found.needed_per_group > 1.2 * alone > 1000
    assert "correct for 4 tests" in describe_verdict(report, found)
    assert "could hide" in " ".join(describe_in_short(report))
    assert "evidence" not in {v.verdict for v in report.verdicts}


def test_equality_is_shown_among_many_equal_people():
    report = counted(
        {"F": (8000, 10_000, 2000, 10_000), "M": (8010, 10_000, 1990, 10_000)}, bootstrap=30
    )
    assert {v.verdict for v in report.verdicts} == {"equal"}
    assert "equal within 5.0 points" in " ".join(describe_in_short(report))


def test_an_attribute_decided_in_part_is_not_called_open():
    report = counted({"F": (8000, 10_000, 10, 20), "M": (8010, 10_000, 10, 20)}, bootstrap=30)
    kinds = {name: v.verdict for name, v in verdicts_of(report).items()}
    assert (kinds["sensitivity"], kinds["specificity"]) == ("equal", "undecided")
    said = " ".join(describe_in_short(report))
    assert "decide only a part of what was asked by group." in said
    assert "equal within 5.0 points: group (Cases missed" in said
    opened = replace(  # a second attribute, of which nothing is decided
        report,
        attributes={**report.attributes, "site": report.attributes["group"]},
        verdicts=(
            *report.verdicts,
            replace(verdicts_of(report)["specificity"], attribute="site"),
        ),
    )
    said = " ".join(describe_in_short(opened))
    assert "cannot decide what was asked by site; by group they decide only a part." in said


def test_a_group_without_cases_leaves_sensitivity_undefined():
    found = verdicts_of(counted({"a": (20, 30, 5, 30), "b": (0, 0, 4, 40)}))
    assert found["sensitivity"].verdict == "undefined"
    assert found["sensitivity"].left_out == ("b",)
    assert found["sensitivity"].p_value is None
    assert found["specificity"].verdict == "undecided"


def test_other_shares_of_disease_are_no_evidence_against_a_model():
    """It always says no; 60 % of the old and 82 % of the young are healthy."""
    report = counted({"old": (0, 1000, 0, 1500), "young": (0, 720, 0, 3280)})
    found = verdicts_of(report)["accuracy"]
    assert found.gap == pytest.approx(0.22)
    assert found.p_value == pytest.approx(1)
    assert all(v.verdict != "evidence" for v in report.verdicts)
    assert report.attributes["group"].gaps["max_acc_gap"].p_value < 0.001  # the plain null
    first = describe_in_short(report)[0]
    assert "finds 0 of 1,720 cases" in first
    assert "'no' almost always" in first
    assert "their shares of labels alone would give 22.0 points" in " ".join(
        describe_in_short(report)
    )


def test_groups_below_the_minimum_take_no_part():
    report = counted({"a": (80, 100, 20, 100), "b": (78, 100, 22, 100), "tiny": (0, 2, 2, 2)})
    found = verdicts_of(report)["sensitivity"]
    assert found.left_out == ("tiny",)
    assert found.gap == pytest.approx(0.02)


def test_a_group_whose_resamples_all_agree_is_not_certain():
    """25 patients, all ranked rightly among three classes, beside thousands with AUROC 0.9."""
    generator = np.random.default_rng(3)
    groups = np.repeat(["A", "B", "C"], [1500, 1500, 25]).astype(object)
    labels = np.arange(3025) % 3
    strength = np.where(groups == "C", 9.0, 1.5)
    scores = generator.normal(size=(3025, 3))
    scores[np.arange(3025), labels] += strength
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    table = Predictions(
        range(3025), labels, chances.argmax(axis=1), chances, tuple("xyz"), {"g": groups}
    )
    found = verdicts_of(fairness_report(table, bootstrap=60, endpoints="auroc"))["auroc"]
    assert found.gap > 0.05
    assert found.verdict in ("undecided", "evidence")
    assert found.hidden_up_to > found.gap


def test_groups_left_out_are_named_and_what_was_not_tested_is_not_called_shown():
    report = counted(
        {"a": (900, 1000, 100, 1000), "b": (950, 1000, 50, 1000), "tiny": (0, 2, 2, 2)},
        bootstrap=0,
    )
    text = " ".join(describe_verdict(report, v) for v in report.verdicts)
    assert "without tiny" in text
    assert "was not tested" in text
    assert "no difference is shown" not in text
    assert {v.verdict for v in report.verdicts} <= {"undecided", "equal"}


def test_rare_errors_are_counted_among_more_people():
    report = counted(
        {"a": (9960, 10_000, 40, 10_000), "b": (9910, 10_000, 90, 10_000)},
        bootstrap=20,
        endpoints=["accuracy"],
    )
    (verdict,) = report.verdicts
    assert verdict.verdict == "evidence"
    assert "of 1,000 examples in the group b, 9 (" in describe_verdict(report, verdict)


def test_a_rare_disease_found_whole_is_no_constant_answer():
    report = counted({"a": (10, 10, 0, 1000), "b": (8, 8, 0, 1000)}, bootstrap=20)
    assert "almost always" not in describe_in_short(report)[0]


def test_one_test_under_two_names_counts_once():
    groups = {"a": (80, 100, 30, 100), "b": (80, 100, 15, 100)}
    report = counted(groups, endpoints=["specificity", "fpr"])
    assert [v.p_value_family for v in report.verdicts] == [v.p_value for v in report.verdicts]


@pytest.mark.parametrize("misses", [1, 2, 3, 4])
def test_no_null_tells_what_is_hidden(misses):
    """The groups shown are without a miss: nothing depends on how many the hidden one has."""
    groups = dict.fromkeys("ABD", (40, 40, 0, 40)) | {"C": (8 - misses, 8, 0, 40)}
    report = counted(groups, suppress_below=5, bootstrap=50)
    result = report.attributes["group"]
    assert "C" in result.suppressed_groups
    assert result.gaps["sensitivity_gap"].null_mean in (None, 0)
    assert verdicts_of(report)["sensitivity"].null_mean in (None, 0)


def test_the_family_counts_every_endpoint_and_attribute():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    score = generator.random(400)
    attributes = {n: generator.choice(["x", "y"], 400).astype(object) for n in ("one", "two")}
    table = Predictions(
        range(400),
        labels,
        (score > 0.5).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        attributes,
    )
    report = fairness_report(table, bootstrap=100, endpoints=["sensitivity", "f1"], margin=0.9)
    raw = sorted(v.p_value for v in report.verdicts)
    assert len(raw) == 4
    smallest = min(report.verdicts, key=lambda v: v.p_value)
    assert smallest.p_value_family == pytest.approx(min(1, 4 * raw[0]))
    with pytest.raises(InputError, match="sensitivity"):
        fairness_report(table, endpoints=["sensitivty"])


def test_of_several_classes_each_ones_sensitivity_is_an_endpoint():
    names = [e.name for e in class_endpoints(("a", "b", "c"))]
    assert names == [
        "accuracy",
        "auroc",
        "sensitivity of a",
        "sensitivity of b",
        "sensitivity of c",
    ]


def test_the_picture_has_a_cell_for_every_endpoint_and_a_mark_for_every_group(eyes):
    overview = report_overview(eyes)
    (row,) = overview.rows
    assert [title for title, *_ in overview.columns] == [
        "Cases missed",
        "False alarms",
        "AUROC",
        "Wrong answers",
    ]
    assert row.groups == (("Non-Hispanic", "1,805"), ("Hispanic", "92"))
    assert row.cells[0].kind == "evidence"
    for cell in row.cells:
        for mark in cell.marks:
            assert 0 <= mark.low <= mark.value <= mark.high <= 1


def test_the_largest_difference_of_two_groups_is_their_own_interval():
    low, high = largest_difference(np.array([0.7, 0.9]), np.array([0.03, 0.04]))
    assert (low, high) == pytest.approx((0.2 - 1.96 * 0.05, 0.2 + 1.96 * 0.05), abs=0.002)
    low, high = largest_difference(np.array([0.8, 0.8, 0.8]), np.full(3, 0.02))
    assert low == 0
    # Tukey's studentised range of three: 3.314 / sqrt(2) standard errors of a difference.
    assert high == pytest.approx(3.314 / np.sqrt(2) * 0.02 * np.sqrt(2), rel=0.03)


def test_no_share_is_certain():
    centre, error = share_centre_and_error(np.array([1.0, 0.5]), np.array([20, 96]))
    assert centre == pytest.approx([22 / 24, 0.5])
    assert error[1] == pytest.approx(np.sqrt(0.25 / 100))


@pytest.mark.parametrize("area", [0.0, 0.6, 0.95, 1.0])
def test_newcombes_limits_solve_his_equation(area):
    low, high = area_interval(area, 8, 40)
    assert 0 <= low <= area <= high <= 1
    assert high - low > 0.05
    for limit in (low, high):
        if 0 < limit < 1:
            error = norm.ppf(0.975) * np.sqrt(area_variance(limit, 8, 40))
            assert abs(area - limit) == pytest.approx(error, abs=1e-6)


def simulated(generator, sensitivities, size):
    """Quickly judged: the verdicts on what counts decide, of groups with these sensitivities."""
    labels = np.tile([0, 1], size * len(sensitivities) // 2)
    codes = np.repeat(np.arange(len(sensitivities)), size)
    right = np.where(labels == 1, np.array(sensitivities)[codes], 0.8)
    answers = np.where(generator.random(len(labels)) < right, labels, 1 - labels)
    score = np.where(answers == 1, 0.7, 0.3)
    table = Predictions(
        range(len(labels)),
        labels,
        answers,
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": np.array([f"g{c}" for c in codes], dtype=object)},
    )
    sample = class_sample(table, by_class=True)
    sample = type(sample)(**vars(sample) | {"scored": False})
    measured = measure_groups(sample, grouping_of(table, "g"), 20, generator)
    asked = [e for e in class_endpoints(table.classes) if e.name != "auroc"]
    return correct_verdicts(judge_endpoints("g", measured, asked, 20), 0.05)


def test_equal_groups_are_seldom_called_different(monkeypatch):
    monkeypatch.setattr("fairlora_cls.statistics.draws.COUNTED_NULL_DRAWS", 1000)
    generator = np.random.default_rng(1)
    alarms = [
        any(v.verdict == "evidence" for v in simulated(generator, (0.8, 0.8, 0.8), 300))
        for _ in range(300)
    ]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_a_difference_of_the_margin_is_seldom_called_equal(monkeypatch):
    monkeypatch.setattr("fairlora_cls.statistics.draws.COUNTED_NULL_DRAWS", 1000)
    generator = np.random.default_rng(2)
    equal = [simulated(generator, (0.825, 0.775), 1600)[0].verdict == "equal" for _ in range(300)]
    assert np.mean(equal) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
