"""Detectable gaps and group sizes against textbooks and simulation, counted in patients."""

import numpy as np
import pytest
from scipy.stats import norm

from fairlora_cls.evaluation.metrics import GAPS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.statistics.power import (
    Spread,
    examples_to_detect,
    lagging_group,
    smallest_detectable_gap,
)
from fairlora_cls.statistics.simultaneous import area_variance

ACCURACY = GAPS["max_acc_gap"]


def rate(level, *counts, better="higher"):
    counts = np.array(counts)
    return Spread(level, np.sqrt(level * (1 - level)), counts, better, share_of=counts)


def textbook(level, gap, *counts):
    """Fleiss: z of the equal null at the level of all, z of the power at both groups' own levels."""
    (most, few), lagging = counts, level - gap
    pooled = (most * level + few * lagging) / (most + few)
    null = np.sqrt(pooled * (1 - pooled) * (1 / most + 1 / few))
    own = np.sqrt(level * (1 - level) / most + lagging * (1 - lagging) / few)
    return norm.cdf((gap - 1.959964 * null) / own)


@pytest.mark.parametrize(("level", "counts"), [(0.8, (5000, 5000)), (0.9, (9000, 600))])
def test_two_groups_match_the_textbook(level, counts):
    gap = smallest_detectable_gap(ACCURACY, {"accuracy": rate(level, *counts)})
    step = (1 / counts[0] + 1 / counts[1]) / 4  # that counts are whole costs a little
    assert textbook(level, gap - step, *counts) == pytest.approx(0.8, abs=0.01)


def test_two_equal_groups_need_what_the_textbook_says():
    """z of 5 % 1.959964, of 80 % 0.841621; of .97 and .92, whose mean is .945: (1.959964 · √(2 · .945
    · .055) + .841621 · √(.97 · .03 + .92 · .08))² / .05² = 325."""
    assert needed(0.97) == pytest.approx(325, rel=0.01)
    # .80 and .75: (1.959964 · √(2 · .775 · .225) + .841621 · √(.16 + .1875))² / .05² = 1,094
    assert needed(0.80) == pytest.approx(1094, rel=0.01)


def test_a_family_of_tests_needs_more():
    """5 % over 10 tests: z of 0.5 % two-sided is 2.807034 in place of 1.959964: 552."""
    assert needed(0.97, at=0.005) == pytest.approx(552, rel=0.02)


def needed(level, at=0.05):
    return examples_to_detect(ACCURACY, {"accuracy": rate(level, 30, 20)}, at)


def test_the_lagging_side_is_the_worse_one_while_there_is_room():
    """A rate of false alarms of 3 % lags to 8 %: what specificity needs at 97 %."""
    lower = examples_to_detect(GAPS["fpr_gap"], {"fpr": rate(0.03, 30, 20, better="lower")})
    assert lower == pytest.approx(needed(0.97), rel=0.01)
    assert rate(0.3, 9, 9).direction == -1
    assert rate(0.03, 9, 9).direction == 1  # nothing is 5 points below
    assert rate(0.3, 9, 9, better="neither").direction == 1  # towards one half


def test_an_area_varies_as_newcombe_says_at_its_own_level():
    """Of 200 positives and 300 negatives in each of two groups: from .95 to .85 V grows 2.6-fold."""
    sides = (400.0, 600.0)
    unit = np.sqrt(area_variance(0.95, *sides) * 400)
    spread = Spread(0.95, unit, np.array([200.0, 200.0]), sides=sides)
    grown = area_variance(0.85, *sides) / area_variance(0.95, *sides)
    assert spread.growth(0.85) ** 2 == pytest.approx(grown)
    gap = smallest_detectable_gap(GAPS["auroc_gap"], {"auroc": spread})
    pooled, own = (area_variance(0.95 - part, 200, 300) for part in (gap / 2, gap))
    power = (gap - 1.959964 * np.sqrt(2 * pooled)) / np.sqrt(area_variance(0.95, 200, 300) + own)
    assert norm.cdf(power) == pytest.approx(0.8, abs=0.01)


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


def few_patients(**options):
    """60 images of 3 patients of B, 300 of 300 of A; half are positive; 90 and 80 % are right."""
    labels = np.tile([0, 1], 180)
    patients = [f"a{k}" for k in range(300)] + [f"b{k % 3}" for k in range(60)]
    right = np.r_[np.arange(300) % 10 > 0, np.arange(60) % 5 > 0]
    score = np.where(right == labels, 0.9, 0.1)
    return fairness_report(
        Predictions(
            ids=tuple(map(str, range(360))),
            labels=labels,
            predictions=(score > 0.5).astype(int),
            probabilities=np.column_stack([1 - score, score]),
            classes=("no", "yes"),
            attributes={
                "group": np.repeat(np.array(["A", "B"], dtype=object), [300, 60]),
                "site": np.array(["x", "y"] * 180, dtype=object),
            },
            units=patients,
        ),
        bootstrap=100,
        **options,
    )


def test_a_group_of_three_patients_is_one_of_three_whatever_its_images():
    report = few_patients()
    of_b = report.attributes["group"].groups["B"]
    assert (of_b.n, of_b.units) == (60, 3)
    assert report.to_dict()["attributes"]["group"]["groups"]["B"]["units"] == 3
    (small,) = (text for text in report.warnings if "fewer than 20" in text)
    assert "patients" in small
    assert "B (3 with 60 examples)" in small
    power = report.attributes["group"].gaps["sensitivity_gap"].power
    assert (power.lagging, power.counted) == ("B", "units with positives")


def test_patients_are_not_counted_where_small_cells_are_hidden():
    report = few_patients(suppress_below=5)
    groups = report.attributes["group"].groups
    assert [group.units for group in groups.values()] == [None, None]
    assert not any("fewer than 20" in text for text in report.warnings)
