"""One model among other people: which gaps carry over from one cohort to another?

Two tables that share no example are two independent samples, so that nothing is paired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairlora_cls.data.groups import INTERSECTION, listed_names
from fairlora_cls.evaluation.alignment import in_class_order
from fairlora_cls.evaluation.comparison_results import SCHEMA
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.report import fairness_report, text_report
from fairlora_cls.evaluation.results import EndpointVerdict, Estimate, FairnessReport, Report
from fairlora_cls.evaluation.summary import estimate_of, overall_of
from fairlora_cls.statistics.independent_samples import Known, difference, disadvantage
from fairlora_cls.statistics.intervals import wilson_interval
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.scores import TextScores

# What becomes of a gap, in the order in which it is told.
CARRIES_OVER, REVERSED, ANOTHER_GROUP = "carries over", "reversed", "another group"
ONLY_FIRST, ONLY_SECOND = "only in the first", "only in the second"
IN_NEITHER, UNKNOWN = "not shown in either", "cannot be said"
WORDS = (CARRIES_OVER, REVERSED, ANOTHER_GROUP, ONLY_FIRST, ONLY_SECOND, IN_NEITHER, UNKNOWN)


@dataclass(frozen=True)
class Change:
    """A value in both cohorts, each with its interval, and second − first."""

    first: Known
    second: Known
    change: Known
    counts: tuple[int | None, int | None]  # what each rests on


@dataclass(frozen=True)
class GapInBoth:
    """One gap in both cohorts: the verdicts, and how far the same two groups lie apart."""

    attribute: str
    endpoint: str
    word: str  # one of WORDS
    why: str  # why it cannot be said
    verdicts: tuple[EndpointVerdict, EndpointVerdict]
    worse: str | None  # the two groups whose difference is followed
    better: str | None
    gap: Change | None  # how much worse the first of them is served; below 0: it is better


@dataclass(frozen=True)
class Cohorts:
    """Everything that the files of a comparison of two cohorts say."""

    names: tuple[str, str]
    reports: tuple[Report, Report]  # of the attributes that both have
    labels: Mapping[str, Change]  # share of each class
    shares: Mapping[str, Mapping[str, Change]]  # attribute → group → its share of the cohort
    cases: Mapping[str, Mapping[str, Change]]  # attribute → group → share of the positive class
    overall: Mapping[str, Change]  # endpoint
    groups: Mapping[str, Mapping[str, Mapping[str, Change]]]  # attribute → group → endpoint
    gaps: tuple[GapInBoth, ...]
    only_in: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]  # attribute → groups of one only
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The contents of comparison.json: schema 1; what a comparison on the same examples has is
        empty here, and `cohorts` is added."""
        first = self.reports[0]
        of_classes = isinstance(first, FairnessReport)
        return {
            "schema": SCHEMA,
            **({} if of_classes else {"task": "generate"}),
            "n": None,
            "units": None,
            **({"classes": list(first.classes), "positive": first.positive} if of_classes else {}),
            "runs": list(self.names),
            "pairs": [],
            "methods": [],
            "contests": [],
            "notes": list(self.notes),
            "bootstrap": first.bootstrap,
            "seed": first.seed,
            "cohorts": {
                "names": list(self.names),
                "n": [report.n for report in self.reports],
                "units": [report.units for report in self.reports],
                "endpoints": asdict(first.endpoints),
                "gaps": [asdict(gap) for gap in self.gaps],
                "overall": _as_dicts(self.overall),
                "groups": {
                    name: {group: _as_dicts(each) for group, each in groups.items()}
                    for name, groups in self.groups.items()
                },
                "labels": _as_dicts(self.labels),
                "shares": {name: _as_dicts(each) for name, each in self.shares.items()},
                "cases": {name: _as_dicts(each) for name, each in self.cases.items()},
                "only_in": {name: list(map(list, each)) for name, each in self.only_in.items()},
            },
        }


def compare_cohorts(
    tables: Mapping[str, Predictions] | Mapping[str, Generations],
    attributes: str | Iterable[str] | None = None,
    *,
    scores: Mapping[str, TextScores] | None = None,
    headline: str | None = None,
    notes: str | Iterable[str] = (),
    **settings: Any,
) -> Cohorts:
    """What carries over between two cohorts.

    tables: by the cohort's name, two; scores: of texts
    attributes: columns, or intersections such as "sex×race"; None takes those of the first. What only
        one cohort has is left out and named
    headline, settings: as `text_report` and `fairness_report` take them, for both alike
    Raises InputError for an attribute that neither has, and what these raise.
    """
    (first, one), (second, other) = tables.items()
    wanted = listed_names(one.attributes if attributes is None else attributes)
    names, told = [], []
    for name in wanted:
        parts = set(name.split(INTERSECTION))
        having = [n for n, table in tables.items() if parts <= set(table.attributes)]
        if len(having) == 1:
            told.append(f"{name} is left out: only {having[0]} has it.")
        else:
            names.append(name)
    if scores is None:
        other = in_class_order(other, one)
        both = tuple(fairness_report(table, names, **settings) for table in (one, other))
    else:
        own = text_report(one, scores[first], names, headline=headline, excerpts=0, **settings)
        asked = {"headline": own.headline, "excerpts": 0} | settings
        both = (own, text_report(other, scores[second], names, **asked))
    labels = [_label_counts(table) for table in (one, other)]
    attributes = {name: _groups(both, name) for name in both[0].attributes}
    return Cohorts(
        names=tuple(tables),
        reports=both,
        labels={
            name: _change(
                [_share(c[name], c.total(), r) for c, r in zip(labels, both, strict=True)]
            )
            for name in dict.fromkeys([*labels[0], *labels[1]])
        },
        shares={
            name: {group: _change([_group_share(r, name, group) for r in both]) for group in groups}
            for name, groups in attributes.items()
        },
        cases={
            name: {group: _change([_case_share(r, name, group) for r in both]) for group in groups}
            for name, groups in attributes.items()
        },
        overall={
            name: _change([_estimate(overall_of(r, name)) for r in both])
            for name in both[0].endpoints.names
        },
        groups={
            name: {
                group: {
                    endpoint: _change([_of_group(r, name, endpoint, group) for r in both])
                    for endpoint in both[0].endpoints.names
                }
                for group in groups
                if all(group in r.attributes[name].groups for r in both)
            }
            for name, groups in attributes.items()
        },
        gaps=tuple(
            _gap_in_both(both, pair)
            for pair in zip(both[0].verdicts, both[1].verdicts, strict=True)
        ),
        only_in={
            name: tuple(
                tuple(
                    g for g in own.attributes[name].groups if g not in other.attributes[name].groups
                )
                for own, other in (both, both[::-1])
            )
            for name in attributes
        },
        notes=(*map(str, listed_names(notes)), *told),
    )


