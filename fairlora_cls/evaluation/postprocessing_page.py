"""Ways of post-processing on a page, and in postprocess.json: what each does, and what it costs whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from fairlora_cls.evaluation.class_parts import describe_decision
from fairlora_cls.evaluation.comparison_wording import is_evidence
from fairlora_cls.evaluation.document import EXPLORATORY
from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.overview import MOST_GROUPS
from fairlora_cls.evaluation.postprocessing import (
    EVERYONE,
    MINIMUM,
    MINIMUM_BY_GROUP,
    Row,
    Task,
)
from fairlora_cls.evaluation.postprocessing_costs import (
    OWN,
    Cost,
    RowCosts,
    describe_costs,
    judged_metrics,
    row_values,
    share_interval,
    wrong_interval,
)
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions
from fairlora_cls.evaluation.summary import HARMS
from fairlora_cls.evaluation.thresholds import ARGMAX, is_same_table
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import (
    Cell,
    Document,
    Fact,
    Mark,
    Overview,
    OverviewCell,
    OverviewRow,
    Part,
    Table,
    Verdict,
    explain_method,
    list_notes,
    text_table,
)
from fairlora_cls.presentation.numbers import RATE, SCORE, UNDEFINED, show_count, show_p_value
from fairlora_cls.presentation.writing import write_document
from fairlora_cls.statistics.intervals import ROUNDING

SCHEMA = 1
STEM = "postprocess"
FEW = 20  # validation images with, or without, the positive class to which little can be fitted


@dataclass(frozen=True)
class Postprocessing:
    """All that the page says."""

    run: str  # its name, or its table's
    task: Task
    own: Predictions  # test, as the run decides
    own_rule: str  # in a sentence
    rows: Sequence[Row]
    costs: Sequence[RowCosts]  # of the rows that were not refused; none where labels are missing
    bootstrap: int
    tables: Mapping[str, str]  # row → the path of its table

    @property
    def positive(self) -> str:
        return self.own.classes[self.own.positive]


def write_postprocessing(found: Postprocessing, folder: str | Path) -> None:
    """Writes postprocess.json, .md and .html into `folder`, as `write_document`."""
    write_document(postprocessing_document(found), to_dict(found), folder, STEM)


def to_dict(found: Postprocessing) -> dict[str, Any]:
    """The contents of postprocess.json: schema 1, null where a value is undefined."""
    task, costs = found.task, {each.row.name: row_values(each) for each in found.costs}
    return {
        "schema": SCHEMA,
        "run": found.run,
        "attribute": task.attribute,
        "classes": list(found.own.classes),
        "positive": found.positive,
        "n": len(found.own.ids),
        "n_validation": len(task.validation.ids),
        "own_decisions": found.own_rule,
        "minimum_sensitivity": task.minimum_sensitivity,
        "constraint": task.constraint,
        "objective": task.objective,
        "bootstrap": found.bootstrap,
        "seed": task.seed,
        "notes": describe_notes(found),
        "rows": {
            row.name: {
                "what": row.method.what,
                "by_group": row.method.by_group,
                "table": found.tables.get(row.name),
                "refused": row.refusal or None,
                "decision": row.answers.decision if row.answers else None,
                "fitted": dict(row.answers.fitted) if row.answers else None,
                **costs.get(row.name, {}),
            }
            for row in found.rows
        },
    }


def costs_table(found: Postprocessing) -> Table:
    """A line for every row and group: in how many of a hundred it goes wrong, and the change."""
    header = ["Row", "Group"]
    for name in judged_metrics(found.own):
        header += [f"{HARMS[name].title} of 100 {_people(found, name)}", "Change"]
    own = [
        (OWN, group, *((_share_cell(found, c, c.own_wrong), Cell("")) for c in each.values()))
        for group, each in _everyone_first(found.costs[0])
    ]
    others = [
        (
            costs.row.name,
            group,
            *((_share_cell(found, c, c.wrong), _change_cell(c)) for c in each.values()),
        )
        for costs in found.costs
        for group, each in _everyone_first(costs)
    ]
    return Table(
        f"What each row costs whom, by {found.task.attribute}",
        tuple(header),
        tuple((Cell(name), Cell(group), *chain(*cells)) for name, group, *cells in own + others),
    )


def printed_table(found: Postprocessing) -> Table:
    """The same for a terminal, which shows no small print: everyone beside the row's name, the groups
    below it, a star for evidence; a row that changes no answer, or is refused, in one line."""
    metrics, costs = judged_metrics(found.own), {each.row.name: each for each in found.costs}
    people = ", ".join(HARMS[name].people.format(cases="cases") for name in metrics)
    header = [f"Row, and its groups ({people})"]
    for name in metrics:
        header += [f"{HARMS[name].title} of 100", "Change"]
    blank = [""] * (2 * len(metrics))
    lines = _printed_lines(OWN, found.costs[0], lambda cost: (_share(cost, cost.own_wrong), ""))
    for row in found.rows:
        if row.name not in costs:
            lines.append((f"{row.name}: refused", *blank))
        elif not any(c.moves for of in costs[row.name].groups.values() for c in of.values()):
            lines.append((f"{row.name}: no answer changes", *blank))
        else:
            lines += _printed_lines(
                row.name, costs[row.name], lambda c: (_share(c, c.wrong), _short_change(c))
            )
    caption = f"What each row costs whom, by {found.task.attribute} (* evidence of a change)"
    return text_table(caption, header, lines)


def _printed_lines(
    title: str, costs: RowCosts, cells: Callable[[Cost], tuple[str, str]]
) -> list[tuple[str, ...]]:
    """'title' of everyone, then '  a (42, 50)': rates never stand without their group's size."""
    lines = [(title, *chain(*map(cells, costs.overall.values())))]
    for group, of in costs.groups.items():
        sizes = ", ".join(f"{cost.count:,}" for cost in of.values())
        lines.append((f"  {group} ({sizes})", *chain(*map(cells, of.values()))))
    return lines


