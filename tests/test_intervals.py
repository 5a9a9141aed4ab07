"""Intervals and corrections against closed forms and published examples."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from fairlora_cls.statistics.intervals import (
    bias_corrected_interval,
    bootstrap_bias,
    holm,
    interval,
    is_small,
    p_value,
    swap_p_value,
    tail_p_value,
    wide_interval,
    wilson_interval,
)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (0, 12), (41, 76), (57, 108), (9, 10)])
def test_wilson_is_scipys(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson_interval(hits / count, count) == pytest.approx((expected.low, expected.high))


def test_a_rate_is_small_by_its_count_or_its_rarer_outcome():
    assert is_small(0.5, 99)
    assert not is_small(0.5, 100)
    assert is_small(0.991, 1000)
    assert not is_small(0.99, 1000)


def test_bias_corrected_percentiles():
    """Of normal draws around a mean that is half a standard error too high, BC moves both limits
    down by a whole one: 2 z0 with z0 = Phi^-1(Phi(-0.5))."""
    draws = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert bias_corrected_interval(0.0, draws) == pytest.approx((-1.96, 1.96), abs=0.005)
    assert bias_corrected_interval(-0.5, draws) == pytest.approx((-2.96, 0.96), abs=0.01)


def test_no_percentile_corrects_draws_on_one_side():
    draws = np.linspace(1, 2, 1000)
    assert bias_corrected_interval(0.9, draws) is None
    assert bias_corrected_interval(1.01, draws) is None
    assert bias_corrected_interval(1.5, np.full(1000, np.nan)) is None
    assert bias_corrected_interval(1.0, np.ones(1000)) == (1.0, 1.0)


def test_bias_is_marked_beyond_a_quarter_of_a_standard_error():
    draws = np.tile([0.0, 2.0], 500)  # mean 1, standard deviation 1
    assert bootstrap_bias(0.8, draws) == (pytest.approx(0.2), False)
    assert bootstrap_bias(0.7, draws) == (pytest.approx(0.3), True)
    assert bootstrap_bias(1.0, np.full(3, np.nan)) is None
    assert bootstrap_bias(1.0, np.ones(5)) == (0.0, False)


def test_holm_by_hand():
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_beyond_the_draws_the_tail_goes_on_and_overstates_light_tails():
    generator = np.random.default_rng(0)
    null = np.abs(generator.normal(0, 1, 1000))
    assert tail_p_value(1.0, null) == p_value(1.0, null)
    for observed in (3.5, 4.0, 5.0):
        truth = 2 * norm.sf(observed)
        assert truth < tail_p_value(observed, null) < p_value(observed, null) + 1e-12
    assert tail_p_value(5.0, null) < 1e-4
    assert tail_p_value(-5.0, -null, smaller_is_worse=True) == pytest.approx(
        tail_p_value(5.0, null)
    )


def test_a_null_of_one_value_has_no_tail():
    null = np.zeros(1000)
    assert tail_p_value(0.0, null) == 1.0
    assert tail_p_value(0.5, null) == p_value(0.5, null)


def test_p_value_counts_the_observed_draw_and_ties():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert p_value(0.3, null) == 3 / 5
    assert p_value(0.3 + 1e-15, null) == 3 / 5
    assert p_value(0.9, null) == 1 / 5
    assert p_value(0.2, null, smaller_is_worse=True) == 3 / 5


def test_p_of_a_swap_is_two_sided_and_needs_half_of_its_draws():
    assert swap_p_value(0.2, np.array([0.1, -0.2, 0.3, np.nan])) == pytest.approx(3 / 4)
    assert swap_p_value(0.2, np.array([np.nan, np.nan, 0.1])) is None
    assert swap_p_value(0.0, np.zeros(9)) == 1


def test_an_interval_needs_half_of_its_draws():
    draws = np.arange(101, dtype=float)
    assert interval(draws) == pytest.approx((2.5, 97.5))
    draws[:50] = np.nan
    assert interval(draws) == pytest.approx((51.25, 98.75))
    draws[:51] = np.nan
    assert interval(draws) is None
    assert interval(np.empty(0)) is None


def test_fewer_than_forty_draws_have_no_percentiles():
    draws = np.arange(40, dtype=float)
    assert interval(draws) is not None
    assert interval(draws[:39]) is None
    assert bias_corrected_interval(15.0, draws[:39]) is None
    assert swap_p_value(1.0, np.array([0.5, 2.0])) == pytest.approx(2 / 3)


def test_draws_that_agree_say_nothing_of_certainty():
    assert interval(np.ones(100)) == (1, 1)
    assert wide_interval(np.ones(100)) is None
    assert wide_interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))


def test_a_null_of_few_values_has_no_tail_to_continue():
    """Six images can be dealt in few ways: 9 of 200 draws as bad are 10 of 201, not less."""
    null = np.repeat([0.5, 0.3, 0.2, 0.1], [9, 41, 70, 80])
    assert tail_p_value(0.5, null) == pytest.approx(10 / 201)
    smooth = np.linspace(0, 1, 200)
    assert tail_p_value(3.0, smooth) < 1 / 201
