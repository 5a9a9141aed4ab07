"""Every number of a report on texts as tables of text, for report.md and report.html alike."""

from fairlora_cls.evaluation.metrics import equity_scaled
from fairlora_cls.evaluation.results import AttributeResult, Controlled, Estimate, GapResult
from fairlora_cls.evaluation.tables import MOST_COLUMNS
from fairlora_cls.evaluation.text_results import (
    FindingShifts,
    QuestionResult,
    TextEstimate,
    TextMetric,
    TextReport,
    equity_nouns,
)
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import RATE, SCORE, UNDEFINED, show_p_value

GAP_HEADER = ("Gap", "Observed", "Bias-corrected", "By chance", "p", "Corrected p", "Best", "Worst")
SHORT_GAP_HEADER = tuple(name for name in GAP_HEADER if name != "Bias-corrected")


def overall_text_tables(report: TextReport) -> list[Table]:
    """All texts together beside the constant answer: one row per metric."""
    header = (
        "Metric",
        "Mean",
        "Bias-corrected interval",
        "Median",
        "Constant answer",
        "Difference",
        "Texts",
    )
    rows = tuple(
        (
            Cell(metric.title),
            _score_cell(metric, report.overall[name]),
            Cell(metric.show_range(report.overall[name].interval_bias_corrected, UNDEFINED)),
            _median_cell(metric, report.overall[name]),
            *_constant_cells(report, name),
            Cell(f"{report.overall[name].count:,}"),
        )
        for name, metric in report.metrics.items()
    )
    return [Table("All texts", header, rows)]


def question_tables(report: TextReport) -> list[Table]:
    """Each question by itself: overall scores, and the headline's gaps; none for one question."""
    if not report.questions:
        return []
    used = {
        name: metric
        for name, metric in report.metrics.items()
        if any(name in found.overall for found in report.questions.values())
    }
    overall = tuple(
        (
            Cell(question),
            Cell(f"{found.n:,}"),
            *(_question_cell(metric, found, name) for name, metric in used.items()),
        )
        for question, found in report.questions.items()
    )
    tables = [
        Table("Each question", ("Question", "Texts", *(m.title for m in used.values())), overall)
    ]
    for attribute in report.attributes:
        rows = tuple(
            (
                Cell(question),
                *_gap_row(metric, found.attributes[attribute].gaps[f"{name}_gap"], True),
            )
            for question, found in report.questions.items()
            for name, metric in used.items()
            if name in found.overall
        )
        caption = f"Gaps between groups of {attribute}, by question"
        tables.append(Table(caption, ("Question", *SHORT_GAP_HEADER), rows))
    return tables


def text_attribute_tables(report: TextReport, attribute: str) -> list[Table]:
    """Every table of one attribute, in reading order."""
    result = report.attributes[attribute]
    gaps = tuple(
        _gap_row(metric, result.gaps[f"{name}_gap"]) for name, metric in report.metrics.items()
    )
    tables = [
        _groups_table(report, attribute, result),
        Table(f"Gaps between groups of {attribute}", GAP_HEADER, gaps),
    ]
    if result.controlled is not None:
        tables.append(_controlled_table(report, attribute, result.controlled))
    tables.append(_equity_table(report, attribute, result))
    if attribute in report.shifts:
        tables += _shift_tables(attribute, report.shifts[attribute])
    return tables


def _groups_table(report: TextReport, attribute: str, result: AttributeResult) -> Table:
    """One column per group, or one row where there are many; a row per mean and per median."""
    titles = ["Group", "Texts", "Images"]
    for metric in report.metrics.values():
        titles += [metric.title] + ([f"{metric.title}, median"] if metric.kind == "mean" else [])
    columns = []
    for name, group in result.groups.items():
        cells = [Cell(name), Cell(f"{group.n:,}"), Cell(f"{group.examples:,}")]
        for key, metric in report.metrics.items():
            cells.append(_score_cell(metric, group.metrics[key]))
            if metric.kind == "mean":
                cells.append(_median_cell(metric, group.metrics[key]))
        columns.append(cells)
    rows = [list(map(Cell, titles)), *columns]
    if len(columns) <= MOST_COLUMNS:
        rows = list(zip(*rows, strict=True))
    header, *body = rows
    return Table(
        f"Groups of {attribute}", tuple(cell.text for cell in header), tuple(map(tuple, body))
    )


