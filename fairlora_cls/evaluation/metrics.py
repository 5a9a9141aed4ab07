"""Which numbers does the report state, how is each computed, and which way is better?

N examples, K classes, G groups. All values are fractions in [0, 1] (brier: [0, 2] for K > 2).
A value that the data cannot give (no positives, one class only, 0/0) is NaN here and null in the
report, never 0 or 1 by accident.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.presentation.numbers import Quantity

CALIBRATION_BINS = 15  # equal width, as in Guo et al. 2017

Values = Mapping[str, np.ndarray]  # metric name -> (..., G)


@dataclass(frozen=True)
class Metric(Quantity):
    """One row of METRICS.

    The function takes labels (N,), predictions (N,), probabilities (N, K) and the positive code,
    and returns a float or NaN.
    """

    title: str
    function: Callable[[np.ndarray, np.ndarray, np.ndarray, int], float]
    reads: tuple[str, ...]  # of labels, predictions, probabilities
    better: str  # higher | lower | neither
    permuted_within: str  # which examples may swap groups under equality: all | label | prediction
    rests_on: str = "examples"  # whose number is its count: a key of `vectorised.denominators`

    @property
    def unit(self) -> str:
        return "score" if "probabilities" in self.reads else "rate"


@dataclass(frozen=True)
class Gap(Quantity):
    """One row of GAPS: how far the groups lie apart in one or two metrics.

    Of two metrics the larger difference, or the smaller ratio, is taken.
    """

    title: str
    metrics: tuple[str, ...]
    kind: str = "difference"  # difference: max - min over groups | ratio: min / max

    @property
    def unit(self) -> str:
        if self.kind == "ratio":
            return "ratio"
        return "points" if METRICS[self.metrics[0]].is_in_points else "score"

    @property
    def permuted_within(self) -> str:
        return METRICS[self.metrics[0]].permuted_within

    def values(self, by_group: Values) -> np.ndarray:
        """(..., G) values of each metric -> (...) gaps, over the groups where it is defined.

        NaN where fewer than two groups remain, for one of the metrics, and for the ratio 0/0.
        """
        each = np.stack([_spread(by_group[name], self.kind) for name in self.metrics])
        return each.min(axis=0) if self.kind == "ratio" else each.max(axis=0)  # NaN stays NaN


@dataclass(frozen=True)
class EquityScaled(Quantity):
    """One row of EQUITY_SCALED: the overall value, made smaller by what separates the groups."""

    title: str
    metric: str
    function: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (...), (..., G) -> (...)
    unit = "score"


def _balanced_accuracy(labels, predictions, probabilities, positive) -> float:
    """Mean recall over the classes present; undefined where only one is."""
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    return recall_score(labels, predictions, labels=present, average="macro")


def _auroc(labels, predictions, probabilities, positive) -> float:
    """Area under the ROC curve; K > 2: mean of one class against the rest, over those present."""
    return _ranked(roc_auc_score, labels, probabilities, positive)


def _average_precision(labels, predictions, probabilities, positive) -> float:
    """Average precision (a step sum); K > 2: mean of one against the rest, over those present."""
    return _ranked(average_precision_score, labels, probabilities, positive)


def _ranked(function, labels, probabilities, positive) -> float:
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    codes = [positive] if probabilities.shape[1] == 2 else present
    return float(np.mean([function(labels == code, probabilities[:, code]) for code in codes]))


def _sensitivity(labels, predictions, probabilities, positive) -> float:
    """True positive rate of the positive class against the rest; undefined without positives."""
    return recall_score(labels == positive, predictions == positive, zero_division=np.nan)


def _specificity(labels, predictions, probabilities, positive) -> float:
    """True negative rate, positive class against the rest; undefined without negatives."""
    return recall_score(labels != positive, predictions != positive, zero_division=np.nan)


def _false_positive_rate(labels, predictions, probabilities, positive) -> float:
    """1 - specificity."""
    return 1 - _specificity(labels, predictions, probabilities, positive)


def _positive_predictive_value(labels, predictions, probabilities, positive) -> float:
    """Share of true positives among positive predictions; undefined where there are none."""
    return precision_score(labels == positive, predictions == positive, zero_division=np.nan)


def _negative_predictive_value(labels, predictions, probabilities, positive) -> float:
    """Share of true negatives among negative predictions; undefined where there are none."""
    return precision_score(labels != positive, predictions != positive, zero_division=np.nan)


def _f1(labels, predictions, probabilities, positive) -> float:
    """2 TP / (2 TP + FP + FN), positive class against the rest; undefined without positives,
    where it could be nothing but 0."""
    if not (labels == positive).any():
        return np.nan
    return f1_score(labels == positive, predictions == positive)


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


def calibration_terms(
    labels: np.ndarray, probabilities: np.ndarray, positive: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each example's bin, (N,) in 0 .. CALIBRATION_BINS-1, and its outcome minus confidence, (N,).

    K = 2: the confidence is the positive class's probability, the outcome whether it is the label.
    K > 2: the confidence is the top probability, the outcome whether that class is the label.
    """
    if probabilities.shape[1] == 2:
        confidence, outcome = probabilities[:, positive], labels == positive
    else:
        confidence, outcome = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
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
    "accuracy": Metric(
        "Accuracy", lambda y, p, _, __: accuracy_score(y, p), _BOTH, "higher", "all"
    ),
    "balanced_accuracy": Metric(
        "Balanced accuracy", _balanced_accuracy, _BOTH, "higher", "label", "rarer"
    ),
    "auroc": Metric("AUROC", _auroc, _PROBABILITIES, "higher", "label", "rarer"),
    "average_precision": Metric(
        "Average precision", _average_precision, _PROBABILITIES, "higher", "label", "rarer"
    ),
    "sensitivity": Metric("Sensitivity", _sensitivity, _BOTH, "higher", "label", "positives"),
    "specificity": Metric("Specificity", _specificity, _BOTH, "higher", "label", "negatives"),
    "fpr": Metric(
        "False positive rate", _false_positive_rate, _BOTH, "lower", "label", "negatives"
    ),
    "ppv": Metric(
        "Positive predictive value",
        _positive_predictive_value,
        _BOTH,
        "higher",
        "prediction",
        "selected",
    ),
    "npv": Metric(
        "Negative predictive value",
        _negative_predictive_value,
        _BOTH,
        "higher",
        "prediction",
        "rejected",
    ),
    "f1": Metric("F1", _f1, _BOTH, "higher", "label", "positives"),
    "selection_rate": Metric(
        "Predicted positive", _selection_rate, ("predictions",), "neither", "all"
    ),
    "brier": Metric("Brier score", _brier, _PROBABILITIES, "lower", "all"),
    "ece": Metric("Calibration error", _expected_calibration_error, _PROBABILITIES, "lower", "all"),
}

