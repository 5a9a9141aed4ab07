"""The report says what the dataclass holds, tells chance from evidence, and harms no one."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, ONE_VS_REST
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    write_predictions,
)
from fairlora_cls.evaluation.report import fairness_report, write_report
from fairlora_cls.evaluation.summary import describe_in_short, describe_verdict
from fairlora_cls.evaluation.tables import attribute_tables, overall_tables
from fairlora_cls.presentation.rendering import markdown_text

TABLE_1 = {  # correct answers of each group of SIZES, overall in %, gap in points
    "zero-shot": ((908, 41, 54), 50.15, 3.95),
    "vanilla": ((970, 43, 57), 53.50, 3.80),
    "fr": ((971, 44, 56), 53.55, 6.04),
    "gr": ((965, 41, 57), 53.15, 1.17),
    "hybrid": ((969, 43, 57), 53.45, 3.80),
}
SIZES = {"Non-Hispanic": 1816, "Hispanic": 76, "Unknown": 108}


def answers(sizes, correct, attribute="ethnicity") -> Predictions:
    """So many examples and correct answers in each group; labels alternate."""
    labels, predicted, groups = [], [], []
    for (name, size), right in zip(sizes.items(), correct, strict=True):
        for place in range(size):
            labels.append(place % 2)
            predicted.append(place % 2 if place < right else 1 - place % 2)
            groups.append(name)
    score = np.where(np.array(predicted) == 1, 0.9, 0.1)
    return Predictions(
        range(len(labels)),
        labels,
        predicted,
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {attribute: np.array(groups, dtype=object)},
    )


def simulated(count=240, classes=3, seed=0, **attributes) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    logits = generator.normal(0, 1, (count, classes))
    logits[np.arange(count), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        range(count),
        labels,
        probabilities.argmax(axis=1),
        probabilities,
        tuple(f"class {code}" for code in range(classes)),
        {name: np.array(values, dtype=object) for name, values in attributes.items()},
    )


def cycled(names, count=240):
    return [names[place % len(names)] for place in range(count)]


@pytest.mark.parametrize("method", TABLE_1)
def test_table_1_is_not_evidence(method):
    correct, overall, gap = TABLE_1[method]
    report = fairness_report(answers(SIZES, correct), bootstrap=200)
    found = report.attributes["ethnicity"].gaps["max_acc_gap"]
    assert 100 * report.overall["accuracy"].value == pytest.approx(overall, abs=0.005)
    assert 100 * found.value == pytest.approx(gap, abs=0.005)
    assert found.null_mean == pytest.approx(0.0729, abs=0.0015)
    assert found.null_interval == pytest.approx((0.0121, 0.1691), abs=0.003)
    assert found.p_value > 0.5
    (verdict,) = (v for v in report.verdicts if v.endpoint == "accuracy")
    assert verdict.verdict == "undecided"
    assert verdict.hidden_up_to > 0.1


def test_a_planted_gap_is_evidence():
    report = fairness_report(answers({"A": 500, "B": 500}, (425, 350)), bootstrap=200)
    gap = report.attributes["ethnicity"].gaps["max_acc_gap"]
    assert gap.value == pytest.approx(0.15)
    assert (gap.best, gap.worst) == ("A", "B")
    assert gap.p_value < 0.001
    (verdict,) = (v for v in report.verdicts if v.endpoint == "accuracy")
    assert (verdict.verdict, verdict.worse) == ("evidence", "B")


def first_paragraphs(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    return list(map(unescape, re.findall(r"<p class=\"summary\">(.*?)</p>", page, re.DOTALL)))


def test_the_first_paragraphs_tell_what_is_known_from_what_is_not(tmp_path):
    """Table 1's predictions, and 15 points planted between groups of 500."""
    for name, sizes, correct in (
        ("gr", SIZES, TABLE_1["gr"][0]),
        ("vanilla", SIZES, TABLE_1["vanilla"][0]),
        ("planted", {"A": 500, "B": 500}, (425, 350)),
    ):
        report = fairness_report(answers(sizes, correct), bootstrap=200)
        write_report(report, tmp_path / name)
        paragraphs = first_paragraphs(tmp_path / name)
        assert paragraphs == describe_in_short(report)
        text = " ".join(paragraphs)
        if name == "planted":
            assert "of 100 examples in the group B, 30 (" in text
            assert "in the group A, 15 (" in text
        else:
            assert "Chance does not explain" not in text
            assert "could hide: ethnicity up to" in text
        for paragraph in paragraphs:
            page = unescape((tmp_path / name / "report.md").read_text(encoding="utf-8"))
            assert paragraph in page.replace("\\", "")


