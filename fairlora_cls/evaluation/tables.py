"""Every number of a report as tables of text, for report.md and report.html alike."""

from dataclasses import dataclass

from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS
from fairlora_cls.evaluation.results import AttributeResult, Estimate, FairnessReport, GapResult
from fairlora_cls.evaluation.wording import (
    UNDEFINED,
    format_gap,
    format_metric,
    format_p_value,
    format_range,
)

MOST_COLUMNS = 6  # with more groups than this, groups become the rows


@dataclass(frozen=True)
class Cell:
    """A value and, below it in small print, its interval or a remark."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """Text only; the first column names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def overall_table(report: FairnessReport) -> Table:
    """All examples together: one row per metric."""
    rows = tuple(
        (Cell(METRICS[name].title), _estimate_cell(name, estimate))
        for name, estimate in report.overall.items()
    )
    return Table("All examples", ("Metric", "Value"), rows)


def groups_table(attribute: str, result: AttributeResult) -> Table:
    """One column per group, or one row where there are many."""
    columns = [
        [
            Cell(name),
            Cell(f"{group.n:,}"),
            Cell(f"{group.positives:,}"),
            *(_estimate_cell(metric, group.metrics[metric]) for metric in METRICS),
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
    header = ("Gap", "Observed", "By chance", "p", "Best", "Worst")
    rows = tuple(_gap_row(name, gap) for name, gap in result.gaps.items())
    return Table(f"Gaps between groups of {attribute}", header, rows)


def equity_table(attribute: str, result: AttributeResult) -> Table:
    """One row per equity-scaled score."""
    rows = tuple(
        (
            Cell(EQUITY_SCALED[name].title),
            Cell(
                UNDEFINED if score.value is None else f"{score.value:.3f}",
                "" if score.interval is None else _plain_range(score.interval),
            ),
        )
        for name, score in result.equity_scaled.items()
    )
    return Table(f"Equity-scaled scores for {attribute}", ("Score", "Value"), rows)


def _gap_row(name: str, gap: GapResult) -> tuple[Cell, ...]:
    left_out = f"without {', '.join(gap.undefined_groups)}" if gap.undefined_groups else ""
    return (
        Cell(GAPS[name].title, left_out),
        Cell(format_gap(name, gap.value), _range_or_nothing(name, gap.interval)),
        Cell(format_gap(name, gap.null_mean), _range_or_nothing(name, gap.null_interval)),
        Cell(format_p_value(gap.p_value)),
        Cell(gap.best or UNDEFINED),
        Cell(gap.worst or UNDEFINED),
    )


def _estimate_cell(metric: str, estimate: Estimate) -> Cell:
    return Cell(format_metric(metric, estimate.value), _range_or_nothing(metric, estimate.interval))


def _range_or_nothing(name: str, limits: tuple[float, float] | None) -> str:
    return "" if limits is None else format_range(name, limits)


def _plain_range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.3f} to {limits[1]:.3f}"
