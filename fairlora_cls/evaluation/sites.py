"""Does the model do equally well at every site, and what may a new site expect?

A site is a hospital, a device, a clinic. N examples, k sites, G groups of an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit, logit

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION, UNKNOWN
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.measuring import Measured, key_estimate, measure_groups
from fairlora_cls.evaluation.results import EndpointVerdict, Estimate, Limits
from fairlora_cls.evaluation.verdicts import (
    SAME_TEST,
    Endpoint,
)
from fairlora_cls.statistics.draws import HELD
from fairlora_cls.statistics.independent_samples import (
    FEWEST_SITES,
    Known,
    disadvantage,
    random_effects,
)
from fairlora_cls.statistics.intervals import holm, tail_p_value
from fairlora_cls.statistics.resampling import chunks
from fairlora_cls.statistics.sample import Sample, joined

UNRECORDED = {MISSING, UNKNOWN}
STREAM = 1201  # of random numbers that nothing else in a report draws from


@dataclass(frozen=True)
class Between:
    """How far the sites differ in one endpoint."""

    endpoint: str
    left_out: tuple[str, ...]  # sites where it is undefined
    lowest: str | None = None  # sites; those of few examples only where there are no two others
    highest: str | None = None
    spread: float | None = None  # standard deviation between sites, weighted by their counts
    null_mean: float | None = None  # if the sites were equal: names dealt out as for groups
    p_value: float | None = None
    p_value_family: float | None = None  # Holm's, over the endpoints
    tau_squared: float | None = None
    i_squared: float | None = None
    scale: str | None = None  # of tau_squared: logit | identity
    mean: float | None = None  # of the sites, back on the endpoint's own scale
    new_site: Limits | None = None  # 95 % prediction interval
    why_none: str = ""  # where there is no such interval


@dataclass(frozen=True)
class Within:
    """One gap inside each site: between the two groups that lie furthest apart at all sites."""

    attribute: str
    endpoint: str
    worse: str  # over all sites
    better: str
    gaps: Mapping[str, Known]  # site → how much worse the first is; below 0: it is better
    sizes: Mapping[str, tuple[int, int]]  # site → examples of both that the gap rests on
    too_small: tuple[str, ...]  # sites

    @property
    def same_direction(self) -> int:
        """At how many sites the same group is the worse one."""
        return sum(gap.value > 0 for gap in self.gaps.values())


@dataclass(frozen=True)
class Sites:
    """Everything that a report says of its sites."""

    column: str
    codes: Mapping[str, int]  # site → its code among the groups measured
    measured: Measured  # what has no site recorded is hidden
    estimates: Mapping[str, Mapping[str, Estimate]]  # site → endpoint
    unrecorded: int  # examples
    between: tuple[Between, ...] = ()
    without: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # site → endpoint
    within: tuple[Within, ...] = ()


def measure_sites(
    column: str,
    sample: Sample,
    grouping: Grouping,
    attributes: Mapping[str, Grouping],
    verdicts: Sequence[EndpointVerdict],
    endpoints: Sequence[Endpoint],
    bootstrap: int,
    minimum: int,
    seed: int,
) -> Sites:
    """Each site, the differences between them, all without each, and the gaps inside each.

    grouping: the sites; attributes: name → its groups; verdicts: on all sites together
    minimum: examples, or patients or images, that both groups of a gap inside a site need
    Raises InputError where no example has its site recorded.
    """
    missing = np.array([bool(UNRECORDED & {*n.split(INTERSECTION)}) for n in grouping.names])
    codes = {grouping.names[code]: int(code) for code in np.flatnonzero(~missing)}
    if not codes:
        raise InputError(f"No example has a '{column}' recorded; name another column of sites.")
    generator = np.random.default_rng([seed, STREAM])
    measured = measure_groups(sample, grouping, bootstrap, generator, missing)
    found = Sites(
        column,
        codes,
        measured,
        {
            name: {each.name: _estimate(measured, each, code) for each in endpoints}
            for name, code in codes.items()
        },
        int(missing[grouping.codes].sum()),
    )
    if len(codes) < 2:
        return found
    by_name = {each.name: each for each in endpoints}
    within = []
    for place, (attribute, groups) in enumerate(attributes.items()):
        if set(attribute.split(INTERSECTION)) & set(column.split(INTERSECTION)):
            continue
        asked = [v for v in verdicts if v.attribute == attribute and v.worse is not None]
        stream = np.random.default_rng([seed, STREAM, place])
        cells = _cells(measured, groups, bootstrap, stream)
        within += [_within(codes, groups, v, by_name[v.endpoint], cells, minimum) for v in asked]
    return replace(
        found,
        between=_corrected([_between(measured, each, minimum) for each in endpoints]),
        without=_without_each(sample, grouping, codes, endpoints),
        within=tuple(within),
    )


def _estimate(measured: Measured, endpoint: Endpoint, code: int) -> Estimate:
    count = int(measured.counts[endpoint.key][code])
    return key_estimate(measured, endpoint.key, code, endpoint.metric, count)


def _between(measured: Measured, endpoint: Endpoint, minimum: int) -> Between:
    values, sizes = measured.values[endpoint.key], measured.counts[endpoint.key]
    defined = ~np.isnan(values)
    names = np.array(measured.grouping.names)
    found = Between(endpoint.name, tuple(names[~defined & ~measured.hidden].tolist()))
    if defined.sum() < 2:
        return replace(found, why_none="fewer than two sites have this value")
    counts = sizes[defined].astype(float)
    large = defined & (sizes >= minimum)
    told = np.where(large if large.sum() > 1 else defined, values, np.nan)
    spread = float(_spread(values[defined], counts))
    found = replace(
        found,
        lowest=str(names[np.nanargmin(told)]),
        highest=str(names[np.nanargmax(told)]),
        spread=spread,
    )
    if measured.null is not None:
        chance = _spread(measured.null[endpoint.tested][:, defined], counts)
        chance = chance[~np.isnan(chance)]
        if len(chance):
            p_value = tail_p_value(spread, chance)
            found = replace(found, null_mean=float(chance.mean()), p_value=p_value)
    return _with_random_effects(found, measured, endpoint, defined)


def _spread(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(..., k) → (...): the standard deviation between sites, each weighted by its count. A tiny site
    weighs as little as it tells; the widest difference would be its."""
    weights = np.where(np.isnan(values), 0.0, counts)
    total = np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    known = np.nan_to_num(values)
    mean = (weights * known).sum(axis=-1, keepdims=True) / total
    return np.sqrt((weights * (known - mean) ** 2).sum(axis=-1) / total[..., 0])


