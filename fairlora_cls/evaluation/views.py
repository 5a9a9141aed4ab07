"""What do shares, calibration and curves of each group say, and what remains of a gap when the
other attributes are held fixed?

N examples, K classes, G groups, R resamples.
"""

import numpy as np
from sklearn.metrics import roc_curve

from fairlora_cls.evaluation.attribute_results import Measured
from fairlora_cls.evaluation.counted_draws import confusion_by_group
from fairlora_cls.evaluation.intervals import tail_p_value, wilson_interval
from fairlora_cls.evaluation.metrics import CALIBRATION_BINS, GAPS, calibration_terms
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.resampling import (
    chunks,
    dealt_codes,
    null_blocks,
    permuted_tables,
)
from fairlora_cls.evaluation.results import (
    CalibrationBin,
    ClassShare,
    Controlled,
    ControlledGap,
    Curves,
    Decision,
    Prevalence,
)
from fairlora_cls.evaluation.uncertainty import (
    SHIFT,
    counted_null_draws,
    interval,
)
from fairlora_cls.evaluation.vectorised import counted_metrics

SCORE_BINS = 20  # equal width
MOST_ROC_POINTS = 101
CONTROLLED_GAPS = (  # means over strata of what counts decide
    "max_acc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "demographic_parity_difference",
)
PREVALENCE_DRAWS = 5000


def describe_decision(predictions: Predictions) -> Decision:
    """Whether the predictions are the most probable classes, a threshold's, or given otherwise.

    Ties may go either way. A threshold is looked for on the positive class of a binary task.
    """
    rows = np.arange(len(predictions.ids))
    chosen = predictions.probabilities[rows, predictions.predictions]
    if (chosen >= predictions.probabilities.max(axis=1) - 1e-9).all():
        half = (0.5, 0.5) if len(predictions.classes) == 2 else None
        return Decision("argmax", half)
    if len(predictions.classes) == 2:
        score = predictions.probabilities[:, predictions.positive]
        selected = predictions.predictions == predictions.positive
        highest = float(score[~selected].max()) if (~selected).any() else 0.0
        lowest = float(score[selected].min()) if selected.any() else 1.0
        if highest <= lowest:
            return Decision("threshold", (highest, lowest))
    return Decision("given", None)


def prevalence(
    predictions: Predictions, measured: Measured, generator: np.random.Generator
) -> Prevalence:
    """Shares of every class as label and as prediction, per group; see `Prevalence`."""
    confusion, hidden = measured.confusion, measured.hidden.tables
    resampled = measured.bootstrap.classes[SHIFT]
    sizes = confusion.sum(axis=(1, 2))
    reference = confusion.sum(axis=2) / sizes[:, None]
    predicted = confusion.sum(axis=1) / sizes[:, None]

    def share(code: int, k: int) -> ClassShare:
        if hidden[code]:
            return ClassShare(None, None, None, None)
        of_labels, of_predictions = float(reference[code, k]), float(predicted[code, k])
        limits = interval(resampled[:, code, k])
        return ClassShare(of_labels, of_predictions, of_predictions - of_labels, limits)

    groups = {
        name: {label: share(code, k) for k, label in enumerate(predictions.classes)}
        for code, name in enumerate(measured.grouping.names)
    }
    shown = ~hidden
    if shown.sum() < 2:
        return Prevalence(groups, None, None, None)
    gap = float(np.ptp(reference[shown, predictions.positive]))
    if not len(resampled):
        return Prevalence(groups, gap, None, None)
    dealt = _dealt_prevalences(predictions, measured, len(resampled), generator)
    null = np.ptp(dealt[:, shown], axis=1)
    return Prevalence(groups, gap, float(null.mean()), tail_p_value(gap, null))


def curves(predictions: Predictions, rows: np.ndarray, confusion: np.ndarray) -> Curves:
    """What the figures draw of the examples at `rows`; confusion: (K, K) of them."""
    labels, probabilities = predictions.labels[rows], predictions.probabilities[rows]
    positive = predictions.positive
    score, truth = probabilities[:, positive], labels == positive
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    histogram = tuple(
        tuple(int(n) for n in np.histogram(score[truth == kind], edges)[0])
        for kind in (False, True)
    )
    return Curves(
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        roc=_roc_points(truth, score),
        reliability=_reliability(labels, probabilities, positive),
        score_histogram=histogram,
    )


