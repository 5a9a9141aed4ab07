"""The figures of an ablation: a numeric axis against metric and gap, and the metric–gap plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from fairlora_cls.ablations.plan import show_value
from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.runs import FollowedQuantity
from fairlora_cls.ablations.statistics import OverSeeds, SettingResult
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import (
    COLOURS,
    MOST_DRAWN,
    finished,
    line_of,
    new_figure,
    style_axes,
)

WIDE = 50  # largest over smallest positive value of an axis that is drawn as a logarithm
Lines = Mapping[str, Sequence[tuple[float, SettingResult]]]  # other values → points along the axis


def draw_ablation_figures(report: AblationReport) -> list[ReportFigure]:
    """For each attribute, one figure per numeric axis and the plane of metric and gap."""
    figures = []
    for gap in report.gaps():
        for key, lines in numeric_axes(report.settings).items():
            figures.append(_axis_figure(report, gap, key, lines))
        if len(report.plane(gap)) > 1:
            figures.append(_plane_figure(report, gap))
    return figures


def numeric_axes(settings: Sequence[SettingResult]) -> dict[str, Lines]:
    """Every varied key that has two or more numbers as values: its settings along it, a line for
    each combination of the other values."""
    axes: dict[str, dict[str, list[tuple[float, SettingResult]]]] = {}
    for setting in settings:
        for key, value in setting.values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                label = ", ".join(
                    f"{_last_part(other)} {show_value(of_other)}"
                    for other, of_other in setting.values.items()
                    if other != key
                )
                axes.setdefault(key, {}).setdefault(label, []).append((float(value), setting))
    lines = {
        key: {
            label: sorted(points, key=lambda point: point[0])
            for label, points in of_key.items()
            if len(points) > 1
        }
        for key, of_key in axes.items()
    }
    return {key: of_key for key, of_key in lines.items() if of_key}


def _axis_figure(
    report: AblationReport, gap: FollowedQuantity, key: str, lines: Lines
) -> ReportFigure:
    """Metric above, gap below, over the values of one key."""
    name = _last_part(key).replace("_", " ")
    title = f"{report.metric.title} and {gap.title} by {name}"
    figure = new_figure(4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    drawn = dict(list(lines.items())[:MOST_DRAWN])
    for axes, quantity in ((upper, report.metric), (lower, gap)):
        style_axes(axes, ("bottom", "left"))
        reached = _draw_lines(axes, drawn, quantity)
        axes.set_ylabel(_axis_label(quantity))
        if axes is lower:
            _draw_band(lower, next(iter(drawn.values())), gap)
            lower.set_ylim(bottom=0)
        axes.set_ylim(_possible(axes.get_ylim(), reached))
    values = sorted({x for points in drawn.values() for x, _ in points})
    if values[0] > 0 and values[-1] / values[0] > WIDE:
        lower.set_xscale("log")
    lower.set_xticks(values, [f"{x:g}" for x in values])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel(key)
    if len(drawn) > 1:
        upper.legend(frameon=False, fontsize=8, labelcolor=COLOURS["ink"], loc="best")
    figure.subplots_adjust(left=0.16, right=0.97, top=0.97, bottom=0.12, hspace=0.14)
    spoken = (
        f"{label + ': ' if label else ''}{name} {x:g}: "
        f"{report.metric.show(setting.numbers[report.metric].mean)}, "
        f"gap {gap.show(setting.numbers[gap].mean)}"
        for label, points in drawn.items()
        for x, setting in points
    )
    file = f"{file_stem(gap.attribute)}-{file_stem(key)}.png"
    return finished(figure, gap.attribute, title, spoken, file)


def _draw_lines(axes: Axes, lines: Lines, quantity: FollowedQuantity) -> list[float]:
    """Draws a line for each combination of other values; returns the heights that it reaches."""
    reached: list[float] = []
    for number, (label, points) in enumerate(lines.items()):
        style = line_of(number, 1.8, 5)
        known = [(x, setting.numbers[quantity]) for x, setting in points]
        known = [(x, values) for x, values in known if values.mean is not None]
        heights = [100 * values.mean for _, values in known]
        axes.plot([x for x, _ in known], heights, label=label, **style)
        for x, values in known:
            ends = _ends(values)
            axes.plot([x, x], ends, color=style["color"], linewidth=1.2, alpha=0.8)
            reached += ends
    return reached


def _draw_band(
    axes: Axes, points: Sequence[tuple[float, SettingResult]], gap: FollowedQuantity
) -> None:
    known = [(x, setting.numbers[gap]) for x, setting in points]
    known = [(x, values) for x, values in known if values.null_interval is not None]
    if not known:
        return
    along = [x for x, _ in known]
    low, high = 100 * np.array([values.null_interval for _, values in known]).T
    axes.fill_between(along, low, high, color=COLOURS["band"], linewidth=0, alpha=0.6)
    means = [100 * values.null_mean for _, values in known]
    axes.plot(along, means, color=COLOURS["muted"], linewidth=1, dashes=(3, 3))


def _plane_figure(report: AblationReport, gap: FollowedQuantity) -> ReportFigure:
    """A point per setting, its intervals, and the front that no setting beats.

    A setting so much worse than the others that these would lie on each other is an arrow at the
    lower edge; its number stands in its label.
    """
    points = report.plane(gap)
    front = report.fronts()[gap]
    title = f"{report.metric.title} against {gap.title}"
    figure = new_figure(3.9)
    axes = figure.subplots()
    style_axes(axes, ("bottom", "left"))
    at = {name: (100 * metric, 100 * size) for name, (metric, size) in points.items()}
    steps = sorted((at[name][1], at[name][0]) for name in front)
    axes.step(
        *zip(*steps, strict=True), where="post", color=COLOURS["accent"], lw=1.4, dashes=(4, 2)
    )
    settings = {s.name: s for s in report.settings if s.name in points}
    colours = {n: COLOURS["accent" if n in front else "muted"] for n in settings}
    far = far_below({name: metric for name, (metric, _) in points.items()})
    seen: list[float] = []
    wide: list[float] = []
    for name in (n for n in settings if n not in far):
        (y, x), colour = at[name], colours[name]
        heights, widths = (_ends(settings[name].numbers[q]) for q in (report.metric, gap))
        axes.plot([x, x], heights, color=colour, linewidth=1, alpha=0.35)
        axes.plot(widths, [y, y], color=colour, linewidth=1, alpha=0.35)
        axes.plot(x, y, "o" if name in front else "s", color=colour, markersize=6)
        seen += heights
        wide += widths
    room = 0.08 * ((max(seen) - min(seen)) or 1.0)
    floor, top = _possible((min(seen) - room, max(seen) + room), seen)
    axes.set_ylim(floor, top)
    for name in far:
        axes.plot(at[name][1], floor, "v", color=colours[name], markersize=7, clip_on=False)
    axes.set_xlabel(_axis_label(gap))
    axes.set_ylabel(_axis_label(report.metric))
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.set_xlim(_possible(axes.get_xlim(), wide))
    labels = [
        (f"{name}, {report.metric.show(points[name][0])}", (x, floor))
        if name in far
        else (name, (x, y))
        for name, (y, x) in at.items()
    ]
    _label_aside(axes, labels)
    figure.subplots_adjust(left=0.13, right=0.68, top=0.97, bottom=0.13)
    spoken = (
        f"{name}: {report.metric.show(metric)}, gap {gap.show(size)}"
        + (", on the front" if name in front else "")
        for name, (metric, size) in points.items()
    )
    file = f"{file_stem(gap.attribute)}-plane.png"
    return finished(figure, gap.attribute, title, spoken, file)


def far_below(values: Mapping[str, float]) -> list[str]:
    """Names of the lowest values without which the others, three or more, span less than a quarter."""
    names = sorted(values, key=lambda name: values[name])
    whole = values[names[-1]] - values[names[0]]
    for count in range(1, len(names) - 2):
        if values[names[-1]] - values[names[count]] < whole / 4:
            return names[:count]
    return []


def _label_aside(axes: Axes, labels: Sequence[tuple[str, tuple[float, float]]]) -> None:
    """Each point's name beside the axes, at the height of the point as far as others leave room."""
    low, high = axes.get_ylim()
    ordered = sorted(labels, key=lambda label: -label[1][1])
    texts = [wrap(text, 20, max_lines=2, placeholder="…") for text, _ in ordered]
    line = min(0.05, 0.9 / sum(map(len, texts)))  # of the axes' height
    heights: list[float] = []
    for number, (_, (_, y)) in enumerate(ordered):
        height = min((y - low) / (high - low), 1.0)
        if number:
            apart = line * (len(texts[number - 1]) + len(texts[number])) / 2 + line / 5
            height = min(height, heights[-1] - apart)
        heights.append(height)
    lift = max(0.0, -heights[-1])
    for lines, (_, point), height in zip(texts, ordered, heights, strict=True):
        axes.annotate(
            "\n".join(lines),
            point,
            xytext=(1.04, height + lift),
            textcoords="axes fraction",
            size=8,
            va="center",
            color=COLOURS["ink"],
            arrowprops={
                "arrowstyle": "-",
                "linestyle": ":",
                "color": COLOURS["muted"],
                "linewidth": 0.6,
                "alpha": 0.5,
                "shrinkB": 4,
            },
            parse_math=False,
            annotation_clip=False,
        )


def _ends(values: OverSeeds) -> list[float]:
    """An interval times 100; without one, the smallest and the largest value."""
    return [100 * limit for limit in values.interval or (min(values.values), max(values.values))]


def _possible(ends: tuple[float, float], drawn: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis: from 0 to 100 at most, where all that is drawn lies between."""
    if not drawn or min(drawn) < 0 or max(drawn) > 100:
        return ends
    return max(ends[0], 0.0), min(ends[1], 100.0)


def _axis_label(quantity: FollowedQuantity) -> str:
    unit = {"rate": "%", "points": "points"}.get(quantity.unit, "× 100")
    return f"{quantity.title}, {unit}"


def _last_part(key: str) -> str:
    return key.rsplit(".", 1)[-1]
