"""Every quantity of a sample is reported and compared, and a new one is without another change."""

from dataclasses import dataclass

import numpy as np
import pytest

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.comparison import compare_predictions, compare_texts
from fairlora_cls.evaluation.comparison_results import Comparison
from fairlora_cls.evaluation.comparison_tables import pair_tables
from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, QUANTITIES, Metric
from fairlora_cls.evaluation.report import fairness_report, text_report
from fairlora_cls.evaluation.results import Report
from fairlora_cls.evaluation.tables import attribute_tables, overall_tables
from fairlora_cls.evaluation.text_sample import text_sample
from fairlora_cls.evaluation.vectorised import counted_metrics
from fairlora_cls.statistics.gaps import EquityScaled, Gap, fairclip_score
from fairlora_cls.statistics.sample import Sample
from fairlora_cls.texts.finding_f1 import FindingLabels
from fairlora_cls.texts.generations import generations_of
from fairlora_cls.texts.scores import TextScores
from tests.test_comparison import model

COUNT = 120
CODES = np.arange(COUNT) % 3
NAMES = ("x", "y", "z")
GROUPS = np.array(NAMES, dtype=object)[CODES]


@dataclass(frozen=True)
class Case:
    """Two models' answers, what each is as a sample, and what is said of them."""

    samples: dict[str, Sample]
    report: Report  # of the first
    comparison: Comparison


def of_classes(classes) -> Case:
    tables = {name: model(seed, COUNT, classes, g=GROUPS) for seed, name in enumerate("ab")}
    return Case(
        {name: class_sample(table) for name, table in tables.items()},
        fairness_report(tables["a"], bootstrap=20),
        compare_predictions(tables, bootstrap=20),
    )


def of_texts(*more) -> Case:
    """more: names of scores from outside."""
    table = generations_of(
        {"id": f"i{k}", "reference": f"r{k}", "text": "t", "attributes": {"g": GROUPS[k]}}
        for k in range(COUNT)
    )
    scores = {}
    for seed, name in enumerate("ab"):
        generator = np.random.default_rng(seed)
        findings = FindingLabels(
            ("edema", "effusion"),
            np.arange(2 * COUNT).reshape(COUNT, 2) % 3 == 0,
            generator.random((COUNT, 2)) < 0.4,
            np.ones(COUNT, bool),
            "rules",
        )
        values = {each: generator.random(COUNT) for each in ("score", *more)}
        scores[name] = TextScores(
            values | {"exact_match": generator.random(COUNT) < 0.4}, findings, {}
        )
    tables = dict.fromkeys("ab", table)
    return Case(
        {name: text_sample(table, scores[name]) for name in "ab"},
        text_report(table, scores["a"], bootstrap=20),
        compare_texts(tables, scores, bootstrap=20),
    )


@pytest.fixture(scope="module", params=["two classes", "three classes", "texts"])
def case(request) -> Case:
    return {"two classes": lambda: of_classes(2), "three classes": lambda: of_classes(3)}.get(
        request.param, of_texts
    )()


def words(tables):
    return {cell.text for table in tables for row in table.rows for cell in row} | {
        name for table in tables for name in table.header
    }


def assert_reported(case: Case):
    """With the values of the sample itself, in the record, in report.json and in the tables."""
    sample, report = case.samples["a"], case.report
    by_group = sample.observed(CODES, 3)
    overall = {name: v[0] for name, v in sample.observed(np.zeros(COUNT, int), 1).items()}
    result, stored = report.attributes["g"], report.to_dict()
    assert list(report.overall) == list(stored["overall"]) == list(sample.metrics)
    for name in sample.metrics:
        assert report.overall[name].value == pytest.approx(overall[name]), name
        for code, group in enumerate(NAMES):
            found = result.groups[group].metrics[name]
            assert found.value == pytest.approx(by_group[name][code]), name
            assert found.interval is not None or found.interval_method.startswith("none")
            own = stored["attributes"]["g"]["groups"][group][name]
            assert own["value"] == found.value
    assert list(result.gaps) == list(stored["attributes"]["g"]["gaps"]) == list(sample.gaps)
    for name, gap in sample.gaps.items():
        assert result.gaps[name].value == pytest.approx(float(gap.values(by_group))), name
        assert result.gaps[name].p_value is not None
        assert result.gaps[name].p_value_holm is not None
        assert result.gaps[name].power is not None, name
    assert list(result.equity_scaled) == list(sample.equity_scaled)
    for name, score in sample.equity_scaled.items():
        value = score.function(overall[score.metric], by_group[score.metric])
        assert result.equity_scaled[name].value == pytest.approx(float(value)), name
        assert stored["attributes"]["g"]["equity_scaled"][name]["value"] is not None
    told = words([*overall_tables(report), *attribute_tables(report, "g")])
    told = " | ".join(text.lower() for text in told)
    for quantity in (*sample.metrics.values(), *sample.gaps.values()):
        assert quantity.title.lower() in told, quantity.title
    for score in sample.equity_scaled.values():
        assert score.title.lower() in told, score.title


