"""Sites: how far they differ, what a new one may expect, all without each, gaps inside each."""

import json
from dataclasses import replace
from math import exp, log, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.other_splits import training_sites
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.evaluation.report import fairness_report, text_report, write_report
from fairlora_cls.evaluation.sites import measure_sites
from fairlora_cls.evaluation.verdicts import class_endpoints
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs.assembly import treat_splits
from fairlora_cls.runs.classify import CLASSIFY
from fairlora_cls.runs.compared import trained_sites
from fairlora_cls.statistics.independent_samples import Known, difference, random_effects
from fairlora_cls.texts.generations import generations_of, write_generations
from fairlora_cls.texts.scores import TextScores


def table_of(cells, **more):
    """Predictions of a classifier: (site, group) → (cases found, cases, false alarms, others)."""
    labels, answers, sites, groups = [], [], [], []
    for (site, group), (hits, cases, alarms, others) in cells.items():
        labels += [1] * cases + [0] * others
        answers += [1] * hits + [0] * (cases - hits) + [1] * alarms + [0] * (others - alarms)
        sites += [site] * (cases + others)
        groups += [group] * (cases + others)
    score = np.where(np.array(answers) == 1, 0.8, 0.2)
    attributes = {"sex": np.array(groups, object), "hospital": np.array(sites, object)}
    return Predictions(
        range(len(labels)),
        labels,
        answers,
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        attributes,
        **more,
    )


def sites_of(table, **options):
    report = fairness_report(table, site="hospital", **{"bootstrap": 100} | options)
    (section,) = (section for section in report.sections if section.key == "sites")
    return SimpleNamespace(report=report, section=section, **section.values)


THREE = {
    ("A", "f"): (45, 50, 10, 100),
    ("A", "m"): (45, 50, 10, 100),
    ("B", "f"): (20, 40, 5, 50),
    ("B", "m"): (30, 40, 5, 50),
    ("C", "f"): (12, 15, 1, 20),
    ("C", "m"): (10, 15, 3, 20),
}


@pytest.fixture(scope="module")
def three():
    return sites_of(table_of(THREE))


def laird(hits_and_counts):
    """τ², I² and the prediction interval of three shares, by the plain formulas of DerSimonian and
    Laird and of Higgins, Thompson and Spiegelhalter."""
    logits, weights = [], []
    for hits, count in hits_and_counts:
        hits, misses = hits + 0.5, count - hits + 0.5
        logits.append(log(hits / misses))
        weights.append(1 / (1 / hits + 1 / misses))
    mean = sum(w * y for w, y in zip(weights, logits, strict=True)) / sum(weights)
    q = sum(w * (y - mean) ** 2 for w, y in zip(weights, logits, strict=True))
    tau = max(0, (q - 2) / (sum(weights) - sum(w * w for w in weights) / sum(weights)))
    weights = [1 / (1 / w + tau) for w in weights]
    mean = sum(w * y for w, y in zip(weights, logits, strict=True)) / sum(weights)
    half = 12.7062 * sqrt(tau + 1 / sum(weights))  # t with one degree of freedom
    return tau, max(0, (q - 2) / q), [1 / (1 + exp(half - mean)), 1 / (1 + exp(-half - mean))]


def test_three_sites_with_known_rates_by_the_plain_formula(three):
    for name, counts in {
        "sensitivity": [(90, 100), (50, 80), (22, 30)],
        "specificity": [(180, 200), (90, 100), (36, 40)],
        "accuracy": [(270, 300), (140, 180), (58, 70)],
    }.items():
        found = three.between[name]
        tau, i_squared, limits = laird(counts)
        assert found["tau_squared"] == pytest.approx(tau, abs=1e-9)
        assert found["i_squared"] == pytest.approx(i_squared, abs=1e-9)
        assert found["new_site"] == pytest.approx(limits, abs=1e-5)
    assert three.between["sensitivity"]["tau_squared"] > 0.5
    found = three.between["sensitivity"]
    mean = 162 / 210  # of cases, whatever their site
    spread = (100 * (0.9 - mean) ** 2 + 80 * (0.625 - mean) ** 2 + 30 * (22 / 30 - mean) ** 2) / 210
    assert found["spread"] == pytest.approx(spread**0.5)
    assert found["p_value_family"] < 0.01 < 0.5 < three.between["specificity"]["p_value_family"]
    assert (found["lowest"], found["highest"]) == ("B", "A")


