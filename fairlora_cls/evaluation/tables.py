"""Every number of a report as tables of text, for report.md and report.html alike."""

from __future__ import annotations

from collections.abc import Mapping

from fairlora_cls.evaluation.metrics import METRICS, ONE_VS_REST
from fairlora_cls.evaluation.results import (
    AttributeResult,
    ClassesResult,
    Estimate,
    FairnessReport,
    FindingShifts,
    GapResult,
    QuestionResult,
    Report,
    TextReport,
)
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import COUNTED, nouns_of
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import (
    MINUS,
    RATE,
    SCORE,
    UNDEFINED,
    Quantity,
    show_count,
    show_p_value,
)
from fairlora_cls.statistics.sample import Measure

MOST_COLUMNS = 6  # with more groups than this, groups become the rows
MACRO = "mean over classes (macro)"
GAP_HEADER = ("Gap", "Observed", "By chance", "p", "Corrected p", "Best", "Worst")


def overall_tables(report: Report) -> list[Table]:
    """All examples together: one row per metric, and of K > 2 classes one row per class."""
    if isinstance(report, TextReport):
        return [_overall_texts_table(report)]
    rows = tuple(
        (
            Cell(METRICS[name].title),
            _estimate_cell(METRICS[name], estimate),
            Cell(show_count(estimate.count), COUNTED[METRICS[name].rests_on]),
        )
        for name, estimate in report.overall.items()
    )
    header = ("Metric", "Value", "Rests on")
    tables = [Table("All examples", header, rows)]
    if report.overall_classes.classes:
        tables.append(_classes_table("Each class against the rest", report.overall_classes))
    return tables


def attribute_tables(report: Report, attribute: str) -> list[Table]:
    """Every table of one attribute, in reading order."""
    result = report.attributes[attribute]
    gaps = ((report.gaps[name], gap) for name, gap in result.gaps.items())
    tables = [
        _groups_table(report, attribute, result),
        Table(
            f"Gaps between groups of {attribute}",
            GAP_HEADER,
            tuple(_gap_row(quantity, gap) for quantity, gap in gaps),
        ),
        _power_table(report, attribute, result),
    ]
    if result.controlled is not None:
        tables.append(_controlled_table(report, attribute, result))
    tables.append(_equity_table(report, attribute, result))
    if isinstance(report, TextReport):
        if attribute in report.shifts:
            tables += _shift_tables(report, attribute, report.shifts[attribute])
        return tables
    tables.append(_prevalence_table(attribute, result, report))
    for group, classes in result.group_classes.items():
        tables.append(_classes_table(f"Each class against the rest: {attribute} {group}", classes))
    if result.class_gaps.classes:
        tables.append(_class_gaps_table(report, attribute, result))
    if result.curves:
        tables.append(_confusion_table(attribute, result, report))
        tables.append(_reliability_table(attribute, result))
    return tables


def question_tables(report: TextReport) -> list[Table]:
    """Each question by itself: overall scores, and the gaps; none for one question."""
    if not report.questions:
        return []
    used = {
        name: metric
        for name, metric in report.metrics.items()
        if any(name in question.overall for question in report.questions.values())
    }
    overall = tuple(
        (
            Cell(name),
            Cell(f"{question.n:,}"),
            *(_question_cell(metric, question, key) for key, metric in used.items()),
        )
        for name, question in report.questions.items()
    )
    header = ("Question", "Texts", *(metric.title for metric in used.values()))
    tables = [Table("Each question", header, overall)]
    for attribute in report.attributes:
        rows = tuple(
            (
                Cell(name),
                *_gap_row(
                    report.gaps[f"{key}_gap"],
                    question.attributes[attribute].gaps[f"{key}_gap"],
                ),
            )
            for name, question in report.questions.items()
            for key in used
            if key in question.overall
        )
        caption = f"Gaps between groups of {attribute}, by question"
        tables.append(Table(caption, ("Question", *GAP_HEADER), rows))
    return tables


