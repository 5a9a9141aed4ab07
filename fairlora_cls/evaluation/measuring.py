"""From values and draws of any grouping to its results: estimates, gaps, equity-scaled scores, power.

N examples, G groups, R resamples. A grouping is a view: everyone, an attribute, an intersection, the
larger groups; of all examples or of those of a stratum, a question, a class against the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.results import (
    Controlled,
    ControlledGap,
    Estimate,
    GapResult,
    LargerGroups,
    Limits,
    Power,
)
from fairlora_cls.statistics import draws as drawing
from fairlora_cls.statistics.draws import Draws
from fairlora_cls.statistics.gaps import (
    EquityScaled,
    Gap,
    Values,
    extreme_groups,
    fairclip_score,
    fairllava_score,
    spread,
)
from fairlora_cls.statistics.intervals import (
    LEAST_DRAWS,
    bias_corrected_interval,
    bootstrap_bias,
    interval,
    tail_p_value,
)
from fairlora_cls.statistics.power import (
    Spread,
    examples_to_detect,
    lagging_group,
    smallest_detectable_gap,
)
from fairlora_cls.statistics.sample import (
    MEDIAN,
    Key,
    Measure,
    Measures,
    Sample,
    independent_sizes,
    quotient,
)
from fairlora_cls.statistics.simultaneous import area_variance
from fairlora_cls.statistics.uncertainty import (
    ALIKE,
    FEW_DRAWN,
    LEAST_ERRORS,
    NOISY,
    Uncertainty,
    distances_limits,
    effective_counts,
    gap_limits,
    of_areas,
    of_f1,
    of_fractions,
    of_means,
    of_numbers,
    of_recalls,
    of_shares,
    unknown,
    why_unknown,
)

SIDES = ("sensitivity", "specificity")  # whose counts are positives and negatives
SIMULTANEOUS = "simultaneous"
SURER = 2.576 / 1.960  # 99 % in place of 95 %
FEW_UNITS = 20  # patients, lesions or texts whose median has no interval


@dataclass(frozen=True)
class Measured:
    """Everything known of one grouping; hidden groups are NaN."""

    sample: Sample
    grouping: Grouping
    hidden: np.ndarray  # (G,) mask of the groups whose numbers must not be published
    sizes: np.ndarray  # (G,) examples, or images that texts are about
    units: np.ndarray | None  # (G,) patients or lesions, where those are known and may be told
    values: Measures  # (G,) each
    counts: Measures  # (G,) each: how many examples it rests on
    independent: Measures  # the same in units, where those are known
    draws: Draws
    null: Measures | None  # (R, G) each; None without draws, or of one group
    calibrated: Measures  # (R, G) each of the metrics that noise alone raises: of noise alone
    known: dict[Key, Uncertainty] = field(default_factory=dict, compare=False)

    @property
    def has_draws(self) -> bool:
        """Whether uncertainty was asked for."""
        return len(next(iter(self.draws.overall.values()))) > 0

    def uncertain(self, key: Key) -> Uncertainty:
        """How far a metric, or that of a class against the rest, could lie from the truth."""
        if key not in self.known:
            name = key if isinstance(key, str) else key[0]
            self.known[key] = _uncertainty(self, key, self.sample.metrics[name])
        return self.known[key]

    def mean_over(self, keys: Iterable[Key]) -> Uncertainty:
        """Of the mean of fractions that are measured themselves, where they are defined."""
        keys = list(keys)
        return of_means(
            [self.uncertain(key) for key in keys],
            np.stack([self.values[key] for key in keys]),
            np.stack([self.draws.by_group[key] for key in keys]),
        )

    @property
    def independent_sizes(self) -> np.ndarray:
        """(G,) how large the groups are in patients or lesions, where those are known."""
        return independent_sizes(self.sample, self.grouping.codes, len(self.hidden))

    def members(self, code: int) -> np.ndarray:
        """The rows of a group."""
        return np.flatnonzero(self.grouping.codes == code)


def measure_groups(
    sample: Sample,
    grouping: Grouping,
    resamples: int,
    generator: np.random.Generator,
    hidden: np.ndarray | None = None,
    is_tested: bool = True,
) -> Measured:
    """Values and draws of every metric in every group. is_tested: with the null, too."""
    codes, groups = grouping.codes, len(grouping.names)
    hidden = np.zeros(groups, dtype=bool) if hidden is None else hidden
    drawn = drawing.bootstrap(sample, codes, groups, resamples, generator)
    null, values = None, sample.observed(codes, groups)
    (apart,) = generator.spawn(1)  # leaves the draws of `generator` as they are
    calibrated = sample.calibrated(codes, groups, apart) if resamples else {}
    if is_tested and resamples and (~hidden).sum() > 1:
        # Names are dealt among the groups shown: what is hidden must not be read off a null.
        rows, shown = shown_rows(codes, hidden)
        part = sample if len(rows) == len(codes) else sample.rows(rows)
        dealt = drawing.null(part, shown, groups - hidden.sum(), resamples, generator, exact=True)
        null = {key: _spread_out(each, hidden) for key, each in dealt.items()}
    if hidden.any():
        values, drawn = drawing.masked(values, hidden), drawn.masked(hidden)
    return Measured(
        sample,
        grouping,
        hidden,
        sample.sizes(codes, groups),
        None if sample.units is None else independent_sizes(sample, codes, groups),
        values,
        sample.counts(codes, groups),
        sample.independent(codes, groups),
        drawn,
        null,
        calibrated,
    )


def shown_rows(codes: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the groups that are not hidden, and their codes among these, 0 .. shown-1."""
    rows = np.flatnonzero(~hidden[codes])
    return rows, (np.cumsum(~hidden) - 1)[codes[rows]]


