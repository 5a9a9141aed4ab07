"""The figures of a report on texts: each group with its interval, each gap beside chance."""

from matplotlib.axes import Axes

from fairlora_cls.evaluation.figures import (
    MOST_ROWS,
    VERDICTS,
    draw_estimates,
    draw_gaps,
    drawn_groups,
    finish_rows,
)
from fairlora_cls.evaluation.text_results import TextMetric, TextReport
from fairlora_cls.evaluation.wording import judge
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import COLOURS, shortened

DRAWN_BESIDE = ("rouge_l", "bleu_4", "bleu_1")  # the first of them joins the headline metric


def draw_text_figures(report: TextReport) -> list[ReportFigure]:
    """For each attribute: the headline metric by group, one of word overlap, and all gaps."""
    beside = [n for n in DRAWN_BESIDE if n in report.metrics and n != report.headline]
    figures = []
    for position, (name, result) in enumerate(report.attributes.items(), start=1):
        stem = f"{position}-{file_stem(name)}"
        for metric in (report.headline, *beside[:1]):
            if any(group.metrics[metric].value is not None for group in result.groups.values()):
                figures.append(
                    _groups_figure(report, name, metric, f"{stem}-{file_stem(metric)}.png")
                )
        if any(gap.null_interval is not None for gap in result.gaps.values()):
            figures.append(_gaps_figure(report, name, f"{stem}-gaps.png"))
    return figures


def _groups_figure(report: TextReport, attribute: str, name: str, file_name: str) -> ReportFigure:
    metric = report.metrics[name]
    groups = {
        group: found
        for group, found in report.attributes[attribute].groups.items()
        if found.metrics[name].value is not None
    }
    title = f"{metric.title[0].upper()}{metric.title[1:]} by {attribute}"
    spoken = "; ".join(
        f"{group} {metric.show(found.metrics[name].value)}"
        for group, found in list(groups.items())[:MOST_ROWS]
    )
    groups, remark = drawn_groups(groups, name)
    title += remark
    scale, overall = _scale(metric), report.overall[name].value

    def draw(axes: Axes) -> None:
        estimates = [group.metrics[name] for group in groups.values()]
        draw_estimates(axes, estimates, overall, scale)
        for row, estimate in enumerate(estimates):
            if estimate.median is not None:
                axes.plot(
                    estimate.median.value * scale, row, "|", color=COLOURS["ink"], markersize=11
                )
        median = "; tick: median" if metric.kind == "mean" else ""
        percent = " (%)" if scale == 100 else ""
        axes.set_xlabel(f"{metric.title}{percent}{median}; dashed: all texts")

    labels = [(shortened(group), f"n = {found.n:,}") for group, found in groups.items()]
    values = [metric.show(found.metrics[name].value) for found in groups.values()]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)


def _gaps_figure(report: TextReport, attribute: str, file_name: str) -> ReportFigure:
    """In hundredths, so that shares and scores stand on one axis."""
    gaps = {
        name: report.attributes[attribute].gaps[f"{name}_gap"]
        for name, metric in report.metrics.items()
        if metric.is_fraction
    }
    gaps = {name: gap for name, gap in gaps.items() if gap.null_interval is not None}
    title = f"Gaps between groups of {attribute}, beside chance"
    spoken = "; ".join(
        f"{report.metrics[name].title} {report.metrics[name].show_gap(gap.value)}, by chance "
        f"{report.metrics[name].show_range(gap.null_interval)}"
        for name, gap in gaps.items()
    )

    def draw(axes: Axes) -> None:
        draw_gaps(axes, gaps.values())
        axes.set_xlabel("Points (hundredths); band: 95% of chance, tick: its mean")

    labels = [
        (shortened(report.metrics[name].title, 20), VERDICTS[judge(gap)])
        for name, gap in gaps.items()
    ]
    values = [f"{100 * gap.value:.1f}" for gap in gaps.values()]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)


def _scale(metric: TextMetric) -> int:
    return 100 if metric.kind == "rate" else 1
