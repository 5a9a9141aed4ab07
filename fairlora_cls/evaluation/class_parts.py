"""What a report on classes says beside the metrics: the decision rule, shares of each class, curves,
and of K > 2 classes each against the rest.

N examples, K classes, G groups, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fairlora_cls.evaluation.class_sample import SHIFT, confusion_by_group
from fairlora_cls.evaluation.measuring import (
    Measured,
    gap_result,
    key_estimate,
    shown_rows,
    stated_estimate,
)
from fairlora_cls.evaluation.metrics import (
    CALIBRATION_BINS,
    METRICS,
    ONE_VS_REST,
    calibration_terms,
    confidences,
    roc_curve,
)
from fairlora_cls.evaluation.net_benefit import decision_curve
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import (
    CalibrationBin,
    ClassesResult,
    ClassGaps,
    ClassShare,
    Curves,
    Decision,
    GapResult,
    Prevalence,
)
from fairlora_cls.evaluation.vectorised import mean_over_classes
from fairlora_cls.statistics.draws import dealt_tables
from fairlora_cls.statistics.gaps import Gap
from fairlora_cls.statistics.intervals import tail_p_value, wide_interval, wilson_interval
from fairlora_cls.statistics.sample import Cells, Measures
from fairlora_cls.statistics.uncertainty import ALIKE, Uncertainty, unknown

SCORE_BINS = 20  # equal width
MOST_ROC_POINTS = 101
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


def class_results(measured: Measured, classes: Sequence[str]) -> dict[str, ClassesResult]:
    """Of K > 2 classes, each against the rest and their plain (macro) mean, per group; else empty."""
    if len(classes) == 2:
        return {}

    means = {metric: _over_classes(measured.values, metric, len(classes)) for metric in ONE_VS_REST}
    uncertain = {
        metric: macro_uncertainty(measured, metric, len(classes)) for metric in ONE_VS_REST
    }

    return {
        name: ClassesResult(
            {
                label: {
                    metric: key_estimate(
                        measured,
                        (metric, code),
                        group,
                        METRICS[metric],
                        None
                        if measured.hidden[group]
                        else int(measured.counts[metric, code][group]),
                    )
                    for metric in ONE_VS_REST
                }
                for code, label in enumerate(classes)
            },
            {
                metric: stated_estimate(
                    float(means[metric][group]),
                    uncertain[metric],
                    group,
                    has_draws=measured.has_draws,
                )
                for metric in ONE_VS_REST
            },
        )
        for group, name in enumerate(measured.grouping.names)
    }


def class_gap_results(measured: Measured, classes: Sequence[str]) -> ClassGaps:
    """Of K > 2 classes, the gaps of each against the rest and of the macro means; else empty."""
    if len(classes) == 2:
        return ClassGaps()

    def gaps(
        take: Callable[[Measures, str], np.ndarray], uncertainty: Callable[[str], Uncertainty]
    ) -> dict[str, GapResult]:
        found = {}
        for name in ONE_VS_REST:
            metric = METRICS[name]
            found[f"{name}_gap"] = gap_result(
                Gap(f"{metric.title} gap", (name,), metric.unit, metric.exchangeable_within),
                measured.grouping.names,
                {name: take(measured.values, name)},
                {name: take(measured.draws.by_group, name)},
                measured.null and {name: take(measured.null, name)},
                {name: metric.better},
                [uncertainty(name)] if measured.has_draws else None,
            )
        return found

    return ClassGaps(
        {
            label: gaps(
                lambda values, name, code=code: values[name, code],
                lambda name, code=code: measured.uncertain((name, code)),
            )
            for code, label in enumerate(classes)
        },
        gaps(
            lambda values, name: _over_classes(values, name, len(classes)),
            lambda name: macro_uncertainty(measured, name, len(classes)),
        ),
    )


def macro_uncertainty(measured: Measured, metric: str, classes: int) -> Uncertainty:
    """Of the plain mean over the classes where the metric is defined. The classes' shares of all
    predictions always have the same mean: there is nothing to tell."""
    if metric == "selection_rate":
        return unknown(len(measured.hidden), ALIKE)
    return measured.mean_over((metric, code) for code in range(classes))


def _over_classes(values: Measures, metric: str, classes: int) -> np.ndarray:
    """(..., G): the mean over the classes where it is defined."""
    return mean_over_classes(np.stack([values[metric, code] for code in range(classes)], axis=-1))


def prevalence(
    predictions: Predictions,
    measured: Measured,
    draws: int,
    generator: np.random.Generator,
) -> Prevalence:
    """Shares of every class as label and as prediction, per group; see `Prevalence`.

    draws: of the null where units are known; 0 leaves it out
    """
    codes, names, hidden = measured.grouping.codes, measured.grouping.names, measured.hidden
    confusion = confusion_by_group(predictions, codes, len(names))
    sizes = confusion.sum(axis=(1, 2))
    reference = confusion.sum(axis=2) / sizes[:, None]
    predicted = confusion.sum(axis=1) / sizes[:, None]

    def share(group: int, code: int) -> ClassShare:
        if hidden[group]:
            return ClassShare(None, None, None, None)
        of_labels, of_predictions = float(reference[group, code]), float(predicted[group, code])
        limits = wide_interval(measured.draws.by_group[SHIFT, code][:, group])
        return ClassShare(of_labels, of_predictions, of_predictions - of_labels, limits)

    groups = {
        name: {label: share(group, code) for code, label in enumerate(predictions.classes)}
        for group, name in enumerate(names)
    }
    shown = ~hidden
    if shown.sum() < 2:
        return Prevalence(groups, None, None, None)
    gap = float(np.ptp(reference[shown, predictions.positive]))
    if not draws:
        return Prevalence(groups, gap, None, None)
    if measured.sample.units is None:  # counts alone are drawn
        draws = max(200, min(PREVALENCE_DRAWS, 1_000_000 // (2 * len(names))))
    rows, own = shown_rows(codes, hidden)
    part = measured.sample.rows(rows)
    negative = (part.labels != predictions.positive).astype(int)
    cells = Cells(negative, 2, {"all": (np.arange(2),)}, lambda counts: {}, str, None, rows)
    dealt = dealt_tables(part, cells, own, int(shown.sum()), "all", draws, generator)
    tables = np.concatenate(list(dealt))
    null = np.ptp(tables[..., 0] / tables.sum(axis=-1), axis=1)
    return Prevalence(groups, gap, float(null.mean()), tail_p_value(gap, null))


def curves(predictions: Predictions, rows: np.ndarray) -> Curves:
    """What the figures draw of the examples at `rows`."""
    labels, probabilities = predictions.labels[rows], predictions.probabilities[rows]
    positive = predictions.positive
    confusion = confusion_by_group(predictions.rows(rows), np.zeros(len(rows), dtype=int), 1)[0]
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
        decision=decision_curve(truth, score),
    )


def _roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float], ...]:
    if truth.all() or not truth.any():
        return ()
    false_rate, true_rate = roc_curve(truth, score)
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
    confidence = confidences(probabilities, positive)
    found = []
    for number in np.unique(bins):
        inside = bins == number
        count = int(inside.sum())
        mean = float(confidence[inside].mean())
        outcome = float((residuals[inside] + confidence[inside]).mean().clip(0, 1))
        limits = (number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS)
        found.append(
            CalibrationBin(
                *map(float, limits),
                count,
                mean,
                outcome,
                tuple(map(float, wilson_interval(outcome, count))),
            )
        )
    return tuple(found)
