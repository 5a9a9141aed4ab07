"""Which of several models would one choose by its validation numbers?

N examples, K classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.statistics.intervals import ROUNDING

GAP = "max_acc_gap"  # of an attribute: "max_acc_gap/<attribute>"
GROUP = "accuracy/"  # of a group: "accuracy/<attribute>/<group>"


def selection_values(
    labels: np.ndarray,
    predictions: np.ndarray,
    probabilities: np.ndarray,
    positive: int,
    groups: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """What models are chosen by: accuracy, AUROC, the worst group's accuracy, each attribute's
    MaxAccGap and each group's accuracy; NaN where undefined.

    labels, predictions: (N,) codes; probabilities: (N, K); groups: attribute → (N,) names
    """
    correct = predictions == labels
    by_group = {
        attribute: {name: float(correct[names == name].mean()) for name in np.unique(names)}
        for attribute, names in groups.items()
    }
    worst = min((min(each.values()) for each in by_group.values()), default=float("nan"))
    gaps = {
        attribute: GAPS[GAP].values({"accuracy": np.array([*each.values()])})
        for attribute, each in by_group.items()
    }
    return {
        "accuracy": float(correct.mean()),
        "auroc": float(METRICS["auroc"].function(labels, predictions, probabilities, positive)),
        "worst_group_accuracy": worst,
        **{f"{GAP}/{attribute}": float(gap) for attribute, gap in gaps.items()},
        **{f"{GROUP}{a}/{name}": v for a, each in by_group.items() for name, v in each.items()},
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
    one of the smallest gap; `rank_candidates` puts those that cost a group too much behind them.
    Minus the loss stands in for any other metric that is undefined.
    """
    metric = select_by.removeprefix("bounded_")
    if metric != select_by:
        return -gap if gap > gap_bound else values.get(metric, values["accuracy"])
    if metric == "loss" or metric not in values:
        return -values["loss"]
    return values[metric]


def rank_candidates(
    candidates: Sequence[Mapping[str, float]], select_by: str, gap_cost: float
) -> list[int]:
    """Places of the candidates that may be chosen, the choice first, the earlier one on a tie.

    candidates: `selection_values` with the `score` that `select_by` gives them
    Of a bounded rule these are all, for a later candidate may bring an earlier one back, and those
    that cost a group more than `gap_cost` come last: a gap that is small because the best-served
    fall is levelling down (Zietlow et al. 2022, CVPR; Mittelstadt et al. 2023), not fairness.
    """
    places = range(len(candidates))
    if not select_by.startswith("bounded_"):
        return [max(places, key=lambda place: candidates[place]["score"])]
    refused = [bool(too_costly(cost, gap_cost)) for cost in group_costs(candidates)]
    return sorted(places, key=lambda place: (refused[place], -candidates[place]["score"]))


def group_costs(candidates: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Of each candidate, how far each group's accuracy lies below what the group has by the most
    accurate candidate: "attribute/group" → difference."""
    most_accurate = max(candidates, key=lambda values: values["accuracy"])
    return [
        {
            name.removeprefix(GROUP): most_accurate[name] - value
            for name, value in values.items()
            if name.startswith(GROUP) and name in most_accurate
        }
        for values in candidates
    ]


def too_costly(costs: Mapping[str, float], gap_cost: float) -> dict[str, float]:
    """The groups of `group_costs` that lose more than `gap_cost`."""
    return {group: cost for group, cost in costs.items() if cost > gap_cost + ROUNDING}
