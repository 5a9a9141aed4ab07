"""What the sites show, as a part of the report: in words, in tables, and in report.json."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairlora_cls.evaluation.results import GroupResult, Report
from fairlora_cls.evaluation.sites import Between, Sites, Within
from fairlora_cls.evaluation.summary import capitalised, metric_title, overall_of, quantity_of
from fairlora_cls.evaluation.wording import enumerate_names, nouns_of
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import (
    RATE,
    UNDEFINED,
    Quantity,
    show_count,
    show_p,
    show_p_value,
)
from fairlora_cls.statistics.intervals import SIGNIFICANCE

KEY = "sites"
MOST_SITES = 20  # in a table: the largest; report.json has all
TITLE = "Site by site: {} (exploratory)"


def site_section(
    report: Report,
    sites: Sites,
    groups: Mapping[str, GroupResult],
    trained: Collection[str] | None,
) -> Section:
    """The report's part on sites. groups: site → its sizes; trained: the sites that training saw;
    None: not known."""
    sizes = {name: group.sizes() for name, group in groups.items()}
    shown = _largest(sizes)
    tables = [_sites_table(report, sites, sizes, shown)]
    if sites.between:
        tables += [
            _between_table(report, sites),
            _without_table(report, sites, sizes, shown),
            *_within_tables(report, sites, shown),
        ]
    return Section(
        title=TITLE.format(sites.column),
        sentences=tuple(_sentences(report, sites, sizes, shown, trained)),
        tables=tuple(tables),
        is_folded=True,
        key=KEY,
        values=_values(sites, sizes, trained),
    )


def withheld_sites(column: str) -> Section:
    """Of a report that hides small cells: a site's numbers, with those of all, tell its neighbours'."""
    return Section(
        title=TITLE.format(column),
        sentences=(
            "Numbers of single sites, and of all sites but one, are left out: small cells could be had "
            "back from them.",
        ),
        is_folded=True,
        key=KEY,
        values={"column": column, "withheld": True},
    )


def _largest(sizes: Mapping[str, Mapping[str, int]]) -> list[str]:
    ranked = sorted(sizes, key=lambda name: -sizes[name]["n"])[:MOST_SITES]
    return [name for name in sizes if name in ranked]


def _sentences(
    report: Report,
    sites: Sites,
    sizes: Mapping[str, Mapping[str, int]],
    shown: Sequence[str],
    trained: Collection[str] | None,
) -> list[str]:
    counted, column = nouns_of(report).counted, sites.column
    counts = [size["n"] for size in sizes.values()]
    if len(counts) == 1:
        text = (
            f"All {counts[0]:,} {counted} with a recorded {column} are from one site, {next(iter(sites.codes))}:"
            " nothing can be said of others."
        )
    else:
        text = f"{len(counts)} sites of {min(counts):,} to {max(counts):,} {counted} each."
        if len(shown) < len(counts):
            text += f" Tables show the {len(shown)} largest; report.json has all."
    if sites.unrecorded:
        text += f" Not among them: {sites.unrecorded:,} {counted} without a recorded {column}."
    told = [f"{text} {_tell_training(sites, trained)}"]
    told += [_tell_between(report, sites, each) for each in sites.between]
    told += _tell_without(report, sites, sizes)
    told += [
        f"{metric_title(report, each.endpoint)}, by {each.attribute}: {each.worse} is served worse than "
        f"{each.better} at {each.same_direction} of the {len(each.gaps)} sites that have enough of both."
        for each in sites.within
        if len(each.gaps) > 1 and _is_evidence(report, each)
    ]
    if sites.between:
        told.append(_METHOD)
    return told


_METHOD = (
    "Spread: standard deviation between sites, each weighted by what its value rests on, beside the "
    "spread that equal sites of these sizes and labels would show; p corrected by Holm's method over "
    "the endpoints. τ²: variance between sites beyond what their sizes explain, after DerSimonian and "
    "Laird, of shares and areas on the logit scale; I²: its share of all variance. A new site: 95% "
    "prediction interval with t of sites − 2 degrees of freedom, for a site drawn as these were; its "
    "own sampling error comes on top. Gaps inside a site have intervals made of both groups' own."
)


def _tell_training(sites: Sites, trained: Collection[str] | None) -> str:
    model = "All are predictions of one model"
    if trained is None:
        return f"{model}; whether it was trained at these sites is for you to say."
    new = [name for name in sites.codes if name not in trained]
    if not new:
        return f"{model}, and training saw every one of these sites: of new ones this says less."
    if len(new) == len(sites.codes):
        return f"{model}, and training saw none of these sites."
    return f"{model}; training never saw {enumerate_names(new, 'more sites')}, and saw the others."


def _tell_between(report: Report, sites: Sites, between: Between) -> str:
    quantity, title = quantity_of(report, between.endpoint), metric_title(report, between.endpoint)
    without = ""
    if between.left_out:
        without = f" ({enumerate_names(between.left_out, 'more sites')}: nothing to measure)"
    if between.spread is None:
        return f"{title}: fewer than two sites to compare{without}."
    ends = [
        f"{quantity.show(estimate.value)} at {name} (of {show_count(estimate.count)})"
        for name in (between.lowest, between.highest)
        for estimate in [sites.estimates[name][between.endpoint]]
    ]
    if between.lowest == between.highest:
        ends = [f"{quantity.show(sites.estimates[between.lowest][between.endpoint].value)} at each"]
    text = f"{title}: {' to '.join(ends)}{without}."
    if between.p_value_family is not None:
        shown = show_p(between.p_value_family)
        if between.p_value_family <= SIGNIFICANCE:
            text += f" The sites differ beyond chance ({shown})."
        else:
            text += f" No difference between sites beyond chance is shown ({shown})."
    noun = sites.column if sites.column.isalpha() else "site"
    if between.new_site is None:
        return f"{text} No interval for a new {noun}: {between.why_none}."
    low, high = map(quantity.show, between.new_site)
    return f"{text} In a new {noun} {_in_sentence(title)} may lie between {low} and {high}."


def _tell_without(
    report: Report, sites: Sites, sizes: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Which site moves each endpoint most, when it is left out."""
    parts = []
    for between in sites.between:
        overall, quantity = (
            overall_of(report, between.endpoint).value,
            quantity_of(report, between.endpoint),
        )
        moves = {
            name: values[between.endpoint] - overall
            for name, values in sites.without.items()
            if overall is not None and values[between.endpoint] == values[between.endpoint]
        }
        if not moves:
            continue
        most = max(moves, key=lambda name: abs(moves[name]))
        rest = report.n - sizes[most]["n"]
        parts.append(
            f"{_in_sentence(metric_title(report, between.endpoint))} by "
            f"{quantity.show_signed(moves[most])} without {most} "
            f"({rest:,} remain)"
        )
    if not parts:
        return []
    return [f"The site that moves the whole most, when it is left out: {'; '.join(parts)}."]