def test_a_gap_among_many_attributes_is_not_evidence():
    """p about 0.02 by itself: evidence if accuracy is all that was asked, of one attribute; not if
    it was asked of four."""
    alone = answers({"A": 300, "B": 300}, (240, 215))
    report = fairness_report(alone, bootstrap=200, endpoints=["accuracy"])
    gap = report.attributes["ethnicity"].gaps["max_acc_gap"]
    assert 0.01 < gap.p_value < 0.05
    assert gap.p_value_headline == gap.p_value < gap.p_value_holm
    assert [v.verdict for v in report.verdicts] == ["evidence"]
    others = {f"other{k}": np.array(["x", "y"])[np.arange(600) // k % 2] for k in (1, 2, 3)}
    many = Predictions(
        alone.ids,
        alone.labels,
        alone.predictions,
        alone.probabilities,
        alone.classes,
        alone.attributes | others,
    )
    report = fairness_report(many, bootstrap=200, endpoints=["accuracy"])
    gap = report.attributes["ethnicity"].gaps["max_acc_gap"]
    assert gap.p_value < 0.05 < gap.p_value_headline <= 4 * gap.p_value
    (verdict,) = (v for v in report.verdicts if v.attribute == "ethnicity")
    assert verdict.verdict == "undecided"
    assert verdict.p_value < 0.05 < verdict.p_value_family


def test_same_tests_count_once():
    report = fairness_report(answers({"A": 90, "B": 90}, (60, 50)), bootstrap=100)
    gaps = report.attributes["ethnicity"].gaps
    assert report.gaps_tested == len(GAPS) - 2
    assert gaps["specificity_gap"].p_value_holm == gaps["fpr_gap"].p_value_holm
    three = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=50)
    found = three.attributes["g"].class_gaps
    corrected = [g.p_value_holm for gaps in found.classes.values() for g in gaps.values()]
    assert three.gaps_tested == len(GAPS) - 2 + len(ONE_VS_REST) * 4
    assert None not in corrected


def test_a_biased_interval_is_marked():
    """Three groups of 50 with equal accuracy: every resample shows a gap, the data show none."""
    report = fairness_report(answers({"A": 50, "B": 50, "C": 50}, (30, 30, 30)), bootstrap=300)
    gap = report.attributes["ethnicity"].gaps["max_acc_gap"]
    assert gap.value == 0
    assert gap.bootstrap_bias > 0.05
    assert gap.interval_is_biased
    assert gap.interval_bias_corrected is None
    planted = fairness_report(answers({"A": 500, "B": 500}, (425, 350)), bootstrap=300)
    assert not planted.attributes["ethnicity"].gaps["max_acc_gap"].interval_is_biased


def test_three_classes_one_against_the_rest():
    predictions = simulated(g=cycled(["A", "B"]))
    report = fairness_report(predictions, bootstrap=100)
    rest = report.overall_classes
    assert list(rest.classes) == list(report.classes)
    for code, label in enumerate(report.classes):
        of_class = predictions.labels == code
        hits = (predictions.predictions == code)[of_class].mean()
        assert rest.classes[label]["sensitivity"].value == pytest.approx(hits)
        low, high = rest.classes[label]["auroc"].interval
        assert low < rest.classes[label]["auroc"].value < high
    assert rest.classes["class 2"]["ppv"].value == report.overall["ppv"].value
    assert rest.macro["auroc"].value == pytest.approx(report.overall["auroc"].value)
    assert rest.macro["sensitivity"].value == pytest.approx(
        report.overall["balanced_accuracy"].value
    )
    groups = report.attributes["g"].group_classes
    gap = report.attributes["g"].class_gaps.classes["class 1"]["sensitivity_gap"]
    values = [groups[name].classes["class 1"]["sensitivity"].value for name in "AB"]
    assert gap.value == pytest.approx(abs(values[0] - values[1]))
    assert 0 < gap.p_value <= 1


def test_counts_stand_beside_undefined_values():
    labels = [0] * 30 + [0, 1] * 15
    score = np.tile([0.2, 0.7], 30)
    predictions = Predictions(
        range(60),
        labels,
        (score > 0.5).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": np.array(["A"] * 30 + ["B"] * 30)},
    )
    metrics = fairness_report(predictions, bootstrap=20).attributes["g"].groups["A"].metrics
    assert (metrics["sensitivity"].value, metrics["sensitivity"].count) == (None, 0)
    assert (metrics["auroc"].value, metrics["auroc"].count) == (None, 0)
    assert (metrics["specificity"].count, metrics["ppv"].count) == (30, 15)


def test_units_are_drawn_whole_and_said_so(tmp_path):
    alone = simulated(300, classes=2, g=["A"] * 150 + ["B"] * 150)
    units = Predictions(
        alone.ids,
        alone.labels,
        alone.predictions,
        alone.probabilities,
        alone.classes,
        alone.attributes,
        units=[place // 3 for place in range(300)],
    )
    report = fairness_report(units, bootstrap=100)
    assert report.units == 100
    assert report.to_dict()["method"]["units"] == 100
    write_report(report, tmp_path / "report")
    assert "100 patients or lesions" in (tmp_path / "report" / "report.html").read_text()
    assert (
        report.overall["accuracy"].value
        == fairness_report(alone, bootstrap=0).overall["accuracy"].value
    )


def test_prevalence_overlap_and_rule_are_warned_of():
    generator = np.random.default_rng(0)
    groups = np.repeat(["A", "B"], 200)
    labels = (generator.random(400) < np.where(groups == "A", 0.2, 0.5)).astype(int)
    score = generator.random(400)
    predictions = Predictions(
        range(400),
        labels,
        generator.integers(0, 2, 400),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": groups},
    )
    report = fairness_report(predictions, bootstrap=100, seen={"train": {"3", "4", "x"}})
    text = "\n".join(report.warnings)
    assert re.search(r"'yes' is the label of [12]\d\.\d% of A and [45]\d\.\d% of B", text)
    constant = Predictions(
        range(400), labels, np.zeros(400, int), [[1.0, 0.0]] * 400, ("no", "yes"), {"g": groups}
    )
    gap = fairness_report(constant, bootstrap=0).attributes["g"].gaps["max_acc_gap"].value
    assert f"the same answer for all has an accuracy gap of {100 * gap:.1f} points." in text
    assert "2 ids of these examples are also in the train split" in text
    assert "neither the most probable classes nor those of one threshold" in text
    assert report.decision.rule == "given"


def test_large_tables_say_that_scores_got_fewer_draws(monkeypatch):
    monkeypatch.setattr("fairlora_cls.statistics.draws.SCORE_WORK", 100)
    report = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=300)
    assert report.score_draws == 200
    assert any("200 resamples instead of 300" in warning for warning in report.warnings)


def test_json_has_the_schema_of_the_design(tmp_path):
    predictions = simulated(sex=cycled(["F", "M"]), race=cycled(["A", "B", "C"]))
    report = fairness_report(predictions, ["sex", "race", "sex×race"], bootstrap=50)
    write_report(report, tmp_path / "report")
    stored = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(report.to_dict()))
    contract = ["schema", "n", "classes", "positive", "endpoints", "verdicts"]
    contract += ["overall", "attributes", "warnings"]
    assert list(stored)[: len(contract)] == contract
    assert stored["schema"] == 1
    assert stored["n"] == 240
    assert stored["classes"] == ["class 0", "class 1", "class 2"]
    assert stored["positive"] == "class 2"
    assert list(stored["overall"]) == list(METRICS)
    assert list(stored["attributes"]) == ["sex", "race", "sex×race"]
    for attribute in stored["attributes"].values():
        assert list(attribute)[:3] == ["groups", "gaps", "equity_scaled"]
        assert sum(group["n"] for group in attribute["groups"].values()) == 240
        for group in attribute["groups"].values():
            assert list(group) == ["n", "positives", *METRICS]
            assert list(group["accuracy"])[:2] == ["value", "interval"]
        assert list(attribute["gaps"]) == list(GAPS)
        for gap in attribute["gaps"].values():
            assert list(gap)[:8] == [
                "value",
                "interval",
                "null_mean",
                "null_interval",
                "p_value",
                "best",
                "worst",
                "undefined_groups",
            ]
            assert gap["p_value"] <= gap["p_value_holm"] <= 1
            assert set(gap["power"]) == {"detectable", "lagging", "needed_per_group", "counted"}
            assert 0 < gap["p_value"] <= 1
        assert list(attribute["equity_scaled"]) == list(EQUITY_SCALED)
    groups = set(stored["attributes"]["sex×race"]["groups"])
    assert groups == {f"{sex}×{race}" for sex in "FM" for race in "ABC"}