def test_each_site_and_all_but_each_by_hand(three):
    site = three.sites["B"]
    assert (site["n"], site["positives"], site["in_training"]) == (180, 80, None)
    assert site["endpoints"]["sensitivity"]["value"] == 0.625
    low, high = site["endpoints"]["sensitivity"]["interval"]
    assert 0.5 < low < 0.625 < high < 0.75
    assert site["without"]["sensitivity"] == pytest.approx(112 / 130)
    assert three.sites["A"]["without"]["accuracy"] == pytest.approx(198 / 250)
    moved = next(text for text in three.section.sentences if "moves the whole most" in text)
    assert "sensitivity by −11.7 points without A (250 remain)" in moved


def test_the_same_gap_is_looked_for_inside_every_site(three):
    (found,) = (w for w in three.within if w["endpoint"] == "sensitivity")
    assert (found["worse"], found["better"]) == ("f", "m")  # 77 and 85 of 105
    gaps = {site: gap["value"] for site, gap in found["gaps"].items()}
    assert gaps == {
        "A": pytest.approx(0),
        "B": pytest.approx(0.25),
        "C": pytest.approx(10 / 15 - 12 / 15),
    }
    assert found["sizes"]["B"] == (40, 40)
    assert (found["compared"], found["same_direction"]) == (3, 1)
    few = sites_of(table_of(THREE), minimum_group_size=40)
    (found,) = (w for w in few.within if w["endpoint"] == "sensitivity")
    assert found["too_small"] == ("C",)


def test_the_report_stays_what_it_is_without_sites(three, tmp_path):
    table = table_of(THREE)
    plain = fairness_report(table, ["sex"], bootstrap=100).to_dict()
    with_sites = three.report.to_dict()
    assert with_sites.pop("sites")["column"] == "hospital"
    assert with_sites == plain
    assert "sites" not in plain
    write_report(three.report, tmp_path)
    kept = json.loads((tmp_path / "report.json").read_text())["sites"]
    assert kept["between"]["sensitivity"]["new_site"] == pytest.approx(
        three.between["sensitivity"]["new_site"]
    )
    page = (tmp_path / "report.html").read_text()
    assert page.index("<details") < page.index("In a new hospital sensitivity may lie between")


def test_two_identical_sites_do_not_differ():
    cells = (40, 50, 5, 50)
    same = sites_of(table_of({(s, g): cells for s in "AB" for g in "fm"}))
    for found in same.between.values():
        assert found["spread"] == pytest.approx(0, abs=1e-9)
        assert found["tau_squared"] == found["i_squared"] == 0
        assert found["p_value"] == 1
        assert found["new_site"] is None
        assert "3 sites" in found["why_none"]


def test_equal_sites_are_seldom_called_different_and_unequal_ones_are():
    generator = np.random.default_rng(3)

    def p_value(*rates):
        hits = [generator.binomial(60, rate) for rate in rates]
        cells = {(f"s{k}", "x"): (h, 60, 0, 1) for k, h in enumerate(hits)}
        table = table_of(cells)
        sample, sites = class_sample(table).quick(), grouping_of(table, "hospital")
        asked = class_endpoints(table.classes, ["sensitivity"])
        found = measure_sites("hospital", sample, sites, {}, (), asked, 50, 20, 1)
        return found.between[0].p_value_family

    assert sum(p_value(0.8, 0.8, 0.8, 0.8) <= 0.05 for _ in range(60)) <= 7
    assert sum(p_value(0.9, 0.8, 0.7, 0.6) <= 0.05 for _ in range(10)) >= 8


def test_new_sites_lie_in_the_prediction_interval_as_often_as_it_says():
    generator = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        *known, new = generator.normal(1.5, 0.6, 9)
        error = generator.uniform(0.1, 0.4, 8)
        found = random_effects(generator.normal(known, error), error**2)
        low, high = found.prediction_interval()
        inside += low <= new <= high
    assert 0.90 <= inside / 400 <= 0.99


