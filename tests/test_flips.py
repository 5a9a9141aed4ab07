"""The fewest images that decide: the published table, and all small cases by trying every change."""

from itertools import product

import numpy as np
import pytest

from fairlora_cls.evaluation.flips import (
    DECIDABLE_GAPS,
    RATES,
    fewest_deciding,
    flips_to_narrow,
    flips_to_widen,
)
from fairlora_cls.evaluation.metrics import GAPS
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


def decide(first, second, gap="max_acc_gap"):
    found = {name: confusions(TABLE_1[name]) for name in (first, second)}
    return fewest_deciding(GAPS[gap], found, NAMES, positive=1)


def test_table_1_gr_against_vanilla_is_two_hispanic_images():
    decision = decide("vanilla", "gr")
    assert decision.examples == 2
    assert (decision.run, decision.changes) == ("gr", {"Hispanic": 2})
    assert decide("gr", "vanilla").examples == 2
    assert decide("gr", "vanilla").changes == {"Hispanic": -2}


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
    only = {name: confusions((3, 0), (4, 0)) for name in "ab"}
    assert fewest_deciding(GAPS["max_acc_gap"], only, ("x", "y"), 1) is None
    assert fewest_deciding(GAPS["sensitivity_gap"], only, ("x", "y"), 1) is None


@pytest.mark.parametrize("name", RATES)
def test_rates_are_the_metrics(name):
    confusion = np.random.default_rng(0).integers(1, 9, (5, 3, 3))
    hits, sizes = RATES[name](confusion, 1)
    assert hits / sizes == pytest.approx(counted_metrics(confusion, 1)[name])


def test_equalized_odds_counts_both_kinds_of_image():
    """One run has gaps 0 and 0; the other 2/4 in sensitivity and 1/4 in false alarms: to narrow it
    takes three flips, to widen the first two."""

    def table(*groups):  # (found of 4 positives, alarms of 4 negatives) each
        return np.array([[[4 - alarms, alarms], [4 - found, found]] for found, alarms in groups])

    runs = {"even": table((2, 2), (2, 2)), "odd": table((3, 2), (1, 1))}
    decision = fewest_deciding(GAPS["equalized_odds_difference"], runs, ("x", "y"), 1)
    assert (decision.examples, decision.run) == (2, "even")
    spread = {"even": table((2, 2), (2, 2)), "odd": table((3, 2), (3, 1))}
    assert fewest_deciding(GAPS["equalized_odds_difference"], spread, ("x", "y"), 1).examples == 1


def test_what_can_be_decided():
    assert DECIDABLE_GAPS == (
        "max_acc_gap",
        "sensitivity_gap",
        "fpr_gap",
        "equalized_odds_difference",
        "demographic_parity_difference",
        "specificity_gap",
        "selection_rate_gap",
    )
