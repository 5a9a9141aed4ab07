"""Ablation files → plans: every point of the grid, every error at once."""

import json

import pytest

from fairlora_cls.ablations.definition import is_ablation
from fairlora_cls.ablations.plan import make_plan, nested, show_value
from fairlora_cls.errors import InputError
from fairlora_cls.recipe import build_recipe, load_recipe, recipe_to_yaml

GRID = """
name: two-axes
base: quickstart
grid:
  objective.gap_weight: [0, 0.5]
  objective.method: [fr, hybrid]
  seed: [1, 2, 3]
"""


@pytest.fixture
def plan_of(tmp_path):
    def make(text, *overrides, **options):
        file = tmp_path / "ablation.yaml"
        file.write_text(text, encoding="utf-8")
        return make_plan(str(file), tmp_path / "out", overrides=overrides, **options)

    return make


def test_a_grid_is_every_combination_with_every_seed(plan_of, tmp_path):
    plan = plan_of(GRID)
    assert plan.name == "two-axes"
    assert [setting.name for setting in plan.settings] == [
        "gap_weight=0, method=fr",
        "gap_weight=0, method=hybrid",
        "gap_weight=0.5, method=fr",
        "gap_weight=0.5, method=hybrid",
    ]
    assert plan.reference == "gap_weight=0, method=fr"
    assert plan.seeds == (1, 2, 3)
    assert len(plan.jobs) == 12
    assert [job.seed for job in plan.jobs[:5]] == [1, 1, 1, 1, 2]  # seed by seed
    job = plan.jobs[6]
    assert job.folder == tmp_path / "out" / "gap_weight-0.5-method-fr" / "seed-2"
    assert (job.recipe.seed, job.recipe.objective.gap_weight) == (2, 0.5)
    assert job.recipe.objective.method == "fr"


def test_linked_settings_go_together_and_combine_with_the_grid(plan_of):
    plan = plan_of(
        """
base: quickstart
reference: plain, batch_size=16
set: {training.epochs: 2}
settings:
  - {name: plain, objective.method: vanilla}
  - name: both
    objective.method: hybrid
    objective.mutual_information: {weights: {sex: 0.2}}
grid: {training.batch_size: [8, 16]}
"""
    )
    assert [setting.name for setting in plan.settings] == [
        "plain, batch_size=8",
        "plain, batch_size=16",
        "both, batch_size=8",
        "both, batch_size=16",
    ]
    assert plan.reference == "plain, batch_size=16"
    assert plan.seeds == (42,)  # the base recipe's
    both = plan.settings[3].recipe
    assert both.objective.mutual_information.weights == {"sex": 0.2}
    assert (both.training.batch_size, both.training.epochs) == (16, 2)
    assert plan.settings[0].recipe.objective.mutual_information is None


def test_the_base_lies_beside_the_file_or_is_a_shipped_recipe(plan_of, tmp_path):
    (tmp_path / "mine.yaml").write_text("objective: {method: vanilla}\n")
    plan = plan_of("base: mine.yaml\ngrid: {seed: [3]}")
    assert plan.settings[0].name == "base"
    assert plan.settings[0].recipe.objective.method == "vanilla"
    with pytest.raises(InputError, match="There is no recipe 'qickstart'; did you mean 'quickst"):
        plan_of("base: qickstart\ngrid: {seed: [3]}")


def test_all_errors_of_the_file_at_once(plan_of):
    with pytest.raises(InputError) as caught:
        plan_of(
            """
bas: quickstart
grid: {objective.gap_weight: 0.5, seed: [-1], training.epochs: [1, 1]}
settings: [{objective.method: fr, seed: 3}, fr]
set: {objective.method: gr}
"""
        )
    text = str(caught.value)
    assert text.startswith("The ablation has 8 errors:")
    for part in (
        "bas: unknown key; did you mean 'base'?",
        "grid.objective.gap_weight: a list of values is needed",
        "grid.training.epochs: a value is listed twice",
        "grid.seed: seeds are whole numbers from 0",
        "settings[0].seed: seeds are an axis of their own",
        "settings[1]: keys with their values are needed",
        "set.objective.method: the grid or a setting changes this key too",
        "base: name the base recipe",
    ):
        assert part in text


def test_all_errors_of_all_recipes_at_once_each_said_once(plan_of):
    with pytest.raises(InputError) as caught:
        plan_of(
            """
base: quickstart
set: {training.epoch: 3}
grid: {objective.gap_weight: [0, -1], objective.method: [fr, gx]}
"""
        )
    lines = str(caught.value).splitlines()
    assert sum("training.epoch: unknown key; did you mean 'epochs'?" in line for line in lines) == 1
    assert "  training.epoch: unknown key; did you mean 'epochs'?" in lines
    assert any(
        line.startswith("  gap_weight=-1, method=fr: objective.gap_weight:") for line in lines
    )
    assert any(line.startswith("  gap_weight=0, method=gx: objective.method:") for line in lines)


def test_overrides_reach_all_runs_and_axes_change_by_grid(plan_of):
    plan = plan_of(GRID, "training.epochs=7", "grid.seed=[9]", "grid.objective.method=[gr]")
    assert {job.recipe.training.epochs for job in plan.jobs} == {7}
    assert plan.seeds == (9,)
    assert [setting.name for setting in plan.settings] == [
        "gap_weight=0, method=gr",
        "gap_weight=0.5, method=gr",
    ]
    with pytest.raises(InputError, match=r"--set grid\.objective\.gap_weight=\[…\]"):
        plan_of(GRID, "objective.gap_weight=1")
    with pytest.raises(InputError, match="seed is what this ablation varies"):
        plan_of(GRID, "seed=1")