def assert_compared(case: Case):
    first, second = case.samples.values()
    (pair,) = case.comparison.pairs
    (stored,) = case.comparison.to_dict()["pairs"]
    of_texts = "gaps" in stored
    values = [sample.observed(CODES, 3) for sample in (first, second)]
    attribute = pair.attributes["g"]
    assert list(pair.overall) == list(stored["overall"]) == list(first.metrics)
    assert list(attribute.gaps) == list(first.gaps)
    assert list(attribute.equity_scaled) == list(first.equity_scaled)
    for name, gap in first.gaps.items():
        found = attribute.gaps[name]
        expected = [float(gap.values(each)) for each in values]
        assert [found.reference, found.other] == pytest.approx(expected), name
        assert found.difference == pytest.approx(expected[1] - expected[0], abs=1e-12), name
        assert found.p_holm is not None
        if of_texts:
            difference = stored["gaps"]["g"][name.removesuffix("_gap")]["difference"]["value"]
        else:
            difference = stored["attributes"]["g"]["gaps"][name]["difference"]
        assert difference == found.difference
    scaled = stored if of_texts else stored["attributes"]["g"]
    scaled = scaled["equity_scaled"]["g"] if of_texts else scaled["equity_scaled"]
    assert list(scaled) == list(first.equity_scaled)
    told = words(pair_tables(case.comparison, pair))
    for quantities in (first.metrics, first.gaps, first.equity_scaled):
        for quantity in quantities.values():
            assert quantity.title in told, quantity.title


def test_every_quantity_is_reported(case):
    assert_reported(case)


def test_every_quantity_is_compared(case):
    assert_compared(case)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_new_row_of_classes_needs_no_other_change(classes, monkeypatch):
    """A metric that counts decide, a gap of it, a gap of two old metrics, an equity-scaled score."""

    def with_errors(tables, positive):
        values = counted_metrics(tables, positive)
        return values | {"error_rate": 1 - values["accuracy"]}

    def wrong(labels, predictions, probabilities, positive):
        return np.mean(labels != predictions)

    monkeypatch.setattr("fairlora_cls.evaluation.class_sample.counted_metrics", with_errors)
    rows = {
        "error_rate": Metric("Error rate", wrong, ("labels", "predictions"), "lower", "all"),
        "error_rate_gap": Gap("Error rate gap", ("error_rate",), "points", "all"),
        "predictive_gap": Gap("Predictive gap", ("ppv", "npv"), "points", "prediction"),
        "f1_fairclip": EquityScaled("Equity-scaled F1", "f1", fairclip_score),
    }
    for name, row in rows.items():
        table = {Metric: METRICS, Gap: GAPS, EquityScaled: EQUITY_SCALED}[type(row)]
        for each in (table, QUANTITIES):
            monkeypatch.setitem(each, name, row)
    case = of_classes(classes)
    assert set(rows) <= set(case.report.quantities)
    assert "error_rate" in case.report.overall
    assert_reported(case)
    assert_compared(case)


def test_a_new_score_of_texts_needs_no_other_change():
    case = of_texts("my_score")
    assert {"my_score", "my_score_gap", "my_score_fairclip"} <= set(case.report.quantities)
    assert_reported(case)
    assert_compared(case)