def _spread_out(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(R, shown) → (R, G), NaN where hidden."""
    if not hidden.any():
        return values
    wide = np.full((len(values), len(hidden)), np.nan)
    wide[:, ~hidden] = values
    return wide


def group_estimates(measured: Measured, code: int) -> dict[str, Estimate]:
    """Every metric of one group."""
    found = {}
    for name, metric in measured.sample.metrics.items():
        count = None if measured.hidden[code] else int(measured.counts[name][code])
        found[name] = key_estimate(measured, name, code, metric, count)
    return found


def group_median(measured: Measured, name: str, code: int) -> Estimate | None:
    """The median of a metric in one group; None where it has none."""
    key = (name, MEDIAN)
    if key not in measured.values:
        return None
    value, drawn = float(measured.values[key][code]), measured.draws.by_group[key][:, code]
    if measured.independent[name][code] < FEW_UNITS and len(drawn) and not np.isnan(value):
        return Estimate(value, None, f"none: fewer than {FEW_UNITS} of them")
    median = replace(plain_estimate(value, drawn), interval_bias_corrected=None)
    if median.interval is not None and median.interval[0] == median.interval[1]:
        return Estimate(value, None, f"none: {ALIKE}")
    return median


def key_estimate(
    measured: Measured, key: Key, code: int, metric: Measure, count: int | None = None
) -> Estimate:
    """A metric's value in one group with the interval that holds for its kind: see `Uncertainty`.
    count: what is stated."""
    value, uncertain = float(measured.values[key][code]), measured.uncertain(key)
    estimate = stated_estimate(value, uncertain, code, count, has_draws=measured.has_draws)
    if key not in measured.calibrated or estimate.value is None:
        return estimate
    chance = measured.calibrated[key][:, code]
    return replace(estimate, null_mean=float(chance.mean()), null_interval=interval(chance))


def stated_estimate(
    value: float,
    uncertain: Uncertainty,
    code: int,
    count: int | None = None,
    *,
    has_draws: bool = True,
) -> Estimate:
    """A group's value with its limits, or the reason why there are none; undefined values have none,
    and so have reports without resamples."""
    if np.isnan(value) or not has_draws:
        return Estimate(None if np.isnan(value) else value, None, count=count)
    limits = uncertain.limits(code)
    method = uncertain.method if limits else f"none: {uncertain.reason}"
    return Estimate(value, limits, method, None, count)


def plain_estimate(value: float, draws: np.ndarray, count: int | None = None) -> Estimate:
    """The value with the middle of its resamples; undefined values have none."""
    if np.isnan(value) or not len(draws):
        return Estimate(None if np.isnan(value) else float(value), None, count=count)
    limits = interval(draws)
    if limits is None:
        reason = FEW_DRAWN if len(draws) < LEAST_DRAWS else "undefined in most resamples"
        return Estimate(float(value), None, f"none: {reason}", None, count)
    corrected = bias_corrected_interval(value, draws)
    return Estimate(float(value), limits, "percentile", corrected, count)


def _uncertainty(measured: Measured, key: Key, metric: Measure) -> Uncertainty:
    """How far a metric could lie from the truth in each group, as its kind allows to tell."""
    name, *of_class = (key,) if isinstance(key, str) else key
    sample, values = measured.sample, measured.values[key]
    drawn, units = measured.draws.by_group[key], measured.independent[key].astype(float)
    is_alone, groups = sample.units is None, len(values)

    def sides(counts: Measures) -> list[np.ndarray]:
        """Positives and negatives."""
        return [counts[side, *of_class] if of_class else counts[side] for side in SIDES]

    several = not of_class and ("sensitivity", 0) in measured.values  # K > 2
    if metric.is_raised_by_noise:
        return unknown(groups, NOISY)
    if metric.is_share:
        counts = measured.counts[key].astype(float)
        if is_alone:
            return of_shares(values, counts)
        counts = np.minimum(counts, effective_counts(values, drawn, units))
        return of_shares(values, counts)
    if metric.is_mean_recall and is_alone:
        recalls = [("sensitivity", code) for code in range(sample.classes)] if several else SIDES
        return of_recalls(
            [measured.uncertain(recall) for recall in recalls],
            np.stack([measured.values[recall] for recall in recalls]),
            np.stack([measured.counts[recall] for recall in recalls]),
        )
    if metric.rests_on == "rarer" and several and not metric.is_mean_recall:
        return measured.mean_over((name, code) for code in range(sample.classes))
    if metric.is_area:
        apart = None if is_alone else area_counts(measured, key)
        return of_areas(values, sides(measured.counts), apart, drawn)
    if metric.is_f1 and is_alone:
        labelled, selected = (
            measured.counts[(part, *of_class) if of_class else part] for part in ("f1", "ppv")
        )
        return of_f1(values, labelled, selected)
    if not metric.is_fraction or (values > 1).any():
        return of_numbers(values, drawn, units)
    if metric.rests_on == "rarer":
        return of_fractions(values, drawn, np.minimum(*sides(measured.independent)).astype(float))
    few = None
    if metric.rests_on == "examples":
        few = measured.counts[key] * np.minimum(values, 1 - values) < LEAST_ERRORS
    return of_fractions(values, drawn, units, few)


def area_counts(measured: Measured, key: Key) -> tuple[np.ndarray, np.ndarray] | None:
    """(G,) positives and negatives, in units where known, behind an area under one ROC curve; None
    for other metrics and for a mean over several classes."""
    name, *of_class = (key,) if isinstance(key, str) else key
    metric = measured.sample.metrics.get(name)
    if metric is None or not metric.is_area or (not of_class and (name, 0) in measured.values):
        return None
    keys = ((side, *of_class) if of_class else side for side in SIDES)
    return tuple(measured.independent[each] for each in keys)


def gap_results(measured: Measured, pooled: Measured | None = None) -> dict[str, GapResult]:
    """Every gap of the sample. pooled: the grouping of everyone, for the power."""
    null = measured.null
    return {
        name: gap_result(
            gap,
            measured.grouping.names,
            measured.values,
            measured.draws.by_group,
            null,
            {metric: measured.sample.metrics[metric].better for metric in gap.metrics},
            [measured.uncertain(metric) for metric in gap.metrics] if measured.has_draws else None,
            None if pooled is None or pooled.hidden[0] else _power(gap, measured, pooled),
        )
        for name, gap in measured.sample.gaps.items()
    }


def gap_result(
    gap: Gap,
    names: Sequence[str],
    values: Values,
    resampled: Values,
    null: Values | None,
    better: Mapping[str, str],
    uncertain: Sequence[Uncertainty] | None = None,
    power: Power | None = None,
) -> GapResult:
    """A gap between the groups `names`: metric → (G,) values, and (R, G) in resamples and under
    the null. better: metric → higher | lower | neither; uncertain: of each metric; None: no interval
    """
    value = float(gap.values(values))
    is_out = gap.undefined(values)
    left_out = tuple(name for name, out in zip(names, is_out, strict=True) if out)
    if np.isnan(value):
        return GapResult(None, None, None, None, None, None, None, left_out)
    best, worst = extreme_groups(gap, values, better)
    chance = np.empty(0) if null is None else gap.values(null)
    chance = chance[~np.isnan(chance)]
    tested = len(chance) > 0
    drawn = gap.values(resampled)
    bias, is_biased = bootstrap_bias(value, drawn) or (None, False)
    limits = gap_limits(gap.kind, uncertain, ~is_out, value) if uncertain else None
    method = None
    if uncertain:
        method = SIMULTANEOUS if limits else f"none: {why_unknown(uncertain, ~is_out)}"
    return GapResult(
        value=value,
        interval=limits,
        null_mean=float(chance.mean()) if tested else None,
        null_interval=interval(chance) if tested else None,
        p_value=tail_p_value(value, chance, gap.kind == "ratio") if tested else None,
        best=names[best],
        worst=names[worst],
        undefined_groups=left_out,
        interval_bias_corrected=bias_corrected_interval(value, drawn),
        bootstrap_bias=bias,
        interval_is_biased=is_biased,
        power=power,
        interval_method=method,
    )


def equity_results(measured: Measured, everyone: Measured) -> dict[str, Estimate]:
    """Every equity-scaled score. everyone: the grouping of all, G = 1."""
    found = {}
    for name, score in measured.sample.equity_scaled.items():
        overall, by_group = everyone.values[score.metric][0], measured.values[score.metric]
        value = float(score.function(overall, by_group))
        if np.isnan(value) or not measured.has_draws:
            found[name] = Estimate(None if np.isnan(value) else value, None)
            continue
        limits = _equity_limits(measured, everyone, score, value)
        method = SIMULTANEOUS
        if limits is None:
            uncertain = [measured.uncertain(score.metric)]
            method = f"none: {why_unknown(uncertain, ~np.isnan(by_group))}"
        drawn = score.function(
            measured.draws.overall[score.metric], measured.draws.by_group[score.metric]
        )
        corrected = bias_corrected_interval(value, drawn)
        found[name] = Estimate(value, limits, method, corrected)
    return found


def _equity_limits(
    measured: Measured, everyone: Measured, score: EquityScaled, value: float
) -> Limits | None:
    """From the lower end of the overall value at the widest that the groups could lie apart, to its
    upper end at the closest."""
    overall = everyone.uncertain(score.metric).limits(0)
    uncertain, by_group = measured.uncertain(score.metric), measured.values[score.metric]
    compared = ~np.isnan(by_group)
    whole = float(everyone.values[score.metric][0])
    apart = whole / value - 1 if value > 0 else 0.0
    if score.function is fairllava_score:
        # The gap's own interval misses in 5 %: here the overall value's should hardly ever.
        overall = overall and tuple(whole + SURER * (end - whole) for end in overall)
        limits = gap_limits("difference", [uncertain], compared, apart / 100)
        limits = limits and (100 * limits[0], 100 * limits[1])
    elif score.function is fairclip_score:
        limits = distances_limits(uncertain, compared, measured.counts[score.metric], apart)
    else:
        limits = None
    if limits is None or overall is None:
        return None
    return overall[0] / (1 + limits[1]), overall[1] / (1 + limits[0])


def larger_groups(
    sample: Sample,
    grouping: Grouping,
    gap_name: str,
    minimum: int,
    draws: int,
    generator: np.random.Generator,
) -> LargerGroups | None:
    """A gap among the groups of at least `minimum` examples, or units, and its permutation test.

    The widest gap over all groups is often that of the smallest one, whose chance is wide: five
    images of an unknown age can drown a gap between hundreds of young and old patients. FairLLaVA
    leaves groups under 20 out for the same reason (§ 4.1). None where no group is smaller, fewer than
    two are as large and have the metric, or `draws` is 0.
    """
    part = only_larger(sample, grouping, minimum)
    if not part.left_out or len(part.grouping.names) < 2 or not draws:
        return None
    names, codes = part.grouping.names, part.grouping.codes
    own, gap = part.sample.quick(), sample.gaps[gap_name]
    null = drawing.null(own, codes, len(names), draws, generator)
    found = gap_result(
        gap,
        names,
        own.observed(codes, len(names)),
        {metric: np.empty((0, len(names))) for metric in gap.metrics},
        null,
        {metric: own.metrics[metric].better for metric in gap.metrics},
    )
    if found.p_value is None:
        return None
    return LargerGroups(
        minimum,
        part.left_out,
        found.value,
        found.null_mean,
        found.p_value,
        found.best,
        found.worst,
    )


@dataclass(frozen=True)
class Larger:
    """The examples of the groups that are large enough."""

    sample: Sample
    grouping: Grouping
    left_out: tuple[str, ...]  # the smaller groups


def only_larger(sample: Sample, grouping: Grouping, minimum: int) -> Larger:
    """The groups of at least `minimum` examples or images, or units where those are known."""
    sizes = independent_sizes(sample, grouping.codes, len(grouping.names))
    large = np.flatnonzero(sizes >= minimum)
    rows = np.flatnonzero(np.isin(grouping.codes, large))
    return Larger(
        sample.rows(rows),
        Grouping(
            tuple(grouping.names[code] for code in large),
            np.searchsorted(large, grouping.codes[rows]),
        ),
        tuple(n for n, size in zip(grouping.names, sizes, strict=True) if size < minimum),
    )


def controlled_gaps(
    sample: Sample,
    grouping: Grouping,
    held: Mapping[str, np.ndarray],
    minimum: int,
    draws: int,
    generator: np.random.Generator,
) -> Controlled | None:
    """The gaps of one attribute inside strata of the others, averaged by the strata's sizes.

    A stratum needs `minimum` examples or images, or units where those are known, and two groups in
    which the metric is defined. Every gap is positive by chance, and the smaller the strata the more,
    so that the mean stands beside the mean of group names dealt out anew inside each stratum. None
    without others.

    held: the other attributes' codes, whose crossing makes the strata
    """
    if not held:
        return None
    sample, codes = sample.quick(), grouping.codes
    columns = np.column_stack(list(held.values()))
    strata = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    values, nulls, weights = [], [], []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        part = sample.rows(rows)
        present, inside = np.unique(codes[rows], return_inverse=True)
        whole = np.zeros(len(rows), dtype=int)
        if independent_sizes(part, whole, 1)[0] < minimum or len(present) < 2:
            continue
        observed = part.observed(inside, len(present))
        by_group = {name: np.full(len(grouping.names), np.nan) for name in sample.metrics}
        for name, each in by_group.items():
            each[present] = observed[name]
        values.append(by_group)
        weights.append(int(part.sizes(whole, 1)[0]))
        if draws:
            drawn = drawing.null(part, inside, len(present), draws, generator)
            nulls.append([gap.values(drawn) for gap in sample.gaps.values()])
    overall = sample.observed(codes, len(grouping.names))
    found = {}
    for place, (name, gap) in enumerate(sample.gaps.items()):
        mean = _mean_over_strata(
            np.array([float(gap.values(each)) for each in values]),
            np.array([stratum[place] for stratum in nulls]),
            np.array(weights, dtype=float),
        )
        better = {metric: sample.metrics[metric].better for metric in gap.metrics}
        found[name] = _with_direction(mean, gap, values, weights, overall, better, grouping.names)
    return Controlled(tuple(held), minimum, found)


def _mean_over_strata(values: np.ndarray, nulls: np.ndarray, weights: np.ndarray) -> ControlledGap:
    """Strata's gaps (S,), their nulls (S, R) and sizes (S,) → the weighted mean."""
    defined = ~np.isnan(values)
    if not defined.any():
        return ControlledGap(None, None, None, None, None, 0, 0)
    weights = weights[defined]
    value = float(np.average(values[defined], weights=weights))
    extent = int(defined.sum()), int(weights.sum())
    if not len(nulls):
        return ControlledGap(value, None, None, None, None, *extent)
    drawn = nulls[defined]
    present = np.where(np.isnan(drawn), 0, weights[:, None])
    null = (present * np.nan_to_num(drawn)).sum(axis=0) / np.maximum(present.sum(axis=0), 1e-12)
    p_value = tail_p_value(value, null)
    return ControlledGap(value, float(null.mean()), interval(null), p_value, None, *extent)


def _with_direction(
    found: ControlledGap,
    gap: Gap,
    strata: Sequence[Measures],
    weights: Sequence[int],
    overall: Values,
    better: Mapping[str, str],
    names: Sequence[str],
) -> ControlledGap:
    """Who is worse inside strata, and what is left there of the difference between the groups that
    are best and worst over all: less than nothing where the order reverses (Simpson's paradox).

    strata: of each, metric → (G,) values, NaN for groups that it lacks; overall: of all examples
    """
    if not found.strata:
        return found
    tables = {name: np.array([each[name] for each in strata]) for name in gap.metrics}
    apart = {}  # (G,) how far each group lies from the mean of the groups in its strata
    for name, table in tables.items():
        there = ~np.isnan(table) & ((~np.isnan(table)).sum(axis=1) > 1)[:, None]
        counted = there * np.array(weights, dtype=float)[:, None]
        middle = np.where(there, table, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        distance = np.where(there, table - middle[:, None], 0)
        apart[name] = quotient((counted * distance).sum(axis=0), counted.sum(axis=0))
    inside, outside = (extreme_groups(gap, each, better) for each in (apart, overall))
    if outside is None or inside is None:
        return found
    best, worst = outside
    name = max(gap.metrics, key=lambda each: float(spread(overall[each], gap.kind)))
    differences = tables[name][:, best] - tables[name][:, worst]
    shared = ~np.isnan(differences)
    signed = None
    if shared.any():
        mean = float(np.average(differences[shared], weights=np.array(weights)[shared]))
        signed = mean if overall[name][best] >= overall[name][worst] else -mean
    return replace(found, best=names[inside[0]], worst=names[inside[1]], signed=signed)


def _power(gap: Gap, measured: Measured, pooled: Measured) -> Power | None:
    """What the groups that the gap compares could show; None without draws, two groups, or values in
    [0, 1]."""
    metrics = {name: measured.sample.metrics[name] for name in gap.metrics}
    defined = ~gap.undefined(measured.values)
    spreads = gap_spreads(metrics, measured, pooled, defined)
    if spreads is None:
        return None
    lagging = lagging_group(gap, spreads)
    names = np.array(measured.grouping.names)[defined]
    return Power(
        detectable=smallest_detectable_gap(gap, spreads),
        lagging=None if lagging is None else str(names[lagging]),
        needed_per_group=examples_to_detect(gap, spreads),
        counted=what_is_counted(measured.sample, *next(iter(metrics.items()))),
    )


def gap_spreads(
    metrics: Mapping[Key, Measure], measured: Measured, pooled: Measured, compared: np.ndarray
) -> dict[Key, Spread] | None:
    """How far chance moves each metric of a gap in the groups of the (G,) mask; None without draws,
    two groups, or values in [0, 1]. Counted in units where those are known."""
    drawn = all(len(pooled.draws.overall[key]) for key in metrics)
    if compared.sum() < 2 or not drawn or not all(each.is_fraction for each in metrics.values()):
        return None
    return {key: _spread(key, each, measured, pooled, compared) for key, each in metrics.items()}


def _spread(
    key: Key, metric: Measure, measured: Measured, pooled: Measured, compared: np.ndarray
) -> Spread:
    """Of shares and areas without units the variance is known; all else has the bootstrap's."""
    level, whole = float(pooled.values[key][0]), float(pooled.independent[key][0])
    counts = measured.independent[key][compared].astype(float)
    variance, share_of, sides = None, None, area_counts(pooled, key)
    if metric.is_share:
        share_of, variance = measured.counts[key][compared], level * (1 - level) / whole
    if sides is not None:
        sides = float(sides[0][0]), float(sides[1][0])
        whole, variance = min(sides), area_variance(level, *sides)
        if variance > 0:  # so many of the rarer kind, among others as in all groups, err alike
            own = (side[compared] for side in area_counts(measured, key))
            counts = whole * variance / area_variance(level, *own)
    if variance is None or measured.sample.units is not None:
        variance = np.nanvar(pooled.draws.overall[key])
    return Spread(level, float(np.sqrt(variance * whole)), counts, metric.better, share_of, sides)


def what_is_counted(sample: Sample, key: Key, metric: Measure) -> str:
    """A key of `wording.COUNTED`: what a metric rests on, in units where those are known."""
    kind = metric.rests_on
    if kind == "positives" and not isinstance(key, str):
        kind = "class members"
    return kind if sample.units is None else f"units with {kind}"