BETTER = {name: metric.better for name, metric in METRICS.items()}
# Shares of a counted number of examples: what Wilson's interval is made for.
RATES = ("accuracy", "sensitivity", "specificity", "fpr", "ppv", "npv", "selection_rate")
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

GAPS: dict[str, Gap] = {
    "max_acc_gap": Gap("Accuracy gap (MaxAccGap)", ("accuracy",)),
    "sensitivity_gap": Gap("Sensitivity gap (equal opportunity difference)", ("sensitivity",)),
    "fpr_gap": Gap("False positive rate gap", ("fpr",)),
    "equalized_odds_difference": Gap("Equalized odds difference", ("sensitivity", "fpr")),
    "equalized_odds_ratio": Gap("Equalized odds ratio", ("sensitivity", "fpr"), "ratio"),
    "demographic_parity_difference": Gap("Demographic parity difference", ("selection_rate",)),
    "demographic_parity_ratio": Gap("Demographic parity ratio", ("selection_rate",), "ratio"),
    "auroc_gap": Gap("AUROC gap", ("auroc",)),
}
GAPS |= {
    f"{name}_gap": Gap(f"{metric.title} gap", (name,))
    for name, metric in METRICS.items()
    if name != "accuracy" and f"{name}_gap" not in GAPS
}
HEADLINE_GAP = "max_acc_gap"  # which the report's first paragraph judges
# Gaps of the same test under two names count once in a correction for many tests.
SAME_TEST = {
    "specificity_gap": "fpr_gap",
    "selection_rate_gap": "demographic_parity_difference",
}


