"""Every number of a report as tables of text, for report.md and report.html alike."""

from collections.abc import Mapping

from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS, ONE_VS_REST, QUANTITIES
from fairlora_cls.evaluation.results import (
    AttributeResult,
    ClassesResult,
    ClassGaps,
    Estimate,
    FairnessReport,
    GapResult,
)
from fairlora_cls.evaluation.wording import (
    COUNTED,
)
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import RATE, SCORE, UNDEFINED, show_count, show_p_value

MOST_COLUMNS = 6  # with more groups than this, groups become the rows
MACRO = "mean over classes (macro)"


def overall_tables(report: FairnessReport) -> list[Table]:
    """All examples together: one row per metric, and of K > 2 classes one row per class."""
    rows = tuple(
        (
            Cell(METRICS[name].title),
            _estimate_cell(name, estimate),
            Cell(QUANTITIES[name].show_range(estimate.interval_bias_corrected, UNDEFINED)),
            Cell(show_count(estimate.count), COUNTED[METRICS[name].rests_on]),
        )
        for name, estimate in report.overall.items()
    )
    header = ("Metric", "Value", "Bias-corrected interval", "Rests on")
    tables = [Table("All examples", header, rows)]
    if report.overall_classes.classes:
        tables.append(_classes_table("Each class against the rest", report.overall_classes))
    return tables


def attribute_tables(report: FairnessReport, attribute: str) -> list[Table]:
    """Every table of one attribute, in reading order."""
    result = report.attributes[attribute]
    tables = [groups_table(attribute, result), gaps_table(attribute, result)]
    tables.append(_power_table(attribute, result))
    if result.controlled is not None:
        tables.append(_controlled_table(attribute, result))
    tables.append(equity_table(attribute, result))
    if result.prevalence is not None:
        tables.append(_prevalence_table(attribute, result, report))
    for group, found in result.group_classes.items():
        tables.append(_classes_table(f"Each class against the rest: {attribute} {group}", found))
    if result.class_gaps.classes:
        tables.append(_class_gaps_table(attribute, result.class_gaps))
    if result.curves:
        tables += [
            _confusion_table(attribute, result, report),
            _reliability_table(attribute, result),
        ]
    return tables


def groups_table(attribute: str, result: AttributeResult) -> Table:
    """One column per group, or one row where there are many."""
    columns = [
        [
            Cell(name),
            Cell(show_count(group.n)),
            Cell(show_count(group.positives)),
            *(_estimate_cell(metric, group.metrics[metric], True) for metric in METRICS),
        ]
        for name, group in result.groups.items()
    ]
    titles = [Cell(t) for t in ("Group", "Examples", "Positives")]
    titles += [Cell(metric.title) for metric in METRICS.values()]
    rows = [titles, *columns]
    if len(columns) <= MOST_COLUMNS:
        rows = list(zip(*rows, strict=True))
    header, *body = rows
    return Table(
        f"Groups of {attribute}", tuple(cell.text for cell in header), tuple(map(tuple, body))
    )


def gaps_table(attribute: str, result: AttributeResult) -> Table:
    """One row per gap, beside what chance gives."""
    header = ("Gap", "Observed", "Bias-corrected", "By chance", "p", "Corrected p", "Best", "Worst")
    rows = tuple(_gap_row(name, gap) for name, gap in result.gaps.items())
    return Table(f"Gaps between groups of {attribute}", header, rows)


def equity_table(attribute: str, result: AttributeResult) -> Table:
    """One row per equity-scaled score."""
    rows = tuple(
        (
            Cell(EQUITY_SCALED[name].title),
            Cell(SCORE.show(score.value), SCORE.show_range(score.interval, "")),
            Cell(SCORE.show_range(score.interval_bias_corrected, UNDEFINED)),
        )
        for name, score in result.equity_scaled.items()
    )
    header = ("Score", "Value", "Bias-corrected interval")
    return Table(f"Equity-scaled scores for {attribute}", header, rows)


def _power_table(attribute: str, result: AttributeResult) -> Table:
    rows = []
    for name, gap in result.gaps.items():
        power = gap.power
        if power is None:
            continue
        needed = UNDEFINED
        if power.needed_per_group is not None:
            needed = f"{power.needed_per_group:,}"
        rows.append(
            (
                Cell(GAPS[name].title),
                Cell(GAPS[name].show(power.detectable)),
                Cell(power.lagging or "any group"),
                Cell(needed, "" if needed == UNDEFINED else COUNTED[power.counted]),
            )
        )
    header = (
        "Gap",
        "Smallest that would be found",
        "If this group lags",
        "Needed per group for 5 points",
    )
    return Table(f"What the groups of {attribute} could show", header, tuple(rows))


def _controlled_table(attribute: str, result: AttributeResult) -> Table:
    controlled = result.controlled
    rows = tuple(
        (
            Cell(GAPS[name].title),
            Cell(GAPS[name].show(gap.value)),
            Cell(GAPS[name].show(gap.null_mean), QUANTITIES[name].show_range(gap.null_interval)),
            Cell(show_p_value(gap.p_value)),
            Cell(show_p_value(gap.p_value_holm)),
            Cell(f"{gap.strata:,}"),
            Cell(f"{gap.examples:,}"),
        )
        for name, gap in controlled.gaps.items()
    )
    header = ("Gap", "Mean over strata", "By chance", "p", "Corrected p", "Strata", "Examples")
    held = ", ".join(controlled.held)
    return Table(
        f"Gaps of {attribute} with {held} held fixed (strata of at least "
        f"{controlled.minimum_stratum_size})",
        header,
        rows,
    )


