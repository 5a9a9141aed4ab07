"""The metrics of thousands of resamples at once; of the data themselves they equal METRICS.

N examples, K classes, R resamples. A resample is a confusion table of counts, or a weight per
example (how often it was drawn); ties and undefined cases are handled as in `metrics.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairlora_cls.evaluation.metrics import (
    CALIBRATION_BINS,
    calibration_terms,
    squared_errors,
)
from fairlora_cls.statistics.sample import quotient

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
    recall_sum = np.nansum(quotient(correct, of_class), axis=-1)
    true_positive = confusion[..., positive, positive]
    labelled, selected = of_class[..., positive], confusion[..., :, positive].sum(axis=-1)
    true_negative = total - labelled - selected + true_positive
    f1 = quotient(2 * true_positive, labelled + selected)
    return {
        "accuracy": quotient(correct.sum(axis=-1), total),
        "balanced_accuracy": np.where(
            classes_present >= 2, quotient(recall_sum, classes_present), np.nan
        ),
        "sensitivity": quotient(true_positive, labelled),
        "specificity": quotient(true_negative, total - labelled),
        "fpr": quotient(selected - true_positive, total - labelled),
        "ppv": quotient(true_positive, selected),
        "npv": quotient(true_negative, total - selected),
        "f1": np.where(labelled > 0, f1, np.nan),
        "selection_rate": quotient(selected, total),
    }


@dataclass(frozen=True)
class Ranking:
    """The examples in the order of one class's probability, lowest first; a block is a run of equal
    probability, a member an example of the class."""

    order: np.ndarray  # (N,) rows
    is_class: np.ndarray  # (N,) int32, 1 where the label is the class, in that order
    boundaries: np.ndarray  # (blocks + 1,) where blocks start, and N

    @cached_property
    def is_sorted(self) -> bool:
        """Whether the rows come in that order."""
        return bool((self.order == np.arange(len(self.order))).all())

    @cached_property
    def has_ties(self) -> bool:
        return len(self.boundaries) <= len(self.order)

    @cached_property
    def members(self) -> np.ndarray:
        """Where the members are."""
        return np.flatnonzero(self.is_class)

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) where each example's block starts."""
        return np.repeat(self.boundaries[:-1], np.diff(self.boundaries))

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) one past where each example's block ends."""
        return np.repeat(self.boundaries[1:], np.diff(self.boundaries))

    def arranged(self, values: np.ndarray) -> np.ndarray:
        """(R, N) of the rows as they come -> in this order."""
        return values if self.is_sorted else values.take(self.order, axis=1)


@dataclass(frozen=True)
class ScoredRows:
    """What the metrics of SCORED need to know of N examples, computed once for all resamples."""

    rankings: tuple[Ranking, ...]  # the positive class if K = 2, else every class
    error_columns: np.ndarray  # (N, 1 + bins): Brier term, then the calibration term in its bin


