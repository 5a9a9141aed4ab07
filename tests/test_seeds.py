"""Several seeds: who is paired with whom, means and t-intervals by hand, wins counted."""

import math

import numpy as np
import pytest

from fairlora_cls.evaluation.comparison import compare_predictions
from fairlora_cls.evaluation.comparison_results import ComparedRun
from fairlora_cls.evaluation.metrics import QUANTITIES
from fairlora_cls.evaluation.seeds import (
    contest_methods,
    higher_is_better,
    pair_runs,
    summarise_methods,
)
from fairlora_cls.statistics.intervals import seed_interval
from fairlora_cls.statistics.seeds import DIFFERENCES, FRACTIONS, over_seeds, show_seeds
from tests.test_comparison import model


def runs(*texts):
    """ "gr 42" -> a run named gr42."""
    split = [text.split() for text in texts]
    return [ComparedRun(m + s, m, None if s == "-" else int(s)) for m, s in split]


def test_methods_are_paired_by_seed():
    given = runs("a 1", "a 2", "b 2", "b 1", "c 2")
    pairs, notes = pair_runs(given)
    assert pairs == [("a1", "b1"), ("a2", "b2"), ("a2", "c2")]
    assert notes == ["a and c are paired by the seeds that both have (2); without a partner: a1."]


def test_tables_and_other_seeds_are_paired_with_the_first():
    assert pair_runs(runs("a -", "b -", "c -")) == ([("a-", "b-"), ("a-", "c-")], [])
    pairs, notes = pair_runs(runs("a 1", "a 2", "b 3"))
    assert pairs == [("a1", "b3")]
    assert "no seed in common" in notes[0]
    assert "partner: a2" in notes[0]


def test_seeds_of_one_method_are_paired_with_the_first():
    assert pair_runs(runs("a 1", "a 2", "a 3"))[0] == [("a1", "a2"), ("a1", "a3")]


def values(accuracy, gap):
    return {"": {"accuracy": accuracy}, "sex": {"max_acc_gap": gap}}


def test_means_intervals_and_wins_by_hand():
    given = runs("a 1", "a 2", "a 3", "b 1", "b 2", "b 3")
    numbers = [(0.80, 0.10), (0.82, 0.12), (0.84, 0.14), (0.83, 0.10), (0.81, 0.09), (0.88, 0.13)]
    table = {run.name: values(*pair) for run, pair in zip(given, numbers, strict=True)}
    first, _ = summarise_methods(given, table)
    assert (first.method, first.seeds) == ("a", (1, 2, 3))
    assert first.overall["accuracy"].mean == pytest.approx(0.82)
    # t of 2 degrees of freedom 4.302653, standard error 0.02 / √3 = 0.011547, on the logit scale
    # 0.011547 / (0.82 · 0.18) = 0.078232: logit 0.82 = 1.516347 ∓ 0.336605
    expected = 1 / (1 + math.exp(-1.179742)), 1 / (1 + math.exp(-1.852952))
    assert first.overall["accuracy"].interval == pytest.approx(expected, abs=1e-6)
    (contest,) = contest_methods(given, table, QUANTITIES)
    accuracy = contest.overall["accuracy"]
    assert accuracy.values == pytest.approx((0.03, -0.01, 0.04))
    assert (accuracy.wins, accuracy.ties) == (2, 0)
    assert accuracy.share_won == pytest.approx(2 / 3)
    gap = contest.attributes["sex"]["max_acc_gap"]
    assert (gap.wins, gap.ties) == (2, 1)  # a smaller gap wins
    assert gap.share_won == pytest.approx(2.5 / 3)


def test_an_undefined_seed_leaves_no_mean():
    given = runs("a 1", "a 2", "b 1", "b 2")
    table = {run.name: values(0.8, np.nan if run.name == "b2" else 0.1) for run in given}
    gap = contest_methods(given, table, QUANTITIES)[0].attributes["sex"]["max_acc_gap"]
    assert (gap.mean, gap.interval, gap.wins, gap.share_won) == (None, None, None, None)
    assert gap.values == (0, None)


def test_one_seed_is_no_method_over_seeds():
    given = runs("a 1", "b 1", "c -")
    table = {run.name: values(0.8, 0.1) for run in given}
    assert summarise_methods(given, table) == ()
    assert contest_methods(given, table, QUANTITIES) == ()
    assert seed_interval(np.array([0.5])) is None


def test_two_seeds_are_shown_as_they_are():
    found = over_seeds([0.7654, 0.89], FRACTIONS)
    assert (found.mean, found.interval) == (pytest.approx(0.8277), None)
    assert show_seeds(QUANTITIES["accuracy"], found) == "76.5 and 89.0"
    change = over_seeds([-0.02, 0.03], DIFFERENCES)
    assert show_seeds(QUANTITIES["max_acc_gap"], change, signed=True) == "−2.0 and +3.0"
    assert show_seeds(QUANTITIES["accuracy"], over_seeds([0.8], FRACTIONS)) == ""


@pytest.mark.parametrize("values", [(0.9, 0.95, 1.0), (0, 0, 0.03), (0, 0.5, 1), (1, 1, 0.999)])
def test_limits_over_seeds_stay_possible_and_hold_the_mean(values):
    low, high = over_seeds(values, FRACTIONS).interval
    assert 0 <= low < np.mean(values) < high <= 1
    low, high = over_seeds(np.subtract(values, 0.5), DIFFERENCES).interval
    assert -1 <= low < np.mean(values) - 0.5 < high <= 1


def test_limits_of_what_is_no_fraction_are_those_of_t():
    values = np.array([0.010, 0.012, 0.011])
    half = 4.302653 * 0.001 / math.sqrt(3)
    assert seed_interval(values) == pytest.approx((0.011 - half, 0.011 + half))
    assert over_seeds(values, DIFFERENCES).interval == seed_interval(values)
    beyond = np.array([3.1, 3.2, 3.3])  # a score of texts may be no fraction
    assert over_seeds(beyond, FRACTIONS).interval == seed_interval(beyond)
    assert over_seeds([0.5, 0.5, 0.5], FRACTIONS).interval == (0.5, 0.5)


def test_which_way_is_better():
    assert higher_is_better(QUANTITIES["accuracy"]) is True
    assert higher_is_better(QUANTITIES["brier"]) is False
    assert higher_is_better(QUANTITIES["selection_rate"]) is None
    assert higher_is_better(QUANTITIES["max_acc_gap"]) is False
    assert higher_is_better(QUANTITIES["demographic_parity_ratio"]) is True
    assert higher_is_better(QUANTITIES["auroc_fairclip"]) is True


def test_a_comparison_over_seeds():
    tables = {f"{m}{s}": model(10 * s + len(m)) for m in ("a", "bb") for s in (1, 2, 3)}
    recipes = {name: (name[:-1], int(name[-1])) for name in tables}
    comparison = compare_predictions(tables, ["g"], recipes=recipes, bootstrap=0)
    assert [(p.reference, p.other) for p in comparison.pairs] == [
        ("a1", "bb1"),
        ("a2", "bb2"),
        ("a3", "bb3"),
    ]
    (contest,) = comparison.contests
    told = [pair.attributes["g"].gaps["auroc_gap"].difference for pair in comparison.pairs]
    assert contest.attributes["g"]["auroc_gap"].values == pytest.approx(tuple(told))
    assert {m.method for m in comparison.methods} == {"a", "bb"}