def postprocessing_document(found: Postprocessing) -> Document:
    """The page: the picture of all rows, what each does to whom, then every number."""
    task, notes = found.task, describe_notes(found)
    return Document(
        title="Post-processing: what each way costs whom",
        facts=(
            Fact("run", (found.run,)),
            Fact(f"{len(found.own.ids):,} test images"),
            Fact(f"{len(task.validation.ids):,} validation images, on which all was fitted"),
            Fact("groups of", (task.attribute,)),
            Fact("positive class", (found.positive,)),
            Fact(EXPLORATORY),
        ),
        summary=(
            "Nothing is chosen here. Every row was fitted on validation images and is shown on the "
            "same test images as the run's own decisions; which to take, if any, is for you to say, "
            "and one that is taken because of these numbers needs other images to confirm it.",
            f"The run's own decisions: {found.own_rule}",
            *_tell_by_group(found),
        ),
        overview=_overview(found),
        verdicts_title="Who gains, who loses" if found.costs else "",
        verdicts=tuple(
            Verdict(
                c.row.name, c.verdict, c.badge, points=(*_tell_row(found, c), *describe_costs(c))
            )
            for c in found.costs
        ),
        parts=(
            *([list_notes(tuple(notes))] if notes else []),
            Part("How each row decides", tables=(_ways_table(found),), is_folded=True),
            *(_parts_of_costs(found) if found.costs else []),
            explain_method(tuple(_method(found))),
        ),
    )


def _parts_of_costs(found: Postprocessing) -> list[Part]:
    return [
        Part("Every number", tables=(costs_table(found),), is_folded=True),
        Part(
            "On validation, where the rows were fitted",
            (
                "What a row reaches here it need not reach on other images: the fewer images of a "
                "group, the more of it is luck.",
            ),
            tables=(_validation_table(found),),
            is_folded=True,
        ),
        Part(
            "What the probabilities expect",
            (
                "Cases that the probabilities expect (their sum) beside the cases there are. The "
                "Brier score is the mean squared error of the probabilities of all images; smaller "
                "is better. A report of a row's table has the calibration of each group.",
            ),
            tables=(_expected_table(found), _brier_table(found)),
            is_folded=True,
        ),
    ]


