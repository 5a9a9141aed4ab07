"""From values and draws to the results of one attribute: estimates, gaps, scores, power.

N examples, K classes, G groups, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.counted_draws import confusion_by_group
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.intervals import (
    bias_corrected_interval,
    bootstrap_bias,
    is_small,
    tail_p_value,
    wilson_interval,
)
from fairlora_cls.evaluation.metrics import (
    BETTER,
    GAPS,
    METRICS,
    RATES,
    EquityScaled,
    Gap,
    Values,
    extreme_groups,
    measure,
)
from fairlora_cls.evaluation.power import (
    Spread,
    examples_to_detect,
    lagging_group,
    smallest_detectable_gap,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import (
    Estimate,
    GapResult,
    GroupResult,
    Power,
)
from fairlora_cls.evaluation.suppression import Hidden
from fairlora_cls.evaluation.uncertainty import NullDraws, Resamples, interval
from fairlora_cls.evaluation.vectorised import denominators, one_vs_rest_values


@dataclass(frozen=True)
class Measured:
    """Everything known of one grouping: values, counts and draws; hidden groups are NaN."""

    grouping: Grouping
    hidden: Hidden
    confusion: np.ndarray  # (G, K, K)
    overall: dict[str, float]
    values: dict[str, np.ndarray]  # metric -> (G,)
    counts: dict[str, np.ndarray]  # kind of `denominators` -> (G,)
    independent: dict[str, np.ndarray]  # the same in units, where those are known
    class_values: dict[str, np.ndarray]  # metric of ONE_VS_REST -> (G, K); empty if K = 2
    class_counts: list[dict[str, np.ndarray]]  # per class: counts, in units where known
    bootstrap: Resamples
    null: NullDraws | None
    publishes_everything: bool  # no suppression was asked for


def measure_grouping(
    predictions: Predictions,
    grouping: Grouping,
    hidden: Hidden,
    bootstrap: Resamples,
    null: NullDraws | None,
    publishes_everything: bool,
) -> Measured:
    """Measures the groups, and blots out those that must not be published."""
    groups = len(grouping.names)
    overall, by_code = measure(predictions, grouping.codes)
    values = {name: np.array([by_code[code][name] for code in range(groups)]) for name in METRICS}
    confusion = confusion_by_group(predictions, grouping.codes, groups)
    classes = len(predictions.classes)
    several = range(classes) if classes > 2 else ()
    class_values = one_vs_rest_values(predictions, grouping.codes, confusion) if several else {}
    if hidden.tables.any():
        for value in (*values.values(), *class_values.values()):
            value[hidden.tables] = np.nan
        bootstrap, null = bootstrap.masked(hidden.tables), null and null.masked(hidden.tables)
    return Measured(
        grouping,
        hidden,
        confusion,
        overall,
        values,
        denominators(confusion, predictions.positive),
        _independent_counts(predictions, grouping, confusion, predictions.positive),
        class_values,
        [_independent_counts(predictions, grouping, confusion, code) for code in several],
        bootstrap,
        null,
        publishes_everything,
    )


def group_results(measured: Measured, positive: int) -> dict[str, GroupResult]:
    """Each group's counts and metrics."""
    hidden = measured.hidden
    positives = measured.confusion[:, positive].sum(axis=1)
    return {
        name: GroupResult(
            n=None if hidden.sizes[code] else int(measured.counts["examples"][code]),
            positives=None if hidden.labels[code] else int(positives[code]),
            metrics={
                metric: metric_estimate(
                    metric,
                    measured.values[metric][code],
                    measured.bootstrap.by_group[metric][:, code],
                    None if hidden.tables[code] else measured.counts[row.rests_on][code],
                    measured.independent[row.rests_on][code],
                )
                for metric, row in METRICS.items()
            },
        )
        for code, name in enumerate(measured.grouping.names)
    }


def gap_results(measured: Measured, pooled: Measured) -> dict[str, GapResult]:
    """Every gap of GAPS; `pooled` is the grouping of all examples, for the power."""
    return {
        name: gap_result(
            gap,
            measured.grouping.names,
            measured.values,
            measured.bootstrap.by_group,
            measured.null.by_group if measured.null else None,
            _power(gap, measured, pooled),
            BETTER,
        )
        for name, gap in GAPS.items()
    }


def equity_results(
    scores: Mapping[str, EquityScaled],
    overall: Mapping[str, float],
    values: Values,
    resampled_overall: Values,
    resampled: Values,
) -> dict[str, Estimate]:
    """Every equity-scaled score of `scores`: metric -> value and (G,) values, and the same in R
    resamples, (R,) and (R, G)."""
    return {
        name: plain_estimate(
            float(score.function(overall[score.metric], values[score.metric])),
            score.function(resampled_overall[score.metric], resampled[score.metric]),
        )
        for name, score in scores.items()
    }