def _gap_row(metric: TextMetric, gap: GapResult, is_short: bool = False) -> tuple[Cell, ...]:
    """The cells of GAP_HEADER, or of SHORT_GAP_HEADER."""
    left_out = f"without {', '.join(gap.undefined_groups)}" if gap.undefined_groups else ""
    limits = metric.show_range(gap.interval)
    headline = gap.p_value_headline
    return (
        Cell(metric.title, left_out),
        Cell(
            metric.show_gap(gap.value),
            f"{limits}, biased" if limits and gap.interval_is_biased else limits,
        ),
        *([] if is_short else [Cell(metric.show_range(gap.interval_bias_corrected, UNDEFINED))]),
        Cell(metric.show_gap(gap.null_mean), metric.show_range(gap.null_interval)),
        Cell(show_p_value(gap.p_value)),
        Cell(
            show_p_value(gap.p_value_holm),
            "" if headline is None else f"over attributes {show_p_value(headline)}",
        ),
        Cell(gap.best or UNDEFINED),
        Cell(gap.worst or UNDEFINED),
    )


def _controlled_table(report: TextReport, attribute: str, controlled: Controlled) -> Table:
    rows = tuple(
        (
            Cell(metric.title),
            Cell(metric.show_gap(gap.value)),
            Cell(metric.show_gap(gap.null_mean), metric.show_range(gap.null_interval)),
            Cell(show_p_value(gap.p_value)),
            Cell(show_p_value(gap.p_value_holm)),
            Cell(f"{gap.strata:,}"),
            Cell(f"{gap.examples:,}"),
        )
        for metric, gap in (
            (metric, controlled.gaps[f"{name}_gap"]) for name, metric in report.metrics.items()
        )
    )
    header = ("Gap", "Mean over strata", "By chance", "p", "Corrected p", "Strata", "Images")
    caption = (
        f"Gaps of {attribute} with {', '.join(controlled.held)} held fixed (strata of at least "
        f"{controlled.minimum_stratum_size} images)"
    )
    return Table(caption, header, rows)


def _equity_table(report: TextReport, attribute: str, result: AttributeResult) -> Table:
    titles = equity_scaled(equity_nouns(report.metrics))
    rows = tuple(
        (
            Cell(titles[name].title),
            Cell(SCORE.show(score.value), SCORE.show_range(score.interval)),
            Cell(SCORE.show_range(score.interval_bias_corrected, UNDEFINED)),
        )
        for name, score in result.equity_scaled.items()
    )
    header = ("Score", "Value", "Bias-corrected interval")
    return Table(f"Equity-scaled scores for {attribute}", header, rows)


def _shift_tables(attribute: str, shifts: FindingShifts) -> list[Table]:
    rows = tuple(
        (
            Cell(finding),
            Cell(group),
            Cell(f"{100 * share.reference:.1f}%"),
            Cell(f"{100 * share.generated:.1f}%"),
            Cell(f"{100 * share.shift:+.1f}", RATE.show_range(share.shift_interval)),
            Cell(SCORE.show(share.f1)),
        )
        for finding in shifts.gaps
        for group, shares in shifts.groups.items()
        for share in (shares[finding],)
    )
    header = ("Finding", "Group", "In references", "In texts", "Shift, points", "F1")
    without = f"; without {', '.join(shifts.left_out)}" if shifts.left_out else ""
    caption = (
        f"How often references and texts state each finding, by {attribute} (groups of at least "
        f"{shifts.minimum} images{without})"
    )
    gaps = tuple(
        (
            Cell(finding),
            Cell(RATE.show_number(gap.value), RATE.show_range(gap.interval)),
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


def _score_cell(metric: TextMetric, estimate: Estimate) -> Cell:
    limits = metric.show_range(estimate.interval)
    wilson = " (W)" if estimate.interval_method == "wilson" else ""
    return Cell(metric.show(estimate.value), limits + wilson)


def _median_cell(metric: TextMetric, estimate: TextEstimate) -> Cell:
    return Cell(UNDEFINED) if estimate.median is None else _score_cell(metric, estimate.median)


def _question_cell(metric: TextMetric, found: QuestionResult, name: str) -> Cell:
    return _score_cell(metric, found.overall[name]) if name in found.overall else Cell(UNDEFINED)


def _constant_cells(report: TextReport, name: str) -> tuple[Cell, Cell]:
    score, metric = report.constant.scores.get(name), report.metrics[name]
    if score is None:
        return Cell(UNDEFINED), Cell(UNDEFINED)
    difference = score.difference
    return (
        Cell(metric.show(score.value)),
        Cell(metric.show_signed(difference.value), metric.show_range(difference.interval)),
    )