def test_undefined_stays_undefined():
    """Group B has no positives: its sensitivity is null, and the gap names it as left out."""
    labels = [0, 1] * 20 + [0] * 20 + [0, 1] * 20
    score = np.tile([0.2, 0.4, 0.6, 0.8], 25)
    groups = ["A"] * 40 + ["B"] * 20 + ["C"] * 40
    predictions = Predictions(
        range(100),
        labels,
        (score > 0.5).astype(int),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": np.array(groups)},
    )
    result = fairness_report(predictions, bootstrap=50).attributes["g"]
    assert result.groups["B"].metrics["sensitivity"].value is None
    assert result.groups["B"].metrics["sensitivity"].interval is None
    assert result.gaps["sensitivity_gap"].undefined_groups == ("B",)
    assert result.gaps["sensitivity_gap"].value == 0
    assert result.gaps["equalized_odds_difference"].undefined_groups == ("B",)
    assert result.gaps["max_acc_gap"].undefined_groups == ()
    pair = fairness_report(
        Predictions(
            range(60),
            labels[:60],
            (score > 0.5).astype(int)[:60],
            np.column_stack([1 - score, score])[:60],
            ("no", "yes"),
            {"g": np.array(groups[:60])},
        ),
        bootstrap=50,
    )
    gap = pair.attributes["g"].gaps["auroc_gap"]
    assert (gap.value, gap.interval, gap.p_value, gap.best) == (None, None, None, None)
    assert pair.attributes["g"].equity_scaled["auroc_fairllava"].value is None
    assert any("no positives among 20" in warning for warning in pair.warnings)


