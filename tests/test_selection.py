"""Choosing a model by validation: what goes before what."""

from fairlora_cls.evaluation.selection import selection_score
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
    (note,) = [text for text in outcome.report.warnings if "within training.gap_bound 0.0" in text]
    smallest = -state["training"]["best_validation_score"]
    assert f"epoch {state['training']['best_epoch']} has the smallest, {smallest:.3f}" in note