def test_a_site_of_one_person_one_without_cases_and_examples_of_no_site():
    cells = THREE | {("D", "f"): (0, 0, 2, 40), ("E", "m"): (1, 1, 0, 0), ("", "m"): (5, 9, 0, 3)}
    found = sites_of(table_of(cells))
    assert found.unrecorded == 12
    assert list(found.sites) == ["A", "B", "C", "D", "E"]
    assert (found.sites["D"]["positives"], found.sites["E"]["n"]) == (0, 1)
    assert found.sites["D"]["endpoints"]["sensitivity"]["value"] is None
    assert found.between["sensitivity"]["left_out"] == ("D",)
    assert found.between["specificity"]["left_out"] == ("E",)
    assert found.between["auroc"]["left_out"] == ("D", "E")
    assert found.between["sensitivity"]["highest"] == "A"  # not the one person of E
    assert found.sites["E"]["without"]["sensitivity"] == pytest.approx((162 + 5) / (210 + 9))
    assert found.report.overall["sensitivity"].count == 220


def test_one_site_and_none():
    one = sites_of(table_of({("A", "f"): (5, 9, 1, 9), ("A", "m"): (5, 9, 1, 9)}))
    assert not one.between
    assert "one site, A" in one.section.sentences[0]
    with pytest.raises(InputError, match="'hospital'"):
        sites_of(table_of({("", "f"): (5, 9, 1, 9)}))
    with pytest.raises(InputError, match="'clinic'"):
        fairness_report(table_of(THREE), site="clinic")


def test_small_cells_leave_no_site(three):
    found = sites_of(table_of(THREE), suppress_below=5)
    assert found.section.values == {"column": "hospital", "withheld": True}
    assert not found.section.tables


def test_without_resamples_there_is_no_test():
    found = sites_of(table_of(THREE), bootstrap=0).between["sensitivity"]
    assert found["p_value"] is found["null_mean"] is None
    assert found["tau_squared"] > 0.5


def test_patients_count_not_images():
    cells = {
        ("A", "f"): (90, 100, 20, 200),
        ("B", "f"): (50, 80, 10, 100),
        ("C", "f"): (22, 30, 4, 40),
    }
    table = table_of(cells)
    twice = tuple(f"p{row // 2}" for row in range(len(table.ids)))
    found, single = (
        sites_of(each, bootstrap=50, endpoints=["sensitivity"]).between["sensitivity"]
        for each in (replace(table, units=twice), table)
    )
    assert found["tau_squared"] == pytest.approx(laird([(45, 50), (25, 40), (11, 15)])[0])
    assert single["tau_squared"] == pytest.approx(laird([(90, 100), (50, 80), (22, 30)])[0])
    assert found["p_value"] > single["p_value"]


@pytest.fixture(scope="module")
def texts():
    generator = np.random.default_rng(1)
    site = np.array(["A", "B", "C"])[np.arange(150) % 3]
    rows = [
        {
            "id": f"i{k}",
            "reference": "r",
            "text": "t",
            "attributes": {"sex": "fm"[k % 2], "hospital": str(site[k])},
        }
        for k in range(150)
    ]
    scores = np.clip(np.where(site == "A", 0.8, 0.4) + generator.normal(0, 0.1, 150), 0, 1)
    return generations_of(rows), TextScores({"s": scores}, None, {}), scores, site


def test_texts_have_sites_too(texts):
    generations, scored, scores, site = texts
    report = text_report(generations, scored, bootstrap=100, site="hospital")
    assert list(report.attributes) == ["sex"]
    found = report.to_dict()["sites"]
    assert found["sites"]["A"]["examples"] == 50
    value = found["sites"]["A"]["endpoints"]["s"]["value"]
    assert value == pytest.approx(scores[site == "A"].mean())
    assert found["sites"]["A"]["without"]["s"] == pytest.approx(scores[site != "A"].mean())
    assert found["between"]["s"]["p_value"] < 0.01
    assert found["between"]["s"]["scale"] == "logit"