def test_warnings_in_words():
    groups = ["A"] * 190 + ["tiny"] * 12 + [""] * 8 + ["zeta"] * 30
    report = fairness_report(simulated(g=groups), bootstrap=20, notes=("3 unreadable images",))
    text = "\n".join(report.warnings)
    assert "tiny (12)" in text
    assert "8 of 240 examples have no value" in text
    counts = {name: group.n for name, group in report.attributes["g"].groups.items()}
    assert list(counts.items()) == [("A", 190), ("tiny", 12), ("zeta", 30), ("missing", 8)]
    assert report.warnings[-1] == "3 unreadable images"


def test_groups_stand_in_reading_order():
    ages = ["10-14", "missing", "5-9", "65+", "", "100"]
    report = fairness_report(simulated(age=cycled(ages)), bootstrap=20)
    assert list(report.attributes["age"].groups) == ["5-9", "10-14", "65+", "100", "missing"]
    for name, group in report.attributes["age"].groups.items():
        assert group.n == (80 if name == "missing" else 40)


def test_a_collapsed_classifier_is_named():
    labels = [0] * 20 + [1] * 60
    predictions = Predictions(
        range(80),
        labels,
        [0] * 80,
        np.tile([0.6, 0.4], (80, 1)),
        ("no", "yes"),
        {"g": cycled(["A", "B"], 80)},
    )
    report = fairness_report(predictions, bootstrap=20)
    text = "\n".join(report.warnings)
    assert "all 80 predictions are 'no'" in text
    assert "same probabilities" in text
    assert "25.0%, below the 75.0%" in text
    assert report.overall["auroc"].value == 0.5
    assert report.overall["ppv"].value is None


