"""Every shipped recipe and ablation: valid, listed, told of in the table, and run in its quick form."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlora_cls.ablations.ablate import run_ablation
from fairlora_cls.ablations.definition import is_ablation
from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.cli.app import app
from fairlora_cls.recipe import load_recipe, shipped_recipes

SHIPPED = shipped_recipes()
ABLATIONS = [name for name, path in SHIPPED.items() if is_ablation(path)]
RECIPES = [name for name in SHIPPED if name not in ABLATIONS]
TINY = [
    "data.limit=24",
    *(f"data.options.{split}=24" for split in ("train", "validation", "test")),
    "report.bootstrap=20",
]
GENERATIVE = "generation.max_new_tokens=4"


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    """Of the runs' reports: they take most of a tiny run's time and have their own tests."""
    monkeypatch.setattr("fairlora_cls.evaluation.figures.draw_figures", lambda report: [])


def tiny(recipe):
    return [*TINY, GENERATIVE] if recipe.task == "generate" else TINY


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_in_its_quick_form(name, tmp_path):
    settings = [word for text in tiny(load_recipe(SHIPPED[name])) for word in ("--set", text)]
    words = ["train", str(SHIPPED[name]), "--quick", "--output", str(tmp_path / "run"), *settings]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{result.output}\n{result.exception}"


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_runs_in_its_quick_form(name, tmp_path):
    """Its first and last setting, of texts the last, in this process; what `ablate` does with
    processes has its own tests."""
    from fairlora_cls.ablations.worker import JobRunner

    recipe = make_plan(name, quick=True).settings[0].recipe
    plan = make_plan(name, tmp_path, overrides=[*tiny(recipe), "grid.seed=[42]"], quick=True)
    places = [-1] if recipe.task == "generate" else [0, -1]
    settings = tuple(plan.settings[place] for place in places)
    jobs = tuple(plan.jobs[place] for place in places)
    plan = replace(plan, settings=settings, jobs=jobs, reference=settings[0].name)
    runner = JobRunner()

    def execute(jobs):
        ends = {job.folder: runner(job) for job in jobs}
        return {folder: error for folder, error in ends.items() if error}

    outcome = run_ablation(plan, execute)
    assert {run.status for run in outcome.runs} == {"complete"}
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_can_be_copied_and_pointed_at_a_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied = CliRunner().invoke(app, ["recipes", "copy", name])
    assert copied.exit_code == 0
    source = make_plan(name, overrides=["data.path=."]).settings[0].recipe.data.source
    plan = make_plan(f"{Path(name).name}.yaml", shortcuts={"data": {"source": source, "path": "."}})
    assert len(plan.settings) > 1


def test_the_list_and_the_table_have_every_recipe():
    shown = CliRunner().invoke(app, ["recipes", "list"], env={"COLUMNS": "300"}).output
    table = (Path(__file__).parent.parent / "recipes" / "README.md").read_text(encoding="utf-8")
    for name in SHIPPED:
        assert name in shown
        assert f"`{name}`" in table or f"`{Path(name).name}`" in table, name


def test_lambda_zero_is_among_the_values_of_the_paper_s_table_2():
    plan = make_plan("ablations/glaucoma_lambda", overrides=["data.path=."])
    values = [setting.recipe.objective.gap_weight for setting in plan.settings]
    assert values == [0, 0.1, 0.5, 1.0]
    assert len(plan.seeds) >= 5
