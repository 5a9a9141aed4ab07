"""Intervals cover the truth, nulls show what equal groups would; both against closed forms."""

import numpy as np
import pytest

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.measuring import share_estimate
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.vectorised import (
    COUNTED,
    SCORED,
    error_by_group,
    error_metrics,
    prepare_scores,
    ranking_by_class,
    ranking_by_group,
)
from fairlora_cls.statistics.draws import bootstrap, null
from fairlora_cls.statistics.intervals import interval, p_value
from fairlora_cls.statistics.resampling import permuted_tables

SIZES = (1816, 76, 108)  # Table 1 of the glaucoma paper: Non-Hispanic, Hispanic, Unknown


def null_gaps(predictions, codes, groups, draws, generator):
    """Each gap of GAPS between groups whose names were dealt out anew, (R,) values each."""
    drawn = null(class_sample(predictions), codes, groups, draws, generator, exact=True)
    return {name: gap.values(drawn) for name, gap in GAPS.items()}


def binary(labels, score, threshold=0.5) -> Predictions:
    score = np.asarray(score, dtype=float)
    predicted = (score > threshold).astype(int)
    probabilities = np.column_stack([1 - score, score])
    return Predictions(range(len(score)), labels, predicted, probabilities, ("no", "yes"))


def noisy(generator, labels, separation=1.0) -> Predictions:
    logit = separation * (np.asarray(labels) - 0.5) + generator.normal(0, 1, len(labels))
    return binary(labels, 1 / (1 + np.exp(-logit)))


def values_by_group(predictions, codes):
    """Each metric of all examples and of each group, as an array; test_metrics.py checks the
    functions used here against plain loops."""
    every = []
    for rows in (np.arange(len(codes)), *(np.flatnonzero(codes == c) for c in np.unique(codes))):
        once = np.ones((1, len(rows)), dtype=np.int32)
        every.append(class_sample(predictions).rows(rows).weighted(once))
    return {name: np.array([values[name][0] for values in every]) for name in METRICS}


def table_1(correct):
    """The group sizes with so many correct answers each; labels alternate."""
    labels, score = [], []
    for size, right in zip(SIZES, correct, strict=True):
        for place in range(size):
            label = place % 2
            answer = label if place < right else 1 - label
            labels.append(label)
            score.append(0.9 if answer else 0.1)
    return binary(labels, score), np.repeat([0, 1, 2], SIZES)


def test_every_metric_is_counted_or_scored():
    assert {*COUNTED, *SCORED} == set(METRICS)
    assert all("probabilities" not in METRICS[name].reads for name in COUNTED)


def test_the_null_of_the_papers_table():
    """Equal groups of these sizes at accuracy .535 show 7.29 points on average, 95 % of the time
    1.21 to 16.91; that is also what plain binomial draws of three equal groups give."""
    predictions, codes = table_1((970, 43, 57))
    chance = null_gaps(predictions, codes, 3, 1000, np.random.default_rng(42))["max_acc_gap"]
    assert chance.mean() == pytest.approx(0.0729, abs=0.0015)
    low, high = interval(chance)
    assert low == pytest.approx(0.0121, abs=0.003)
    assert high == pytest.approx(0.1691, abs=0.003)
    generator = np.random.default_rng(0)
    shares = np.stack([generator.binomial(size, 0.535, 20_000) / size for size in SIZES])
    assert chance.mean() == pytest.approx(np.ptp(shares, axis=0).mean(), abs=0.0015)


