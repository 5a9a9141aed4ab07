"""Worker processes: who does what, what a dead one costs, what is not done again."""

import os
import signal
from dataclasses import replace

import pytest

from fairlora_cls.ablations import execution
from fairlora_cls.ablations.execution import hold_ablation, run_here
from fairlora_cls.ablations.finished_runs import copy_finished, unfinished_jobs, what_trains
from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.errors import InputError
from fairlora_cls.files import write_json, write_text
from fairlora_cls.recipe import build_recipe, load_recipe, recipe_to_yaml


def stand_in(pipe, log):
    """A worker that trains nothing: seed 2 fails, seed 3 kills its process."""
    write_text(log, f"threads {os.environ.get('OMP_NUM_THREADS')}")
    while (given := pipe.recv()) is not None:
        job, _ = given
        pipe.send(("stage", "Vision features", 10))
        pipe.send(("stage", "Training", 20))
        pipe.send(("advance", 20))
        if job.seed == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        write_text(job.folder / "done.txt", str(os.getpid()))
        pipe.send(("end", "the loss is nan" if job.seed == 2 else None))


class Ear:
    def __init__(self):
        self.heard = []

    def job_begins(self, worker, job):
        self.heard.append(("begins", worker, job.seed))

    def stage(self, worker, name, total):
        self.heard.append(("stage", worker, name, total))

    def advance(self, worker, count):
        self.heard.append(("advance", worker, count))

    def job_ends(self, worker, job, error, seconds):
        self.heard.append(("ends", worker, job.seed, error))


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "ablation.yaml"
    file.write_text("base: quickstart\ngrid: {objective.gap_weight: [0, 1], seed: [1, 2, 3, 4]}")
    return make_plan(str(file), tmp_path / "out")


@pytest.fixture
def stood_in(monkeypatch):
    monkeypatch.setattr(execution, "work", stand_in)
    monkeypatch.setattr(execution, "visible_gpus", list)


@pytest.mark.usefixtures("stood_in")
def test_a_failed_run_and_a_dead_process_leave_the_others_alone(plan):
    ear = Ear()
    failures = run_here(plan.jobs, plan.folder, ear)
    told = {job.seed: failures.get(job.folder) for job in plan.jobs}
    assert told[1] is None
    assert told[4] is None
    assert told[2] == "the loss is nan"
    assert "ended by signal 9, perhaps for want of memory" in told[3]
    assert "workers/1.log" in told[3]
    assert sum(entry[0] == "ends" for entry in ear.heard) == 8
    processes = {
        job.seed: (job.folder / "done.txt").read_text() for job in plan.jobs if job.seed != 3
    }
    assert processes[1] == processes[2]  # one process did many
    assert processes[4] != processes[1]  # another one after it died


