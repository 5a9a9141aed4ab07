"""Which of several models would one choose by its validation numbers?"""

from collections.abc import Mapping


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
