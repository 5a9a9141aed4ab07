"""The fewest images that decide: the published table, and all small cases by trying every change."""

from itertools import product

import numpy as np
import pytest

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.flips import fewest_deciding, flips_to_narrow, flips_to_widen
from fairlora_cls.evaluation.metrics import GAPS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.vectorised import counted_metrics

SIZES = (1816, 76, 108)  # Non-Hispanic, Hispanic, Unknown
NAMES = ("Non-Hispanic", "Hispanic", "Unknown")
TABLE_1 = {
    "zero-shot": (908, 41, 54),
    "vanilla": (970, 43, 57),
    "fr": (971, 44, 56),
    "gr": (965, 41, 57),
    "hybrid": (969, 43, 57),
}


def confusions(hits, sizes=SIZES):
    """(G, 2, 2): every image is negative, so that all answers are right or false alarms."""
    return np.array(
        [[[right, size - right], [0, 0]] for right, size in zip(hits, sizes, strict=True)]
    )


def hits_of(table):
    """(G, K, K) counts -> what a table of those answers says of class 1's rates in each group."""
    groups, classes, _ = table.shape
    cells = np.repeat(np.arange(table.size), table.ravel())
    codes, labels, predictions = np.unravel_index(cells, table.shape)
    answers = Predictions(
        range(len(cells)),
        labels,
        predictions,
        np.eye(classes)[predictions],
        "abc"[:classes],
        positive=1,
    )
    return class_sample(answers).hits(codes, groups)


def decide(first, second, gap="max_acc_gap"):
    found = {name: hits_of(confusions(TABLE_1[name])) for name in (first, second)}
    return fewest_deciding(GAPS[gap], found, NAMES)


def test_table_1_gr_against_vanilla_is_two_hispanic_images():
    decision = decide("vanilla", "gr")
    assert decision.examples == 2
    assert (decision.run, decision.changes) == ("gr", {"accuracy": {"Hispanic": 2}})
    assert decision.groups == ("Hispanic",)
    assert decide("gr", "vanilla").examples == 2
    assert decide("gr", "vanilla").changes == {"accuracy": {"Hispanic": -2}}


def test_equal_gaps_need_no_flip():
    """Vanilla and hybrid both have (43/76) - (57/108), whatever the largest group does."""
    assert decide("vanilla", "hybrid").examples == 0


def tried(hits, sizes, reaches):
    """The least sum of changes over every possible table of hits."""
    return min(
        sum(abs(a - b) for a, b in zip(hits, other, strict=True))
        for other in product(*(range(size + 1) for size in sizes))
        if reaches(
            max(h / s for h, s in zip(other, sizes, strict=True))
            - min(h / s for h, s in zip(other, sizes, strict=True))
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_search_is_exact(seed):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 8, generator.integers(2, 5))
    hits = generator.integers(0, sizes + 1)
    rates = hits / sizes
    width = rates.max() - rates.min()
    for target in {0.0, 1.0, 0.3, float(width)}:
        for search, reaches, holds in (
            (flips_to_narrow, lambda w, t=target: w <= t + 1e-9, width <= target + 1e-9),
            (flips_to_widen, lambda w, t=target: w >= t - 1e-9, width >= target - 1e-9),
        ):
            change = search(hits, sizes, target)
            changed = (hits + change) / sizes
            assert (hits + change >= 0).all()
            assert (hits + change <= sizes).all()
            assert reaches(changed.max() - changed.min())
            assert np.abs(change).sum() == tried(hits, sizes, reaches)
            assert (np.abs(change).sum() == 0) == holds


def test_groups_without_images_of_the_kind_are_left_out():
    hits, sizes = np.array([3, 0, 1]), np.array([4, 0, 4])
    assert flips_to_narrow(hits, sizes, 0.25).tolist() in ([-1, 0, 0], [0, 0, 1])
    assert flips_to_widen(hits, sizes, 1.0).tolist() == [1, 0, -1]
    only = {name: hits_of(confusions((3, 0), (4, 0))) for name in "ab"}
    assert fewest_deciding(GAPS["max_acc_gap"], only, ("x", "y")) is None
    assert fewest_deciding(GAPS["sensitivity_gap"], only, ("x", "y")) is None


RATES = ("accuracy", "sensitivity", "specificity", "fpr", "selection_rate")


@pytest.mark.parametrize("name", RATES)
def test_rates_are_the_metrics(name):
    confusion = np.random.default_rng(0).integers(1, 9, (5, 3, 3))
    hits, sizes = hits_of(confusion)[name]
    assert hits / sizes == pytest.approx(counted_metrics(confusion, 1)[name])


def odds_gap(found, alarms, positives, negatives):
    return max(
        max(f / n for f, n in zip(hits, sizes, strict=True))
        - min(f / n for f, n in zip(hits, sizes, strict=True))
        for hits, sizes in ((found, positives), (alarms, negatives))
    )


@pytest.mark.parametrize("seed", range(20))
def test_equalized_odds_are_searched_over_both_kinds_of_image(seed):
    """Against every possible table of either run."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 5, (2, 2))  # positives of both groups, negatives of both
    hits = {run: generator.integers(0, sizes + 1) for run in ("one", "two")}
    tables = {
        run: hits_of(
            np.array(
                [
                    [[negative - a, a], [positive - f, f]]
                    for f, a, positive, negative in zip(*h, *sizes, strict=True)
                ]
            )
        )
        for run, h in hits.items()
    }
    gaps = {run: odds_gap(*h, *sizes) for run, h in hits.items()}
    expected = 0
    if abs(gaps["one"] - gaps["two"]) > 1e-9:
        expected = min(
            np.abs(np.array(other).reshape(2, 2) - hits[run]).sum()
            for run, target in (("one", gaps["two"]), ("two", gaps["one"]))
            for other in product(*(range(size + 1) for size in sizes.ravel()))
            if (odds_gap(other[:2], other[2:], *sizes) - target) * (gaps[run] - target) <= 1e-9
        )
    decision = fewest_deciding(GAPS["equalized_odds_difference"], tables, ("x", "y"))
    assert decision.examples == expected
    told = [abs(k) for groups in decision.changes.values() for k in groups.values()]
    assert sum(told) == expected


def test_what_can_be_decided():
    """Differences of shares of a group's images, whatever the answers are."""
    confusion = np.random.default_rng(0).integers(1, 9, (2, 3, 2, 2))
    hits = {run: hits_of(table) for run, table in zip("ab", confusion, strict=True)}
    assert set(hits["a"]) == set(RATES)
    assert [name for name, gap in GAPS.items() if fewest_deciding(gap, hits, ("x", "y", "z"))] == [
        "max_acc_gap",
        "sensitivity_gap",
        "fpr_gap",
        "equalized_odds_difference",
        "demographic_parity_difference",
        "specificity_gap",
        "selection_rate_gap",
    ]
