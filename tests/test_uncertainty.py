"""Limits of every kind of metric by hand; gaps that can reach down to none; what cannot be told."""

import numpy as np
import pytest
from scipy.stats import norm, t

from fairlora_cls.statistics.intervals import wilson_interval
from fairlora_cls.statistics.simultaneous import area_interval, area_variance
from fairlora_cls.statistics.uncertainty import (
    FEW_DRAWN,
    distances_limits,
    effective_counts,
    gap_limits,
    of_areas,
    of_f1,
    of_fractions,
    of_means,
    of_numbers,
    of_recalls,
    of_shares,
    why_unknown,
)

Z = norm.ppf(0.975)
BOTH = np.array([True, True])


def draws_of(mean, deviation, count=4000):
    """(count, 1) normal quantiles: their variance is known without any chance."""
    return (mean + deviation * norm.ppf((np.arange(count) + 0.5) / count))[:, None]


def test_f1_is_a_share_of_all_that_are_labelled_or_selected():
    """10 labelled, 12 selected, 8 hits: J = 8 / 14, F1 = 16 / 22."""
    told = of_f1(np.array([16 / 22]), np.array([10]), np.array([12]))
    expected = [2 * end / (1 + end) for end in wilson_interval(8 / 14, 14)]
    assert told.limits(0) == pytest.approx(expected)
    assert told.centres == pytest.approx(2 * (10 / 18) / (1 + 10 / 18))
    perfect = of_f1(np.array([1.0]), np.array([3]), np.array([3]))
    assert perfect.limits(0) == pytest.approx((2 * 0.4385 / 1.4385, 1), abs=1e-3)


def test_the_mean_of_two_rates_goes_as_far_as_both_limits_together():
    values = np.array([[0.8], [0.9]])
    parts = [of_shares(values[0], np.array([10])), of_shares(values[1], np.array([40]))]
    apart = np.zeros((2, 1, 1))
    below = [v - wilson_interval(v, n)[0] for v, n in ((0.8, 10), (0.9, 40))]
    low, high = of_means(parts, values, apart).limits(0)
    assert low == pytest.approx(0.85 - np.hypot(*below) / 2)
    assert high < 1
    wider = of_recalls(parts, values, np.array([[10], [40]])).limits(0)
    one = wilson_interval(0.85, 4 / (1 / 10 + 1 / 40))  # as many as the mean varies as
    assert wider == pytest.approx((min(low, one[0]), max(high, one[1])))


def test_means_of_what_goes_together_are_less_certain():
    values = np.array([[0.8], [0.8]])
    parts = [of_shares(each, np.array([50])) for each in values]
    same = np.stack([draws_of(0.8, 0.05), draws_of(0.8, 0.05)])
    low, _ = of_means(parts, values, same).limits(0)
    assert low == pytest.approx(wilson_interval(0.8, 50)[0])
    opposite = np.stack([draws_of(0.8, 0.05), draws_of(0.8, -0.05)])
    low, high = of_means(parts, values, opposite).limits(0)
    assert high - low < 0.03  # what little is left is the unequal reach of both sides


def test_the_mean_leaves_out_classes_that_are_not_there():
    values = np.array([[0.8], [np.nan]])
    parts = [of_shares(values[0], np.array([30])), of_shares(values[1], np.array([0]))]
    told = of_means(parts, values, np.zeros((2, 1, 1)))
    assert told.limits(0) == pytest.approx(wilson_interval(0.8, 30))


@pytest.mark.parametrize("units", [3, 12, 5000])
def test_fractions_count_as_many_examples_as_would_vary_as_much(units):
    """0.2 · 0.8 / 0.05² = 64 examples, fewer for few units: their spread is uncertain itself."""
    drawn = draws_of(0.2, 0.05)
    found = effective_counts(np.array([0.2]), drawn, np.array([units]))
    inflated = drawn.var() * units / (units - 1)
    freedom = (Z / t.ppf(0.975, units - 1)) ** 2
    assert found == pytest.approx(0.16 / inflated * freedom)
    limits = of_fractions(np.array([0.2]), drawn, np.array([units])).limits(0)
    assert limits == pytest.approx(wilson_interval(0.2, found[0]))


def test_resamples_that_agree_leave_the_units():
    drawn = np.ones((100, 1))
    told = of_fractions(np.array([1.0]), drawn, np.array([3]))
    assert told.limits(0) == pytest.approx(wilson_interval(1, 3))
    numbers = of_numbers(np.array([4.0]), 4 * drawn, np.array([30]))
    assert numbers.limits(0) is None
    assert "agree" in numbers.reason