def _tell_by_group(found: Postprocessing) -> list[str]:
    names = [row.name for row in found.rows if row.method.by_group and row.answers]
    if not names:
        return []
    return [
        f"{enumerate_names(names, most=len(names))} treat the groups by different rules: the "
        f"{found.task.attribute} of every image must be known, and may be used, where the model is."
    ]


def _tell_row(found: Postprocessing, costs: RowCosts) -> list[str]:
    """What the row is, what becomes of the probabilities, and of a minimum that was reached on
    validation whether it is on test."""
    brier, told = costs.brier, [f"{costs.row.method.what}."]
    if brier.difference:
        limits = SCORE.show_signed_range(brier.interval)
        told.append(
            f"Probabilities of all: Brier score {SCORE.show(brier.reference)} to "
            f"{SCORE.show(brier.other)} ({SCORE.show_signed(brier.difference)}"
            f"{f', {limits}' if limits else ''}; smaller is better)."
        )
    if costs.row.name in (MINIMUM, MINIMUM_BY_GROUP):
        minimum = found.task.minimum_sensitivity
        missed = [
            f"{group} ({cost.count - cost.wrong:,} of {cost.count:,} found)"
            for group, each in costs.groups.items()
            for cost in [each["sensitivity"]]
            if cost.count - cost.wrong < minimum * cost.count - ROUNDING
        ]
        where = f"missed in {enumerate_names(missed)}" if missed else "reached in every group"
        told.append(f"The minimum of {RATE.show(minimum)}, on these test images: {where}.")
    return told


def describe_notes(found: Postprocessing) -> list[str]:
    """What a reader must know first."""
    task = found.task
    refused: dict[str, list[str]] = {}
    for row in found.rows:
        if row.refusal:
            refused.setdefault(row.refusal, []).append(row.name)
    notes = [
        f"Refused: {enumerate_names(names, most=len(names))}; {reason}."
        for reason, names in refused.items()
    ]
    if not found.costs:
        unlabelled = int((found.own.labels == UNLABELLED).sum())
        return [
            *notes,
            f"{unlabelled:,} of {len(found.own.labels):,} test images have no label, so what the rows "
            "cost whom cannot be counted; their tables are written.",
        ]
    if is_same_table(task.test, task.validation):
        notes.append(
            "The validation table holds the test images themselves, which flatters every row."
        )
    changes = any(costs.brier.difference for costs in found.costs)
    if changes and task.rule == ARGMAX and describe_decision(found.own).rule != ARGMAX:
        notes.append(
            "The table's own predictions are not the most probable classes, by which recalibrated "
            "probabilities are decided: a part of the change is that of the rule. Name the rule with "
            "--threshold."
        )
    return [*notes, *_tell_few(found)]


def _tell_few(found: Postprocessing) -> list[str]:
    """The groups to which little was fitted."""
    if len(found.own.classes) > 2:
        return []
    few = [
        f"{group} ({cases[1]:,} with '{found.positive}' and {others[1]:,} without)"
        for group, each in found.costs[0].validation.items()
        for cases, others in [each.values()]
        if min(cases[1], others[1]) < FEW
    ]
    if not few:
        return []
    return [
        f"Validation has few images of {enumerate_names(few)}: what is fitted to them alone, and a "
        "minimum sensitivity reached on them, may be luck."
    ]


def _people(found: Postprocessing, metric: str) -> str:
    return HARMS[metric].people.format(cases=f"cases ('{found.positive}')")


def _everyone_first(costs: RowCosts) -> list[tuple[str, Mapping[str, Cost]]]:
    return [(EVERYONE, costs.overall), *costs.groups.items()]


