"""The report's figures: each group with its interval, each gap beside what chance gives, and the
curves of `curve_figures.py`."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from fairlora_cls.evaluation.curve_figures import draw_curves
from fairlora_cls.evaluation.metrics import GAPS, METRICS, QUANTITIES
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.wording import (
    LEADING_GAPS,
    judge,
)
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


def draw_figures(report: FairnessReport) -> list[ReportFigure]:
    """For each attribute: accuracy by group, AUROC by group, the leading gaps, and the curves."""
    figures = []
    for position, (name, result) in enumerate(report.attributes.items(), start=1):
        stem = f"{position}-{file_stem(name)}"
        for metric in DRAWN_METRICS:
            if any(group.metrics[metric].value is not None for group in result.groups.values()):
                figures.append(_groups_figure(report, name, metric, f"{stem}-{metric}.png"))
        if any(result.gaps[gap].null_interval for gap in LEADING_GAPS):
            figures.append(_gaps_figure(name, result, f"{stem}-gaps.png"))
        figures += draw_curves(report, name, stem)
    return figures


def _groups_figure(
    report: FairnessReport, attribute: str, metric: str, file_name: str
) -> ReportFigure:
    groups = {
        name: group
        for name, group in report.attributes[attribute].groups.items()
        if group.metrics[metric].value is not None
    }
    title = f"{METRICS[metric].title} by {attribute}"
    spoken = "; ".join(
        f"{name} {METRICS[metric].show(group.metrics[metric].value)}"
        for name, group in list(groups.items())[:MOST_ROWS]
    )
    groups, remark = drawn_groups(groups, metric)
    title += remark
    scale = 1 if "probabilities" in METRICS[metric].reads else 100
    overall = report.overall[metric].value

    def draw(axes: Axes) -> None:
        draw_estimates(axes, [group.metrics[metric] for group in groups.values()], overall, scale)
        axes.set_xlabel(
            f"{METRICS[metric].title}{' (%)' if scale == 100 else ''}; dashed: all examples"
        )

    labels = [(shortened(name), f"n = {group.n:,}") for name, group in groups.items()]
    values = [METRICS[metric].show(group.metrics[metric].value) for group in groups.values()]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)


def _gaps_figure(attribute: str, result: AttributeResult, file_name: str) -> ReportFigure:
    gaps = {
        name: result.gaps[name]
        for name in LEADING_GAPS
        if result.gaps[name].null_interval is not None
    }
    title = f"Gaps between groups of {attribute}, beside chance"
    spoken = "; ".join(
        f"{GAPS[name].title} {GAPS[name].show(gap.value)}, by chance "
        f"{QUANTITIES[name].show_range(gap.null_interval)}"
        for name, gap in gaps.items()
    )

    def draw(axes: Axes) -> None:
        draw_gaps(axes, gaps.values())
        axes.set_xlabel("Points; band: 95% of chance, tick: its mean")

    short = [re.sub(r" \(.*| gap.*| difference", "", GAPS[name].title) for name in gaps]
    labels = [
        (label, VERDICTS[judge(gap)]) for label, gap in zip(short, gaps.values(), strict=True)
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
