"""The report's figures: each group with its interval, each gap beside what chance gives, and the
curves of `curve_figures.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from fairlora_cls.evaluation.curve_figures import draw_curves
from fairlora_cls.evaluation.results import Report, TextReport
from fairlora_cls.evaluation.wording import LEADING_GAPS, judge
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import COLOURS, finished, new_figure, shortened, style_axes

ROW_HEIGHT = 0.34  # inches
VERDICTS = {
    "untested": "not tested",
    "chance": "within chance",
    "lead": "a lead",
    "evidence": "more than chance",
}
MOST_ROWS = 24  # of more groups, the highest and the lowest are drawn
DRAWN_METRICS = ("accuracy", "auroc")
DRAWN_BESIDE = ("rouge_l", "bleu_4", "bleu_1")  # the first of them joins the headline metric


def draw_figures(report: Report) -> list[ReportFigure]:
    """For each attribute: two metrics by group, the leading gaps, and of classes the curves."""
    of_texts, metrics = isinstance(report, TextReport), DRAWN_METRICS
    if of_texts:
        beside = [n for n in DRAWN_BESIDE if n in report.metrics and n != report.headline]
        metrics = (report.headline, *beside[:1])
    figures = []
    for position, (name, result) in enumerate(report.attributes.items(), start=1):
        stem = f"{position}-{file_stem(name)}"
        for metric in metrics:
            if any(group.metrics[metric].value is not None for group in result.groups.values()):
                file = f"{stem}-{file_stem(metric)}.png"
                figures.append(_groups_figure(report, name, metric, file))
        leading = [
            gap
            for gap in (result.gaps if of_texts else LEADING_GAPS)
            if result.gaps[gap].null_interval is not None and _is_drawn(report, gap)
        ]
        if leading:
            figures.append(_gaps_figure(report, name, leading, f"{stem}-gaps.png"))
        if not of_texts:
            figures += draw_curves(report, name, stem)
    return figures


def _is_drawn(report: Report, gap: str) -> bool:
    """In hundredths, so that shares and scores stand on one axis: only fractions."""
    return all(report.measures[name].is_fraction for name in report.gaps[gap].metrics)


def _groups_figure(report: Report, attribute: str, name: str, file_name: str) -> ReportFigure:
    metric, of_texts = report.measures[name], isinstance(report, TextReport)
    groups = {
        group: result
        for group, result in report.attributes[attribute].groups.items()
        if result.metrics[name].value is not None
    }
    title = f"{metric.title[0].upper()}{metric.title[1:]} by {attribute}"
    spoken = "; ".join(
        f"{group} {metric.show(result.metrics[name].value)}"
        for group, result in list(groups.items())[:MOST_ROWS]
    )
    groups, remark = drawn_groups(groups, name)
    title += remark
    scale, overall = 100 if metric.unit == "rate" else 1, report.overall[name].value

    def draw(axes: Axes) -> None:
        estimates = [result.metrics[name] for result in groups.values()]
        draw_estimates(axes, estimates, overall, scale)
        medians = [getattr(estimate, "median", None) for estimate in estimates]
        for row, median in enumerate(medians):
            if median is not None:
                axes.plot(median.value * scale, row, "|", color=COLOURS["ink"], markersize=11)
        tick = "; tick: median" if any(medians) else ""
        percent = " (%)" if scale == 100 else ""
        everyone = "all texts" if of_texts else "all examples"
        axes.set_xlabel(f"{metric.title}{percent}{tick}; dashed: {everyone}")

    labels = [(shortened(group), f"n = {result.n:,}") for group, result in groups.items()]
    values = [metric.show(result.metrics[name].value) for result in groups.values()]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)


def _gaps_figure(
    report: Report, attribute: str, names: Iterable[str], file_name: str
) -> ReportFigure:
    gaps = {name: report.attributes[attribute].gaps[name] for name in names}
    title = f"Gaps between groups of {attribute}, beside chance"
    spoken = "; ".join(
        f"{report.gaps[name].title} {report.gaps[name].show(gap.value)}, by chance "
        f"{report.gaps[name].show_range(gap.null_interval)}"
        for name, gap in gaps.items()
    )
    hundredths = " (hundredths)" if isinstance(report, TextReport) else ""

    def draw(axes: Axes) -> None:
        draw_gaps(axes, gaps.values())
        axes.set_xlabel(f"Points{hundredths}; band: 95% of chance, tick: its mean")

    labels = [
        (
            shortened(re.sub(r" \(.*| gap.*| difference", "", report.gaps[name].title), 20),
            VERDICTS[judge(gap)],
        )
        for name, gap in gaps.items()
    ]
    values = [f"{100 * gap.value:.1f}" for gap in gaps.values()]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)


def drawn_groups(groups: Mapping[str, Any], metric: str) -> tuple[dict[str, Any], str]:
    """At most MOST_ROWS groups, those of the lowest and highest values, and what a title says of it.

    groups: name -> with `metrics`, whose value of this metric is known
    """
    if len(groups) <= MOST_ROWS:
        return dict(groups), ""
    ranked = sorted(groups, key=lambda name: groups[name].metrics[metric].value)
    kept = {*ranked[: MOST_ROWS // 2], *ranked[-MOST_ROWS // 2 :]}
    remark = f" (lowest and highest {MOST_ROWS // 2} of {len(groups)})"
    return {name: group for name, group in groups.items() if name in kept}, remark


def draw_estimates(
    axes: Axes, estimates: Iterable[Any], overall: float | None, scale: float
) -> None:
    """A row each: value and interval, times `scale`; a dashed line at the value of all."""
    if overall is not None:
        axes.axvline(overall * scale, color=COLOURS["muted"], linewidth=1, dashes=(3, 3))
    for row, estimate in enumerate(estimates):
        if estimate.interval is not None:
            ends = [limit * scale for limit in estimate.interval]
            axes.plot(ends, [row, row], color=COLOURS["accent"], linewidth=2.2)
        axes.plot(estimate.value * scale, row, "o", color=COLOURS["accent"], markersize=6.5)


def draw_gaps(axes: Axes, gaps: Iterable[Any]) -> None:
    """A row each, in hundredths: the gap, and 95% of chance as a band with its mean."""
    for row, gap in enumerate(gaps):
        low, high = (100 * limit for limit in gap.null_interval)
        axes.plot([low, high], [row, row], color=COLOURS["band"], linewidth=10)
        mean = 100 * gap.null_mean
        axes.plot([mean, mean], [row - 0.2, row + 0.2], color=COLOURS["muted"], linewidth=1.4)
        beyond = judge(gap) == "evidence"
        colour = COLOURS["alert"] if beyond else COLOURS["accent"]
        axes.plot(100 * gap.value, row, "D" if beyond else "o", color=colour, markersize=6.5)
    axes.set_xlim(left=0)


def finish_rows(
    attribute: str,
    title: str,
    alternative_text: str,
    file_name: str,
    labels: list[tuple[str, str]],
    values: list[str],
    draw: Callable[[Axes], None],
) -> ReportFigure:
    """One row per label, with a name above a remark on the left and its value on the right."""
    height = ROW_HEIGHT * len(labels) + 0.55
    figure = new_figure(height)
    axes = figure.add_axes((0.33, 0.47 / height, 0.54, 1 - 0.53 / height))
    draw(axes)
    style_axes(axes)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    for line in axes.lines:
        line.set_clip_on(False)
        line.set_solid_capstyle("round" if line.get_linewidth() < 5 else "butt")
    for row, ((name, remark), value) in enumerate(zip(labels, values, strict=True)):
        _write(axes, -0.04, row - 0.16, name, "ink", "right", 9)
        _write(axes, -0.04, row + 0.24, remark, "muted", "right", 7)
        _write(axes, 1.05, row, value.removesuffix("%"), "ink", "left", 9)
    return finished(figure, attribute, title, alternative_text, file_name)


def _write(axes: Axes, x: float, row: float, text: str, colour: str, side: str, size: int) -> None:
    axes.text(
        x,
        row,
        text,
        color=COLOURS[colour],
        ha=side,
        va="center",
        size=size,
        transform=axes.get_yaxis_transform(),
        parse_math=False,  # a group may be called "$x$"
    )