def _share_cell(found: Postprocessing, cost: Cost, wrong: int) -> Cell:
    """'40.5' with '17 of 42, 27.0 to 55.5; sensitivity 59.5%'."""
    if not cost.count:
        return Cell(UNDEFINED, "none in the group")
    limits = share_interval(wrong, cost.count, found.own.units is not None)
    shown = f"{wrong:,} of {cost.count:,}" + (f", {RATE.show_range(limits)}" if limits else "")
    right = RATE.show(1 - wrong / cost.count)
    return Cell(_share(cost, wrong), f"{shown}; {cost.metric} {right}")


def _change_cell(cost: Cost) -> Cell:
    """'−21.4 points' with its interval, and whether it is evidence."""
    change = cost.change
    if change.difference is None:
        return Cell(UNDEFINED)
    limits = wrong_interval(change)
    detail = RATE.show_signed_range(limits)
    if change.difference == 0 and limits is None:
        detail = "no answer changes"
    elif change.interval is not None and limits is None:
        detail = "too few for an interval"
    if is_evidence(change):
        detail += f"; evidence, p {show_p_value(change.p_holm)}"
    return Cell(RATE.show_signed(-change.difference), detail)


def _short_change(cost: Cost) -> str:
    """'−21.4* (−35.7 to −9.5)'."""
    change = cost.change
    if change.difference is None:
        return UNDEFINED
    limits = RATE.show_signed_range(wrong_interval(change))
    text = RATE.show_signed(-change.difference).removesuffix(" points")
    return f"{text}{'*' if is_evidence(change) else ''}{f' ({limits})' if limits else ''}"


def _share(cost: Cost, wrong: int) -> str:
    return RATE.show_number(wrong / cost.count) if cost.count else UNDEFINED


def _overview(found: Postprocessing) -> Overview | None:
    """A line per row, a column per harm, with every group's share on the column's axis."""
    if not found.costs:
        return None
    first, has_units = found.costs[0], found.own.units is not None
    sizes = {group: each.count for group, each in first.expected.items()}
    groups = sorted(sizes, key=lambda group: -sizes[group])[:MOST_GROUPS]
    left_out = f"and {len(sizes) - len(groups)} more groups" if len(sizes) > len(groups) else ""

    def marks(costs: RowCosts, name: str, is_own: bool) -> list[Mark | None]:
        drawn = []
        for cost in (costs.groups[group][name] for group in groups):
            wrong = cost.own_wrong if is_own else cost.wrong
            share = wrong / cost.count if cost.count else None
            limits = share_interval(wrong, cost.count, has_units) or (share, share)
            drawn.append(None if share is None else Mark(share, *limits))
        return drawn

    lines = [(OWN, first, True), *((c.row.name, c, False) for c in found.costs)]
    drawn = {
        (title, name): marks(costs, name, is_own)
        for title, costs, is_own in lines
        for name in first.gaps
    }
    ends = {
        name: max(
            (m.high for key, each in drawn.items() if key[1] == name for m in each if m), default=1
        )
        or 1.0
        for name in first.gaps
    }
    return Overview(
        columns=tuple(
            (HARMS[name].title, f"of 100 {_people(found, name)}", "0", f"{100 * end:.0f}")
            for name, end in ends.items()
        ),
        rows=tuple(
            OverviewRow(
                title,
                tuple((group, f"{sizes[group]:,}") for group in groups),
                tuple(
                    OverviewCell(
                        *_what_happens(costs, name, is_own),
                        tuple(
                            m and Mark(m.value / end, m.low / end, m.high / end)
                            for m in drawn[title, name]
                        ),
                    )
                    for name, end in ends.items()
                ),
                left_out,
            )
            for title, costs, is_own in lines
        ),
    )