def _overall_texts_table(report: TextReport) -> Table:
    """All texts together beside the constant answer: one row per metric."""
    header = (
        "Metric",
        "Mean",
        "Median",
        "Constant answer",
        "Difference",
        "Texts",
    )
    rows = tuple(
        (
            Cell(metric.title),
            _estimate_cell(metric, report.overall[name]),
            _median_cell(metric, report.overall[name]),
            *_constant_cells(report, name),
            Cell(show_count(report.overall[name].count)),
        )
        for name, metric in report.metrics.items()
    )
    return Table("All texts", header, rows)


def _groups_table(report: Report, attribute: str, result: AttributeResult) -> Table:
    """One column per group, or one row where there are many; a row per metric and per median."""
    of_texts = isinstance(report, TextReport)
    titles = ["Group", *(("Texts", "Images") if of_texts else ("Examples", "Positives"))]
    if any(group.units is not None for group in result.groups.values()):
        titles.append(capitalised(nouns_of(report).grouped))
    for metric in report.measures.values():
        titles.append(metric.title)
        if _has_median(report, metric):
            titles.append(f"{metric.title}, median")
    columns = []
    for name, group in result.groups.items():
        cells = [Cell(name), *(Cell(show_count(size)) for size in group.sizes().values())]
        for key, metric in report.measures.items():
            cells.append(_estimate_cell(metric, group.metrics[key], not of_texts))
            if _has_median(report, metric):
                cells.append(_median_cell(metric, group.metrics[key]))
        columns.append(cells)
    rows = [list(map(Cell, titles)), *columns]
    if len(columns) <= MOST_COLUMNS:
        rows = list(zip(*rows, strict=True))
    header, *body = rows
    return Table(
        f"Groups of {attribute}", tuple(cell.text for cell in header), tuple(map(tuple, body))
    )


def _has_median(report: Report, metric: Measure) -> bool:
    return isinstance(report, TextReport) and metric.kind == "mean"


def _equity_table(report: Report, attribute: str, result: AttributeResult) -> Table:
    rows = tuple(
        (
            Cell(report.equity_scaled[name].title),
            _estimate_cell(SCORE, score),
        )
        for name, score in result.equity_scaled.items()
    )
    header = ("Score", "Value")
    return Table(f"Equity-scaled scores for {attribute}", header, rows)


def _power_table(report: Report, attribute: str, result: AttributeResult) -> Table:
    rows = []
    for name, gap in result.gaps.items():
        power = gap.power
        if power is None:
            continue
        needed = show_count(power.needed_per_group)
        rows.append(
            (
                Cell(report.gaps[name].title),
                Cell(report.gaps[name].show(power.detectable)),
                Cell(power.lagging or "any group"),
                Cell(needed, "" if needed == UNDEFINED else COUNTED[power.counted]),
            )
        )
    header = (
        "Gap",
        "Smallest that would be found",
        "If this group lags",
        "Needed per group for 5 points, by this test alone",
    )
    return Table(f"What the groups of {attribute} could show", header, tuple(rows))


def _controlled_table(report: Report, attribute: str, result: AttributeResult) -> Table:
    controlled = result.controlled
    rows = tuple(
        (
            Cell(report.gaps[name].title),
            Cell(report.gaps[name].show(gap.value)),
            *_chance_cells(report.gaps[name], gap),
            Cell(gap.best or UNDEFINED),
            Cell(gap.worst or UNDEFINED),
            Cell(report.gaps[name].show_signed(gap.signed), _order_of(result.gaps[name])),
            Cell(f"{gap.strata:,}"),
            Cell(f"{gap.examples:,}"),
        )
        for name, gap in controlled.gaps.items()
    )
    nouns = nouns_of(report)
    counted = capitalised(nouns.sized)
    header = (
        "Gap",
        "Mean over strata",
        "By chance",
        "p",
        "Corrected p",
        "Best inside strata",
        "Worst inside strata",
        "With its sign",
        "Strata",
        counted,
    )
    return Table(
        f"Gaps of {attribute} with {', '.join(controlled.held)} held fixed (strata of at least "
        f"{controlled.minimum_stratum_size} {nouns.grouped})",
        header,
        rows,
    )


