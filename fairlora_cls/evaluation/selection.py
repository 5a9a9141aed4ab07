"""Which of several models would one choose by its validation numbers?

N examples, K classes.
"""

from collections.abc import Mapping

import numpy as np

from fairlora_cls.evaluation.metrics import GAPS, METRICS

GAP = "max_acc_gap"  # of an attribute: "max_acc_gap/<attribute>"


def selection_values(
    labels: np.ndarray,
    predictions: np.ndarray,
    probabilities: np.ndarray,
    positive: int,
    groups: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """What models are chosen by: accuracy, AUROC, the worst group's accuracy and each attribute's
    MaxAccGap; NaN where undefined.

    labels, predictions: (N,) codes; probabilities: (N, K); groups: attribute → (N,) codes
    """
    correct = predictions == labels
    by_group = {
        attribute: np.array([correct[codes == code].mean() for code in np.unique(codes)])
        for attribute, codes in groups.items()
    }
    worst = min((float(each.min()) for each in by_group.values()), default=float("nan"))
    return {
        "accuracy": float(correct.mean()),
        "auroc": float(METRICS["auroc"].function(labels, predictions, probabilities, positive)),
        "worst_group_accuracy": worst,
        **{f"{GAP}/{a}": float(GAPS[GAP].values({"accuracy": v})) for a, v in by_group.items()},
    }


def largest_gap(values: Mapping[str, float]) -> float:
    """The largest MaxAccGap among `selection_values`, 0 without groups to compare."""
    gaps = [value for name, value in values.items() if name.startswith(f"{GAP}/")]
    return max((gap for gap in gaps if not np.isnan(gap)), default=0.0)


def selection_score(
    values: Mapping[str, float], gap: float, select_by: str, gap_bound: float
) -> float:
    """What a model is chosen by, higher is better, from its validation `values`.

    `gap` is the largest MaxAccGap of the protected attributes. bounded_accuracy and bounded_auroc
    are the metric (accuracy where the AUROC is undefined) where that gap is at most `gap_bound`,
    else minus the gap: a model within the bound goes before any without, and of those without the
    one of the smallest gap. Minus the loss stands in for any other metric that is undefined.
    """
    metric = select_by.removeprefix("bounded_")
    if metric != select_by:
        return -gap if gap > gap_bound else values.get(metric, values["accuracy"])
    if metric == "loss" or metric not in values:
        return -values["loss"]
    return values[metric]
