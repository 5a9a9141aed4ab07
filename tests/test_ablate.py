"""`ablate` from the command line: runs, a failure among them, going on, the report."""

import csv
import json
import shlex

import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app

SMALL = """
name: small
base: {base}
settings:
  - {{name: plain, objective.method: vanilla}}
  - {{name: penalty, objective.method: fr}}
  - {{name: wild, objective.method: vanilla, training.learning_rate: 1.0e+30}}
grid: {{seed: [1, 2]}}
"""
BASE = """
data:
  source: table
  path: {cohort}
  options: {{attributes: [ethnicity, sex], classes: [no, yes]}}
  sensitive: [sex, ethnicity]
  limit: 24
training: {{epochs: 1, warmup_steps: 1}}
report: {{bootstrap: 20}}
"""


def invoke(*words):
    return CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def ablation(cohort, tmp_path_factory):
    """The file and the folder of an ablation of six runs, of which two fail."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "base.yaml").write_text(BASE.format(cohort=cohort), encoding="utf-8")
    (folder / "small.yaml").write_text(SMALL.format(base="base.yaml"), encoding="utf-8")
    words = ["ablate", folder / "small.yaml", "--output", folder / "out"]
    return words, folder / "out", invoke(*words)


def rows(folder):
    with (folder / "ablation.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_failed_run_is_recorded_and_the_others_go_on(ablation):
    _, folder, result = ablation
    assert result.exit_code == 1, result.output
    assert "2 of 6 runs failed; the same command tries them again." in result.output
    found = rows(folder)
    assert [row["status"] for row in found] == ["complete", "complete", "failed"] * 2
    assert {row["setting"] for row in found} == {"plain", "penalty", "wild"}
    failed = found[2]
    assert "training stopped before the weights took that step" in failed["error"]
    done = found[0]
    report = json.loads((folder / done["folder"] / "report" / "report.json").read_text())
    assert float(done["accuracy"]) == pytest.approx(
        report["overall"]["accuracy"]["value"], abs=1e-6
    )
    gap = report["attributes"]["sex"]["gaps"]["max_acc_gap"]
    assert float(done["sex:max_acc_gap"]) == pytest.approx(gap["value"], abs=1e-6)
    assert float(done["sex:max_acc_gap_null_mean"]) == pytest.approx(gap["null_mean"], abs=1e-6)
    assert float(done["seconds"]) > 0


def test_the_report_says_what_is_decided_and_what_is_not(ablation):
    _, folder, _ = ablation
    found = json.loads((folder / "report.json").read_text())
    assert [setting["name"] for setting in found["settings"]] == ["plain", "penalty"]
    accuracy = found["settings"][0]["overall"]["accuracy"]
    values = [float(r["accuracy"]) for r in rows(folder) if r["setting"] == "plain"]
    assert accuracy["values"] == pytest.approx(values, abs=1e-6)
    assert accuracy["mean"] == pytest.approx(sum(values) / 2, abs=1e-6)
    # 2 metrics and 2 gaps of 2 attributes, of one setting against the reference
    assert len(found["comparisons"]) == 6
    accuracies = [c for c in found["comparisons"] if c["quantity"] == "accuracy"]
    assert all(0 < c["p_images"] <= 1 for c in accuracies)
    assert found["selection"]["chosen"][0]["rule"] == "accuracy"
    undecided = [c for c in found["comparisons"] if not c["evidence"]]
    text = (folder / "report.md").read_text()
    told = text.count("The data cannot decide whether penalty and plain differ")
    assert told + text.count("penalty and plain cannot be compared") == len(undecided)
    assert "The run wild, seed 1, failed: In step" in text
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == len(list((folder / "figures").glob("*.svg"))) == 2


def test_the_same_command_goes_on_where_it_stood(ablation):
    words, folder, _ = ablation
    kept = (folder / "plain" / "seed-1" / "run.json").read_bytes()
    listed = invoke(*words, "--print").output.splitlines()
    assert [shlex.split(line)[4] for line in listed] == [
        str(folder / "wild" / f"seed-{seed}") for seed in (1, 2)
    ]
    changed = invoke(*words, "--set", "training.batch_size=12")
    assert changed.exit_code == 2
    assert "6 runs in" in changed.output
    assert "training.batch_size is 8 there and 12 here" in changed.output
    alone = invoke("train", *shlex.split(listed[0])[2:])
    assert alone.exit_code == 1
    assert "training stopped before" in alone.output
    assert (folder / "plain" / "seed-1" / "run.json").read_bytes() == kept


def test_runs_of_another_ablation_are_not_made_again(ablation):
    _, folder, _ = ablation
    other = folder.parent / "other.yaml"
    other.write_text(
        "base: base.yaml\n"
        "settings: [{name: nothing, objective.method: vanilla}]\n"
        "grid: {seed: [2, 1]}\n",
        encoding="utf-8",
    )
    words = ["ablate", other, "--output", folder.parent / "copied"]
    result = invoke(*words, "--reuse", folder)
    assert result.exit_code == 0, result.output
    assert "2 of 2 runs copied." in result.output
    assert [row["seed"] for row in rows(folder.parent / "copied")] == ["2", "1"]
    for seed in ("1", "2"):
        theirs, ours = folder / "plain", folder.parent / "copied" / "nothing"
        for name in ("predictions/test.csv", "run.json", "report/report.json"):
            place = f"seed-{seed}/{name}"
            assert (theirs / place).read_bytes() == (ours / place).read_bytes()
    missing = invoke(*words, "--reuse", folder / "nowhere")
    assert missing.exit_code == 2
    assert "There is no finished run in" in missing.output


def test_bad_input_ends_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = invoke("ablate", "nowhere.yaml")
    assert missing.exit_code == 2
    assert "There is no recipe 'nowhere.yaml'" in missing.output
    without_data = invoke("ablate", "ablations/glaucoma_lambda")
    assert without_data.exit_code == 2
    assert "--data fairvlmed:PATH, or --quick" in without_data.output
    assert list(tmp_path.iterdir()) == []
