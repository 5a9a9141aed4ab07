"""The loop's own rules: learning rate, selection, and stopping loudly."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

from fairlora_cls.errors import RunError
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs import train as run
from fairlora_cls.runs.classify import validation_metrics
from fairlora_cls.training.checkpoints import load_latest
from fairlora_cls.training.loop import SCHEDULES, learning_rate_factor


def recipe(cohort, *overrides, **training):
    values = {
        "data": {
            "source": "table",
            "path": str(cohort),
            "options": {"classes": ["no", "yes"]},
            "sensitive": ["ethnicity"],
        },
        "training": {"epochs": 1, "warmup_steps": 2, **training},
        "report": {"bootstrap": 20},
    }
    return build_recipe(values, overrides)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_warm_up_is_linear_and_ends_at_the_peak(schedule):
    factors = [learning_rate_factor(step, 4, 14, schedule) for step in range(14)]
    assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert all(0 <= f <= 1 for f in factors)
    assert all(b <= a for a, b in itertools.pairwise(factors[4:]))


def test_schedules_by_hand():
    middle = [learning_rate_factor(9, 4, 14, name) for name in ("constant", "linear", "cosine")]
    assert middle == pytest.approx([1.0, 0.5, 0.5])
    assert learning_rate_factor(0, 0, 1, "linear") == 1.0


def test_best_epoch_rule():
    labels, groups = np.array([0, 1, 0, 1]), {"sex": np.array([0, 0, 1, 1])}
    logits = np.array([[2.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    found = validation_metrics(logits, labels, groups, "auroc")
    loss = (
        3 * math.log1p(math.exp(-2))
        - math.log1p(math.exp(-2))
        + math.log1p(math.e)
        + math.log1p(math.exp(-3))
    ) / 4
    assert found["loss"] == pytest.approx(loss)
    assert found["accuracy"] == 0.75
    assert found["auroc"] == 1.0 == found["score"]
    assert found["max_acc_gap/sex"] == 0.5
    assert validation_metrics(logits, labels, groups, "loss")["score"] == -found["loss"]
    assert validation_metrics(logits, labels, groups, "accuracy")["score"] == 0.75


def test_best_epoch_rules_that_look_at_groups():
    # Sex: accuracies 1/2 and 1; band: 2/3 and 1. AUROC 1, accuracy 3/4.
    labels = np.array([0, 1, 0, 1])
    groups = {"sex": np.array([0, 0, 1, 1]), "band": np.array([0, 0, 0, 1])}
    logits = np.array([[2.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])

    def score(select_by, gap_bound=1.0):
        return validation_metrics(logits, labels, groups, select_by, gap_bound)["score"]

    assert score("worst_group_accuracy") == 0.5
    assert score("bounded_accuracy", 0.5) == 0.75
    assert score("bounded_auroc", 0.5) == 1.0
    assert score("bounded_accuracy", 0.49) == -0.5
    assert score("bounded_auroc", 0.0) == -0.5


def test_one_class_in_validation_falls_back_to_the_loss():
    found = validation_metrics(
        np.zeros((2, 2)), np.zeros(2, int), {"sex": np.zeros(2, int)}, "auroc"
    )
    assert found["score"] == pytest.approx(-math.log(2))
    assert "auroc" not in found
    assert "max_acc_gap/sex" not in found


def test_a_non_finite_loss_stops_the_run_and_leaves_the_last_checkpoint(
    cohort, tmp_path, display, monkeypatch
):
    from fairlora_cls.models.classifier import Classifier

    forward, calls = Classifier.forward, []

    def poisoned(self, batch):
        calls.append(1)
        outputs = forward(self, batch)
        if len(calls) <= 4:
            return outputs
        return outputs._replace(logits=outputs.logits * math.nan)

    monkeypatch.setattr(Classifier, "forward", poisoned)
    with pytest.raises(
        RunError,
        match=r"In step 5 the logits of 8 of 8 examples are NaN.*checkpoint of step 4 is intact",
    ):
        run.train(recipe(cohort, checkpoint_every=2), tmp_path / "r", display)
    kept = load_latest(tmp_path / "r" / "checkpoints")
    assert kept.progress.step == 4
    assert all(torch.isfinite(t).all() for t in kept.weights.values())
    assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "failed"
    monkeypatch.setattr(Classifier, "forward", forward)
    outcome = run.train(recipe(cohort, checkpoint_every=2), tmp_path / "r", display, resume=True)
    assert outcome.state["status"] == "complete"
    assert outcome.state["training"]["steps"] == 6


def test_the_log_has_one_line_per_step_and_counts_groups(small_run):
    folder, outcome = small_run
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    steps = [r for r in records if "loss" in r]
    assert [r["step"] for r in steps] == [1, 2, 3, 4, 5, 6]
    assert all(sum(counts) == 8 for r in steps for counts in r["group_counts"].values())
    assert {"gradient_norm", "base_loss", "soft_max_acc_gap/sex", "learning_rate"} <= steps[
        0
    ].keys()
    assert [r["epoch"] for r in records if "validation" in r] == [1]
    training = outcome.state["training"]
    active = sum(min(r["group_counts"]["sex"]) > 0 for r in steps) / 6
    assert training["penalty_active"]["soft_max_acc_gap/sex"] == pytest.approx(active, abs=1e-4)
    assert set(training["group_present_in_steps"]) == {"sex", "ethnicity"}
    assert set(training["group_present_in_steps"]["sex"]) == {"Female", "Male"}


def test_tensorboard_gets_the_curves(cohort, tmp_path, display):
    run.train(recipe(cohort, "training.trackers=[tensorboard]"), tmp_path / "r", display)
    assert list((tmp_path / "r").rglob("events.out.tfevents*"))


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_precisions_run(cohort, tmp_path, display, precision):
    few = recipe(cohort, "data.limit=8", precision=precision)  # many CPUs have no units for bf16
    found = run.train(few, tmp_path / "r", display)
    assert found.state["status"] == "complete"


def test_fp16_without_a_gpu_is_refused_before_anything_is_written(cohort, tmp_path, display):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="fp16, which needs a GPU"):
        run.train(recipe(cohort, precision="fp16"), tmp_path / "r", display)
    assert not (tmp_path / "r").exists()
