"""Choosing a model by validation: what goes before what."""

import numpy as np
import pytest

from fairlora_cls.evaluation.selection import (
    group_costs,
    rank_candidates,
    selection_score,
    selection_values,
    too_costly,
)
from fairlora_cls.files import read_json
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs import train as run


def test_a_model_within_the_bound_goes_before_any_without():
    values = {"accuracy": 0.01, "loss": 3.0}
    within = selection_score(values, 0.05, "bounded_accuracy", 0.05)
    without = selection_score({"accuracy": 0.99, "loss": 0.1}, 0.06, "bounded_accuracy", 0.05)
    worse = selection_score({"accuracy": 0.99, "loss": 0.1}, 0.4, "bounded_accuracy", 0.05)
    assert within > without > worse
    assert selection_score(values, 0.0, "bounded_auroc", 0.05) == 0.01


def candidate(women, men, auroc=0.5, rule="bounded_accuracy", bound=0.05):
    """As many women as men."""
    values = {"accuracy": (women + men) / 2, "auroc": auroc}
    groups = {"accuracy/sex/F": women, "accuracy/sex/M": men}
    score = selection_score(values, abs(women - men), rule, bound)
    return {**values, **groups, "score": score}


def test_every_group_s_accuracy_is_among_the_values():
    labels, predictions = np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0])
    values = selection_values(
        labels, predictions, np.eye(2)[predictions], 1, {"sex": np.array(["F", "F", "F", "M"])}
    )
    assert values["accuracy/sex/F"] == 1
    assert values["accuracy/sex/M"] == 0
    assert values["max_acc_gap/sex"] == 1
    assert values["worst_group_accuracy"] == 0


@pytest.mark.parametrize(
    ("candidates", "cost", "order"),
    [
        # The best-served fall by 20 points, the others gain nothing: not chosen, whatever the gap.
        ([(0.90, 0.70), (0.70, 0.70)], 0.05, [0, 1]),
        # Everybody served equally badly.
        ([(0.90, 0.75), (0.50, 0.50), (0.89, 0.76)], 0.05, [2, 0, 1]),
        # The gap closes because those who were served worse gain.
        ([(0.90, 0.70), (0.87, 0.84)], 0.05, [1, 0]),
        # 5 points are what the bound may cost, and no more.
        ([(0.90, 0.80), (0.85, 0.81)], 0.05, [1, 0]),
        ([(0.90, 0.80), (0.84, 0.82)], 0.05, [0, 1]),
        # Without a floor a bound can be met by harm.
        ([(0.90, 0.70), (0.70, 0.70)], 1.0, [1, 0]),
        # All alike: the earlier one.
        ([(0.80, 0.80), (0.80, 0.80)], 0.05, [0, 1]),
    ],
)
def test_a_bound_is_not_met_by_harming_a_group(candidates, cost, order):
    each = [candidate(*accuracies) for accuracies in candidates]
    assert rank_candidates(each, "bounded_accuracy", cost) == order


def test_what_a_candidate_costs_whom():
    each = [candidate(0.90, 0.70), candidate(0.70, 0.72)]
    costs = group_costs(each)
    assert costs[1] == pytest.approx({"sex/F": 0.20, "sex/M": -0.02})
    assert list(too_costly(costs[1], 0.05)) == ["sex/F"]
    assert not too_costly(costs[0], 0.0)


def test_rules_without_a_bound_keep_the_best_alone():
    each = [{"accuracy": 0.5, "score": score} for score in (0.5, 0.7, 0.7)]
    assert rank_candidates(each, "auroc", 0.05) == [1]


def test_a_later_epoch_can_bring_an_earlier_one_back(cohort, tmp_path, monkeypatch):
    """The third raises the floor above the first, which was the choice; the second stays over it."""
    epochs = [
        candidate(0.80, 0.78, 0.90, "bounded_auroc"),
        candidate(0.84, 0.80, 0.85, "bounded_auroc"),
        candidate(0.90, 0.78, 0.80, "bounded_auroc"),
    ]
    assert [rank_candidates(epochs[:n], "bounded_auroc", 0.06)[0] for n in (1, 2, 3)] == [0, 0, 1]
    told = iter(epochs)
    monkeypatch.setattr(run.TASKS["classify"], "validate", lambda context, batches: next(told))
    values = {
        "data": {
            "source": "table",
            "path": str(cohort),
            "options": {"attributes": ["sex"], "classes": ["no", "yes"]},
            "sensitive": ["sex"],
            "limit": 16,
        },
        "training": {"epochs": 3, "select_by": "bounded_auroc", "gap_cost": 0.06},
        "report": {"bootstrap": 0},
    }
    training = run.train(build_recipe(values), tmp_path / "run").state["training"]
    assert training["best_epoch"] == 2
    assert training["best_validation_score"] == 0.85
    assert training["gap_bound_met"] is True


def test_a_run_without_an_epoch_in_the_bound_takes_the_smallest_gap_and_says_so(cohort, tmp_path):
    values = {
        "data": {
            "source": "table",
            "path": str(cohort),
            "options": {"attributes": ["ethnicity", "sex"], "classes": ["no", "yes"]},
            "sensitive": ["sex", "ethnicity"],
        },
        "training": {"epochs": 2, "select_by": "bounded_accuracy", "gap_bound": 0.0},
        "report": {"bootstrap": 20},
    }
    outcome = run.train(build_recipe(values), tmp_path / "run")
    state = read_json(tmp_path / "run" / "run.json")
    assert state["training"]["gap_bound_met"] is False
    assert "or the smallest gap where no epoch is" in state["selection_rule"]
    (note,) = [text for text in outcome.report.warnings if "training.gap_bound 0.0" in text]
    smallest = -state["training"]["best_validation_score"]
    assert f"epoch {state['training']['best_epoch']} has the smallest, {smallest:.3f}" in note
