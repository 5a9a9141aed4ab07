"""Of K > 2 classes: each against the rest, and the plain (macro) mean over classes.

N examples, K classes, G groups, R resamples.
"""

from collections.abc import Callable

from fairlora_cls.evaluation.attribute_results import (
    Measured,
    gap_result,
    metric_estimate,
    plain_estimate,
)
from fairlora_cls.evaluation.metrics import BETTER, METRICS, ONE_VS_REST, Gap
from fairlora_cls.evaluation.results import ClassesResult, ClassGaps, GapResult
from fairlora_cls.evaluation.vectorised import mean_over_classes


def class_results(measured: Measured, classes: tuple[str, ...]) -> dict[str, ClassesResult]:
    """Of K > 2 classes, each against the rest and their macro mean, per group; else empty."""
    found = {}
    for code, group in enumerate(measured.grouping.names if measured.class_values else ()):
        by_class = {
            label: {
                metric: metric_estimate(
                    metric,
                    measured.class_values[metric][code, k],
                    measured.bootstrap.classes[metric][:, code, k],
                    None,
                    measured.class_counts[k][METRICS[metric].rests_on][code],
                )
                for metric in ONE_VS_REST
            }
            for k, label in enumerate(classes)
        }
        macro = {
            metric: plain_estimate(
                float(mean_over_classes(measured.class_values[metric][code])),
                mean_over_classes(measured.bootstrap.classes[metric][:, code]),
            )
            for metric in ONE_VS_REST
        }
        found[group] = ClassesResult(by_class, macro)
    return found


def class_gap_results(measured: Measured, classes: tuple[str, ...]) -> ClassGaps:
    """Of K > 2 classes, the gaps of each against the rest and of the macro means; else empty."""
    if not measured.class_values:
        return ClassGaps()

    def gaps(reduce: Callable) -> dict[str, GapResult]:
        found = {}
        for metric in ONE_VS_REST:
            null = measured.null and {metric: reduce(measured.null.classes[metric])}
            values = {metric: reduce(measured.class_values[metric])}
            drawn = {metric: reduce(measured.bootstrap.classes[metric])}
            gap = Gap(f"{METRICS[metric].title} gap", (metric,))
            found[f"{metric}_gap"] = gap_result(
                gap, measured.grouping.names, values, drawn, null, None, BETTER
            )
        return found

    return ClassGaps(
        {label: gaps(lambda values, k=k: values[..., k]) for k, label in enumerate(classes)},
        gaps(mean_over_classes),
    )