def test_few_errors_are_a_share_at_most():
    drawn, units = draws_of(0.01, 0.001), np.array([40])
    told = of_fractions(np.array([0.01]), drawn, units, np.array([True]))
    assert told.limits(0) == pytest.approx(wilson_interval(0.01, 40))


def test_few_resamples_tell_nothing_of_what_rests_on_them():
    told = of_fractions(np.array([0.5]), draws_of(0.5, 0.1, 39), np.array([50]))
    assert told.limits(0) is None
    assert told.reason == FEW_DRAWN


def test_scores_on_other_scales_have_students_limits():
    told = of_numbers(np.array([30.0]), draws_of(30, 2), np.array([5]))
    half = t.ppf(0.975, 4) * draws_of(30, 2).std() * np.sqrt(5 / 4)
    assert told.limits(0) == pytest.approx((30 - half, 30 + half))


def test_areas_of_few_examples_are_newcombes_and_of_units_less_certain():
    area, sides = np.array([0.9]), [np.array([20]), np.array([60])]
    drawn = draws_of(0.9, 0.1)
    alone = of_areas(area, sides, None, drawn)
    assert alone.limits(0) == pytest.approx(area_interval(0.9, 20, 60))
    units = [np.array([10]), np.array([10])]
    more = drawn.var() * 10 / 9 * (t.ppf(0.975, 9) / Z) ** 2 / area_variance(0.9, 20, 60)
    assert more > 1
    whole = of_areas(area, sides, units, drawn)
    assert whole.limits(0) == pytest.approx(area_interval(0.9, 20 / more, 60 / more))
    certain = of_areas(np.array([1.0]), sides, units, np.ones((100, 1)))
    assert certain.limits(0) == pytest.approx(area_interval(1.0, 10, 10))


def test_areas_of_many_examples_vary_as_their_resamples_do():
    area, sides = np.array([0.9]), [np.array([1000]), np.array([1000])]
    narrow, wide = (of_areas(area, sides, None, draws_of(0.9, s)).limits(0) for s in (0.004, 0.01))
    assert narrow[1] - narrow[0] == pytest.approx(2 * Z * 0.004, rel=0.02)
    assert wide[1] - wide[0] == pytest.approx(2 * Z * 0.01, rel=0.02)


def test_a_gap_of_two_rates_by_hand():
    """Agresti and Caffo's centres 42 / 54 and 26 / 54."""
    told = of_shares(np.array([0.8, 0.48]), np.array([50, 50]))
    apart, error = 16 / 54, np.sqrt((42 * 12 + 26 * 28) / 54**3)
    limits = gap_limits("difference", [told], BOTH, 0.32)
    assert limits == pytest.approx((apart - Z * error, apart + Z * error))


def test_a_gap_can_be_none_and_holds_what_was_seen():
    alike = of_shares(np.array([0.8, 0.8]), np.array([50, 80]))
    assert gap_limits("difference", [alike], BOTH, 0.0)[0] == 0
    ratio = gap_limits("ratio", [alike], BOTH, 1.0)
    assert 0 < ratio[0] < 0.9
    assert ratio[1] == 1
    single = of_shares(np.array([1.0, 0.0]), np.array([1, 1]))
    assert gap_limits("difference", [single], BOTH, 1.0)[1] == 1
    assert gap_limits("ratio", [single], BOTH, 0.0)[0] == 0


def test_a_gap_in_either_of_two_metrics_is_asked_twice():
    told = of_shares(np.array([0.5, 0.5]), np.array([96, 96]))
    error = np.sqrt(2 * 0.25 / 100)
    once, twice = (gap_limits("difference", [told] * n, BOTH, 0.0)[1] for n in (1, 2))
    assert once == pytest.approx(Z * error)
    assert twice == pytest.approx(norm.ppf((1 + np.sqrt(0.95)) / 2) * error)


def test_a_gap_with_an_unknown_group_says_why():
    told = of_numbers(np.array([1.0, 2.0]), np.tile([1.0, 2.0], (100, 1)), np.array([9, 9]))
    assert gap_limits("difference", [told], BOTH, 1.0) is None
    assert "agree" in why_unknown([told], BOTH)


def test_distances_from_the_whole_of_two_equal_groups():
    """Both lie half of their difference away: together the difference, |N(0, 2 s²)|."""
    told = of_shares(np.array([0.5, 0.5]), np.array([96, 96]))
    low, high = distances_limits(told, BOTH, np.array([96, 96]), 0.0)
    assert low == 0
    assert high == pytest.approx(Z * np.sqrt(2 * 0.25 / 100), rel=0.05)
