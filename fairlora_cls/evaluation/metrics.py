"""Which numbers does the report state, how is each computed, and which way is better?

N examples, K classes, G groups. All values are fractions in [0, 1] (brier: [0, 2] for K > 2).
A value that the data cannot give (no positives, one class only, 0/0) is NaN here and null in the
report, never 0 or 1 by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.gaps import Gap, equity_scaled
from fairlora_cls.statistics.sample import Measure

CALIBRATION_BINS = 15  # equal width, as in Guo et al. 2017


@dataclass(frozen=True)
class Metric(Measure):
    """One row of METRICS.

    The function takes labels (N,), predictions (N,), probabilities (N, K) and the positive code,
    and returns a float or NaN.
    """

    title: str
    function: Callable[[np.ndarray, np.ndarray, np.ndarray, int], float]
    reads: tuple[str, ...]  # of labels, predictions, probabilities
    better: str  # higher | lower | neither
    exchangeable_within: str  # all | label | prediction
    rests_on: str = "examples"  # whose number is its count: a key of `vectorised.denominators`
    is_share: bool = False  # of a counted number of examples
    is_fraction = True

    @property
    def is_area(self) -> bool:
        return self.function is _auroc

    @property
    def is_f1(self) -> bool:
        return self.function is _f1

    @property
    def is_mean_recall(self) -> bool:
        return self.function is _balanced_accuracy

    @property
    def is_raised_by_noise(self) -> bool:
        return self.function is _expected_calibration_error

    @property
    def unit(self) -> str:
        return "score" if "probabilities" in self.reads else "rate"


def _share(of: np.ndarray, among: np.ndarray) -> float:
    """Share of the examples `among` that are `of`, both (N,) bools; undefined where there are none."""
    return float(np.mean(of[among])) if among.any() else np.nan


def _accuracy(labels, predictions, probabilities, positive) -> float:
    """Share of right answers."""
    return float(np.mean(labels == predictions))


def _balanced_accuracy(labels, predictions, probabilities, positive) -> float:
    """Mean recall over the classes present; undefined where only one is."""
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    return float(np.mean([_share(predictions == code, labels == code) for code in present]))


def _auroc(labels, predictions, probabilities, positive) -> float:
    """Area under the ROC curve; K > 2: mean of one class against the rest, over those present."""
    return _ranked(_area, labels, probabilities, positive)


def _average_precision(labels, predictions, probabilities, positive) -> float:
    """Average precision (a step sum); K > 2: mean of one against the rest, over those present."""
    return _ranked(_step_sum, labels, probabilities, positive)


def _ranked(function, labels, probabilities, positive) -> float:
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    codes = [positive] if probabilities.shape[1] == 2 else present
    return float(np.mean([function(labels == code, probabilities[:, code]) for code in codes]))


def _selected(is_class: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many others and how many of the class have this score or a higher one, highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    own = np.cumsum(is_class[order])[last]
    return 1 + last - own, own


def roc_curve(is_class: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at the corners of the ROC curve, from (0, 0) to (1, 1).

    is_class: (N,) bools, of both kinds
    """
    others, own = _selected(is_class, score)
    corner = np.ones(len(own), dtype=bool)
    corner[1:-1] = (np.diff(others, 2) != 0) | (np.diff(own, 2) != 0)
    return tuple(np.append(0.0, counts[corner] / counts[-1]) for counts in (others, own))


def _area(is_class: np.ndarray, score: np.ndarray) -> float:
    false_rate, true_rate = roc_curve(is_class, score)
    return float((np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2).sum())


def _step_sum(is_class: np.ndarray, score: np.ndarray) -> float:
    """Precision at each score times how much of the class it adds, lowest score first."""
    others, own = (counts[::-1] for counts in _selected(is_class, score))
    added = -np.diff(np.append(own / own[0], 0.0))
    return float((added * (own / (own + others))).sum())


def _sensitivity(labels, predictions, probabilities, positive) -> float:
    """True positive rate of the positive class against the rest; undefined without positives."""
    return _share(predictions == positive, labels == positive)


def _specificity(labels, predictions, probabilities, positive) -> float:
    """True negative rate, positive class against the rest; undefined without negatives."""
    return _share(predictions != positive, labels != positive)


def _false_positive_rate(labels, predictions, probabilities, positive) -> float:
    """1 - specificity."""
    return 1 - _specificity(labels, predictions, probabilities, positive)


def _positive_predictive_value(labels, predictions, probabilities, positive) -> float:
    """Share of true positives among positive predictions; undefined where there are none."""
    return _share(labels == positive, predictions == positive)


def _negative_predictive_value(labels, predictions, probabilities, positive) -> float:
    """Share of true negatives among negative predictions; undefined where there are none."""
    return _share(labels != positive, predictions != positive)


def _f1(labels, predictions, probabilities, positive) -> float:
    """2 TP / (2 TP + FP + FN), positive class against the rest; undefined without positives,
    where it could be nothing but 0."""
    labelled, selected = labels == positive, predictions == positive
    if not labelled.any():
        return np.nan
    return float(2 * (labelled & selected).sum() / (labelled.sum() + selected.sum()))


def _selection_rate(labels, predictions, probabilities, positive) -> float:
    """Share of examples predicted positive."""
    return float(np.mean(predictions == positive))