def _sites_table(
    report: Report,
    sites: Sites,
    sizes: Mapping[str, Mapping[str, int]],
    shown: Sequence[str],
) -> Table:
    names = report.endpoints.names
    second = (
        "positives" if any(size.get("positives") is not None for size in sizes.values()) else ""
    )
    header = (
        "Site",
        capitalised(nouns_of(report).counted),
        *([second.capitalize()] if second else []),
    )
    rows = []
    for site in shown:
        counts = [sizes[site]["n"], *([sizes[site][second]] if second else [])]
        estimates = sites.estimates[site]
        cells = [_estimate_cell(quantity_of(report, name), estimates[name]) for name in names]
        rows.append((Cell(site), *(Cell(show_count(count)) for count in counts), *cells))
    titles = (metric_title(report, name) for name in names)
    return Table("Each site, with 95% intervals", (*header, *titles), tuple(rows))


def _between_table(report: Report, sites: Sites) -> Table:
    header = (
        "Endpoint",
        "Spread",
        "By chance",
        "p (Holm)",
        "τ²",
        "I²",
        "Mean of sites",
        "A new site",
    )
    rows = []
    for each in sites.between:
        quantity = quantity_of(report, each.endpoint)
        rows.append(
            (
                Cell(metric_title(report, each.endpoint)),
                Cell(quantity.show_gap(each.spread)),
                Cell(quantity.show_gap(each.null_mean)),
                Cell(show_p_value(each.p_value_family)),
                Cell(UNDEFINED if each.tau_squared is None else f"{each.tau_squared:.3f}"),
                Cell(RATE.show(each.i_squared)),
                Cell(quantity.show(each.mean)),
                Cell(quantity.show_range(each.new_site, UNDEFINED)),
            )
        )
    return Table("Between the sites", header, tuple(rows))