def _prevalence_table(attribute: str, result: AttributeResult, report: FairnessReport) -> Table:
    prevalence = result.prevalence
    rows = tuple(
        (
            Cell(group),
            Cell(label),
            Cell(RATE.show(share.reference)),
            Cell(RATE.show(share.predicted)),
            Cell(RATE.show_number(share.shift), RATE.show_range(share.shift_interval)),
        )
        for group, shares in prevalence.groups.items()
        for label, share in shares.items()
        if len(report.classes) > 2 or label == report.positive
    )
    header = ("Group", "Class", "Labelled", "Predicted", "Shift, points")
    caption = f"How often each class is label and prediction, by {attribute}"
    if prevalence.gap_p_value is not None:
        caption += (
            f" (labels '{report.positive}' differ by {RATE.show_number(prevalence.gap)} points, by "
            f"chance {RATE.show_number(prevalence.gap_null_mean)} on average, p "
            f"{show_p_value(prevalence.gap_p_value)})"
        )
    return Table(caption, header, rows)


def _classes_table(caption: str, classes: ClassesResult) -> Table:
    rows = [_class_row(label, metrics) for label, metrics in classes.classes.items()]
    rows.append(_class_row(MACRO, classes.macro))
    header = ("Class", *(METRICS[name].title for name in ONE_VS_REST))
    return Table(caption, header, tuple(rows))


def _class_row(label: str, metrics: Mapping[str, Estimate]) -> tuple[Cell, ...]:
    cells = (_estimate_cell(METRICS[name], metrics[name], True) for name in ONE_VS_REST)
    return Cell(label), *cells


def _class_gaps_table(report: Report, attribute: str, result: AttributeResult) -> Table:
    by_class = (*result.class_gaps.classes.items(), (MACRO, result.class_gaps.macro))
    rows = tuple(
        (
            Cell(label),
            Cell(report.gaps[name].title),
            Cell(report.gaps[name].show(gap.value), _show_limits(report.gaps[name], gap)),
            *_chance_cells(report.gaps[name], gap),
            Cell(gap.best or UNDEFINED),
            Cell(gap.worst or UNDEFINED),
        )
        for label, gaps in by_class
        for name, gap in gaps.items()
    )
    header = ("Class", "Gap", "Observed", "By chance", "p", "Corrected p", "Best", "Worst")
    return Table(f"Gaps between groups of {attribute}, each class against the rest", header, rows)


def _confusion_table(attribute: str, result: AttributeResult, report: FairnessReport) -> Table:
    rows = tuple(
        (
            Cell(group),
            Cell(label),
            *(Cell(f"{count:,}", RATE.show(count / max(1, sum(counts)))) for count in counts),
        )
        for group, curves in result.curves.items()
        for label, counts in zip(report.classes, curves.confusion, strict=True)
    )
    header = ("Group", "Label", *(f"Predicted {name}" for name in report.classes))
    return Table(f"Confusion by {attribute}", header, rows)


def _reliability_table(attribute: str, result: AttributeResult) -> Table:
    rows = tuple(
        (
            Cell(group),
            Cell(f"{each.low:.2f} to {each.high:.2f}"),
            Cell(f"{each.n:,}"),
            Cell(SCORE.show(each.confidence)),
            Cell(SCORE.show(each.outcome), SCORE.show_range(each.interval)),
        )
        for group, curves in result.curves.items()
        for each in curves.reliability
    )
    header = ("Group", "Probability", "Examples", "Mean probability", "Came true")
    return Table(f"Calibration by {attribute}", header, rows)