def test_one_group_one_example_and_many_groups(tmp_path):
    single = fairness_report(simulated(g=["A"] * 240), bootstrap=20)
    assert single.attributes["g"].gaps["max_acc_gap"].value is None
    assert any("one group" in warning for warning in single.warnings)
    lone = fairness_report(simulated(g=["A"] * 239 + ["B"]), bootstrap=20).attributes["g"]
    assert lone.groups["B"].n == 1
    assert lone.groups["B"].metrics["accuracy"].value in (0, 1)
    assert lone.groups["B"].metrics["auroc"].value is None
    only = fairness_report(simulated(count=1, g=["A"]), bootstrap=20)
    assert only.overall["auroc"].value is None
    many = fairness_report(simulated(1000, classes=2, g=cycled(range(200), 1000)), bootstrap=20)
    assert len(many.attributes["g"].groups) == 200
    assert len(many.attributes["g"].gaps["max_acc_gap"].best) > 0
    for name, report in {"single": single, "only": only, "many": many}.items():
        write_report(report, tmp_path / name)
        assert (tmp_path / name / "report.html").exists()


def test_an_identifier_is_not_an_attribute():
    with pytest.raises(InputError, match=r"'patient' has 600 different values"):
        fairness_report(simulated(count=600, patient=range(600)), bootstrap=20)


def test_no_labels_no_report(tmp_path):
    path = tmp_path / "unlabelled.csv"
    path.write_text("id,label,prob_a,prob_b\n1,,.5,.5\n2,a,.6,.4\n")
    with pytest.raises(InputError, match="1 of 2 examples have no label"):
        fairness_report(read_predictions(path))
    with pytest.raises(InputError, match="did you mean 'sex'"):
        fairness_report(simulated(sex=cycled(["F", "M"])), ["sx"])


def test_one_seed_one_report_whatever_else_is_asked():
    predictions = simulated(sex=cycled(["F", "M"]), race=cycled(["A", "B", "C"]))
    both = fairness_report(predictions, ["sex", "race"], bootstrap=50)
    assert both == fairness_report(predictions, ["sex", "race"], bootstrap=50)
    alone = fairness_report(predictions, ["sex"], bootstrap=50)
    for part in ("groups", "equity_scaled", "prevalence", "curves", "group_classes"):
        assert getattr(alone.attributes["sex"], part) == getattr(both.attributes["sex"], part)
    p_values = [report.attributes["sex"].gaps["auroc_gap"].p_value for report in (alone, both)]
    assert p_values[0] == p_values[1]
    other = fairness_report(predictions, ["sex"], bootstrap=50, seed=1)
    assert (
        other.attributes["sex"].gaps["max_acc_gap"] != alone.attributes["sex"].gaps["max_acc_gap"]
    )


def test_without_bootstrap_there_are_values_only(tmp_path):
    report = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=0)
    gap = report.attributes["g"].gaps["max_acc_gap"]
    assert gap.value is not None
    assert (gap.interval, gap.null_mean, gap.p_value) == (None, None, None)
    write_report(report, tmp_path / "report")
    with pytest.raises(ValueError, match="-1"):
        fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=-1)


