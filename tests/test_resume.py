"""A kill at any moment loses nothing: the resumed run ends in the same weights, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# Kill this very process at the n-th call of a function: at an optimizer step, or just before a
# rename (checkpoints, best weights, adapter, predictions, report, run.json).
KILLER = """
import os, signal, sys
import torch
kind, number = sys.argv[1], int(sys.argv[2])
calls = 0
def deadly(function):
    def wrapped(*arguments, **options):
        global calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped
if kind == "step":
    torch.optim.AdamW.step = deadly(torch.optim.AdamW.step)
else:
    os.replace = deadly(os.replace)
sys.argv = ["fairlora-cls", *sys.argv[3:]]
from fairlora_cls.cli.app import main
main()
"""


# All that a resumed run could get wrong at once: group DRO's weights, running averages, random
# tokens, an attribute classifier trained along and one trained before.
OBJECTIVE = """{method: group-dro, statistics: running, penalties: {soft_max_acc_gap: 0.5},
  mutual_information: {weights: {sex: 0.3}, variant: released},
  adversary: {weights: {ethnicity: 0.1}, training: pretrained}}"""


@pytest.fixture(scope="module")
def recipe(cohort, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "resume.yaml"
    path.write_text(
        f"""
name: resume
data: {{source: table, path: {cohort}, options: {{classes: ["no", "yes"]}}, sensitive: [ethnicity, sex]}}
objective: {OBJECTIVE}
training: {{epochs: 2, micro_batch_size: 4, warmup_steps: 3, checkpoint_every: 4, sampler: stratified}}
report: {{bootstrap: 20}}
""",
        encoding="utf-8",
    )
    return path


def weights(folder):
    return [
        (folder / "adapter" / f).read_bytes()
        for f in ("adapter_model.safetensors", "head.safetensors")
    ]


@pytest.fixture(scope="module")
def whole(recipe, command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = command("train", recipe, "--output", folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def random_points():
    """12 steps in all; about 20 renames. The seed is fixed: a failure can be repeated."""
    draw = random.Random(20261122)
    steps = [("step", n) for n in draw.sample(range(1, 13), 2)]
    return steps + [("rename", n) for n in draw.sample(range(2, 20), 2)]


@pytest.mark.parametrize(("kind", "number"), random_points())
def test_kill_and_resume(kind, number, recipe, whole, command, tmp_path):
    folder = tmp_path / "run"
    arguments = ["train", str(recipe), "--output", str(folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, kind, str(number), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    resumed = command(*arguments, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert weights(folder) == weights(whole)
    for name in ("predictions/test.csv", "report/report.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    probes = [json.loads((f / "run.json").read_text())["probes"] for f in (folder, whole)]
    assert probes[0] == probes[1]
    steps = [r["step"] for r in map(json.loads, (folder / "log.jsonl").open()) if "loss" in r]
    assert steps == list(range(1, 13))
    assert not list(folder.rglob(".*")), "the killed process left something behind"


def test_resuming_a_complete_run_changes_nothing(recipe, whole, command):
    before = weights(whole)
    done = command("train", recipe, "--output", whole, "--resume", cwd=whole.parent)
    assert done.returncode == 0, done.stderr
    assert weights(whole) == before


def test_the_written_recipe_repeats_the_run(whole, command, tmp_path):
    done = command("train", whole / "recipe.yaml", "--output", tmp_path / "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert weights(tmp_path / "again") == weights(whole)


def test_a_checkpoint_of_another_recipe_is_refused(recipe, whole, command):
    before = weights(whole)
    done = command(
        "train", recipe, "--set", "seed=1", "--output", whole, "--resume", cwd=whole.parent
    )
    assert done.returncode == 2
    assert "another recipe (seed is 42 there and 1 here)" in done.stderr
    assert weights(whole) == before


def test_two_processes_give_the_same_weights_as_one(recipe, tmp_path, command):
    """torchrun, gloo, CPU: an effective batch of 8 as 2 × 4, with dropout, against one process."""
    import torch
    from safetensors.torch import load_file

    single = command(
        "train", recipe, "--set", "training.epochs=1", "--output", tmp_path / "one", cwd=tmp_path
    )
    assert single.returncode == 0, single.stderr
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    arguments = ["train", recipe, "--set", "training.epochs=1", "--output", tmp_path / "two"]
    double = subprocess.run(
        [*launcher, "--nproc_per_node", "2", "-m", "fairlora_cls", *map(str, arguments)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert double.returncode == 0, double.stderr
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    for name in ("adapter_model.safetensors", "head.safetensors"):
        one, two = (load_file(tmp_path / n / "adapter" / name) for n in ("one", "two"))
        for key in one:
            torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-5)