Counted = tuple[Known, int | None]  # a value, and what it rests on


def _change(sides: Sequence[Counted]) -> Change:
    (first, count), (second, other) = sides
    return Change(first, second, difference(second, first), (count, other))


def _estimate(estimate: Estimate | None) -> Counted:
    if estimate is None:
        return Known(None), None
    return Known(estimate.value, estimate.interval), estimate.count


def _share(hits: int, total: int, report: Report) -> Counted:
    """With Wilson's interval; images of one patient count as that patient does on average."""
    if not total:
        return Known(None), 0
    each = 1.0 if report.units is None else report.units / report.n
    return Known(hits / total, wilson_interval(hits / total, total * each)), total


def _group_share(report: Report, attribute: str, group: str) -> Counted:
    own = report.attributes[attribute].groups.get(group)
    return _share(own.n if own else 0, report.n, report)


def _case_share(report: Report, attribute: str, group: str) -> Counted:
    own = report.attributes[attribute].groups.get(group)
    if own is None or own.positives is None:
        return Known(None), own and own.n
    return _share(own.positives, own.n, report)


def _of_group(report: Report, attribute: str, endpoint: str, group: str | None) -> Counted:
    present = group in report.attributes[attribute].groups
    return _estimate(estimate_of(report, attribute, endpoint, group) if present else None)


def _groups(reports: Sequence[Report], attribute: str) -> list[str]:
    """Of both cohorts, each once."""
    return list(dict.fromkeys(name for r in reports for name in r.attributes[attribute].groups))


def _label_counts(table: Predictions | Generations) -> Counter[str]:
    """How many examples each class has, where it is known."""
    if isinstance(table, Predictions):
        counts = Counter(table.labels.tolist())
        return Counter({name: counts[code] for code, name in enumerate(table.classes)})
    return Counter(label for label in table.labels if label is not None)


def _gap_in_both(
    reports: tuple[Report, Report], verdicts: tuple[EndpointVerdict, EndpointVerdict]
) -> GapInBoth:
    """The gap between the two groups that lie furthest apart in the first cohort, of those that both
    have; or in the second, where only that one has evidence."""
    first, second = verdicts
    leads = second.verdict == "evidence" != first.verdict
    attribute, endpoint = first.attribute, first.endpoint
    metric = reports[0].measures.get(endpoint)
    which_way = metric.better if metric else "higher"
    values = {}
    for group in _groups(reports, attribute):
        known = [_of_group(report, attribute, endpoint, group) for report in reports]
        left_out = {*first.left_out, *second.left_out}
        if group not in left_out and all(side.value is not None for side, _ in known):
            values[group] = known
    worse = better = gap = None
    if len(values) > 1:
        ranked = sorted(values, key=lambda group: values[group][leads][0].value)
        worse, better = (ranked[-1], ranked[0]) if which_way == "lower" else (ranked[0], ranked[-1])
        named = verdicts[leads]  # its names, also where others are as good or as bad
        worse = named.worse if named.worse in values else worse
        better = named.better if named.better in values else better
        sides = zip(values[worse], values[better], strict=True)
        gap = _change(
            [
                (disadvantage(own, other, which_way), (count or 0) + (more or 0))
                for (own, count), (other, more) in sides
            ]
        )
    word, why = _what_becomes(verdicts, values, gap)
    return GapInBoth(attribute, endpoint, word, why, verdicts, worse, better, gap)


def _what_becomes(
    verdicts: tuple[EndpointVerdict, EndpointVerdict], compared: Collection[str], gap: Change | None
) -> tuple[str, str]:
    """One of WORDS, and why it cannot be said. compared: the groups that both have enough of."""
    shown = [verdict.verdict == "evidence" for verdict in verdicts]
    if any(verdict.verdict == "undefined" for verdict in verdicts):
        return UNKNOWN, "one of them has no two groups to compare"
    if any(verdict.p_value is None for verdict in verdicts):
        return UNKNOWN, "it was not tested in both"
    if not any(shown):
        return IN_NEITHER, ""
    first, second = verdicts
    if all(shown) and first.worse == second.worse:
        return CARRIES_OVER, ""
    leads = first if shown[0] else second
    if not {leads.worse, leads.better} <= set(compared):
        return UNKNOWN, f"not both have enough of {leads.worse} and {leads.better}"
    if not all(shown):
        return (ONLY_FIRST if shown[0] else ONLY_SECOND), ""
    return (REVERSED if gap.second.value < 0 else ANOTHER_GROUP), ""


def _as_dicts(changes: Mapping[str, Change]) -> dict[str, dict[str, Any]]:
    return {name: asdict(change) for name, change in changes.items()}
