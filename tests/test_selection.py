"""Choosing a model by validation: what goes before what."""

from fairlora_cls.evaluation.selection import selection_score


def test_a_model_within_the_bound_goes_before_any_without():
    values = {"accuracy": 0.01, "loss": 3.0}
    within = selection_score(values, 0.05, "bounded_accuracy", 0.05)
    without = selection_score({"accuracy": 0.99, "loss": 0.1}, 0.06, "bounded_accuracy", 0.05)
    worse = selection_score({"accuracy": 0.99, "loss": 0.1}, 0.4, "bounded_accuracy", 0.05)
    assert within > without > worse
    assert selection_score(values, 0.0, "bounded_auroc", 0.05) == 0.01