def test_more_classes_than_two():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, 120)
    probabilities = np.eye(3)[labels] * 0.5 + generator.dirichlet(np.ones(3), 120) * 0.5
    site = np.array(["A", "B", "C"], object)[np.arange(120) % 3]
    table = Predictions(
        range(120),
        labels,
        probabilities.argmax(1),
        probabilities,
        tuple("abc"),
        {"hospital": site},
    )
    found = sites_of(table)
    assert list(found.between) == ["accuracy", "auroc", *(f"sensitivity of {c}" for c in "abc")]
    own = (site == "A") & (labels == 2)
    value = found.sites["A"]["endpoints"]["sensitivity of c"]["value"]
    assert value == pytest.approx((probabilities.argmax(1)[own] == 2).mean())


def test_newcombes_own_example():
    """1998, method 10: 56 of 70 less 48 of 80."""
    from fairlora_cls.statistics.intervals import wilson_interval

    sides = [Known(h / n, wilson_interval(h / n, n)) for h, n in ((56, 70), (48, 80))]
    found = difference(*sides)
    assert found.value == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference(sides[0], Known(None)) == Known(None)
    assert difference(sides[0], Known(0.5)).interval is None


def test_the_sites_that_training_saw_lie_beside(tmp_path):
    write_predictions(table_of(THREE), tmp_path / "test.csv")
    assert training_sites(tmp_path / "test.csv", "hospital") is None
    seen = {cell: counts for cell, counts in THREE.items() if cell[0] != "C"}
    write_predictions(table_of(seen), tmp_path / "train.csv")
    assert training_sites(tmp_path / "test.csv", "hospital") == {"A", "B"}
    assert training_sites(tmp_path / "train.csv", "hospital") is None
    assert training_sites(tmp_path / "test.csv", "device") is None
    arguments = ["report", str(tmp_path / "test.csv"), "--site", "hospital", "--attribute", "sex"]
    arguments += ["--bootstrap", "20", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    seen = {name: site["in_training"] for name, site in report["sites"]["sites"].items()}
    assert seen == {"A": True, "B": True, "C": False}
    assert list(report["attributes"]) == ["sex"]
    text = (tmp_path / "out" / "report.md").read_text()
    assert "training never saw C" in text


def test_sites_of_texts_lie_beside_too(texts, tmp_path):
    generations, _, _, site = texts
    write_generations(generations.rows(np.flatnonzero(site != "B")), tmp_path / "train.jsonl")
    assert training_sites(tmp_path / "test.jsonl", "hospital") == {"A", "C"}


def test_a_run_writes_its_sites_and_knows_which_it_was_trained_at():
    def example(name, site, label):
        attributes = {"sex": "f" if label else "m", "hospital": site, "secret": "x"}
        return Example(name, name, label, attributes, name)

    test = [example(f"t{k}", "AB"[k % 2], k % 2) for k in range(8)]
    train = [example(f"r{k}", ("A", None)[k % 2], k % 2) for k in range(4)]
    splits = Splits(
        "s", ("no", "yes"), ("sex", "hospital", "secret"), tuple(train), (), tuple(test)
    )
    values = {"data": {"sensitive": ["sex"]}, "objective": {"method": "vanilla"}}
    report = {"site": "hospital", "bootstrap": 20}
    recipe = build_recipe(values | {"report": report})
    assert trained_sites(recipe, splits.train) == {"A"}
    assert trained_sites(build_recipe(values), splits.train) is None
    CLASSIFY.require_reportable(recipe, splits, "test")
    from fairlora_cls.runs.classify import _collect

    table = _collect(recipe, test, np.zeros((8, 2)), splits.classes)
    assert list(table.attributes) == ["sex", "hospital"]
    found = CLASSIFY.report(recipe, {"test": table}, "test", (), {"A"}).to_dict()["sites"]
    assert [found["sites"][name]["in_training"] for name in "AB"] == [True, False]
    wrong = build_recipe(values | {"report": {"site": "clinic"}})
    with pytest.raises(InputError, match="'clinic'"):
        treat_splits(wrong, splits)
