"""The picture before the words: every group of every attribute on each endpoint's axis."""

from __future__ import annotations

from fairlora_cls.evaluation.results import EndpointVerdict, Estimate, FairnessReport, Report
from fairlora_cls.evaluation.summary import HARMS, endpoint_title, estimate_of
from fairlora_cls.presentation.document import Mark, Overview, OverviewCell, OverviewRow
from fairlora_cls.presentation.numbers import RATE, Quantity, show_p

WORDS = {
    "evidence": "differs",
    "equal": "equal",
    "undecided": "undecided",
    "undefined": "nothing to compare",
}
MOST_GROUPS = 8  # drawn of one attribute: the largest


def report_overview(report: Report) -> Overview | None:
    """A row per attribute, a column per endpoint; None without attributes."""
    if not report.attributes:
        return None
    by_place = {(v.attribute, v.endpoint): v for v in report.verdicts}
    names = report.endpoints.names
    shown = {name: _drawn_groups(report, name) for name in report.attributes}
    axes = {name: _axis(report, name, shown) for name in names}
    return Overview(
        columns=tuple(
            (endpoint_title(report, name), _unit(report, name), *_ends(report, name, axes[name]))
            for name in names
        ),
        rows=tuple(
            OverviewRow(
                attribute,
                tuple((group, _size(report, attribute, group)) for group in groups),
                tuple(
                    _cell(report, by_place[attribute, name], groups, axes[name]) for name in names
                ),
                _without(report, attribute, groups),
            )
            for attribute, groups in shown.items()
        ),
    )


def _cell(
    report: Report,
    verdict: EndpointVerdict,
    groups: tuple[str, ...],
    axis: tuple[float, float],
) -> OverviewCell:
    quantity = report.measures.get(verdict.endpoint, RATE)
    remark = ""
    if verdict.verdict == "evidence":
        remark = f"{show_p(verdict.p_value_family)}, all tests counted"
    elif verdict.hidden_up_to is not None:
        limit = quantity.show_gap(verdict.hidden_up_to)
        equal = verdict.verdict == "equal"
        remark = f"no more than {limit} apart" if equal else f"up to {limit} could hide"
    low, high = axis
    marks = []
    for group in groups:
        shown = _shown(report, verdict.attribute, verdict.endpoint, group)
        if shown is None:
            marks.append(None)
            continue
        value, *limits = ((x - low) / (high - low) for x in shown)
        marks.append(Mark(value, *limits))
    return OverviewCell(verdict.verdict, WORDS[verdict.verdict], remark, tuple(marks))


def _shown(
    report: Report, attribute: str, endpoint: str, group: str
) -> tuple[float, float, float] | None:
    """Value and interval as they are drawn: of a harm, the share in whom it goes wrong."""
    estimate: Estimate | None = estimate_of(report, attribute, endpoint, group)
    if estimate is None or estimate.value is None:
        return None
    low, high = estimate.interval or (estimate.value, estimate.value)
    if _is_harm(report, endpoint):
        return 1 - estimate.value, 1 - high, 1 - low
    return estimate.value, low, high


def _axis(report: Report, endpoint: str, shown: dict[str, tuple[str, ...]]) -> tuple[float, float]:
    """Both ends of what is drawn, with a little room."""
    every = [
        limits
        for attribute, groups in shown.items()
        for group in groups
        if (limits := _shown(report, attribute, endpoint, group)) is not None
    ]
    if not every:
        return 0.0, 1.0
    low, high = min(each[1] for each in every), max(each[2] for each in every)
    room = max(0.02, (high - low) / 20)
    metric = report.measures.get(endpoint)
    if metric is None or metric.is_fraction:
        return max(0.0, low - room), min(1.0, high + room)
    return low - room, high + room


def _ends(report: Report, endpoint: str, axis: tuple[float, float]) -> tuple[str, str]:
    if _is_harm(report, endpoint):
        low, high = (f"{100 * end:.0f}" for end in axis)
        return low, high
    quantity: Quantity = report.measures.get(endpoint, RATE)
    low, high = map(quantity.show, axis)
    return low, high


def _unit(report: Report, endpoint: str) -> str:
    if not _is_harm(report, endpoint):
        return ""
    people = HARMS[endpoint].people.format(cases=f"cases ('{report.positive}')")
    return f"of 100 {people}"


def _is_harm(report: Report, endpoint: str) -> bool:
    return endpoint in HARMS and isinstance(report, FairnessReport) and len(report.classes) == 2


def _drawn_groups(report: Report, attribute: str) -> tuple[str, ...]:
    """The largest groups, and those that a verdict names."""
    groups = report.attributes[attribute].groups
    known = [name for name, group in groups.items() if group.n is not None]
    ranked = sorted(known, key=lambda name: -groups[name].n)
    named = {
        name
        for v in report.verdicts
        if v.attribute == attribute and v.verdict == "evidence"
        for name in (v.worse, v.better)
    }
    drawn = {*ranked[:MOST_GROUPS], *named}
    return tuple(name for name in ranked if name in drawn)


def _without(report: Report, attribute: str, drawn: tuple[str, ...]) -> str:
    others = len(report.attributes[attribute].groups) - len(drawn)
    return f"and {others} more groups" if others else ""


def _size(report: Report, attribute: str, group: str) -> str:
    return f"{report.attributes[attribute].groups[group].n:,}"
