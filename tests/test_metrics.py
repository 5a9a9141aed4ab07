"""Metrics and gaps against plain loops, fairlearn's documentation and the papers' tables."""

import math

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    equalized_odds_ratio,
)
from sklearn import metrics as scikit_learn

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.metrics import (
    CALIBRATION_BINS,
    EQUITY_SCALED,
    GAPS,
    METRICS,
    roc_curve,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.statistics.gaps import extreme_groups, fairclip_score, fairllava_score

BETTER = {name: metric.better for name, metric in METRICS.items()}

FAIRLEARN = {
    "demographic_parity_difference": demographic_parity_difference,
    "demographic_parity_ratio": demographic_parity_ratio,
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_ratio": equalized_odds_ratio,
    "sensitivity_gap": equal_opportunity_difference,
}
METRIC_NAMES = [
    "accuracy",
    "balanced_accuracy",
    "auroc",
    "average_precision",
    "sensitivity",
    "specificity",
    "fpr",
    "ppv",
    "npv",
    "f1",
    "selection_rate",
    "brier",
    "ece",
]
NAMED_GAPS = [
    "max_acc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "auroc_gap",
]


def make_predictions(labels, predicted, probabilities, positive=-1) -> Predictions:
    classes = tuple(f"class {code}" for code in range(np.shape(probabilities)[1]))
    return Predictions(range(len(labels)), labels, predicted, probabilities, classes, {}, positive)


def random_predictions(generator, count, classes):
    """Coarse probabilities, so that there are ties; labels that may lack a class."""
    weights = generator.integers(1, 6, (count, classes)).astype(float)
    present = generator.choice(classes, generator.integers(1, classes + 1), replace=False)
    return make_predictions(
        generator.choice(present, count),
        generator.integers(0, classes, count),
        weights / weights.sum(axis=1, keepdims=True),
        int(generator.integers(0, classes)),
    )


def share(numerator, denominator):
    return numerator / denominator if denominator else math.nan


def mean(values):
    values = [value for value in values if not math.isnan(value)]
    return sum(values) / len(values) if values else math.nan


def plain_area(labels, scores):
    """Over all pairs of a positive and a negative: how often the positive ranks higher."""
    wins = [
        1 if p > n else 0.5 if p == n else 0
        for y, p in zip(labels, scores, strict=True)
        if y
        for z, n in zip(labels, scores, strict=True)
        if not z
    ]
    return share(sum(wins), len(wins))


def plain_average_precision(labels, scores):
    """Sum over thresholds of the recall gained times the precision there."""
    total, recall, area = sum(labels), 0.0, 0.0
    if total in (0, len(labels)):
        return math.nan
    for threshold in sorted(set(scores), reverse=True):
        chosen = [y for y, s in zip(labels, scores, strict=True) if s >= threshold]
        area += (sum(chosen) / total - recall) * (sum(chosen) / len(chosen))
        recall = sum(chosen) / total
    return area


def plain_metrics(data: Predictions, rows):
    """Every metric in plain loops over the examples in `rows`."""
    y, p = data.labels[rows].tolist(), data.predictions[rows].tolist()
    q, c, k = data.probabilities[rows].tolist(), data.positive, len(data.classes)
    n = len(y)
    tp = sum(a == c and b == c for a, b in zip(y, p, strict=True))
    fn = sum(a == c and b != c for a, b in zip(y, p, strict=True))
    fp = sum(a != c and b == c for a, b in zip(y, p, strict=True))
    tn = n - tp - fn - fp
    recalls = [
        share(sum(a == b == m for a, b in zip(y, p, strict=True)), y.count(m)) for m in set(y)
    ]
    ranked = [c] if k == 2 else sorted(set(y))
    areas = [plain_area([a == m for a in y], [r[m] for r in q]) for m in ranked]
    precisions = [plain_average_precision([a == m for a in y], [r[m] for r in q]) for m in ranked]
    brier, bins = 0.0, [0.0] * CALIBRATION_BINS
    for label, row in zip(y, q, strict=True):
        if k == 2:
            brier += (row[c] - (label == c)) ** 2 / n
            confidence, outcome = row[c], label == c
        else:
            brier += sum((row[m] - (label == m)) ** 2 for m in range(k)) / n
            confidence, outcome = max(row), label == row.index(max(row))
        place = min(int(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1)
        bins[place] += (outcome - confidence) / n
    return {
        "accuracy": sum(a == b for a, b in zip(y, p, strict=True)) / n,
        "balanced_accuracy": mean(recalls) if len(recalls) > 1 else math.nan,
        "auroc": mean(areas) if len(set(y)) > 1 else math.nan,
        "average_precision": mean(precisions),
        "sensitivity": share(tp, tp + fn),
        "specificity": share(tn, tn + fp),
        "fpr": share(fp, tn + fp),
        "ppv": share(tp, tp + fp),
        "npv": share(tn, tn + fn),
        "f1": share(2 * tp, 2 * tp + fp + fn) if tp + fn else math.nan,
        "selection_rate": (tp + fp) / n,
        "brier": brier,
        "ece": sum(map(abs, bins)),
    }


def plain_difference(values):
    values = [value for value in values if not math.isnan(value)]
    return max(values) - min(values) if len(values) > 1 else math.nan


def plain_ratio(values):
    values = [value for value in values if not math.isnan(value)]
    return share(min(values), max(values)) if len(values) > 1 else math.nan


def plain_gaps(groups):
    """Every gap from a list of each group's metrics."""
    values = {name: [group[name] for group in groups] for name in METRIC_NAMES}
    gaps = {f"{name}_gap": plain_difference(values[name]) for name in METRIC_NAMES}
    gaps["max_acc_gap"] = gaps.pop("accuracy_gap")
    gaps["demographic_parity_difference"] = plain_difference(values["selection_rate"])
    gaps["demographic_parity_ratio"] = plain_ratio(values["selection_rate"])
    odds = values["sensitivity"], values["fpr"]
    for name, function, choose in (
        ("equalized_odds_difference", plain_difference, max),
        ("equalized_odds_ratio", plain_ratio, min),
    ):
        each = [function(rates) for rates in odds]
        gaps[name] = math.nan if any(map(math.isnan, each)) else choose(each)
    return gaps


def vectorised_values(data: Predictions, rows, weights=None):
    """All metrics of the rows, each taken `weights` times, as resamples are measured."""
    weights = np.ones(len(rows), dtype=np.int32) if weights is None else weights
    sample = class_sample(data).rows(rows)
    values = sample.weighted(weights[None].astype(np.int32))
    return {name: float(value[0]) for name, value in values.items()}


def assert_same(values, expected):
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def observed(data, codes):
    """The values that a report states: metric → (G,)."""
    return class_sample(data).observed(codes, int(codes.max()) + 1)


def everyone(data):
    codes = np.zeros(len(data.labels), dtype=int)
    return {name: float(values[0]) for name, values in observed(data, codes).items()}


def test_the_tables_hold_what_the_report_promises():
    assert list(METRICS) == METRIC_NAMES
    assert list(GAPS)[: len(NAMED_GAPS)] == NAMED_GAPS
    covered = {"accuracy": "max_acc_gap"}
    assert set(GAPS) == {*NAMED_GAPS, *(covered.get(m, f"{m}_gap") for m in METRICS)}
    assert list(EQUITY_SCALED) == [
        "accuracy_fairllava",
        "auroc_fairllava",
        "accuracy_fairclip",
        "auroc_fairclip",
    ]


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_random_frames_agree_with_plain_loops(classes):
    """Groups may lack a class, a prediction, or all but one example; here 15 frames a class count
    through the functions of METRICS, below 500 through the counts."""
    generator = np.random.default_rng(classes)
    for _ in range(15):
        count = int(generator.integers(1, 30))
        data = random_predictions(generator, count, classes)
        codes = np.unique(generator.integers(0, 4, count), return_inverse=True)[1]
        assert_same(everyone(data), plain_metrics(data, np.arange(count)))
        by_group = observed(data, codes)
        rows = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
        expected = [plain_metrics(data, inside) for inside in rows]
        for code, inside in enumerate(rows):
            values = {name: float(each[code]) for name, each in by_group.items()}
            assert_same(values, expected[code])
            assert_same(vectorised_values(data, inside), expected[code])
        gaps = {name: float(gap.values(by_group)) for name, gap in GAPS.items()}
        assert_same(gaps, plain_gaps(expected))


@pytest.mark.parametrize("decimals", [1, 6])  # with and without equal scores
def test_areas_and_curves_are_those_of_scikit_learn(decimals):
    generator = np.random.default_rng(decimals)
    for _ in range(20):
        truth = np.array([True, False, *(generator.random(generator.integers(0, 60)) < 0.4)])
        score = generator.random(len(truth)).round(decimals)
        data = make_predictions(
            truth.astype(int), truth.astype(int), np.array([1 - score, score]).T
        )
        values = everyone(data)
        assert values["auroc"] == pytest.approx(scikit_learn.roc_auc_score(truth, score))
        precision = scikit_learn.average_precision_score(truth, score)
        assert values["average_precision"] == pytest.approx(precision)
        for mine, theirs in zip(
            roc_curve(truth, score), scikit_learn.roc_curve(truth, score)[:2], strict=True
        ):
            assert mine == pytest.approx(theirs)


def test_five_hundred_random_frames_agree_with_plain_loops_and_fairlearn():
    """What the intervals and nulls are made of; fairlearn where it is defined: where each group has
    both labels, so that it invents nothing."""
    generator = np.random.default_rng(500)
    compared = 0
    for _ in range(500):
        classes, count = int(generator.integers(2, 5)), int(generator.integers(1, 30))
        data = random_predictions(generator, count, classes)
        codes = np.unique(generator.integers(0, 4, count), return_inverse=True)[1]
        rows = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
        expected = [plain_metrics(data, inside) for inside in rows]
        found = [vectorised_values(data, inside) for inside in rows]
        for values, plain in zip(found, expected, strict=True):
            assert_same(values, plain)
        by_group = {name: np.array([values[name] for values in found]) for name in METRICS}
        gaps = {name: float(gap.values(by_group)) for name, gap in GAPS.items()}
        assert_same(gaps, plain_gaps(expected))
        truth = data.labels == data.positive
        if compared < 60 and all(0 < truth[inside].sum() < len(inside) for inside in rows):
            compared += 1
            arguments = {
                "y_true": truth,
                "y_pred": data.predictions == data.positive,
                "sensitive_features": codes,
            }
            for name, function in FAIRLEARN.items():
                if not np.isnan(gaps[name]):
                    assert gaps[name] == pytest.approx(function(**arguments)), name
    assert compared > 50


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_count_as_repetitions(classes):
    generator = np.random.default_rng(5)
    for _ in range(30):
        data = random_predictions(generator, 25, classes)
        weights = generator.integers(0, 4, 25)
        weights[0] = 1
        rows = np.arange(25)
        expected = plain_metrics(data, np.repeat(rows, weights))
        assert_same(vectorised_values(data, rows, weights), expected)


def fairlearn_example(letters):
    labels = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    predicted = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    data = make_predictions(labels, predicted, np.eye(2)[predicted])
    codes = np.unique(list(letters), return_inverse=True)[1]
    return everyone(data), observed(data, codes)


def test_fairlearn_documentation_values():
    overall, values = fairlearn_example("bbabbcccaacabccbcc")
    assert overall["accuracy"] == pytest.approx(8 / 18)
    assert overall["selection_rate"] == pytest.approx(10 / 18)
    assert values["accuracy"] == pytest.approx([0.25, 2 / 3, 0.375])
    assert values["sensitivity"] == pytest.approx([0.5, 0.6, 0.4])
    assert values["fpr"] == pytest.approx([1, 0, 2 / 3])
    assert values["selection_rate"] == pytest.approx([0.75, 0.5, 0.5])
    expected = {
        "max_acc_gap": 5 / 12,
        "demographic_parity_difference": 0.25,
        "demographic_parity_ratio": 2 / 3,
        "equalized_odds_difference": 1.0,
        "equalized_odds_ratio": 0.0,
        "sensitivity_gap": 0.2,
    }
    for name, value in expected.items():
        assert GAPS[name].values(values) == pytest.approx(value), name


@pytest.mark.parametrize("name", METRICS)
def test_no_metric_invents_a_value_for_labels_of_one_class(name):
    """Without positives, or without negatives, what cannot be known is NaN, not 0 or 1."""
    needs_both = {"balanced_accuracy", "auroc", "average_precision"}
    needs_positives, needs_negatives = {"sensitivity", "f1"}, {"specificity", "fpr"}
    for label, undefined in ((0, needs_both | needs_positives), (1, needs_both | needs_negatives)):
        data = make_predictions([label] * 4, [0, 1, 0, 1], [[0.6, 0.4], [0.3, 0.7]] * 2)
        assert math.isnan(everyone(data)[name]) == (name in undefined)
        assert math.isnan(vectorised_values(data, np.arange(4))[name]) == (name in undefined)


@pytest.mark.parametrize("name", GAPS)
def test_gaps_leave_out_undefined_groups_and_need_two(name):
    gap = GAPS[name]
    three = {metric: np.array([0.2, np.nan, 0.5]) for metric in METRICS}
    assert gap.values(three) == pytest.approx(0.4 if gap.kind == "ratio" else 0.3)
    best, worst = extreme_groups(gap, three, BETTER)
    lower_is_better = METRICS[gap.metrics[0]].better == "lower"
    assert (best, worst) == ((0, 2) if lower_is_better else (2, 0))
    one = {metric: np.array([0.2, np.nan, np.nan]) for metric in METRICS}
    assert np.isnan(gap.values(one))
    assert extreme_groups(gap, one, BETTER) is None
    many = {metric: np.stack([three[metric], one[metric]]) for metric in METRICS}
    assert np.isnan(gap.values(many)).tolist() == [False, True]


def test_a_ratio_of_zeros_is_undefined():
    zeros = {metric: np.zeros(3) for metric in METRICS}
    assert np.isnan(GAPS["demographic_parity_ratio"].values(zeros))
    assert GAPS["demographic_parity_difference"].values(zeros) == 0


def test_the_decisive_rate_names_the_groups_of_equalized_odds():
    values = {"sensitivity": np.array([0.9, 0.8]), "fpr": np.array([0.6, 0.1])}
    assert extreme_groups(GAPS["equalized_odds_difference"], values, BETTER) == (1, 0)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_its_direction(name):
    row = METRICS[name]
    assert row.better in ("higher", "lower", "neither")
    assert row.exchangeable_within in ("all", "label", "prediction")
    assert set(row.reads) <= {"labels", "predictions", "probabilities"}
    data = make_predictions([0, 1, 0, 1], [0, 1, 0, 1], [[1, 0], [0, 1]] * 2)
    best = {"higher": 1, "lower": 0, "neither": 0.5}[row.better]
    assert everyone(data)[name] == best


@pytest.mark.parametrize(
    ("overall", "gap", "expected"),
    [(38.17, 6.22, 5.29), (34.85, 1.61, 13.36), (18.29, 1.43, 7.52), (25.01, 9.81, 2.31)],
)
def test_fairllava_tables(overall, gap, expected):
    groups = np.array([0.3, 0.3 + gap / 100, 0.3 + gap / 200])
    score = 100 * fairllava_score(np.array(overall / 100), groups)
    assert score == pytest.approx(expected, abs=0.011)  # the papers round overall and gap


@pytest.mark.parametrize(
    ("overall", "groups", "expected"),
    [
        (0.6902, (0.7242, 0.7078, 0.6741), 0.6464),
        (0.6902, (0.6628, 0.7253), 0.6495),
        (0.6902, (0.6940, 0.5830), 0.6212),
        (0.7106, (0.7357, 0.7306, 0.6973), 0.6714),
        (0.7106, (0.6786, 0.7518), 0.6621),
        (0.7106, (0.7154, 0.5583), 0.6141),
        (0.7275, (0.7697, 0.7624, 0.7126), 0.6662),
        (0.7275, (0.6955, 0.7676), 0.6786),
        (0.7275, (0.7316, 0.6156), 0.6519),
    ],
)
def test_fairclip_tables(overall, groups, expected):
    score = fairclip_score(np.array(overall), np.array(groups))
    assert score == pytest.approx(expected, abs=1.01e-4)


@pytest.mark.parametrize("name", EQUITY_SCALED)
def test_equity_scaled_scores(name):
    function = EQUITY_SCALED[name].function
    assert function(np.array(0.8), np.array([0.8, 0.8])) == pytest.approx(0.8)
    assert function(np.array(0.8), np.array([0.9, 0.7, np.nan])) < 0.8
    assert np.isnan(function(np.array(0.8), np.array([0.8, np.nan])))
    assert np.isnan(function(np.array(np.nan), np.array([0.8, 0.7])))
    assert function(np.full(5, 0.8), np.full((5, 3), 0.8)).shape == (5,)
