"""Paths become named predictions; seeds of one recipe become one method."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import read_predictions
from fairlora_cls.files import read_json, write_json
from fairlora_cls.recipe import (
    build_recipe,
    load_recipe,
    recipe_digest,
    recipe_to_yaml,
    recipe_values,
)
from fairlora_cls.runs.compared import load_compared_runs, run_names


@pytest.fixture
def runs(small_run, tmp_path):
    """Copies of a run: two methods with two seeds each, one more λ and one more name."""

    def copy(name, /, **changes):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        shutil.copytree(small_run[0] / "predictions", folder / "predictions")
        recipe = load_recipe(small_run[0] / "recipe.yaml", [f"{k}={v}" for k, v in changes.items()])
        (folder / "recipe.yaml").write_text(recipe_to_yaml(recipe), encoding="utf-8")
        digest = recipe_digest(recipe_values(folder / "recipe.yaml"))
        write_json(
            folder / "run.json", read_json(small_run[0] / "run.json") | {"recipe_digest": digest}
        )
        return folder

    return copy


def test_runs_that_differ_in_seed_only_are_one_method(runs):
    paths = [
        runs("a", seed=1),
        runs("b", seed=2, name="other"),
        runs("c", seed=1, **{"objective.method": "gr"}),
        runs("d", seed=1, **{"objective.gap_weight": 0.1}),
    ]
    given = load_compared_runs(paths)
    assert given.recipes == {"a": ("a", 1), "b": ("a", 2), "c": ("gr", 1), "d": ("d", 1)}
    assert given.attributes == ("sex", "ethnicity")
    assert load_compared_runs(paths[:3]).recipes["b"] == ("hybrid", 2)
    assert build_recipe({}).objective.method == "gr"


def test_the_same_seed_twice_is_two_methods(runs):
    given = load_compared_runs([runs("a"), runs("b")])
    assert given.recipes == {"a": ("a", 42), "b": ("b", 42)}


def test_names_are_short_and_different(tmp_path):
    for name in ("x/test.csv", "y/test.csv", "gr.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("id\n")
    assert run_names([tmp_path / "x/test.csv", tmp_path / "gr.csv"]) == ["test", "gr"]
    both = run_names([tmp_path / "x/test.csv", tmp_path / "y/test.csv"])
    assert both == ["x/test", "y/test"]
    with pytest.raises(InputError, match="given twice"):
        run_names([tmp_path / "gr.csv", tmp_path / "." / "gr.csv"])


def test_a_run_without_predictions(runs):
    folder = runs("a")
    shutil.rmtree(folder / "predictions")
    with pytest.raises(InputError, match=r"no predictions/test.csv \(its status is 'complete'\)"):
        load_compared_runs([folder])


def test_runs_are_judged_as_their_reports_are(runs):
    plain, chosen = runs("a"), runs("b", **{"report.threshold": "sensitivity=1"})
    table = plain / "predictions" / "test.csv"
    given = load_compared_runs([plain, chosen, table])
    assert np.array_equal(given.tables["a"].predictions, given.tables["test"].predictions)
    validation = read_predictions(plain / "predictions" / "validation.csv")
    lowest = validation.probabilities[validation.labels == 1, 1].min()
    expected = given.tables["b"].probabilities[:, 1] >= lowest
    assert np.array_equal(given.tables["b"].predictions, expected)
    (note,) = given.notes
    assert note.startswith("b: An image is called 'yes'")
    everyone = load_compared_runs([plain, chosen, table], threshold="0.9")
    selected = everyone.tables["test"].probabilities[:, 1] >= 0.9
    assert np.array_equal(everyone.tables["test"].predictions, selected)
    assert len(everyone.notes) == 3


def test_the_verb_writes_a_comparison(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [runs("one", seed=1), runs("two", seed=2), runs("gr", **{"objective.method": "gr"})]
    table = paths[0] / "predictions" / "test.csv"
    arguments = ["compare", *map(str, paths), str(table), "--bootstrap", "20"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "have the same MaxAccGap of sex" in result.output.replace("\n", " ")
    stored = json.loads((tmp_path / "runs/comparison/comparison.json").read_text("utf-8"))
    assert [run["method"] for run in stored["runs"]] == ["hybrid", "hybrid", "gr", "test"]
    assert list(stored["pairs"][0]["attributes"]) == ["sex", "ethnicity"]
    assert {p.name for p in (tmp_path / "runs/comparison").iterdir()} == {
        "comparison.json",
        "comparison.md",
        "comparison.html",
        "figures",
    }
    foreign = tmp_path / "runs" / "one"
    result = CliRunner().invoke(app, [*arguments, "--output", str(foreign)])
    assert result.exit_code == 2
    assert "not part of a report" in result.output.replace("\n", " ")


def test_a_report_covers_what_is_sensitive_and_its_protected_intersections():
    """Other data may lack what the run protected; a report there must not ask for it."""
    from fairlora_cls.recipe import build_recipe
    from fairlora_cls.runs.compared import report_attributes

    crossed = build_recipe({}, ["data.sensitive=[sex, race]", "objective.protect=[sex×race]"])
    assert report_attributes(crossed) == ("sex", "race", "sex×race")
    data = crossed.data.model_copy(update={"sensitive": ["sex"]})
    assert report_attributes(crossed.model_copy(update={"data": data})) == ("sex",)