def _with_random_effects(
    found: Between, measured: Measured, endpoint: Endpoint, defined: np.ndarray
) -> Between:
    effects, variances = _effects_and_variances(measured, endpoint, defined)
    usable = variances > 0  # false of NaN
    if usable.sum() < 2:
        return replace(found, why_none="how sure each site's value is, is not known")
    pooled = random_effects(effects[usable], variances[usable])
    back = expit if endpoint.metric.is_fraction else float
    limits = pooled.prediction_interval()
    return replace(
        found,
        tau_squared=pooled.tau_squared,
        i_squared=pooled.i_squared,
        scale="logit" if endpoint.metric.is_fraction else "identity",
        mean=float(back(pooled.mean)),
        new_site=None if limits is None else (float(back(limits[0])), float(back(limits[1]))),
        why_none=f"it needs {FEWEST_SITES} sites that have the value" if limits is None else "",
    )


def _effects_and_variances(
    measured: Measured, endpoint: Endpoint, defined: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) values and their variances: of fractions on the logit scale, where limits stay possible;
    of shares with half an example added on each side."""
    values = measured.values[endpoint.key][defined]
    counts = measured.independent[endpoint.key][defined].astype(float)
    if endpoint.metric.is_share:
        hits, misses = values * counts + 0.5, (1 - values) * counts + 0.5
        return np.log(hits / misses), 1 / hits + 1 / misses
    known = measured.uncertain(endpoint.key)
    centres, errors = known.centres[defined], known.errors[defined]
    if not endpoint.metric.is_fraction:
        return centres, errors**2
    least = 0.5 / (counts + 1)
    inside = np.clip(centres, least, 1 - least)
    return logit(inside), (errors / (inside * (1 - inside))) ** 2


def _corrected(found: Sequence[Between]) -> tuple[Between, ...]:
    def test_of(each: Between) -> str:
        return SAME_TEST.get(each.endpoint, each.endpoint)

    corrected = holm({test_of(each): each.p_value for each in found if each.p_value is not None})
    return tuple(
        each if each.p_value is None else replace(each, p_value_family=corrected[test_of(each)])
        for each in found
    )


def _without_each(
    sample: Sample, grouping: Grouping, codes: Mapping[str, int], endpoints: Sequence[Endpoint]
) -> dict[str, dict[str, float]]:
    """Every endpoint of all examples but one site's."""
    left_out = np.array(list(codes.values()))
    parts = []
    for size in chunks(len(left_out), len(sample), HELD):
        now, left_out = left_out[:size], left_out[size:]
        parts.append(sample.weighted((grouping.codes != now[:, None]).astype(np.int32)))
    values = joined(parts)
    return {
        name: {each.name: float(values[each.key][row]) for each in endpoints}
        for row, name in enumerate(codes)
    }


def _cells(
    measured: Measured,
    groups: Grouping,
    bootstrap: int,
    generator: np.random.Generator,
) -> tuple[Measured, Mapping[tuple[int, int], int]]:
    """Every group at every site, measured; and (site, group) → its code there."""
    pairs = np.column_stack([measured.grouping.codes, groups.codes])
    present, codes = np.unique(pairs, axis=0, return_inverse=True)
    cells = Grouping(tuple(map(str, range(len(present)))), codes.ravel())
    own = measure_groups(measured.sample, cells, bootstrap, generator, is_tested=False)
    return own, {(int(site), int(group)): code for code, (site, group) in enumerate(present)}


def _within(
    sites: Mapping[str, int],
    groups: Grouping,
    verdict: EndpointVerdict,
    endpoint: Endpoint,
    cells: tuple[Measured, Mapping[tuple[int, int], int]],
    minimum: int,
) -> Within:
    measured, code_of = cells
    sizes = measured.independent_sizes
    pair = [groups.names.index(name) for name in (verdict.worse, verdict.better)]
    gaps, counts, too_small = {}, {}, []
    for name, site in sites.items():
        cells_here = [code_of.get((site, group)) for group in pair]
        if any(cell is None or sizes[cell] < minimum for cell in cells_here):
            too_small.append(name)
            continue
        worse, better = (_estimate(measured, endpoint, cell) for cell in cells_here)
        sides = (Known(each.value, each.interval) for each in (worse, better))
        gap = disadvantage(*sides, endpoint.metric.better)
        if gap.value is None:
            too_small.append(name)
            continue
        gaps[name], counts[name] = gap, (worse.count, better.count)
    return Within(
        verdict.attribute,
        endpoint.name,
        verdict.worse,
        verdict.better,
        gaps,
        counts,
        tuple(too_small),
    )