def test_a_table_read_back_gives_the_same_report(tmp_path):
    predictions = simulated(g=cycled(["A", "B", ""]))
    write_predictions(predictions, tmp_path / "test.csv")
    read = read_predictions(tmp_path / "test.csv")
    assert fairness_report(read, bootstrap=20) == fairness_report(predictions, bootstrap=20)


def test_a_report_is_written_without_what_is_slow_to_import(tmp_path):
    write_predictions(simulated(g=cycled(["A", "B"])), tmp_path / "test.csv")
    slow = "torch", "matplotlib", "sklearn", "fairlearn"
    code = (
        "import sys\n"
        "from fairlora_cls.evaluation.prediction_table import read_predictions\n"
        "from fairlora_cls.evaluation.report import fairness_report, write_report\n"
        "report = fairness_report(read_predictions('test.csv'), bootstrap=20)\n"
        "write_report(report, 'report')\n"
        f"print([name for name in {slow} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert len(list((tmp_path / "report" / "figures").glob("*.svg"))) == 5


def test_pngs_are_written_on_demand_and_go_with_their_report(tmp_path):
    report = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=20)
    write_report(report, tmp_path, png=True)
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    pictures = list((tmp_path / "figures").glob("*.png"))
    assert {path.stem for path in pictures} == drawn
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    write_report(report, tmp_path)
    assert not list((tmp_path / "figures").glob("*.png"))


HOSTILE = ["<script>alert(1)</script>", 'a|b "quoted" & $x^$', "Ӝ & <b>", "*bold* [link](x) `code`"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "report"
    predictions = simulated(**{"<i>group": cycled(HOSTILE)})
    predictions = Predictions(
        predictions.ids,
        predictions.labels,
        predictions.predictions,
        predictions.probabilities,
        ("no", "<script>class", "c|d"),
        predictions.attributes,
    )
    report = fairness_report(predictions, bootstrap=50, notes=("<script>note",))
    write_report(report, folder)
    return report, folder


def test_names_do_no_harm_in_the_page(hostile):
    _, folder = hostile
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>" not in page
    assert "Ӝ & <b>" not in page
    assert "alert(1)" in page
    for name in HOSTILE:
        assert name in unescape(page)
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", page)
    assert "@import" not in page
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 2 for before, after in pairwise(levels))
    drawn = page.count("<svg")
    assert drawn == 5 + 5  # figures, and a cell of the overview per endpoint
    assert len(re.findall(r'role="img" aria-label="[^"]{20,}"', page)) == drawn
    identities = re.findall(r' id="([^"]*)"', page)
    assert len(identities) == len(set(identities))
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_names_do_no_harm_in_markdown(hostile):
    _, folder = hostile
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    table = [line for line in rows if re.match(r"\| (Group|Examples|Accuracy) \|", line)]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table[-3:]} == {len(HOSTILE) + 2}
    for name in re.findall(r"\(figures/([^)]*)\)", text):
        drawing = ElementTree.parse(folder / "figures" / name).getroot()
        assert drawing.get("aria-label")


def test_every_number_in_the_files_is_the_dataclass(hostile):
    report, folder = hostile
    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    assert describe_in_short(report)[0] in page
    ((attribute, result),) = report.attributes.items()
    for verdict in report.verdicts:
        assert describe_verdict(report, verdict) in page
    for warning in report.warnings:
        assert warning in page
    text = (folder / "report.md").read_text(encoding="utf-8")
    for table in (*overall_tables(report), *attribute_tables(report, attribute)):
        assert table.caption in page
        for row in table.rows:
            for cell in row:
                assert cell.text in page
                assert cell.detail in page
                assert re.sub(r"<.*", "", cell.detail).strip() in text
    accuracy = result.groups[HOSTILE[0]].metrics["accuracy"]
    low, high = accuracy.interval
    assert accuracy.interval_method == "wilson"  # of 60 examples
    shown = f"{100 * accuracy.value:.1f}%<small>{100 * low:.1f} to {100 * high:.1f}</small>"
    assert shown in page


