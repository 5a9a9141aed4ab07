"""From scores of texts to the results of one attribute: groups, gaps, equity, strata, power.

N texts, G groups, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fairlora_cls.evaluation.attribute_results import (
    equity_results,
    gap_result,
    plain_estimate,
    power_result,
    rate_estimate,
)
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.metrics import Gap, equity_scaled
from fairlora_cls.evaluation.power import Spread
from fairlora_cls.evaluation.results import (
    AttributeResult,
    Controlled,
    LargerGroups,
    Power,
)
from fairlora_cls.evaluation.text_draws import (
    ScoredTexts,
    TextDraws,
    bootstrap_texts,
    median_of,
    null_texts,
)
from fairlora_cls.evaluation.text_results import (
    TextEstimate,
    TextGroupResult,
    TextMetric,
    equity_nouns,
)
from fairlora_cls.evaluation.views import mean_over_strata


@dataclass(frozen=True)
class Texts:
    """N scored texts, and what belongs together among them."""

    scored: ScoredTexts
    metrics: Mapping[str, TextMetric]
    units: tuple[str, ...] | None  # (N,) patient or lesion; None: each text its own
    examples: np.ndarray  # (N,) which image each text is about
    kinds: np.ndarray  # (N,) which question it answers

    def rows(self, rows: np.ndarray) -> "Texts":
        """The texts at `rows`, an int array."""
        units = None if self.units is None else tuple(self.units[row] for row in rows)
        return Texts(
            self.scored.rows(rows), self.metrics, units, self.examples[rows], self.kinds[rows]
        )

    def examples_of(self, codes: np.ndarray, groups: int) -> np.ndarray:
        """(G,) how many images the groups have."""
        pairs = np.unique(np.column_stack([codes, self.examples]), axis=0)
        return np.bincount(pairs[:, 0], minlength=groups)

    def graded(self) -> tuple[str, ...]:
        """The metrics whose median says something: those of more than right and wrong."""
        return tuple(name for name in self.scored.names if self.metrics[name].kind == "mean")


@dataclass(frozen=True)
class MeasuredTexts:
    """One grouping of texts: values, bootstrap draws, and draws with the names dealt out anew."""

    grouping: Grouping
    values: dict[str, np.ndarray]  # metric -> (G,)
    bootstrap: TextDraws
    null: dict[str, np.ndarray] | None  # metric -> (R, G)


def measure_texts(
    texts: Texts, grouping: Grouping, resamples: int, generator: np.random.Generator
) -> MeasuredTexts:
    """Values and draws of every metric in every group."""
    codes, groups = grouping.codes, len(grouping.names)
    observed = [
        texts.scored.rows(np.flatnonzero(codes == code)).observed() for code in range(groups)
    ]
    drawn = bootstrap_texts(
        texts.scored, texts.units, codes, groups, resamples, generator, texts.graded()
    )
    null = None
    if resamples and groups > 1:
        null = null_texts(
            texts.scored, texts.units, codes, groups, texts.kinds, resamples, generator
        )
    values = {name: np.array([o[name] for o in observed]) for name in texts.scored.metrics}
    return MeasuredTexts(grouping, values, drawn, null)


def text_groups(texts: Texts, measured: MeasuredTexts) -> dict[str, TextGroupResult]:
    """Each group's counts and every metric."""
    codes, names = measured.grouping.codes, measured.grouping.names
    sizes = texts.examples_of(codes, len(names))
    found = {}
    for code, name in enumerate(names):
        own = texts.rows(np.flatnonzero(codes == code))
        counts = own.scored.counts()
        independent = counts if own.units is None else _units_with_score(own)
        estimates = {}
        for metric, facts in texts.metrics.items():
            estimates[metric] = _estimate(
                facts,
                own.scored.scores(metric) if metric in own.scored.names else None,
                float(measured.values[metric][code]),
                measured.bootstrap.by_group[metric][:, code],
                measured.bootstrap.medians.get(metric, np.empty((0, len(names))))[:, code],
                counts[metric],
                independent[metric],
            )
        found[name] = TextGroupResult(len(own.examples), None, estimates, int(sizes[code]))
    return found


def text_attribute(
    texts: Texts,
    measured: MeasuredTexts,
    overall: Mapping[str, float],
    powers: Mapping[str, Power | None],
) -> AttributeResult:
    """Groups, gaps and equity-scaled scores of one attribute."""
    null = measured.null
    gaps = {
        f"{metric}_gap": gap_result(
            text_gap(metric, facts),
            measured.grouping.names,
            measured.values,
            measured.bootstrap.by_group,
            null,
            powers.get(metric),
            {metric: facts.better},
        )
        for metric, facts in texts.metrics.items()
    }
    return AttributeResult(
        groups=text_groups(texts, measured),
        gaps=gaps,
        equity_scaled=equity_results(
            equity_scaled(equity_nouns(texts.metrics)),
            overall,
            measured.values,
            measured.bootstrap.overall,
            measured.bootstrap.by_group,
        ),
    )


def text_gap(metric: str, facts: TextMetric) -> Gap:
    """The largest difference between groups in one metric."""
    return Gap(f"{facts.title} gap", (metric,))