def test_nulls_match_shuffling_by_hand():
    """Each gap's null against measuring groups shuffled by hand; prevalence and answers differ
    between the groups, so that it matters which examples may be exchanged."""
    generator = np.random.default_rng(1)
    codes = np.repeat([0, 1, 2], [30, 20, 10])
    labels = (generator.random(60) < np.take([0.2, 0.5, 0.8], codes)).astype(int)
    predictions = noisy(generator, labels, separation=2.0)
    fast = null_gaps(predictions, codes, 3, 4000, np.random.default_rng(2))
    strata = {
        "all": np.zeros(60, dtype=int),
        "label": labels,
        "prediction": predictions.predictions,
    }
    slow = {name: [] for name in GAPS}
    draws = 600
    for _ in range(draws):
        for scheme, stratum in strata.items():
            shuffled = codes.copy()
            for part in np.unique(stratum):
                rows = np.flatnonzero(stratum == part)
                shuffled[rows] = generator.permutation(codes[rows])
            values = values_by_group(predictions, shuffled)
            values = {name: value[1:] for name, value in values.items()}
            for name, gap in GAPS.items():
                if gap.exchangeable_within == scheme:
                    slow[name].append(float(gap.values(values)))
    for name, values in slow.items():
        assert len(values) == draws
        error = np.nanstd(values) / np.sqrt(draws)
        assert np.nanmean(fast[name]) == pytest.approx(np.nanmean(values), abs=4 * error), name
        assert np.nanstd(fast[name]) == pytest.approx(np.nanstd(values), rel=0.15), name


@pytest.mark.parametrize("decimals", [1, 9])
@pytest.mark.parametrize("classes", [2, 3])
def test_all_groups_at_once_are_each_group_by_itself(decimals, classes):
    """With many ties, and with none; some groups lack a class."""
    generator = np.random.default_rng(12)
    probabilities = generator.dirichlet(np.ones(classes), 60).round(decimals)
    probabilities[:, -1] = 1 - probabilities[:, :-1].sum(axis=1)
    labels = generator.integers(0, classes, 60)
    names = [f"{code}" for code in range(classes)]
    predictions = Predictions(
        range(60), labels, probabilities.argmax(axis=1), probabilities.clip(0, 1), names
    )
    scored = prepare_scores(labels, predictions.probabilities, -1 % classes, probabilities)
    sizes = np.array([40, 15, 4, 1])
    codes = generator.permuted(np.tile(np.repeat(np.arange(4), sizes), (50, 1)), axis=1)
    together = ranking_by_group(codes.astype(np.uint8), sizes, scored)
    together |= error_by_group(codes, sizes, scored)
    for code in range(4):
        weights = (codes == code).astype(np.int32)
        alone = ranking_by_class(weights, scored) | error_metrics(weights, scored)
        for name, values in alone.items():
            assert np.allclose(together[name][:, code], values, equal_nan=True), (name, code)


def test_permuted_tables_keep_their_margins():
    table = np.array([[5, 0, 2], [1, 4, 0], [0, 0, 0], [3, 1, 1]])
    drawn = permuted_tables(table, 4000, np.random.default_rng(0))
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == table.sum(axis=0)).all()
    assert (drawn.sum(axis=2) == table.sum(axis=1)).all()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    assert np.allclose(drawn.mean(axis=0), expected, atol=0.1)


def test_bootstrap_spread_matches_resampling_by_hand():
    generator = np.random.default_rng(3)
    predictions = noisy(generator, generator.integers(0, 2, 80))
    codes = np.repeat([0, 1], [50, 30])
    draws = bootstrap(class_sample(predictions), codes, 2, 4000, np.random.default_rng(4))
    slow = {name: [] for name in METRICS}
    for _ in range(300):
        rows = np.concatenate(
            [generator.choice(np.flatnonzero(codes == c), (codes == c).sum()) for c in (0, 1)]
        )
        resample = Predictions(
            range(80),
            predictions.labels[rows],
            predictions.predictions[rows],
            predictions.probabilities[rows],
            predictions.classes,
        )
        for name, values in values_by_group(resample, codes).items():
            slow[name].append(values)
    for name, values in slow.items():
        fast = np.column_stack([draws.overall[name], draws.by_group[name]])
        spread = np.nanstd(values, axis=0)
        assert np.nanmean(fast, axis=0) == pytest.approx(
            np.nanmean(values, axis=0), abs=0.35 * spread.max()
        ), name
        assert np.nanstd(fast, axis=0) == pytest.approx(spread, rel=0.3), name


