"""What does each way of post-processing cost whom? Beside the run's own decisions, on the same images.

N examples, G groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fairlora_cls.evaluation.class_sample import class_sample
from fairlora_cls.evaluation.comparison import compare_predictions
from fairlora_cls.evaluation.comparison_results import AttributeDifferences, Difference, Pair
from fairlora_cls.evaluation.comparison_wording import is_evidence, verdict_on
from fairlora_cls.evaluation.groupings import Grouping, grouping_of
from fairlora_cls.evaluation.postprocessing import EVERYONE, Row, Task
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.summary import HARMS
from fairlora_cls.presentation.numbers import RATE, show_p
from fairlora_cls.statistics.intervals import ROUNDING, holm_by, wilson_interval

OWN = "own decisions"
Hits = dict[str, dict[str, tuple[int, int]]]  # group → metric → (right, of how many)


@dataclass(frozen=True)
class Cost:
    """One metric of one group, or of everyone: in how many it goes wrong, and how that changes."""

    metric: str  # sensitivity, specificity or accuracy
    count: int  # whom it is a share of
    wrong: int
    own_wrong: int  # under the run's own decisions
    change: Difference  # of the metric, the row minus the run's own

    @property
    def more_wrong(self) -> int:
        return self.wrong - self.own_wrong

    @property
    def moves(self) -> bool:
        """Whether an answer changes that it counts, as far as the draws show."""
        return bool(self.more_wrong) or (self.change.interval or (0, 0)) != (0, 0)


@dataclass(frozen=True)
class GapChange:
    """What becomes of the distance between the best and the worst served group.

    before - after = from_worst + from_best, where the worst served rise and the best served fall.
    """

    before: float
    after: float
    from_worst: float
    from_best: float
    is_levelling_down: bool  # it shrinks, and no group is served better
    worst_before: str  # the group served worst
    worst_after: str


@dataclass(frozen=True)
class Expected:
    """Cases of a group, and how many the probabilities expect (their sum)."""

    count: int
    observed: int
    own: float
    row: float


@dataclass(frozen=True)
class RowCosts:
    """What one row costs whom."""

    row: Row
    overall: Mapping[str, Cost]  # metric → everyone
    groups: Mapping[str, Mapping[str, Cost]]  # group → metric
    gaps: Mapping[str, GapChange | None]  # metric; None with fewer than two groups to compare
    brier: Difference  # of everyone's probabilities
    expected: Mapping[str, Expected]  # group
    validation: Hits  # where the row was fitted
    verdict: str  # as of a comparison's pair
    badge: str


def judged_metrics(table: Predictions) -> tuple[str, ...]:
    """What is counted in people: cases missed and false alarms, or of more classes wrong answers."""
    return ("sensitivity", "specificity") if len(table.classes) == 2 else ("accuracy",)


def costs_of(
    task: Task, own: Predictions, rows: Iterable[Row], *, bootstrap: int = 1000, seed: int = 42
) -> list[RowCosts]:
    """Every row that was not refused against `own`, the test predictions as the run decides.

    bootstrap, seed: as of `compare_predictions`, whose numbers for the two tables these are
    Raises InputError where test images have no label.
    """
    metrics, attribute = judged_metrics(own), task.attribute
    everyone = Grouping((EVERYONE,), np.zeros(len(own.ids), dtype=int))
    grouping = grouping_of(own, attribute)
    own_hits = [_hits(own, each, metrics) for each in (everyone, grouping)]
    answered = {row.name: row for row in rows if row.answers}
    tables = {name: row.answers.test for name, row in answered.items()}
    compared = compare_predictions(
        {OWN: own, **tables}, [attribute], bootstrap=bootstrap, seed=seed
    )
    costs = []
    for (name, row), pair in zip(answered.items(), compared.pairs, strict=True):
        overall, result = _corrected_alone(pair, attribute)
        hits = [_hits(tables[name], each, metrics) for each in (everyone, grouping)]
        groups = {
            group: _costs(own_hits[1][group], hits[1][group], result.changes[group])
            for group in grouping.names
        }
        verdict, badge = verdict_on(compared, result)
        fitted_on = row.answers.validation
        costs.append(
            RowCosts(
                row=row,
                overall=_costs(own_hits[0][EVERYONE], hits[0][EVERYONE], overall),
                groups=groups,
                gaps={
                    name: gap_change({group: each[name] for group, each in groups.items()})
                    for name in metrics
                },
                brier=overall["brier"],
                expected=_expected(own, tables[name], grouping),
                validation=_hits(fitted_on, grouping_of(fitted_on, attribute), metrics),
                verdict=verdict,
                badge=badge,
            )
        )
    return costs


def _corrected_alone(
    pair: Pair, attribute: str
) -> tuple[dict[str, Difference], AttributeDifferences]:
    """p_holm over the groups of this pair alone, as of a comparison of its two tables: the rows are
    alternatives of which one may be taken, and with all of them in one family the draws could show
    nothing of many groups."""
    result = pair.attributes[attribute]
    asked = {(g, m): d.p_value for g, each in result.changes.items() for m, d in each.items()}
    corrected = holm_by(asked, kind=lambda place: place[1])
    changes = {
        group: {name: replace(d, p_holm=corrected.get((group, name))) for name, d in each.items()}
        for group, each in result.changes.items()
    }
    overall = {name: replace(d, p_holm=d.p_value) for name, d in pair.overall.items()}
    return overall, replace(result, changes=changes)


def gap_change(costs: Mapping[str, Cost]) -> GapChange | None:
    """Of the groups of one metric; None where fewer than two have someone it is a share of."""
    names = [name for name, cost in costs.items() if cost.count]
    counted = [costs[name] for name in names]
    if len(counted) < 2:
        return None
    own = np.array([1 - cost.own_wrong / cost.count for cost in counted])
    new = np.array([1 - cost.wrong / cost.count for cost in counted])
    before, after = np.ptp(own), np.ptp(new)
    shrinks, rises = after < before - ROUNDING, (new > own + ROUNDING).any()
    return GapChange(
        before=float(before),
        after=float(after),
        from_worst=float(new.min() - own.min()),
        from_best=float(own.max() - new.max()),
        is_levelling_down=bool(shrinks and not rises),
        worst_before=names[int(own.argmin())],
        worst_after=names[int(new.argmin())],
    )


def share_interval(wrong: int, count: int, has_units: bool) -> tuple[float, float] | None:
    """Wilson's interval of a share of people; None where several images are of one, or of nobody."""
    return None if has_units or not count else wilson_interval(wrong / count, count)


