"""The metrics of thousands of resamples at once; of the data themselves they equal METRICS.

N examples, K classes, R resamples. A resample is a confusion table of counts, or a weight per
example (how often it was drawn); ties and undefined cases are handled as in `metrics.py`.
"""

from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.metrics import CALIBRATION_BINS, calibration_terms, squared_errors
from fairlora_cls.evaluation.prediction_table import Predictions

COUNTED = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "fpr",
    "ppv",
    "npv",
    "f1",
    "selection_rate",
)
SCORED = ("auroc", "average_precision", "brier", "ece")


def denominators(confusion: np.ndarray, positive: int) -> dict[str, np.ndarray]:
    """How many examples each metric rests on, by `Metric.rests_on`: (..., K, K) -> (...) each.

    `rarer` are those outside the commonest class: none where only one class is present.
    """
    of_class = confusion.sum(axis=-1)
    total, positives = of_class.sum(axis=-1), of_class[..., positive]
    selected = confusion[..., :, positive].sum(axis=-1)
    return {
        "examples": total,
        "positives": positives,
        "negatives": total - positives,
        "selected": selected,
        "rejected": total - selected,
        "rarer": total - of_class.max(axis=-1),
    }


def counted_metrics(confusion: np.ndarray, positive: int) -> dict[str, np.ndarray]:
    """Every metric of COUNTED from confusion tables: (..., K label, K prediction) -> (...) each."""
    total = confusion.sum(axis=(-2, -1))
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    of_class = confusion.sum(axis=-1)
    classes_present = (of_class > 0).sum(axis=-1)
    recall_sum = np.nansum(_divide(correct, of_class), axis=-1)
    true_positive = confusion[..., positive, positive]
    labelled, selected = of_class[..., positive], confusion[..., :, positive].sum(axis=-1)
    true_negative = total - labelled - selected + true_positive
    f1 = _divide(2 * true_positive, labelled + selected)
    return {
        "accuracy": _divide(correct.sum(axis=-1), total),
        "balanced_accuracy": np.where(
            classes_present >= 2, _divide(recall_sum, classes_present), np.nan
        ),
        "sensitivity": _divide(true_positive, labelled),
        "specificity": _divide(true_negative, total - labelled),
        "fpr": _divide(selected - true_positive, total - labelled),
        "ppv": _divide(true_positive, selected),
        "npv": _divide(true_negative, total - selected),
        "f1": np.where(labelled > 0, f1, np.nan),
        "selection_rate": _divide(selected, total),
    }


@dataclass(frozen=True)
class Ranking:
    """The examples in the order of one class's probability, lowest first."""

    order: np.ndarray  # (N,) rows
    is_class: np.ndarray  # (N,) int32, 1 where the label is the class, in that order
    boundaries: np.ndarray  # (blocks + 1,) where blocks of equal probability start, and N


@dataclass(frozen=True)
class ScoredRows:
    """What the metrics of SCORED need to know of N examples, computed once for all resamples."""

    rankings: tuple[Ranking, ...]  # the positive class if K = 2, else every class
    error_columns: np.ndarray  # (N, 1 + bins): Brier term, then the calibration term in its bin


def prepare_scores(predictions: Predictions, rows: np.ndarray) -> ScoredRows:
    """Prepares the examples at `rows`; weights given later are in the order of `rows`."""
    labels, probabilities = predictions.labels[rows], predictions.probabilities[rows]
    positive = predictions.positive
    bins, residuals = calibration_terms(labels, probabilities, positive)
    columns = np.zeros((len(rows), 1 + CALIBRATION_BINS))
    columns[:, 0] = squared_errors(labels, probabilities, positive)
    columns[np.arange(len(rows)), 1 + bins] = residuals
    classes = probabilities.shape[1]
    codes = [positive] if classes == 2 else range(classes)
    return ScoredRows(
        rankings=tuple(_rank(probabilities[:, code], labels == code) for code in codes),
        error_columns=columns,
    )


def ranking_by_class(weights: np.ndarray, scored: ScoredRows) -> dict[str, np.ndarray]:
    """AUROC and average precision of weighted examples, each ranked class against the rest:
    (R, N) int32 weights -> (R, rankings). Exact with ties (mid-ranks)."""
    each = np.array([_area_and_precision(weights, ranking) for ranking in scored.rankings])
    return {"auroc": each[:, 0].T, "average_precision": each[:, 1].T}


def mean_over_classes(values: np.ndarray) -> np.ndarray:
    """(..., K) -> (...): the mean over the classes where it is defined, NaN where none is."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def ranking_metrics(weights: np.ndarray, scored: ScoredRows) -> dict[str, np.ndarray]:
    """The means of `ranking_by_class` over the classes that the resample has: (R, N) -> (R,)."""
    by_class = ranking_by_class(weights, scored)
    return {name: mean_over_classes(values) for name, values in by_class.items()}


def error_metrics(weights: np.ndarray, scored: ScoredRows) -> dict[str, np.ndarray]:
    """Brier score and expected calibration error of weighted examples: (R, N) -> (R,) each."""
    sums = weights @ scored.error_columns
    total = weights.sum(axis=1)
    return {
        "brier": _divide(sums[:, 0], total),
        "ece": _divide(np.abs(sums[:, 1:]).sum(axis=1), total),
    }


def _rank(probability: np.ndarray, is_class: np.ndarray) -> Ranking:
    order = np.argsort(probability, kind="stable")
    changes = np.flatnonzero(np.diff(probability[order])) + 1
    boundaries = np.concatenate([[0], changes, [len(order)]])
    return Ranking(order, is_class[order].astype(np.int32), boundaries)


def _area_and_precision(weights: np.ndarray, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve and average precision of one class, (R,) each; NaN without both
    kinds of example. In blocks of equal probability: others below count whole, tied ones half."""
    everyone = weights.take(ranking.order, axis=1)
    members_below = _sums_below(everyone * ranking.is_class, ranking.boundaries)
    everyone_below = _sums_below(everyone, ranking.boundaries)
    others_below = everyone_below - members_below
    members_here = np.diff(members_below, axis=1).astype(float)
    member_count, other_count = members_below[:, -1:], others_below[:, -1:]
    twice_below = (others_below[:, :-1] + others_below[:, 1:]).astype(float)
    area = _divide(
        np.einsum("rn,rn->r", members_here, twice_below),
        2.0 * member_count[:, 0] * other_count[:, 0],
    )
    # A threshold at a block selects it and all above it; an empty block adds nothing.
    selected = np.maximum(everyone_below[:, -1:] - everyone_below[:, :-1], 1)
    precision = (member_count - members_below[:, :-1]) / selected
    average = _divide(np.einsum("rn,rn->r", members_here, precision), member_count[:, 0])
    return area, np.where(other_count[:, 0] > 0, average, np.nan)


def _sums_below(values: np.ndarray, boundaries: np.ndarray) -> np.ndarray:
    """(R, N) whole numbers -> (R, blocks + 1): the sum of all before each boundary."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int32)
    np.cumsum(values, axis=1, out=sums[:, 1:])  # in whole numbers five times as fast as in floats
    return sums if len(boundaries) == sums.shape[1] else sums.take(boundaries, axis=1)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The ratio, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    ratio = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=ratio, where=denominator > 0)