def controlled_gaps(
    predictions: Predictions,
    codes: np.ndarray,
    strata: np.ndarray,
    held: tuple[str, ...],
    minimum_stratum_size: int,
    resamples: int,
    generator: np.random.Generator,
) -> Controlled:
    """The gaps of one attribute inside strata of the others, averaged by the strata's sizes.

    A stratum needs `minimum_stratum_size` examples and two groups in which the metric is defined.
    Every gap is positive by chance, and the smaller the strata the more, so that the mean stands
    beside the mean of group names dealt out anew inside each stratum.

    codes, strata: (N,) group and stratum of each example
    """
    chosen = [
        rows
        for rows in (np.flatnonzero(strata == s) for s in np.unique(strata))
        if len(rows) >= minimum_stratum_size and len(np.unique(codes[rows])) > 1
    ]
    values, nulls = [], []
    for rows in chosen:
        part = predictions.rows(rows)
        _, inside = np.unique(codes[rows], return_inverse=True)
        count = int(inside.max()) + 1
        observed = counted_metrics(confusion_by_group(part, inside, count), part.positive)
        values.append([float(GAPS[name].values(observed)) for name in CONTROLLED_GAPS])
        if resamples:
            drawn = counted_null_draws(part, inside, count, resamples, generator)
            nulls.append([GAPS[name].values(drawn) for name in CONTROLLED_GAPS])
    weights = np.array([len(rows) for rows in chosen], dtype=float)
    gaps = {
        name: mean_over_strata(
            np.array([stratum[place] for stratum in values]),
            np.array([stratum[place] for stratum in nulls]),
            weights,
        )
        for place, name in enumerate(CONTROLLED_GAPS)
    }
    return Controlled(held, minimum_stratum_size, gaps)


def _dealt_prevalences(
    predictions: Predictions, measured: Measured, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """(R, G) shares of positive labels with the group names dealt out anew, to units if known."""
    confusion, positive = measured.confusion, predictions.positive
    sizes, positives = confusion.sum(axis=(1, 2)), confusion[:, positive].sum(axis=1)
    if predictions.units is None:
        table = np.column_stack([positives, sizes - positives])
        draws = max(200, min(PREVALENCE_DRAWS, 1_000_000 // table.size))
        return permuted_tables(table, draws, generator)[:, :, 0] / sizes
    blocks, own = null_blocks(
        predictions.units, measured.grouping.codes, np.zeros(len(predictions.ids), dtype=int)
    )
    is_positive = (predictions.labels == positive).astype(float)
    contents = np.column_stack(
        [np.bincount(blocks.of_example, is_positive), np.bincount(blocks.of_example)]
    )
    parts = []
    for size in chunks(resamples, blocks.count):
        dealt = dealt_codes(blocks, own, size, generator)
        sums = np.stack([(dealt == code) @ contents for code in range(len(sizes))], axis=1)
        parts.append(sums[..., 0] / sums[..., 1])
    return np.concatenate(parts)


def mean_over_strata(values: np.ndarray, nulls: np.ndarray, weights: np.ndarray) -> ControlledGap:
    """Strata's gaps (S,), their nulls (S, R) and sizes (S,) -> the weighted mean."""
    defined = ~np.isnan(values)
    if not defined.any():
        return ControlledGap(None, None, None, None, None, 0, 0)
    weights = weights[defined]
    value = float(np.average(values[defined], weights=weights))
    found = int(defined.sum()), int(weights.sum())
    if not len(nulls):
        return ControlledGap(value, None, None, None, None, *found)
    drawn = nulls[defined]
    present = np.where(np.isnan(drawn), 0, weights[:, None])
    null = (present * np.nan_to_num(drawn)).sum(axis=0) / np.maximum(present.sum(axis=0), 1e-12)
    p = tail_p_value(value, null)
    return ControlledGap(value, float(null.mean()), interval(null), p, None, *found)


def _roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float], ...]:
    if truth.all() or not truth.any():
        return ()
    false_rate, true_rate, _ = roc_curve(truth, score)
    if len(false_rate) > MOST_ROC_POINTS:
        along = false_rate + true_rate  # evenly along the curve, from 0 to 2
        wanted = np.linspace(0, 2, MOST_ROC_POINTS)
        kept = np.unique(np.searchsorted(along, wanted).clip(0, len(along) - 1))
        false_rate, true_rate = false_rate[kept], true_rate[kept]
    return tuple((float(x), float(y)) for x, y in zip(false_rate, true_rate, strict=True))


def _reliability(
    labels: np.ndarray, probabilities: np.ndarray, positive: int
) -> tuple[CalibrationBin, ...]:
    bins, residuals = calibration_terms(labels, probabilities, positive)
    if probabilities.shape[1] == 2:
        confidence = probabilities[:, positive]
    else:
        confidence = probabilities.max(axis=1)
    found = []
    for number in np.unique(bins):
        inside = bins == number
        count = int(inside.sum())
        mean = float(confidence[inside].mean())
        outcome = float((residuals[inside] + confidence[inside]).mean().clip(0, 1))
        limits = (number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS)
        found.append(
            CalibrationBin(
                *map(float, limits), count, mean, outcome, wilson_interval(outcome, count)
            )
        )
    return tuple(found)
