"""Detectable gaps and group sizes against the closed form of two groups and against simulation."""

import numpy as np
import pytest

from fairlora_cls.evaluation.metrics import GAPS
from fairlora_cls.statistics.power import (
    Spread,
    examples_to_detect,
    lagging_group,
    smallest_detectable_gap,
)

ACCURACY = GAPS["max_acc_gap"]
Z = 1.959964 + 0.841621  # two-sided 5 %, 80 % power


def rate(level, *counts):
    return Spread(level, np.sqrt(level * (1 - level)), np.array(counts))


@pytest.mark.parametrize("counts", [(500, 500), (900, 60)])
def test_two_groups_match_the_textbook(counts):
    spread = rate(0.8, *counts)
    expected = Z * spread.unit * np.sqrt(1 / counts[0] + 1 / counts[1])
    found = smallest_detectable_gap(ACCURACY, {"accuracy": spread})
    assert found == pytest.approx(expected, rel=0.03)
    needed = examples_to_detect(ACCURACY, {"accuracy": spread})
    assert needed == pytest.approx(Z**2 * 2 * 0.8 * 0.2 / 0.05**2, rel=0.06)


def test_three_groups_match_binomial_studies():
    """In Table 1's sizes: of simulated studies whose smallest group lags by the stated gap, 80 %
    show a larger gap than 95 % of studies of equal groups do."""
    sizes, level = (1816, 76, 108), 0.535
    gap = smallest_detectable_gap(ACCURACY, {"accuracy": rate(level, *sizes)})
    generator = np.random.default_rng(0)

    def gaps(levels):
        rates = [generator.binomial(n, p, 20_000) / n for n, p in zip(sizes, levels, strict=True)]
        return np.ptp(rates, axis=0)

    limit = np.quantile(gaps([level] * 3), 0.95)
    assert (gaps([level, level - gap, level]) > limit).mean() == pytest.approx(0.8, abs=0.03)


def test_larger_groups_show_smaller_gaps_for_every_kind_of_gap():
    for gap in GAPS.values():
        found = []
        for factor in (1, 4):
            spreads = {name: rate(0.7, 400 * factor, 250 * factor) for name in gap.metrics}
            found.append(smallest_detectable_gap(gap, spreads))
        few, many = found if gap.kind == "difference" else [1 - ratio for ratio in found]
        assert many == pytest.approx(few / 2, rel=0.12), gap.title
        assert examples_to_detect(gap, spreads) > 100


def test_what_cannot_be_shown_is_none():
    assert smallest_detectable_gap(ACCURACY, {"accuracy": rate(0.5, 3, 2)}) is None
    assert smallest_detectable_gap(ACCURACY, {"accuracy": rate(1.0, 300, 200)}) is None
    assert examples_to_detect(ACCURACY, {"accuracy": Spread(0.5, np.nan, np.array([9, 9]))}) is None


def test_the_smallest_group_lags_unless_several_are():
    assert lagging_group(ACCURACY, {"accuracy": rate(0.5, 30, 20, 40)}) == 1
    assert lagging_group(ACCURACY, {"accuracy": rate(0.5, 20, 20, 40)}) is None