def _what_happens(costs: RowCosts, name: str, is_own: bool) -> tuple[str, str, str]:
    """How a cell of the picture is marked, the word for it, and the gap in small print."""
    gap, of_groups = costs.gaps[name], [each[name] for each in costs.groups.values()]
    before = f"gap {RATE.show_gap(gap.before)}" if gap else ""
    if is_own:
        return "undefined", "as it is", before
    if not any(cost.moves for cost in of_groups):
        return "undefined", "no answer changes", before
    remark = f"gap {RATE.show_number(gap.before)} → {RATE.show_gap(gap.after)}" if gap else ""
    if gap and gap.is_levelling_down:
        remark += ", levelling down"
    proven = [cost.change.difference for cost in of_groups if is_evidence(cost.change)]
    if any(difference < 0 for difference in proven):
        gains = any(difference > 0 for difference in proven)
        return "evidence", "some gain, some lose" if gains else "a group loses", remark
    if proven:
        return "equal", "a group gains", remark
    return "undefined", "no change is shown", remark


def _ways_table(found: Postprocessing) -> Table:
    header = ("Row", "What it does", "How it decides", "Fitted on validation", "Table")
    lines = []
    for row in found.rows:
        answers = row.answers
        fitted = answers.fitted if answers else {}
        lines.append(
            (
                Cell(row.name),
                Cell(row.method.what),
                Cell(answers.decision if answers else f"Refused: {row.refusal}."),
                Cell("; ".join(f"{group} {SCORE.show(value)}" for group, value in fitted.items())),
                Cell(found.tables.get(row.name, "")),
            )
        )
    return Table("Temperature, shift of the log-odds, or threshold", header, tuple(lines))


def _validation_table(found: Postprocessing) -> Table:
    """Each metric of each group where the row was fitted."""
    metrics = judged_metrics(found.own)
    lines = [
        (
            Cell(costs.row.name),
            Cell(group),
            *(
                Cell(RATE.show(right / count if count else None), f"{right:,} of {count:,}")
                for right, count in each.values()
            ),
        )
        for costs in found.costs
        for group, each in costs.validation.items()
    ]
    header = ("Row", "Group", *(METRICS[name].title for name in metrics))
    return Table("On validation", header, tuple(lines))


def _expected_table(found: Postprocessing) -> Table:
    header = ("Row", "Group", "Images", f"Cases ('{found.positive}')", "Expected before", "after")
    lines = [
        (
            Cell(costs.row.name),
            Cell(group),
            Cell(show_count(each.count)),
            Cell(show_count(each.observed)),
            Cell(f"{each.own:,.1f}"),
            Cell(f"{each.row:,.1f}"),
        )
        for costs in found.costs
        if costs.brier.difference
        for group, each in costs.expected.items()
    ]
    return Table("Cases there are, and cases expected", header, tuple(lines))


def _brier_table(found: Postprocessing) -> Table:
    lines = [
        (
            Cell(costs.row.name),
            Cell(SCORE.show(brier.reference)),
            Cell(SCORE.show(brier.other)),
            Cell(SCORE.show_signed(brier.difference), SCORE.show_signed_range(brier.interval)),
            Cell(show_p_value(brier.p_value)),
        )
        for costs in found.costs
        for brier in [costs.brier]
        if brier.difference
    ]
    return Table(
        "Brier score of all images", ("Row", "Before", "After", "Change", "p"), tuple(lines)
    )


def _method(found: Postprocessing) -> list[str]:
    whole = "" if found.own.units is None else ", patients or lesions drawn, and exchanged, whole"
    return [
        "Everything is fitted on validation predictions; no test label is looked at before the "
        "numbers here are counted. Temperature: log-probabilities divided by the temperature of the "
        "largest likelihood. Intercept: log-odds shifted until the mean probability is the share of "
        "cases. Isotonic: the rising curve of the least squared error. Thresholds are the highest "
        "that do what is asked; fairlearn's are randomised by the seed.",
        f"A change is the row minus the run's own decisions, on the same images: paired bootstrap "
        f"({found.bootstrap:,} resamples, drawn within groups{whole}) and a swap test, as `compare` "
        "of the two tables gives. Evidence: p up to 0.05, corrected by Holm's method over the groups "
        "of the row; not over the rows, which are alternatives. Intervals of shares are Wilson's"
        f"{'' if found.own.units is None else ', and left out where several images are of one unit'}. "
        "They hold for the fit as it is, and say nothing of how another validation split would have "
        f"moved it. Random seed {found.task.seed}.",
    ]
