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
    half = 4.302653 * 0.02 / math.sqrt(3)  # t of 2 degrees of freedom; standard deviation 0.02
    assert first.overall["accuracy"].interval == pytest.approx((0.82 - half, 0.82 + half))
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
    assert seed_interval(np.array([0.5, 0.5])) == (0.5, 0.5)


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