def _without_table(
    report: Report,
    sites: Sites,
    sizes: Mapping[str, Mapping[str, int]],
    shown: Sequence[str],
) -> Table:
    names = report.endpoints.names
    rows = []
    for site in shown:
        cells = []
        for name in names:
            quantity, value = quantity_of(report, name), _defined(sites.without[site][name])
            overall = overall_of(report, name).value
            moved = None if value is None or overall is None else value - overall
            cells.append(Cell(quantity.show(value), quantity.show_signed(moved)))
        rows.append((Cell(site), Cell(show_count(report.n - sizes[site]["n"])), *cells))
    titles = (metric_title(report, name) for name in names)
    header = ("Left out", f"{capitalised(nouns_of(report).counted)} that remain", *titles)
    return Table("All but one site, and how far that moves the whole", header, tuple(rows))


def _within_tables(report: Report, sites: Sites, shown: Sequence[str]) -> list[Table]:
    """One of each attribute: how much worse the group is served that is worse over all sites."""
    tables = []
    for attribute in dict.fromkeys(each.attribute for each in sites.within):
        own = [each for each in sites.within if each.attribute == attribute and each.gaps]
        if not own:
            continue
        rows = tuple(
            (
                Cell(site),
                *(_gap_cell(quantity_of(report, each.endpoint), each, site) for each in own),
            )
            for site in shown
            if any(site in each.gaps for each in own)
        )
        titles = (
            f"{metric_title(report, each.endpoint)}: {each.worse} worse than {each.better}"
            for each in own
        )
        caption = f"{attribute}, inside each site: how much worse, with intervals and group sizes"
        tables.append(Table(caption, ("Site", *titles), rows))
    return tables


def _gap_cell(quantity: Quantity, within: Within, site: str) -> Cell:
    if site not in within.gaps:
        return Cell(UNDEFINED, "too few")
    gap, (worse, better) = within.gaps[site], within.sizes[site]
    limits = quantity.show_signed_range(gap.interval)
    sizes = f"{worse:,} and {better:,}"
    return Cell(quantity.show_signed(gap.value), f"{limits}; {sizes}" if limits else sizes)


def _estimate_cell(quantity: Quantity, estimate) -> Cell:
    limits = quantity.show_range(estimate.interval)
    count = f"of {show_count(estimate.count)}"
    return Cell(quantity.show(estimate.value), f"{limits}, {count}" if limits else count)


def _is_evidence(report: Report, within: Within) -> bool:
    return any(
        v.verdict == "evidence"
        for v in report.verdicts
        if (v.attribute, v.endpoint) == (within.attribute, within.endpoint)
    )


def _in_sentence(title: str) -> str:
    """Without a capital, but for 'AUROC'."""
    return title if title[:2].isupper() else f"{title[0].lower()}{title[1:]}"


def _defined(value: float) -> float | None:
    return value if value == value else None


def _values(
    sites: Sites,
    sizes: Mapping[str, Mapping[str, int]],
    trained: Collection[str] | None,
) -> dict[str, Any]:
    return {
        "column": sites.column,
        "unrecorded": sites.unrecorded,
        "sites": {
            name: {
                **sizes[name],
                "in_training": None if trained is None else name in trained,
                "endpoints": {key: asdict(each) for key, each in sites.estimates[name].items()},
                "without": {
                    key: _defined(value) for key, value in sites.without.get(name, {}).items()
                },
            }
            for name in sites.codes
        },
        "between": {each.endpoint: asdict(each) for each in sites.between},
        "within": [
            {
                **asdict(each),
                "compared": len(each.gaps),
                "same_direction": each.same_direction,
            }
            for each in sites.within
        ],
    }