def test_a_failure_leaves_no_half_written_report(tmp_path, monkeypatch):
    report = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=20)
    write_report(report, tmp_path / "report")
    (tmp_path / "report" / "mine.txt").write_text("keep")
    before = {p: p.read_bytes() for p in (tmp_path / "report").rglob("*") if p.is_file()}

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("fairlora_cls.presentation.writing.render_markdown", fail)
    for target in ("report", "new"):
        with pytest.raises(OSError, match="disk full"):
            write_report(report, tmp_path / target)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_new_report_replaces_the_old_one_only(tmp_path):
    folder = tmp_path / "report"
    predictions = simulated(a=cycled(["A", "B"]), b=cycled(["C", "D"]))
    write_report(fairness_report(predictions, bootstrap=20), folder)
    (folder / "mine.txt").write_text("keep")
    assert any(path.name.startswith("2-b") for path in (folder / "figures").iterdir())
    write_report(fairness_report(predictions, ["a"], bootstrap=20), folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "checklist.md",
        "figures",
        "mine.txt",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert all(path.name.startswith("1-a") for path in (folder / "figures").iterdir())


def test_row_numbers_are_no_leak_but_names_are():
    table = simulated(g=cycled(["A", "B"]))
    numbered = replace(table, ids=tuple(map(str, range(len(table.ids)))))
    rows = {str(number) for number in range(1, 90)}
    warned = [
        any("also in the" in w for w in fairness_report(t, bootstrap=0, seen={"train": s}).warnings)
        for t, s in (
            (numbered, rows),
            (numbered, {"3", "9"}),
            (replace(table, ids=tuple(f"i{i}" for i in numbered.ids)), {"i3"}),
        )
    ]
    assert warned == [False, True, True]


def test_scores_of_the_other_class_name_the_option():
    table = simulated(classes=2, g=cycled(["A", "B"]))
    turned = replace(table, probabilities=table.probabilities[:, ::-1])
    named = [
        [w for w in fairness_report(t, bootstrap=0).warnings if "--positive 'class 0'" in w]
        for t in (table, turned)
    ]
    assert [len(warnings) for warnings in named] == [0, 1]


def test_one_attribute_may_be_given_alone():
    table = simulated(sex=cycled(["F", "M"]), race=cycled(["A", "B", "C"]))
    assert list(fairness_report(table, "sex", bootstrap=0).attributes) == ["sex"]


def test_no_line_of_markdown_begins_a_list_or_a_quotation():
    assert markdown_text("1. sex") == "1\\. sex"
    assert markdown_text("- sex") == "\\- sex"
    assert markdown_text("> 65") == "&gt; 65"
    assert markdown_text("-0.3 to 1.5, p > 0.05") == "-0.3 to 1.5, p > 0.05"


def scored(count, groups, units=None, prevalence=0.5, seed=0) -> Predictions:
    """Two classes whose probabilities are right."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(count) < prevalence).astype(int)
    score = generator.normal(size=count) + 1.5 * labels - 0.75
    positive = 1 / (1 + np.exp(-(np.log(prevalence / (1 - prevalence)) + 1.5 * score)))
    return Predictions(
        range(count),
        labels,
        (score > 0).astype(int),
        np.column_stack([1 - positive, positive]),
        ("no", "yes"),
        {"g": np.array(groups, dtype=object)},
        units=units,
    )


def test_a_calibration_error_stands_beside_what_noise_alone_shows():
    """Of right probabilities it is noise, and the larger the smaller the group."""
    report = fairness_report(scored(1240, ["many"] * 1200 + ["few"] * 40), bootstrap=50)
    groups = report.attributes["g"].groups
    for group in groups.values():
        error = group.metrics["ece"]
        assert error.interval is None
        assert "noise" in error.interval_method
        assert error.null_interval[0] < error.null_mean < error.null_interval[1]
        assert error.null_interval[0] / 1.5 < error.value < 1.5 * error.null_interval[1]
        assert group.metrics["brier"].null_mean is None
    assert groups["few"].metrics["ece"].null_mean > 3 * groups["many"].metrics["ece"].null_mean
    gap = report.attributes["g"].gaps["ece_gap"]
    assert (gap.interval, gap.p_value is None) == (None, False)
    stored = report.to_dict()["attributes"]["g"]["groups"]["few"]["ece"]
    assert stored["null_interval"] == groups["few"].metrics["ece"].null_interval
    told = [cell.detail for table in attribute_tables(report, "g") for cell in sum(table.rows, ())]
    low, high = groups["few"].metrics["ece"].null_interval
    assert f"noise alone: {low:.3f} to {high:.3f}" in told
    assert any("no interval: noise alone" in detail for detail in told)


def test_every_gap_is_the_interval_of_its_verdict_and_can_be_none():
    report = fairness_report(answers({"A": 90, "B": 90}, (60, 60)), bootstrap=60)
    result = report.attributes["ethnicity"]
    for verdict in report.verdicts:
        gap = result.gaps[
            {"accuracy": "max_acc_gap"}.get(verdict.endpoint, f"{verdict.endpoint}_gap")
        ]
        assert gap.interval == verdict.interval
        assert gap.interval_method == "simultaneous"
        assert gap.interval[0] == 0
    assert result.gaps["demographic_parity_ratio"].interval[1] == 1
    score, whole = result.equity_scaled["accuracy_fairllava"], report.overall["accuracy"].value
    assert score.interval[0] < score.value <= whole <= score.interval[1]


def test_few_patients_with_many_images_are_few():
    """Three patients of 20 images: nothing about them is nearly certain."""
    units = [f"p{place // 20}" for place in range(1060)]
    table = scored(1060, ["three"] * 60 + ["fifty"] * 1000, units)
    groups = fairness_report(table, bootstrap=100).attributes["g"].groups
    for name in ("accuracy", "auroc", "f1", "balanced_accuracy", "average_precision"):
        few, many = (groups[group].metrics[name].interval for group in ("three", "fifty"))
        assert few[1] - few[0] > 0.1, name
        assert many[1] - many[0] < 0.08, name


@pytest.mark.parametrize("classes", [2, 3])
def test_no_group_is_certain(classes):
    """All of seven patients are answered rightly, in every class."""
    table = simulated(247, classes, g=["A", "B"] * 120 + ["tiny"] * 7)
    labels, probabilities = table.labels.copy(), table.probabilities.copy()
    labels[-7:] = np.arange(7) % classes
    probabilities[-7:] = np.where(np.eye(classes)[labels[-7:]] == 1, 0.98, 0.02 / (classes - 1))
    right = Predictions(
        table.ids,
        labels,
        probabilities.argmax(axis=1),
        probabilities,
        table.classes,
        table.attributes,
    )
    result = fairness_report(right, bootstrap=60).attributes["g"]
    estimates = result.groups["tiny"].metrics
    if classes > 2:
        each = result.group_classes["tiny"]
        estimates = estimates | each.macro | each.classes["class 1"]
    for name, estimate in estimates.items():
        if name not in ("ece", "selection_rate"):
            assert estimate.interval[1] - estimate.interval[0] > 0.2, name
    if classes > 2:  # every class's share of the predictions: a third on average, always
        assert "agree" in result.group_classes["tiny"].macro["selection_rate"].interval_method


def test_a_single_resample_gives_no_percentiles_without_a_word():
    report = fairness_report(simulated(g=cycled(["A", "B"])), bootstrap=1)
    found = report.attributes["g"]
    assert found.groups["A"].metrics["accuracy"].interval_method == "wilson"
    for stated in (found.groups["A"].metrics["average_precision"], found.gaps["brier_gap"]):
        assert stated.interval is None
        assert "fewer than 40 resamples" in stated.interval_method
    assert found.gaps["max_acc_gap"].interval_bias_corrected is None