@pytest.mark.usefixtures("stood_in")
def test_the_first_run_goes_alone_until_what_is_shared_is_there(plan, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ear = Ear()
    jobs = [job for job in plan.jobs if job.seed in (1, 4)]
    assert run_here(jobs, plan.folder, ear, processes=2) == {}
    second = ear.heard.index(next(entry for entry in ear.heard if entry[:2] == ("begins", 1)))
    assert ("stage", 0, "Training", 20) in ear.heard[:second]
    threads = max((os.cpu_count() or 1) // 2, 1)
    assert (plan.folder / "workers" / "2.log").read_text() == f"threads {threads}"
    assert "OMP_NUM_THREADS" not in os.environ


def finish(job, recipe=None):
    write_text(job.folder / "recipe.yaml", recipe_to_yaml(recipe or job.recipe))
    write_json(job.folder / "run.json", {"status": "complete"})
    write_json(job.folder / "report" / "report.json", {"n": 1, "overall": {}, "attributes": {}})


def test_finished_runs_are_not_run_again_and_other_recipes_are_refused(plan):
    first, second, *others = plan.jobs
    finish(first)
    write_text(second.folder / "recipe.yaml", recipe_to_yaml(second.recipe))
    write_json(second.folder / "run.json", {"status": "running"})
    waiting = unfinished_jobs(plan, overwrite=False)
    assert waiting == [second, *others]
    training = others[0].recipe.training.model_copy(update={"epochs": 9})
    finish(others[0], others[0].recipe.model_copy(update={"training": training}))
    with pytest.raises(InputError, match=r"1 runs .* another recipe.*training\.epochs is 9 there"):
        unfinished_jobs(plan, overwrite=False)
    again = {job.folder: job.overwrite for job in unfinished_jobs(plan, overwrite=True)}
    assert again[others[0].folder]
    assert not again[second.folder]
    renamed = replace(
        plan, jobs=(replace(first, recipe=first.recipe.model_copy(update={"name": "x"})),)
    )
    assert unfinished_jobs(renamed, overwrite=False) == []


def test_runs_of_equal_recipes_are_copied_from_another_ablation(plan, tmp_path):
    first, second, *_, last = plan.jobs
    theirs = tmp_path / "theirs"
    finish(replace(first, folder=theirs / "a"), first.recipe.model_copy(update={"name": "other"}))
    finish(replace(second, folder=theirs / "deep" / "b"))
    write_text(theirs / "deep" / "b" / "checkpoints" / "lock", "")
    write_text(second.folder / "recipe.yaml", recipe_to_yaml(second.recipe))  # stands here already
    unfinished = replace(last, folder=theirs / "c")
    finish(unfinished)
    write_json(unfinished.folder / "run.json", {"status": "running"})
    assert copy_finished(plan, [theirs]) == [first]
    assert unfinished_jobs(plan, overwrite=False) == list(plan.jobs[1:])
    assert load_recipe(first.folder / "recipe.yaml").name == "other"
    assert copy_finished(plan, [theirs]) == []
    (second.folder / "recipe.yaml").unlink()
    second.folder.rmdir()
    assert copy_finished(plan, [theirs / "deep"]) == [second]
    assert not (second.folder / "checkpoints" / "lock").exists()
    with pytest.raises(InputError, match=r"no finished run in .*c' \(--reuse\)"):
        copy_finished(plan, [theirs / "c"])
    with pytest.raises(InputError, match="no finished run in"):
        copy_finished(plan, [tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (["method=fr", "gap_weight=0"], ["method=vanilla"], True),
        (["method=hybrid", "gap_weight=0"], ["method=gr"], True),
        (["method=vanilla"], ["method=vanilla", "gap_weight=2"], True),
        (["method=fr"], ["method=vanilla", "penalties={soft_max_acc_gap: 0.5}"], True),
        (["method=fr"], ["method=fr", "penalties={worst_group: 0}"], True),
        (["method=fr"], ["method=fr", "gap_weight=1"], False),
        (["method=fr", "gap_weight=0"], ["method=gr"], False),
        (["method=vanilla"], ["method=resampling"], False),
        (["method=vanilla"], ["method=zero-shot"], False),
        (["method=gr"], ["method=gr", "weight_cap=5"], False),
        (["method=adversarial"], ["method=adversarial", "gap_weight=2"], False),
        (["method=vanilla"], ["method=vanilla", "mutual_information={}"], False),
    ],
)
def test_recipes_that_train_alike(one, other, alike):
    built = [build_recipe({}, [f"objective.{k}" for k in keys]) for keys in (one, other)]
    first, second = (what_trains(recipe) for recipe in built)
    assert (first == second) == alike


def test_a_run_that_trains_alike_is_kept(plan):
    job = plan.jobs[0]
    recipe = build_recipe({}, ["objective.method=vanilla", "seed=1"])
    job = replace(
        job, recipe=build_recipe({}, ["objective.method=fr", "objective.gap_weight=0", "seed=1"])
    )
    finish(job, recipe)
    assert unfinished_jobs(replace(plan, jobs=(job,)), overwrite=False) == []
    write_json(job.folder / "run.json", {"status": "running"})  # `train --resume` would refuse it
    with pytest.raises(InputError, match=r"another recipe.*objective\.method is vanilla there"):
        unfinished_jobs(replace(plan, jobs=(job,)), overwrite=False)


def test_two_ablations_do_not_share_a_folder(tmp_path):
    refused = pytest.raises(InputError, match="Another ablate")
    with hold_ablation(tmp_path), refused, hold_ablation(tmp_path):
        pass


def test_gpus_are_dealt_out_and_cores_divided(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    chosen = [execution._environment(number, 4, ["0", "1"]) for number in range(4)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in chosen] == ["0", "1", "0", "1"]
    assert {each["OMP_NUM_THREADS"] for each in chosen} == {"4"}
    assert execution._environment(0, 1, ["0"]) == {}