def _shift_tables(report: Report, attribute: str, shifts: FindingShifts) -> list[Table]:
    rows = tuple(
        (
            Cell(finding),
            Cell(group),
            Cell(RATE.show(share.reference)),
            Cell(RATE.show(share.generated)),
            Cell(
                RATE.show_signed(share.shift).removesuffix(" points"),
                RATE.show_range(share.shift_interval),
            ),
            Cell(SCORE.show(share.f1)),
        )
        for finding in shifts.gaps
        for group, share in ((name, shares[finding]) for name, shares in shifts.groups.items())
    )
    header = ("Finding", "Group", "In references", "In texts", "Shift, points", "F1")
    without = f"; without {', '.join(shifts.left_out)}" if shifts.left_out else ""
    caption = (
        f"How often references and texts state each finding, by {attribute} (groups of at least "
        f"{shifts.minimum} {nouns_of(report).grouped}{without})"
    )
    gaps = tuple(
        (
            Cell(finding),
            Cell(RATE.show_number(gap.value), _show_limits(RATE, gap)),
            Cell(RATE.show_number(gap.null_mean), RATE.show_range(gap.null_interval)),
            Cell(show_p_value(gap.p_value)),
            Cell(show_p_value(gap.p_value_holm)),
            Cell(gap.best or UNDEFINED),
            Cell(gap.worst or UNDEFINED),
        )
        for finding, gap in shifts.gaps.items()
    )
    gap_header = (
        "Finding",
        "Difference, points",
        "By chance",
        "p",
        "Corrected p",
        "Highest shift",
        "Lowest shift",
    )
    return [
        Table(caption, header, rows),
        Table(f"How far the shifts of groups of {attribute} lie apart", gap_header, gaps),
    ]


def _gap_row(quantity: Quantity, gap: GapResult) -> tuple[Cell, ...]:
    """The cells of GAP_HEADER."""
    left_out = f"without {', '.join(gap.undefined_groups)}" if gap.undefined_groups else ""
    by_chance, p_value, corrected = _chance_cells(quantity, gap)
    if gap.p_value_headline is not None:
        corrected = Cell(corrected.text, f"over attributes {show_p_value(gap.p_value_headline)}")
    return (
        Cell(quantity.title, left_out),
        Cell(quantity.show(gap.value), _show_limits(quantity, gap)),
        by_chance,
        p_value,
        corrected,
        Cell(gap.best or UNDEFINED),
        Cell(gap.worst or UNDEFINED),
    )


def _order_of(gap: GapResult) -> str:
    """'F − M', the best and the worst group over all."""
    return f"{gap.best} {MINUS} {gap.worst}" if gap.best else ""


def _chance_cells(quantity: Quantity, gap) -> tuple[Cell, Cell, Cell]:
    """By chance, p and corrected p, of a gap over all groups or inside strata."""
    return (
        Cell(quantity.show(gap.null_mean), quantity.show_range(gap.null_interval)),
        Cell(show_p_value(gap.p_value)),
        Cell(show_p_value(gap.p_value_holm)),
    )


def _estimate_cell(
    quantity: Quantity, estimate: Estimate, count_if_undefined: bool = False
) -> Cell:
    text = quantity.show(estimate.value)
    if estimate.value is None and count_if_undefined and estimate.count is not None:
        return Cell(text, f"{estimate.count} {COUNTED[quantity.rests_on]}")
    if estimate.null_interval is not None:
        return Cell(text, f"noise alone: {quantity.show_range(estimate.null_interval)}")
    return Cell(text, _show_limits(quantity, estimate))


def _show_limits(quantity: Quantity, stated: Estimate | GapResult) -> str:
    """'51.1 to 55.8', or why there is no interval."""
    if stated.interval is None and (stated.interval_method or "").startswith("none: "):
        return f"no interval: {stated.interval_method.removeprefix('none: ')}"
    return quantity.show_range(stated.interval)


def _median_cell(metric: Measure, estimate: Estimate) -> Cell:
    return Cell(UNDEFINED) if estimate.median is None else _estimate_cell(metric, estimate.median)


def _question_cell(metric: Measure, question: QuestionResult, name: str) -> Cell:
    if name not in question.overall:
        return Cell(UNDEFINED)
    return _estimate_cell(metric, question.overall[name])


def _constant_cells(report: TextReport, name: str) -> tuple[Cell, Cell]:
    score, metric = report.constant.scores.get(name), report.metrics[name]
    if score is None:
        return Cell(UNDEFINED), Cell(UNDEFINED)
    difference = score.difference
    return (
        Cell(metric.show(score.value)),
        Cell(metric.show_signed(difference.value), metric.show_range(difference.interval)),
    )