def prepare_scores(
    labels: np.ndarray, probabilities: np.ndarray, positive: int, ranked_by: np.ndarray
) -> ScoredRows:
    """Prepares N examples: (N,) labels, (N, K) probabilities and what ranks them, (N, K)."""
    bins, residuals = calibration_terms(labels, probabilities, positive)
    columns = np.zeros((len(labels), 1 + CALIBRATION_BINS))
    columns[:, 0] = squared_errors(labels, probabilities, positive)
    columns[np.arange(len(labels)), 1 + bins] = residuals
    classes = probabilities.shape[1]
    codes = [positive] if classes == 2 else range(classes)
    return ScoredRows(
        rankings=tuple(rank_scores(ranked_by[:, code], labels == code) for code in codes),
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
    return quotient(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def ranking_by_group(
    codes: np.ndarray, sizes: np.ndarray, scored: ScoredRows
) -> dict[str, np.ndarray]:
    """`ranking_by_class` of every group at once, where each resample deals all examples out to
    groups: (R, N) codes -> (R, G, rankings). `sizes` (G,) are the groups' sizes, in every resample.
    """
    each = np.array([_of_groups(codes, sizes, ranking) for ranking in scored.rankings])
    each = np.moveaxis(each, 0, -1)  # (2, R, G, rankings)
    return {"auroc": each[0], "average_precision": each[1]}


def error_metrics(weights: np.ndarray, scored: ScoredRows) -> dict[str, np.ndarray]:
    """Brier score and expected calibration error of weighted examples: (R, N) -> (R,) each."""
    return _errors(weights @ scored.error_columns, weights.sum(axis=1))


def error_by_group(
    codes: np.ndarray, sizes: np.ndarray, scored: ScoredRows
) -> dict[str, np.ndarray]:
    """`error_metrics` of every group at once: (R, N) codes -> (R, G) each."""
    everyone = scored.error_columns.sum(axis=0)
    sums = [(codes == code).astype(float) @ scored.error_columns for code in range(len(sizes) - 1)]
    sums = np.stack([*sums, everyone - np.sum(sums, axis=0)], axis=1)
    return _errors(sums, sizes)


def _errors(sums: np.ndarray, total: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "brier": quotient(sums[..., 0], total),
        "ece": quotient(np.abs(sums[..., 1:]).sum(axis=-1), total),
    }


def rank_scores(probability: np.ndarray, is_class: np.ndarray) -> Ranking:
    """Prepares one class: its probability, or any score, (N,), and whether the label is it, (N,)."""
    order = np.argsort(probability, kind="stable")
    changes = np.flatnonzero(np.diff(probability[order])) + 1
    boundaries = np.concatenate([[0], changes, [len(order)]])
    return Ranking(order, is_class[order].astype(np.int32), boundaries)


def _area_and_precision(weights: np.ndarray, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve and average precision of one class, (R,) each; NaN without both
    kinds of example. Others below a member count whole, tied ones half."""
    weights, members = ranking.arranged(weights), ranking.members
    own = weights.take(members, axis=1)
    below, own_below = _sums_below(weights), _sums_below(own)
    total, count = below[:, -1].astype(float), own_below[:, -1].astype(float)
    starts = ranking.starts[members]
    below_block = below.take(starts, axis=1)
    if ranking.has_ties:
        own_below_block = own_below.take(np.searchsorted(members, starts), axis=1)
        ends = ranking.ends[members]
        through = below.take(ends, axis=1) - own_below.take(np.searchsorted(members, ends), axis=1)
        twice_below = below_block - own_below_block + through
    else:
        own_below_block = own_below[:, :-1]
        twice_below = 2 * (below_block - own_below_block)
    area = np.einsum("rn,rn->r", own, twice_below, dtype=np.int64) / 2
    # A threshold at a member's block selects the block and all above it.
    precision = (count[:, None] - own_below_block) / np.maximum(total[:, None] - below_block, 1)
    average = quotient(np.einsum("rn,rn->r", own, precision), count)
    others = total - count
    return quotient(area, count * others), np.where(others > 0, average, np.nan)


def _of_groups(
    codes: np.ndarray, sizes: np.ndarray, ranking: Ranking
) -> tuple[np.ndarray, np.ndarray]:
    """Area and average precision of every group, (R, G) each."""
    # A stable sort by group keeps the order inside each: then ranks are mere positions.
    places = ranking.arranged(codes).argsort(axis=1, kind="stable")
    members = ranking.is_class.take(places)
    blocks = ranking.starts.take(places) if ranking.has_ties else None
    areas, averages = [], []
    for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
        inside = slice(stop - size, stop)
        own = members[:, inside]
        own_below = _sums_below(own)
        count = own_below[:, -1].astype(float)
        if blocks is None:
            below = np.arange(size, dtype=float)
            own_below = own_below[:, :-1]
            area = own @ below - count * (count - 1) / 2
            average = (own * (count[:, None] - own_below)) @ (1 / (size - below))
        else:
            below = _first_of_block(blocks[:, inside])
            own_below = np.take_along_axis(own_below, below, axis=1)
            # Pairs (member, other below) and (other, member below); those left over are ties.
            lower = np.einsum("rn,rn->r", own, below - own_below)
            higher = np.einsum("rn,rn->r", 1 - own, own_below)
            area = (count * (size - count) + lower - higher) / 2
            precision = (count[:, None] - own_below) / (size - below)
            average = np.einsum("rn,rn->r", own, precision)
        areas.append(quotient(area, count * (size - count)))
        averages.append(np.where(size > count, quotient(average, count), np.nan))
    return np.stack(areas, axis=1), np.stack(averages, axis=1)


def _first_of_block(blocks: np.ndarray) -> np.ndarray:
    """(R, n) block of each, in order -> (R, n) where its run of equal blocks starts."""
    starts = np.tile(np.arange(blocks.shape[1]), (len(blocks), 1))
    starts[:, 1:][blocks[:, 1:] == blocks[:, :-1]] = 0
    return np.maximum.accumulate(starts, axis=1)


def _sums_below(values: np.ndarray) -> np.ndarray:
    """(R, N) whole numbers -> (R, N + 1): the sum of all before each, and of all."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int32)
    np.cumsum(values, axis=1, out=sums[:, 1:])  # in whole numbers five times as fast as in floats
    return sums