def test_intervals_of_group_accuracy_cover_the_truth():
    """2,000 intervals, from groups of 40 (Wilson's) to groups of 300 (the bootstrap's): 93 to 97 %
    hold the truth."""
    generator = np.random.default_rng(5)
    truth, sizes = np.array([0.8, 0.65, 0.9, 0.7]), np.array([300, 200, 40, 60])
    codes, covered = np.repeat(np.arange(4), sizes), []
    for _ in range(500):
        right = generator.random(600) < truth[codes]
        labels = np.arange(600) % 2
        predictions = binary(labels, np.where(right, labels, 1 - labels) * 0.8 + 0.1)
        drawn = bootstrap(class_sample(predictions).quick(), codes, 4, 500, generator)
        draws = drawn.by_group["accuracy"]
        for code in range(4):
            value = right[codes == code].mean()
            estimate = share_estimate(value, draws[:, code], sizes[code], sizes[code])
            low, high = estimate.interval
            covered.append(low <= truth[code] <= high)
    assert 0.93 <= np.mean(covered) <= 0.97
    for code in range(4):
        assert 0.91 <= np.mean(covered[code::4]) <= 0.985


def test_p_values_are_uniform_when_groups_are_equal(monkeypatch):
    monkeypatch.setattr("fairlora_cls.statistics.draws.COUNTED_NULL_DRAWS", 200)
    generator = np.random.default_rng(6)
    codes = np.repeat([0, 1, 2], [60, 50, 40])
    names = ("max_acc_gap", "auroc_gap", "fpr_gap", "demographic_parity_ratio", "brier_gap")
    p_values = {name: [] for name in names}
    for _ in range(150):
        predictions = noisy(generator, generator.integers(0, 2, 150))
        values = {m: v[1:] for m, v in values_by_group(predictions, codes).items()}
        chance = null_gaps(predictions, codes, 3, 200, generator)
        for name in names:
            gap = GAPS[name]
            p_values[name].append(
                p_value(float(gap.values(values)), chance[name], gap.kind == "ratio")
            )
    for name, found in p_values.items():
        assert 0.4 < np.mean(found) < 0.6, name
        for level in (0.1, 0.25, 0.5, 0.75):
            assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.12), name


def test_a_planted_gap_is_found():
    generator = np.random.default_rng(7)
    codes = np.repeat([0, 1], 500)
    labels = generator.integers(0, 2, 1000)
    right = generator.random(1000) < np.where(codes == 0, 0.85, 0.70)
    predictions = binary(labels, np.where(right, labels, 1 - labels) * 0.8 + 0.1)
    chance = null_gaps(predictions, codes, 2, 500, generator)["max_acc_gap"]
    accuracy = [right[codes == code].mean() for code in (0, 1)]
    assert p_value(accuracy[0] - accuracy[1], chance) < 0.001


def test_p_value_counts_the_observed_draw_and_ties():
    chance = np.array([0.1, 0.2, 0.3, 0.4])
    assert p_value(0.3, chance) == 3 / 5
    assert p_value(0.3 + 1e-15, chance) == 3 / 5
    assert p_value(0.9, chance) == 1 / 5
    assert p_value(0.2, chance, smaller_is_worse=True) == 3 / 5


def test_an_interval_needs_half_of_its_draws():
    draws = np.arange(101, dtype=float)
    assert interval(draws) == pytest.approx((2.5, 97.5))
    draws[:50] = np.nan
    assert interval(draws) == pytest.approx((51.25, 98.75))
    draws[:51] = np.nan
    assert interval(draws) is None
    assert interval(np.empty(0)) is None


def test_no_group_vanishes_and_one_seed_gives_one_answer():
    generator = np.random.default_rng(8)
    predictions = noisy(generator, generator.integers(0, 2, 101))
    codes = np.r_[np.zeros(100, dtype=int), 1]
    first, second = (
        bootstrap(class_sample(predictions), codes, 2, 300, np.random.default_rng(9))
        for _ in range(2)
    )
    assert np.isfinite(first.by_group["accuracy"]).all()
    for name in METRICS:
        assert np.array_equal(first.by_group[name], second.by_group[name], equal_nan=True)
        assert first.by_group[name].shape == (300, 2)
        assert first.overall[name].shape == (300,)