def metric_estimate(
    metric: str, value: float, draws: np.ndarray, count: float | None, independent: float
) -> Estimate:
    """A metric's value with the bootstrap's interval, or Wilson's for a rate of few examples.

    count: what is stated; independent: examples, or units, that the interval may rest on
    """
    count = None if count is None else int(count)
    if metric in RATES:
        return rate_estimate(value, draws, count, independent)
    return plain_estimate(value, draws, count)


def rate_estimate(
    value: float, draws: np.ndarray, count: int | None, independent: float
) -> Estimate:
    """`plain_estimate` of a share of examples, with Wilson's interval where they are few."""
    estimate = plain_estimate(value, draws, count)
    if estimate.value is None or len(draws) == 0 or not is_small(value, independent):
        return estimate
    limits = wilson_interval(value, independent)
    return Estimate(estimate.value, limits, "wilson", None, estimate.count)


def plain_estimate(value: float, draws: np.ndarray, count: int | None = None) -> Estimate:
    """The value with its bootstrap intervals; undefined values have none."""
    if np.isnan(value):
        return Estimate(None, None, count=count)
    limits = interval(draws)
    corrected = bias_corrected_interval(value, draws)
    return Estimate(float(value), limits, "percentile" if limits else None, corrected, count)


def gap_result(
    gap: Gap,
    names: tuple[str, ...],
    values: Values,
    resampled: Values,
    null: Values | None,
    power: Power | None,
    better: Mapping[str, str],
) -> GapResult:
    """A gap between the groups `names`: metric -> (G,) values, and (R, G) in resamples and under
    the null. better: metric -> higher | lower | neither."""
    drawn = gap.values(resampled)
    estimate = plain_estimate(float(gap.values(values)), drawn)
    undefined = np.any([np.isnan(values[metric]) for metric in gap.metrics], axis=0)
    left_out = tuple(name for name, out in zip(names, undefined, strict=True) if out)
    if estimate.value is None:
        return GapResult(None, None, None, None, None, None, None, left_out)
    best, worst = extreme_groups(gap, values, better)
    chance = np.empty(0) if null is None else gap.values(null)
    chance = chance[~np.isnan(chance)]
    tested = len(chance) > 0
    ratio = gap.kind == "ratio"
    bias, is_biased = bootstrap_bias(estimate.value, drawn) or (None, False)
    return GapResult(
        value=estimate.value,
        interval=estimate.interval,
        null_mean=float(chance.mean()) if tested else None,
        null_interval=interval(chance) if tested else None,
        p_value=tail_p_value(estimate.value, chance, ratio) if tested else None,
        best=names[best],
        worst=names[worst],
        undefined_groups=left_out,
        interval_bias_corrected=estimate.interval_bias_corrected,
        bootstrap_bias=bias,
        interval_is_biased=is_biased,
        power=power,
    )


def _power(gap: Gap, measured: Measured, pooled: Measured) -> Power | None:
    """What the groups that the gap compares could show; None without draws or two groups."""
    defined = ~np.any([np.isnan(measured.values[metric]) for metric in gap.metrics], axis=0)
    if defined.sum() < 2 or not len(pooled.bootstrap.overall["accuracy"]):
        return None
    spreads = {}
    for metric in gap.metrics:
        kind = METRICS[metric].rests_on
        error = float(np.nanstd(pooled.bootstrap.overall[metric]))
        unit = error * float(np.sqrt(pooled.counts[kind][0]))
        spreads[metric] = Spread(pooled.overall[metric], unit, measured.counts[kind][defined])
    names = np.array(measured.grouping.names)[defined]
    return power_result(gap, spreads, names, METRICS[gap.metrics[0]].rests_on)


def power_result(
    gap: Gap, spreads: Mapping[str, Spread], names: Sequence[str], counted: str
) -> Power:
    """What the groups `names`, in which the gap is defined, could show; see `Power`."""
    lagging = lagging_group(gap, spreads)
    return Power(
        detectable=smallest_detectable_gap(gap, spreads),
        lagging=None if lagging is None else str(names[lagging]),
        needed_per_group=examples_to_detect(gap, spreads),
        counted=counted,
    )


def _independent_counts(
    predictions: Predictions, grouping: Grouping, confusion: np.ndarray, positive: int
) -> dict[str, np.ndarray]:
    """`denominators`, or how many units they are: a patient's images tell less than as many
    patients'. Kind -> (G,)."""
    counts = denominators(confusion, positive)
    if predictions.units is None:
        return counts
    _, units = np.unique(np.array(predictions.units, dtype=str), return_inverse=True)
    labelled, selected = predictions.labels == positive, predictions.predictions == positive
    chosen = {
        "examples": np.ones_like(labelled),
        "positives": labelled,
        "negatives": ~labelled,
        "selected": selected,
        "rejected": ~selected,
    }
    groups, found = len(grouping.names), {}
    for kind, mask in chosen.items():
        pairs = np.unique(np.column_stack([grouping.codes[mask], units[mask]]), axis=0)
        found[kind] = np.bincount(pairs[:, 0], minlength=groups)
    return found | {"rarer": counts["rarer"]}
