"""Who gains and who loses by each setting, what the runs' reports decide, and every group's numbers."""

import csv
import io
import re

import numpy as np
import pytest

from fairlora_cls.ablations.against_reference import _with_seeds
from fairlora_cls.ablations.files import write_ablation
from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.ablations.results import build_report
from fairlora_cls.ablations.runs import RunResult, RunVerdict, group_column, read_runs, runs_table
from fairlora_cls.ablations.statistics import t_test
from fairlora_cls.ablations.verdicts import EndpointOverSeeds, gather_verdicts
from fairlora_cls.ablations.wording import (
    _own_verdicts,
    describe_changes,
    describe_evidence,
    describe_figures,
    describe_settings,
    verdict_tables,
)
from fairlora_cls.evaluation.comparison_results import Difference
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.files import read_json, write_json, write_text
from fairlora_cls.recipe import recipe_to_yaml

# Setting → how many of the 200 women and of the 200 men it answers rightly: 90 % and 70 %, then
# the women fall to the men, the men rise, and nothing changes.
RIGHT = {"plain": (180, 140), "harm": (140, 140), "gain": (180, 176), "same": (180, 140)}


def answers(women, men):
    """Half of the 200 of each have the disease; rightly answered are the first ones."""
    labels = np.tile([0, 1], 200)
    right = np.concatenate([np.arange(200) < count for count in (women, men)])
    predicted = np.where(right, labels, 1 - labels)
    score = np.where(predicted == 1, 0.9, 0.1)
    groups = {"sex": np.repeat(["F", "M"], 200).astype(object)}
    chances = np.column_stack([1 - score, score])
    return Predictions(range(400), labels, predicted, chances, ("no", "yes"), groups)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Plan and results of four settings of two seeds, as training would have left them."""
    folder = tmp_path_factory.mktemp("changes")
    file = folder / "four.yaml"
    listed = "".join(f"  - {{name: {name}, objective.method: vanilla}}\n" for name in RIGHT)
    (folder / "base.yaml").write_text("{data: {source: simulated-fundus, sensitive: [sex]}}")
    file.write_text(
        f"base: base.yaml\nset: {{report.bootstrap: 400}}\nsettings:\n{listed}grid: {{seed: [1, 2]}}"
    )
    plan = make_plan(str(file), folder / "out")
    reports = {
        name: fairness_report(answers(*right), bootstrap=400).to_dict()
        for name, right in RIGHT.items()
    }
    for job in plan.jobs:
        table = answers(*RIGHT[job.setting])
        write_text(job.folder / "recipe.yaml", recipe_to_yaml(job.recipe))
        write_json(job.folder / "run.json", {"status": "complete"})
        write_json(job.folder / "report" / "report.json", reports[job.setting])
        for split in ("validation", "test"):
            write_predictions(table, job.folder / "predictions" / f"{split}.csv")
    return plan, read_runs(plan, {})


@pytest.fixture(scope="module")
def report(finished):
    return build_report(*finished)


def test_every_group_is_in_the_table(finished):
    first, *_ = csv.DictReader(io.StringIO(runs_table(*finished)))
    assert first["setting"] == "plain"
    assert (first["sex:F:n"], first["sex:F:positives"]) == ("200", "100")
    assert (first["sex:F:accuracy"], first["sex:M:accuracy"]) == ("0.9", "0.7")
    assert (first["sex:M:sensitivity"], first["sex:M:specificity"]) == ("0.7", "0.7")
    assert first["sex:M:auroc"] == "0.7"
    assert first["sex:max_acc_gap"] == "0.2"
    columns = list(first)
    assert columns.index("sex:max_acc_gap") < columns.index("sex:F:n") < columns.index("seconds")


def test_no_two_columns_have_one_name():
    names = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b%3Ac"), ("a:", "b"), ("a", ":b")]
    assert len({group_column(*name, "n") for name in names}) == len(names)
    assert group_column("ethnicity", "Hispanic", "n") == "ethnicity:Hispanic:n"


def test_a_change_of_each_group_by_hand(report):
    changes = report.pair("harm").attributes["sex"].changes
    assert changes["F"]["accuracy"].difference == pytest.approx(-0.2)
    assert changes["M"]["accuracy"].difference == 0
    low, high = changes["F"]["accuracy"].interval
    half = 1.96 * np.sqrt(0.2 * 0.8 / 200)  # 40 of 200 women are answered otherwise
    assert (low, high) == pytest.approx((-0.2 - half, -0.2 + half), abs=0.015)
    assert report.pair("gain").attributes["sex"].changes["M"]["accuracy"].difference == (
        pytest.approx(0.18)
    )
    assert report.pair("harm").attributes["sex"].groups == {"F": 200, "M": 200}
    assert report.pair("plain") is None


def test_a_smaller_gap_by_harm_is_not_told_as_one_by_gain(report):
    told = {text.split(",")[0]: text for text in describe_changes(report)}
    assert "levelling down: no group is served better by harm" in told["harm"]
    assert "No group is served worse by gain" in told["gain"]
    assert "No group's Accuracy changes" in told["same"]
    gaps = [text for text in describe_evidence(report) if "MaxAccGap" in text]
    assert len(gaps) == 2
    assert all(("levelling down" in text) == text.startswith("harm") for text in gaps)
    settings = {text.split(":")[0]: text for text in describe_settings(report)}
    assert re.search(
        r"Beside plain: by sex a group loses: worse for F \(200 images\); .* levelling down",
        settings["harm"],
    )
    assert "none is shown to lose: better for M (200 images)" in settings["gain"]
    assert "harm (levelling down) and gain in both" in " ".join(describe_figures(report))
    assert "Beside" not in settings["plain"]


def test_settings_say_what_their_own_reports_decide(report):
    (table,) = verdict_tables(report)
    rows = {row[0].text: row[1:] for row in table.rows}
    accuracy = table.header.index("Wrong answers") - 1
    assert rows["plain"][accuracy].text == "evidence 2"
    assert rows["plain"][accuracy].detail == "M is served worst (2 of 2 seeds)"
    assert rows["harm"][accuracy].text == "undecided 2"
    plain, harm, *_ = describe_settings(report)
    assert re.search(r"by sex M is served worst \(2 of 2 seeds\) in .*Wrong answers", plain)
    assert "4 of 4 questions undecided" in harm


def test_one_group_leaves_nothing_to_decide():
    undefined = EndpointOverSeeds("sex", "auroc", "AUROC", ("undefined",) * 2, (None,) * 2)
    mixed = EndpointOverSeeds("race", "auroc", "AUROC", ("equal", "undecided"), ("A", "A"))
    told = _own_verdicts([undefined, mixed])
    assert "1 of 2 questions undecided" in told
    assert "1 undefined" in told


def test_seeds_that_disagree_are_counted_not_pooled(finished):
    job = finished[0].jobs[0]

    def run(verdict, worse):
        verdicts = (RunVerdict("sex", "auroc", verdict, worse),)
        return RunResult(job, "complete", verdicts=verdicts)

    runs = [run("evidence", "F"), run("undecided", "F"), run("evidence", "M")]
    (found,) = gather_verdicts([*runs, RunResult(job, "complete")])
    assert found.counts() == {"evidence": 2, "undecided": 1}
    assert found.harmed() == {"F": 1, "M": 1}
    assert found.verdicts == ("evidence", "undecided", "evidence", None)


def test_a_change_needs_both_kinds_of_chance():
    """Of three seeds, by hand: the larger p, and an interval as far as the wider one reaches."""
    images = Difference(0.8, 0.7, -0.1, (-0.14, -0.06), 0.01, None, (-0.15, -0.05))
    found = _with_seeds(images, np.array([-0.1, -0.3, 0.1]), 0.01)
    assert found.p_value == t_test(np.array([-0.1, -0.3, 0.1])) > 0.3
    assert found.interval[0] < -0.14
    assert found.interval[1] > -0.06
    certain = _with_seeds(images, np.array([-0.101, -0.1, -0.099]), 0.01)
    assert (certain.p_value, certain.interval) == (0.01, (-0.14, -0.06))
    assert t_test(np.array([0.1, 0.1 + 1e-16, 0.1])) is None
    alone = _with_seeds(images, np.array([-0.1]), 0.01)
    assert (alone.p_value, alone.interval) == (0.01, (-0.14, -0.06))


def test_the_files_hold_verdicts_and_changes(report, finished, tmp_path):
    plan, _ = finished
    write_ablation(report, plan.folder)
    values = read_json(plan.folder / "report.json")
    plain, harm, gain, _ = values["settings"]
    (accuracy,) = [v for v in plain["verdicts"] if v["endpoint"] == "accuracy"]
    assert accuracy["verdicts"] == ["evidence", "evidence"]
    assert accuracy["worse"] == ["M", "M"]
    assert plain["changes"] == {}
    assert harm["changes"]["sex"]["levelling_down"] is True
    assert gain["changes"]["sex"]["levelling_down"] is False
    women = harm["changes"]["sex"]["groups"]["F"]
    assert women["n"] == 200
    assert women["accuracy"]["difference"] == pytest.approx(-0.2)
    text = (plan.folder / "report.md").read_text()
    assert text.index("## Setting by setting") < text.index("## Every setting")
    page = (plan.folder / "report.html").read_text()
    folded = page.rindex("Who gains, who loses beside plain")
    assert page.rindex("<details", 0, folded) > page.rindex("</details>", 0, folded)


def test_a_bound_that_is_met_by_harm_is_refused(report):
    """By validation, where the numbers are the same: harm has no gap, gain 2 points."""
    chosen = {each.rule: each for each in report.selections.chosen}
    assert chosen["bounded_accuracy"].setting == "gain"
    assert report.selections.refused["harm"] == pytest.approx({"sex/F": 0.2, "sex/M": 0.18})
