"""Paired draws equal plain loops over scikit-learn, and the swap test's p-value is uniform."""

import numpy as np
import pytest
from scipy.stats import kstest, rankdata

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.statistics.draws import paired_bootstrap, swap
from fairlora_cls.statistics.intervals import swap_p_value
from tests.test_comparison import model

RANKED = ("auroc", "average_precision")


def by_loop(labels, predictions, probabilities, positive, names=METRICS):
    return {
        name: METRICS[name].function(labels, predictions, probabilities, positive) for name in names
    }


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_equal_repeated_rows(classes):
    one = model(1, 40, classes)
    rows = np.arange(5, 35)
    weights = np.random.default_rng(0).integers(0, 3, (6, 30)).astype(np.int32)
    found = class_sample(one).rows(rows).weighted(weights)
    for draw in range(6):
        again = np.repeat(rows, weights[draw])
        expected = by_loop(
            one.labels[again], one.predictions[again], one.probabilities[again], one.positive
        )
        for name, value in expected.items():
            assert found[name][draw] == pytest.approx(value, nan_ok=True), name


@pytest.mark.parametrize("classes", [2, 3])
def test_swaps_equal_a_plain_loop(classes):
    one, two = model(1, 40, classes), model(2, 40, classes)
    rows = np.arange(10, 40)
    mask = np.random.default_rng(0).integers(0, 2, (5, 30), dtype=np.int32)
    weights = np.concatenate([1 - mask, mask], axis=1)
    ranks = [np.apply_along_axis(rankdata, 0, m.probabilities) for m in (one, two)]
    both = class_sample(one).paired(class_sample(two))
    found = both.rows(np.concatenate([rows, 40 + rows])).weighted(weights)
    for draw in range(5):
        taken = [
            (two if swap else one, ranks[swap], row)
            for row, swap in zip(rows, mask[draw], strict=True)
        ]
        predictions = np.array([m.predictions[row] for m, _, row in taken])
        probabilities = np.array([m.probabilities[row] for m, _, row in taken])
        places = np.array([rank[row] for _, rank, row in taken])
        expected = by_loop(one.labels[rows], predictions, probabilities, one.positive)
        expected |= by_loop(one.labels[rows], predictions, places, one.positive, RANKED)
        for name, value in expected.items():
            assert found[name][draw] == pytest.approx(value, nan_ok=True), name


def test_both_models_see_the_same_resamples():
    one = model(1, 60)
    codes = np.arange(60) % 3
    found = paired_bootstrap([class_sample(one)] * 2, codes, 3, 20, np.random.default_rng(0))
    for name in METRICS:
        assert np.array_equal(found[0].overall[name], found[1].overall[name], equal_nan=True)
        assert np.array_equal(found[0].by_group[name], found[1].by_group[name], equal_nan=True)
    assert found[0].overall["accuracy"].shape == (20,)
    assert found[0].by_group["accuracy"].shape == (20, 3)
    assert len(np.unique(found[0].overall["accuracy"])) > 1


def test_groups_keep_their_sizes():
    """Overall accuracy is the mean of the groups' weighted by their sizes, draw by draw."""
    one = model(1, 50)
    codes = np.array([0] * 40 + [1] * 10)
    (found,) = paired_bootstrap([class_sample(one)], codes, 2, 30, np.random.default_rng(0))
    assert found.by_group["accuracy"] @ [0.8, 0.2] == pytest.approx(found.overall["accuracy"])


def test_swapping_keeps_the_sum_of_both():
    one, two = model(1, 50), model(2, 50)
    codes = np.arange(50) % 2
    first, second = swap(
        class_sample(one), class_sample(two), codes, 2, 30, np.random.default_rng(0)
    )
    both = [(m.predictions == m.labels).mean() for m in (one, two)]
    assert first.overall["accuracy"] + second.overall["accuracy"] == pytest.approx(sum(both))
    assert len(np.unique(first.overall["accuracy"])) > 1


@pytest.fixture(scope="module")
def p_values():
    """Of 150 pairs of models of the same skill, which is better in one group than in the other:
    without that, the absolute values in a gap make ties (and p large) in most data sets."""
    found = {"accuracy": [], "auroc": [], "gap": []}
    codes = np.arange(100) % 2
    skill = np.where(codes, 2.5, 0)
    for number in range(150):
        one, two = (model(start + number, 100, skill=skill) for start in (1000, 5000))
        first, second = swap(
            class_sample(one), class_sample(two), codes, 2, 199, np.random.default_rng(number)
        )
        observed = [
            by_loop(m.labels, m.predictions, m.probabilities, 1, ("accuracy", "auroc"))
            for m in (one, two)
        ]
        for name in ("accuracy", "auroc"):
            chance = second.overall[name] - first.overall[name]
            found[name].append(swap_p_value(observed[1][name] - observed[0][name], chance))
        chance = np.ptp(second.by_group["accuracy"], 1) - np.ptp(first.by_group["accuracy"], 1)
        gaps = [
            abs(np.subtract(*((m.predictions == m.labels)[codes == c].mean() for c in (0, 1))))
            for m in (one, two)
        ]
        found["gap"].append(swap_p_value(gaps[1] - gaps[0], chance))
    return {name: np.array(values) for name, values in found.items()}


def test_p_is_uniform_under_no_difference(p_values):
    assert kstest(p_values["auroc"], "uniform").pvalue > 0.05


@pytest.mark.parametrize("name", ["accuracy", "gap"])
@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_p_is_valid_where_ties_make_it_larger(p_values, name, level):
    """Counts take few values: P(p <= level) is at most the level, within 2.5 standard errors."""
    share = (p_values[name] <= level).mean()
    assert share <= level + 2.5 * np.sqrt(level * (1 - level) / 150)
    assert share >= 0.3 * level


def test_p_value_by_hand():
    assert swap_p_value(0.2, np.array([0.1, -0.2, 0.3, np.nan])) == pytest.approx(3 / 4)
    assert swap_p_value(0.2, np.array([np.nan, np.nan, 0.1])) is None
    assert swap_p_value(0.0, np.zeros(9)) == 1