def squared_errors(labels: np.ndarray, probabilities: np.ndarray, positive: int) -> np.ndarray:
    """Each example's Brier term, (N,). K = 2: (p - y)^2 of the positive class, in [0, 1].
    K > 2: the sum over classes of (p_k - y_k)^2, in [0, 2] (Brier 1950)."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, positive] - (labels == positive)) ** 2
    truth = np.eye(probabilities.shape[1])[labels]
    return ((probabilities - truth) ** 2).sum(axis=1)


def confidences(probabilities: np.ndarray, positive: int) -> np.ndarray:
    """(N,) how probable the model says the outcome is; see `calibration_terms`."""
    return probabilities[:, positive] if probabilities.shape[1] == 2 else probabilities.max(axis=1)


def calibration_terms(
    labels: np.ndarray, probabilities: np.ndarray, positive: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each example's bin, (N,) in 0 .. CALIBRATION_BINS-1, and its outcome minus confidence, (N,).

    K = 2: the confidence is the positive class's probability, the outcome whether it is the label.
    K > 2: the confidence is the top probability, the outcome whether that class is the label.
    """
    confidence = confidences(probabilities, positive)
    is_binary = probabilities.shape[1] == 2
    outcome = labels == positive if is_binary else probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return bins, outcome - confidence


def _brier(labels, predictions, probabilities, positive) -> float:
    """Mean squared error of the probabilities; see `squared_errors`."""
    return float(squared_errors(labels, probabilities, positive).mean())


def _expected_calibration_error(labels, predictions, probabilities, positive) -> float:
    """sum_b n_b / N * |mean outcome - mean confidence| over equal-width bins; see
    `calibration_terms`. It is biased upward in small groups."""
    bins, residuals = calibration_terms(labels, probabilities, positive)
    return float(np.abs(np.bincount(bins, residuals)).sum() / len(labels))


_BOTH, _PROBABILITIES = ("labels", "predictions"), ("labels", "probabilities")

METRICS: dict[str, Metric] = {
    "accuracy": Metric("Accuracy", _accuracy, _BOTH, "higher", "all", is_share=True),
    "balanced_accuracy": Metric(
        "Balanced accuracy", _balanced_accuracy, _BOTH, "higher", "label", "rarer"
    ),
    "auroc": Metric("AUROC", _auroc, _PROBABILITIES, "higher", "label", "rarer"),
    "average_precision": Metric(
        "Average precision", _average_precision, _PROBABILITIES, "higher", "label", "rarer"
    ),
    "sensitivity": Metric("Sensitivity", _sensitivity, _BOTH, "higher", "label", "positives", True),
    "specificity": Metric("Specificity", _specificity, _BOTH, "higher", "label", "negatives", True),
    "fpr": Metric(
        "False positive rate", _false_positive_rate, _BOTH, "lower", "label", "negatives", True
    ),
    "ppv": Metric(
        "Positive predictive value",
        _positive_predictive_value,
        _BOTH,
        "higher",
        "prediction",
        "selected",
        True,
    ),
    "npv": Metric(
        "Negative predictive value",
        _negative_predictive_value,
        _BOTH,
        "higher",
        "prediction",
        "rejected",
        True,
    ),
    "f1": Metric("F1", _f1, _BOTH, "higher", "label", "positives"),
    "selection_rate": Metric(
        "Predicted positive", _selection_rate, ("predictions",), "neither", "all", is_share=True
    ),
    "brier": Metric("Brier score", _brier, _PROBABILITIES, "lower", "all"),
    "ece": Metric("Calibration error", _expected_calibration_error, _PROBABILITIES, "lower", "all"),
}

# Of K > 2 classes, these are also stated for each class against the rest, and as their macro mean.
ONE_VS_REST = (
    "auroc",
    "average_precision",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "f1",
    "selection_rate",
)


def _gap(title: str, *metrics: str, kind: str = "difference") -> Gap:
    first = METRICS[metrics[0]]
    unit = "ratio" if kind == "ratio" else "points" if first.is_in_points else "score"
    return Gap(title, metrics, unit, first.exchangeable_within, kind)


GAPS: dict[str, Gap] = {
    "max_acc_gap": _gap("Accuracy gap (MaxAccGap)", "accuracy"),
    "sensitivity_gap": _gap("Sensitivity gap (equal opportunity difference)", "sensitivity"),
    "fpr_gap": _gap("False positive rate gap", "fpr"),
    "equalized_odds_difference": _gap("Equalized odds difference", "sensitivity", "fpr"),
    "equalized_odds_ratio": _gap("Equalized odds ratio", "sensitivity", "fpr", kind="ratio"),
    "demographic_parity_difference": _gap("Demographic parity difference", "selection_rate"),
    "demographic_parity_ratio": _gap("Demographic parity ratio", "selection_rate", kind="ratio"),
    "auroc_gap": _gap("AUROC gap", "auroc"),
}
GAPS |= {
    f"{name}_gap": _gap(f"{metric.title} gap", name)
    for name, metric in METRICS.items()
    if name != "accuracy" and f"{name}_gap" not in GAPS
}
HEADLINE_GAP = "max_acc_gap"  # which the report's first paragraph judges
# Gaps of the same test under two names count once in a correction for many tests.
SAME_TEST = {
    "specificity_gap": "fpr_gap",
    "selection_rate_gap": "demographic_parity_difference",
}


EQUITY_SCALED = equity_scaled({"accuracy": "accuracy", "auroc": "AUROC"})
QUANTITIES: Mapping[str, Quantity] = METRICS | GAPS | EQUITY_SCALED  # every name is one of them