def test_settings_of_two_tasks_cannot_be_compared(plan_of):
    with pytest.raises(InputError, match="classify and generate"):
        plan_of("base: quickstart\ngrid: {task: [classify, generate]}")


def test_data_that_is_not_there_is_told_before_anything_runs(plan_of):
    with pytest.raises(InputError, match="--data fairvlmed:PATH, or --quick"):
        plan_of("base: glaucoma/fr\ngrid: {seed: [1]}")
    with pytest.raises(InputError, match="There is no '/nowhere'"):
        plan_of("base: glaucoma/fr\ngrid: {seed: [1]}", "data.path=/nowhere")


def test_quick_keeps_what_the_ablation_varies(plan_of):
    plan = plan_of(
        "base: glaucoma/fr\ngrid: {training.epochs: [2, 3], seed: [1, 2, 3, 4, 5]}", quick=True
    )
    assert [setting.recipe.training.epochs for setting in plan.settings] == [2, 3]
    assert plan.seeds == (1, 2, 3)
    assert plan.settings[0].recipe.data.source == "simulated-fundus"


def test_two_settings_of_one_name_are_refused(plan_of):
    with pytest.raises(InputError, match="two settings are called 'a'"):
        plan_of(
            "base: quickstart\nsettings: [{name: a, objective.method: fr}, {name: a, objective.method: gr}]"
        )


def test_folders_differ_where_names_are_alike_but_for_signs(plan_of):
    plan = plan_of("base: quickstart\nsettings: [{name: a b}, {name: a-b}, {name: figures}]")
    folders = {job.folder.parent.name for job in plan.jobs}
    assert len(folders) == 3
    assert "figures" not in folders


NAMES = [
    "λ²=½",
    "a/b",
    "..",
    ".",
    "../../x",
    "a\nb",
    "x" * 300,
    "A",
    "a",
    "report.html",
    "a-2",
    "a b",
    "字" * 90,
]


def test_every_setting_has_a_folder_inside_and_a_recipe_that_reads_back(plan_of, tmp_path):
    settings = json.dumps([{"name": name} for name in NAMES])
    plan = plan_of(f"name: λ-grid\nbase: quickstart\nsettings: {settings}")
    folders = [job.folder for job in plan.jobs]
    assert len({str(folder).casefold() for folder in folders}) == len(NAMES)
    for job in plan.jobs:
        assert job.folder.resolve().parent.parent == (tmp_path / "out").resolve()
        assert len(job.folder.parent.name.encode()) <= 255
        (tmp_path / "r.yaml").write_text(recipe_to_yaml(job.recipe), encoding="utf-8")
        assert load_recipe(tmp_path / "r.yaml") == job.recipe


@pytest.mark.parametrize("name", ["a/b", "..", ".", "../x", "a b", "'a\n'", "x" * 81, "''", "[a]"])
def test_a_name_that_is_no_folder_s_is_refused(plan_of, name):
    with pytest.raises(InputError, match="name: "):
        plan_of(f"name: {name}\nbase: quickstart\ngrid: {{seed: [1]}}")


def test_a_file_s_own_name_is_made_a_folder_s(tmp_path):
    file = tmp_path / "my ablation (2).yaml"
    file.write_text("base: quickstart\ngrid: {seed: [1]}")
    plan = make_plan(str(file))
    assert plan.folder.name == plan.name == "my-ablation-2-"


@pytest.mark.parametrize(
    "text",
    [
        "grid: {seed: [4294967296]}",
        "grid: {seed: [1]}\nreference: [a]",
        "grid: {seed: [1]}\ngrid: {seed: [2]}",
    ],
)
def test_seeds_references_and_keys_are_read_strictly(plan_of, text):
    with pytest.raises(InputError):
        plan_of(f"base: quickstart\n{text}")


def test_a_trial_replaces_no_mistake(plan_of, tmp_path):
    for text in (
        "training: 3",
        "training: {batch_size: a}",
        "data: {options: 3}",
        "data: {source: [a]}",
    ):
        (tmp_path / "mine.yaml").write_text(text)
        with pytest.raises(InputError, match=text.partition(":")[0]):
            plan_of("base: mine.yaml\ngrid: {seed: [3]}", quick=True)


def test_small_helpers():
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert [show_value(v) for v in (1, 0.5, True, None, ["a", "b"], {"sex": 0.2})] == [
        "1",
        "0.5",
        "true",
        "none",
        "a+b",
        "sex:0.2",
    ]


def test_which_files_are_ablations(tmp_path):
    (tmp_path / "a.yaml").write_text("base: quickstart")
    (tmp_path / "r.yaml").write_text("seed: 3")
    assert is_ablation(tmp_path / "a.yaml")
    assert not is_ablation(tmp_path / "r.yaml")


def test_a_run_s_recipe_is_what_train_would_make_of_the_same_values(plan_of):
    (job,) = plan_of("base: quickstart\ngrid: {objective.method: [fr], seed: [5]}").jobs
    alone = build_recipe({"seed": 5, "objective": {"method": "fr"}})
    assert job.recipe.model_dump(exclude={"name"}) == alone.model_dump(exclude={"name"})