def fairllava_score(overall: np.ndarray, by_group: np.ndarray) -> np.ndarray:
    """overall / (1 + gap), the gap in percentage points: overall / (1 + 100 * (max - min)).

    FairLLaVA states both in points; the ratio is the same. (...), (..., G) -> (...).
    """
    return overall / (1 + 100 * _spread(by_group, "difference"))


def fairclip_score(overall: np.ndarray, by_group: np.ndarray) -> np.ndarray:
    """overall / (1 + sum_g |group - overall|), all in fractions (FairCLIP's ES-AUC).

    Groups where the metric is undefined are left out; NaN where fewer than two remain.
    (...), (..., G) -> (...).
    """
    distances = np.abs(by_group - np.asarray(overall)[..., None])
    total = np.where(_enough_groups(by_group), np.nansum(distances, axis=-1), np.nan)
    return overall / (1 + total)


EQUITY_VARIANTS = {"FairLLaVA": fairllava_score, "FairCLIP": fairclip_score}


def equity_scaled(nouns: Mapping[str, str]) -> dict[str, EquityScaled]:
    """Every variant of EQUITY_VARIANTS for each metric, by name and noun: `<metric>_fairllava` …"""
    return {
        f"{metric}_{variant.lower()}": EquityScaled(
            f"Equity-scaled {noun} ({variant})", metric, function
        )
        for variant, function in EQUITY_VARIANTS.items()
        for metric, noun in nouns.items()
    }


EQUITY_SCALED = equity_scaled({"accuracy": "accuracy", "auroc": "AUROC"})
QUANTITIES: Mapping[str, Quantity] = METRICS | GAPS | EQUITY_SCALED  # every name is one of them


def measure(
    predictions: Predictions, codes: np.ndarray
) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
    """Every metric overall and per group, by fairlearn's MetricFrame: `overall[metric]` and
    `by_group[code][metric]`, NaN where undefined.

    codes: (N,) group of each example
    """
    # One function for all: MetricFrame copies its columns element by element for each function.
    frame = MetricFrame(
        metrics={"every": partial(_every_metric, predictions)},
        y_true=np.arange(len(codes)),
        y_pred=np.arange(len(codes)),  # rows, for a metric may need whole probabilities
        sensitive_features=pd.Series(codes),  # squeezed to nothing otherwise, if N is 1
    )
    by_group = {int(code): values for code, values in frame.by_group["every"].items()}
    return frame.overall["every"], by_group


def _every_metric(predictions: Predictions, _: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    data = predictions.labels[rows], predictions.predictions[rows], predictions.probabilities[rows]
    return {
        name: float(metric.function(*data, predictions.positive))
        for name, metric in METRICS.items()
    }


def extreme_groups(gap: Gap, by_group: Values, better: Mapping[str, str]) -> tuple[int, int] | None:
    """Codes of the best and worst group, of the metric that decides the gap, from (G,) values.

    better: metric -> higher | lower | neither. Where neither way is better (selection rate), best is
    the highest. None where the gap is NaN.
    """
    if np.isnan(gap.values(by_group)):
        return None
    spreads = [float(_spread(by_group[name], gap.kind)) for name in gap.metrics]
    decisive = np.argmin(spreads) if gap.kind == "ratio" else np.argmax(spreads)
    name = gap.metrics[decisive]
    lowest, highest = int(np.nanargmin(by_group[name])), int(np.nanargmax(by_group[name]))
    return (lowest, highest) if better[name] == "lower" else (highest, lowest)


def _enough_groups(by_group: np.ndarray) -> np.ndarray:
    return (~np.isnan(by_group)).sum(axis=-1) >= 2


def _spread(by_group: np.ndarray, kind: str) -> np.ndarray:
    """(..., G) -> (...): max - min, or min / max, over the groups that are not NaN."""
    highest, lowest = np.fmax.reduce(by_group, axis=-1), np.fmin.reduce(by_group, axis=-1)
    if kind == "ratio":
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = lowest / highest
    else:
        spread = highest - lowest
    return np.where(_enough_groups(by_group), spread, np.nan)