def describe_costs(costs: RowCosts) -> list[str]:
    """A sentence for each metric on who gains and who loses, and what becomes of the gap."""
    return [
        f"{HARMS[name].title}: {_tell_groups(costs, name)}{_tell_gap(costs.gaps[name], name)}"
        for name in costs.gaps
    ]


def _tell_groups(costs: RowCosts, metric: str) -> str:
    """'a 9 fewer of 42 (−21.4 points, −35.7 to −9.5, evidence, p = 0.004); b 2 more of 851 (…).'"""
    counted = {group: each[metric] for group, each in costs.groups.items() if each[metric].count}
    changed = {group: cost for group, cost in counted.items() if cost.moves}
    if not counted:
        return "nobody to count."
    if not changed:
        return "the same in every group."
    told = [
        f"{group} {_more(cost)} of {cost.count:,} ({_in_points(cost.change)})"
        for group, cost in changed.items()
    ]
    unchanged = len(counted) - len(changed)
    others = f"; the same in {unchanged} other groups" if unchanged > 1 else ""
    others = "; the same in the other group" if unchanged == 1 else others
    return f"{'; '.join(told)}{others}."


def _more(cost: Cost) -> str:
    if not cost.more_wrong:
        return "as many"
    return f"{abs(cost.more_wrong):,} {'more' if cost.more_wrong > 0 else 'fewer'}"


