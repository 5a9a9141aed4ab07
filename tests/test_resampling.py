"""Units stay whole, groups stay present, and clustered draws are as wide as the clusters demand."""

import numpy as np
import pytest

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.statistics.draws import bootstrap
from fairlora_cls.statistics.intervals import interval, p_value
from fairlora_cls.statistics.resampling import (
    bootstrap_blocks,
    dealt_codes,
    drawn_weights,
    null_blocks,
)
from tests.test_uncertainty import null_gaps


def table(labels, predicted, units=None) -> Predictions:
    score = np.where(np.asarray(predicted) == 1, 0.8, 0.2)
    probabilities = np.column_stack([1 - score, score])
    ids = range(len(labels))
    return Predictions(ids, labels, predicted, probabilities, ("no", "yes"), units=units)


def patients(generator, count, images, spread, accuracy=0.7):
    """Patients whose images are right or wrong together: with `spread` 1 all alike."""
    labels = np.repeat(generator.integers(0, 2, count), images)
    own = np.repeat(generator.random(count) < accuracy, images)
    each = generator.random(count * images) < accuracy
    right = np.where(generator.random(count * images) < spread, own, each)
    units = np.repeat(np.arange(count), images)
    return table(labels, np.where(right, labels, 1 - labels), units)


def test_a_drawn_unit_brings_all_its_examples():
    units = ["a", "a", "b", "c", "c", "c", "d", "e"]
    predictions = table([0, 1] * 4, [0, 1] * 4, units)
    codes = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    blocks = bootstrap_blocks(predictions.units, codes, 2)
    weights = blocks.to_examples(drawn_weights(blocks, 200, np.random.default_rng(0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 7]].sum(axis=1) == 3).all()  # three units of group 0, drawn thrice
    assert (weights[:, [3, 6]].sum(axis=1) == 2).all()


def test_a_unit_of_two_groups_stays_whole_and_no_group_vanishes():
    predictions = table([0, 1, 0, 1], [0, 1, 1, 1], ["a", "a", "b", "b"])
    codes = np.array([0, 1, 0, 1])
    blocks = bootstrap_blocks(predictions.units, codes, 2)
    weights = blocks.to_examples(drawn_weights(blocks, 100, np.random.default_rng(0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    for code in (0, 1):
        assert (weights[:, codes == code].sum(axis=1) > 0).all()


def test_names_are_dealt_to_whole_units_of_the_same_labels():
    units = ["a", "a", "b", "b", "c", "c", "d", "d"]
    labels = [0, 1, 0, 1, 1, 1, 1, 1]
    predictions = table(labels, labels, units)
    codes = np.repeat([0, 1, 0, 1], 2)
    blocks, own = null_blocks(predictions.units, codes, class_sample(predictions).kinds("label"))
    dealt = blocks.to_examples(dealt_codes(blocks, own, 300, np.random.default_rng(0)))
    assert (dealt[:, ::2] == dealt[:, 1::2]).all()
    assert (dealt[:, :4].sum(axis=1) == 2).all()  # units with both labels swap among themselves
    assert (dealt[:, 0] != dealt[0, 0]).any()


def test_units_of_one_example_each_change_nothing():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 100)
    alone = table(labels, generator.integers(0, 2, 100), units=[f"p{i}" for i in range(100)])
    assert alone.units is None


def test_clustered_spread_is_that_of_the_patients():
    """200 patients with 5 images alike: accuracy varies as that of 200 examples, not of 1,000."""
    predictions = patients(np.random.default_rng(2), 200, 5, spread=1)
    codes = np.repeat([0, 1], 500)
    draws = bootstrap(class_sample(predictions), codes, 2, 2000, np.random.default_rng(3))
    accuracy = (predictions.labels == predictions.predictions).mean()
    expected = np.sqrt(accuracy * (1 - accuracy) / 200)
    assert draws.overall["accuracy"].std() == pytest.approx(expected, rel=0.1)
    for name in METRICS:
        assert draws.by_group[name].shape == (2000, 2)
        assert np.isfinite(draws.by_group[name]).all()


def test_clustered_intervals_cover_and_clustered_nulls_do_not_cry_wolf():
    generator = np.random.default_rng(4)
    covered, found = [], {"max_acc_gap": [], "sensitivity_gap": [], "auroc_gap": []}
    codes = np.repeat([0, 1], [240, 160])
    for _ in range(120):
        predictions = patients(generator, 100, 4, spread=0.8)
        low, high = interval(
            bootstrap(class_sample(predictions), codes, 2, 300, generator).overall["accuracy"]
        )
        covered.append(low <= 0.7 <= high)
        null = null_gaps(predictions, codes, 2, 200, generator)
        right = predictions.labels == predictions.predictions
        sick = predictions.labels == 1
        observed = {
            "max_acc_gap": abs(right[codes == 0].mean() - right[codes == 1].mean()),
            "sensitivity_gap": abs(
                right[sick & (codes == 0)].mean() - right[sick & (codes == 1)].mean()
            ),
        }
        for name, value in observed.items():
            found[name].append(p_value(value, null[name]))
    assert 0.88 <= np.mean(covered) <= 0.99
    for name in observed:
        assert np.mean(np.array(found[name]) <= 0.1) < 0.18, name
        assert 0.38 < np.mean(found[name]) < 0.62, name