def _prevalence_table(attribute: str, result: AttributeResult, report: FairnessReport) -> Table:
    rows = tuple(
        (
            Cell(group),
            Cell(label),
            Cell(RATE.show(share.reference)),
            Cell(RATE.show(share.predicted)),
            Cell(RATE.show_number(share.shift), RATE.show_range(share.shift_interval)),
        )
        for group, shares in result.prevalence.groups.items()
        for label, share in shares.items()
        if len(report.classes) > 2 or label == report.positive
    )
    header = ("Group", "Class", "Labelled", "Predicted", "Shift, points")
    found = result.prevalence
    caption = f"How often each class is label and prediction, by {attribute}"
    if found.gap_p_value is not None:
        caption += (
            f" (labels '{report.positive}' differ by {RATE.show_number(found.gap)} points, by chance "
            f"{RATE.show_number(found.gap_null_mean)} on average, p {show_p_value(found.gap_p_value)})"
        )
    return Table(caption, header, rows)


def _classes_table(caption: str, found: ClassesResult) -> Table:
    rows = [_class_row(label, metrics) for label, metrics in found.classes.items()]
    rows.append(_class_row(MACRO, found.macro))
    header = ("Class", *(METRICS[name].title for name in ONE_VS_REST))
    return Table(caption, header, tuple(rows))


def _class_row(label: str, metrics: Mapping[str, Estimate]) -> tuple[Cell, ...]:
    return Cell(label), *(_estimate_cell(name, metrics[name], True) for name in ONE_VS_REST)


def _class_gaps_table(attribute: str, found: ClassGaps) -> Table:
    rows = tuple(
        (
            Cell(label),
            Cell(GAPS[name].title),
            Cell(GAPS[name].show(gap.value), QUANTITIES[name].show_range(gap.interval)),
            Cell(GAPS[name].show(gap.null_mean), QUANTITIES[name].show_range(gap.null_interval)),
            Cell(show_p_value(gap.p_value)),
            Cell(show_p_value(gap.p_value_holm)),
            Cell(gap.best or UNDEFINED),
            Cell(gap.worst or UNDEFINED),
        )
        for label, gaps in (*found.classes.items(), (MACRO, found.macro))
        for name, gap in gaps.items()
    )
    header = ("Class", "Gap", "Observed", "By chance", "p", "Corrected p", "Best", "Worst")
    return Table(f"Gaps between groups of {attribute}, each class against the rest", header, rows)


def _confusion_table(attribute: str, result: AttributeResult, report: FairnessReport) -> Table:
    rows = tuple(
        (Cell(group), Cell(label), *(Cell(f"{count:,}") for count in counts))
        for group, curves in result.curves.items()
        for label, counts in zip(report.classes, curves.confusion, strict=True)
    )
    header = ("Group", "Label", *(f"Predicted {name}" for name in report.classes))
    return Table(f"Confusion by {attribute}", header, rows)


def _reliability_table(attribute: str, result: AttributeResult) -> Table:
    rows = tuple(
        (
            Cell(group),
            Cell(f"{found.low:.2f} to {found.high:.2f}"),
            Cell(f"{found.n:,}"),
            Cell(SCORE.show(found.confidence)),
            Cell(SCORE.show(found.outcome), SCORE.show_range(found.interval, "")),
        )
        for group, curves in result.curves.items()
        for found in curves.reliability
    )
    header = ("Group", "Probability", "Examples", "Mean probability", "Came true")
    return Table(f"Calibration by {attribute}", header, rows)


def _gap_row(name: str, gap: GapResult) -> tuple[Cell, ...]:
    left_out = f"without {', '.join(gap.undefined_groups)}" if gap.undefined_groups else ""
    limits = QUANTITIES[name].show_range(gap.interval)
    return (
        Cell(GAPS[name].title, left_out),
        Cell(
            GAPS[name].show(gap.value),
            f"{limits}, biased" if limits and gap.interval_is_biased else limits,
        ),
        Cell(QUANTITIES[name].show_range(gap.interval_bias_corrected, UNDEFINED)),
        Cell(GAPS[name].show(gap.null_mean), QUANTITIES[name].show_range(gap.null_interval)),
        Cell(show_p_value(gap.p_value)),
        Cell(
            show_p_value(gap.p_value_holm),
            ""
            if gap.p_value_headline is None
            else f"over attributes {show_p_value(gap.p_value_headline)}",
        ),
        Cell(gap.best or UNDEFINED),
        Cell(gap.worst or UNDEFINED),
    )


def _estimate_cell(metric: str, estimate: Estimate, count_if_undefined: bool = False) -> Cell:
    text, limits = (
        METRICS[metric].show(estimate.value),
        QUANTITIES[metric].show_range(estimate.interval),
    )
    if estimate.value is None and count_if_undefined and estimate.count is not None:
        return Cell(text, f"{estimate.count} {COUNTED[METRICS[metric].rests_on]}")
    return Cell(text, f"{limits} (W)" if estimate.interval_method == "wilson" else limits)