def _in_points(change: Difference) -> str:
    """Of those in whom it goes wrong, so with the sign turned."""
    parts = [RATE.show_signed(-change.difference)]
    limits = wrong_interval(change)
    if limits is not None:
        parts.append(RATE.show_signed_range(limits))
    if is_evidence(change):
        parts.append(f"evidence, {show_p(change.p_holm)}")
    return ", ".join(parts)


def wrong_interval(change: Difference) -> tuple[float, float] | None:
    """The interval of the change in those in whom it goes wrong; None where resampling shows no
    spread, which says that there are too few, not that the change is certain."""
    if change.interval is None or change.interval[0] == change.interval[1]:
        return None
    low, high = change.interval
    return -high, -low


def _tell_gap(gap: GapChange | None, metric: str) -> str:
    if gap is None:
        return ""
    text = _tell_size(gap, metric)
    if gap.worst_after != gap.worst_before and gap.after > ROUNDING:
        text += f" The group served worst is now {gap.worst_after}; it was {gap.worst_before}."
    return text


def _tell_size(gap: GapChange, metric: str) -> str:
    before, after = RATE.show_number(gap.before), RATE.show_gap(gap.after)
    subject = f" The gap in {HARMS[metric].title.lower()}"
    if RATE.show_number(gap.after) == before and not gap.is_levelling_down:
        return f"{subject} stays at {after}."
    if gap.after > gap.before:
        return f"{subject} widens from {before} to {after}."
    text = f"{subject} shrinks from {before} to {after}"
    if gap.is_levelling_down:
        return (
            f"{text} only because the best served fall: levelling down, no group is served better."
        )
    if gap.from_worst <= ROUNDING:
        return f"{text} because the best served fall, not because the worst served rise."
    if gap.from_best <= ROUNDING:
        return f"{text} because the worst served rise."
    return (
        f"{text}: {RATE.show_gap(gap.from_worst)} of that because the worst served rise, "
        f"{RATE.show_gap(gap.from_best)} because the best served fall."
    )


def row_values(costs: RowCosts) -> dict[str, Any]:
    """A row's costs as JSON holds them; null where a value is undefined."""
    return {
        "overall": {name: _cost_values(cost) for name, cost in costs.overall.items()},
        "groups": {
            group: {name: _cost_values(cost) for name, cost in each.items()}
            for group, each in costs.groups.items()
        },
        "gaps": {name: gap and asdict(gap) for name, gap in costs.gaps.items()},
        "brier": asdict(costs.brier),
        "expected_cases": {group: asdict(each) for group, each in costs.expected.items()},
        "verdict": costs.verdict,
        "badge": costs.badge,
        "on_validation": {
            group: {name: {"right": right, "count": count} for name, (right, count) in each.items()}
            for group, each in costs.validation.items()
        },
    }


def _cost_values(cost: Cost) -> dict[str, Any]:
    return {
        "count": cost.count,
        "wrong": cost.wrong,
        "own_wrong": cost.own_wrong,
        "change": asdict(cost.change),
    }


def _hits(table: Predictions, grouping: Grouping, metrics: Sequence[str]) -> Hits:
    hits = class_sample(table).hits(grouping.codes, len(grouping.names))
    return {
        group: {name: (int(hits[name][0][code]), int(hits[name][1][code])) for name in metrics}
        for code, group in enumerate(grouping.names)
    }


def _costs(
    own: Mapping[str, tuple[int, int]],
    row: Mapping[str, tuple[int, int]],
    changes: Mapping[str, Difference],
) -> dict[str, Cost]:
    return {
        name: Cost(name, count, count - right, count - own[name][0], changes[name])
        for name, (right, count) in row.items()
    }


def _expected(own: Predictions, row: Predictions, grouping: Grouping) -> dict[str, Expected]:
    expected = {}
    for code, group in enumerate(grouping.names):
        members = grouping.codes == code
        sums = (float(t.probabilities[members, t.positive].sum()) for t in (own, row))
        cases = int((own.labels[members] == own.positive).sum())
        expected[group] = Expected(int(members.sum()), cases, *sums)
    return expected