def headline_power(
    texts: Texts, measured: MeasuredTexts, metric: str, level: float, draws: np.ndarray
) -> Power | None:
    """What the groups could show of a gap in `metric`. level, draws: of all texts together, and in
    R resamples of them. None without draws, two groups, or a score in [0, 1]."""
    facts = texts.metrics[metric]
    defined = ~np.isnan(measured.values[metric])
    if defined.sum() < 2 or not len(draws) or not facts.is_fraction:
        return None
    codes = measured.grouping.codes
    counts = np.array(
        [
            texts.scored.rows(np.flatnonzero(codes == code)).counts()[metric]
            for code in np.flatnonzero(defined)
        ]
    )
    unit = float(np.nanstd(draws)) * float(np.sqrt(texts.scored.counts()[metric]))
    names = [name for name, kept in zip(measured.grouping.names, defined, strict=True) if kept]
    spreads = {metric: Spread(level, unit, counts)}
    return power_result(text_gap(metric, facts), spreads, names, "texts")


def larger_text_groups(
    texts: Texts,
    grouping: Grouping,
    metric: str,
    minimum: int,
    draws: int,
    generator: np.random.Generator,
) -> LargerGroups | None:
    """The gap in `metric` among the groups of at least `minimum` images, and its permutation test.

    None where no group is smaller, fewer than two are as large and have the metric, or `draws` is
    0.
    """
    sizes = texts.examples_of(grouping.codes, len(grouping.names))
    large = np.flatnonzero(sizes >= minimum)
    if len(large) == len(sizes) or len(large) < 2 or not draws:
        return None
    rows = np.flatnonzero(np.isin(grouping.codes, large))
    names = tuple(grouping.names[code] for code in large)
    own = Grouping(names, np.searchsorted(large, grouping.codes[rows]))
    part = texts.rows(rows)
    values = {
        metric: np.array(
            [
                part.scored.rows(np.flatnonzero(own.codes == code)).observed()[metric]
                for code in range(len(names))
            ]
        )
    }
    null = null_texts(part.scored, part.units, own.codes, len(names), part.kinds, draws, generator)
    facts = texts.metrics[metric]
    gap = gap_result(
        text_gap(metric, facts),
        names,
        values,
        {metric: np.empty((0, len(names)))},
        null,
        None,
        {metric: facts.better},
    )
    if gap.p_value is None:
        return None
    left_out = tuple(
        name for name, size in zip(grouping.names, sizes, strict=True) if size < minimum
    )
    return LargerGroups(
        minimum, left_out, gap.value, gap.null_mean, gap.p_value, gap.best, gap.worst
    )


def controlled_text_gaps(
    texts: Texts,
    codes: np.ndarray,
    held: Mapping[str, np.ndarray],
    minimum_stratum_size: int,
    resamples: int,
    generator: np.random.Generator,
) -> Controlled | None:
    """Every gap of one attribute inside strata of the others, averaged by the strata's images.

    A stratum needs `minimum_stratum_size` images and two groups. codes: (N,) group of each text;
    held: the other attributes' codes, whose crossing makes the strata. None without others.
    """
    if not held:
        return None
    columns = np.column_stack(list(held.values()))
    strata = np.unique(columns, axis=0, return_inverse=True)[1].ravel()
    gaps = {f"{name}_gap": text_gap(name, facts) for name, facts in texts.metrics.items()}
    values, nulls, weights = [], [], []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        part = texts.rows(rows)
        size = len(np.unique(part.examples))
        present, inside = np.unique(codes[rows], return_inverse=True)
        if size < minimum_stratum_size or len(present) < 2:
            continue
        observed = [
            part.scored.rows(np.flatnonzero(inside == code)).observed()
            for code in range(len(present))
        ]
        by_group = {name: np.array([o[name] for o in observed]) for name in texts.metrics}
        values.append([float(gap.values(by_group)) for gap in gaps.values()])
        weights.append(size)
        if resamples:
            drawn = null_texts(
                part.scored, part.units, inside, len(present), part.kinds, resamples, generator
            )
            nulls.append([gap.values(drawn) for gap in gaps.values()])
    found = {
        name: mean_over_strata(
            np.array([stratum[place] for stratum in values]),
            np.array([stratum[place] for stratum in nulls]),
            np.array(weights, dtype=float),
        )
        for place, name in enumerate(gaps)
    }
    return Controlled(tuple(held), minimum_stratum_size, found)


def _estimate(
    facts: TextMetric,
    scores: np.ndarray | None,
    value: float,
    draws: np.ndarray,
    medians: np.ndarray,
    count: int,
    independent: int,
) -> TextEstimate:
    """scores: (n,) of the texts, None for a pooled metric; independent: texts or units with one"""
    if facts.kind == "rate":
        found = rate_estimate(value, draws, count, independent)
    else:
        found = plain_estimate(value, draws, count)
    median = None
    if facts.kind == "mean":
        median = replace(plain_estimate(median_of(scores), medians), interval_bias_corrected=None)
    return TextEstimate(**vars(found), median=median)


def _units_with_score(texts: Texts) -> dict[str, int]:
    """How many units have a text with each metric."""
    _, units = np.unique(np.array(texts.units, dtype=str), return_inverse=True)
    found = {
        name: len(np.unique(units[texts.scored.defined[:, column] > 0]))
        for column, name in enumerate(texts.scored.names)
    }
    return dict.fromkeys(texts.scored.metrics, len(np.unique(units))) | found
