"""The figures of an ablation: a numeric axis against metric and gap, and the metric–gap plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import wrap

from fairlora_cls.ablations.plan import show_value
from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.runs import FollowedQuantity
from fairlora_cls.ablations.statistics import OverSeeds, SettingResult
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.drawing import WIDTH, Axes, Point, Sheet, spanning
from fairlora_cls.presentation.plotting import (
    MARKERS,
    MOST_DRAWN,
    draw_legend,
    finished,
    line_of,
)

WIDE = 50  # largest over smallest positive value of an axis that is drawn as a logarithm
Points = Sequence[tuple[float, SettingResult]]  # along the axis
Lines = Mapping[str, Points]  # other values → points


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
    drawn = dict(list(lines.items())[:MOST_DRAWN])
    values = sorted({x for points in drawn.values() for x, _ in points})
    is_wide = values[0] > 0 and values[-1] / values[0] > WIDE
    along = (values[0], values[-1]) if is_wide else spanning(values)
    sheet = Sheet(300 + 15 * ((len(drawn) + 1) // 2))
    band = _band(next(iter(drawn.values())), gap)
    for top, quantity in ((6, report.metric), (138, gap)):
        known = [values for points in drawn.values() for _, values in _known(points, quantity)]
        reached = [end for values in known for end in _ends(values)]
        chance = [100 * end for _, values in band for end in values.null_interval]
        ends = (
            spanning([*reached, *chance] or [0], 0) if quantity is gap else spanning(reached or [0])
        )
        heights = _possible(ends, reached)
        axes = Axes(sheet, 46, top, WIDTH - 60, 116, along, heights, is_wide)
        axes.x_axis(key if quantity is gap else "", values, has_grid=False)
        axes.y_axis(_axis_label(quantity))
        if quantity is gap:
            _draw_band(axes, band)
        _draw_lines(axes, drawn, quantity)
    if len(drawn) > 1:
        draw_legend(sheet, 290, dict.fromkeys(drawn, ""), 5)
    spoken = (
        f"{label + ': ' if label else ''}{name} {x:g}: "
        f"{report.metric.show(setting.numbers[report.metric].mean)}, "
        f"gap {gap.show(setting.numbers[gap].mean)}"
        for label, points in drawn.items()
        for x, setting in points
    )
    file = f"{file_stem(gap.attribute)}-{file_stem(key)}"
    return finished(sheet, gap.attribute, title, spoken, file)


def _draw_lines(axes: Axes, lines: Lines, quantity: FollowedQuantity) -> None:
    for number, points in enumerate(lines.values()):
        look = line_of(number, 1.8)
        known = _known(points, quantity)
        axes.line([(x, 100 * values.mean) for x, values in known], **look)
        for x, values in known:
            axes.line([(x, end) for end in _ends(values)], look["colour"], 1.2, opacity=0.8)
            axes.mark(x, 100 * values.mean, MARKERS[number], look["colour"], 5)


def _known(points: Points, quantity: FollowedQuantity) -> list[tuple[float, OverSeeds]]:
    known = [(x, setting.numbers[quantity]) for x, setting in points]
    return [(x, values) for x, values in known if values.mean is not None]


def _band(points: Points, gap: FollowedQuantity) -> list[tuple[float, OverSeeds]]:
    """Where along the axis chance is known."""
    known = [(x, setting.numbers[gap]) for x, setting in points]
    return [(x, values) for x, values in known if values.null_interval is not None]


def _draw_band(axes: Axes, band: Sequence[tuple[float, OverSeeds]]) -> None:
    if not band:
        return
    below, above = (
        [(x, 100 * values.null_interval[side]) for x, values in band] for side in (0, 1)
    )
    axes.area([*below, *reversed(above)], "band", 0.6)
    means = [(x, 100 * values.null_mean) for x, values in band]
    axes.line(means, "muted", 1, dashes=(3, 3))


def _plane_figure(report: AblationReport, gap: FollowedQuantity) -> ReportFigure:
    """A point per setting, its intervals, and the front that no setting beats.

    A setting so much worse than the others that these would lie on each other is an arrow at the
    lower edge; its number stands in its label.
    """
    points = report.plane(gap)
    front = report.fronts()[gap]
    title = f"{report.metric.title} against {gap.title}"
    settings = {s.name: s for s in report.settings if s.name in points}
    at = {name: (100 * size, 100 * metric) for name, (metric, size) in points.items()}
    across = {
        name: [_ends(s.numbers[q]) for q in (gap, report.metric)] for name, s in settings.items()
    }
    far = far_below({name: metric for name, (metric, _) in points.items()})
    near = [name for name in settings if name not in far]
    widths = [at[name][0] for name in far] + [end for name in near for end in across[name][0]]
    seen = [end for name in near for end in across[name][1]]
    heights = _possible(spanning(seen), seen)
    sheet = Sheet(256)
    axes = Axes(
        sheet, 46, 6, WIDTH - 136, 214, _possible(spanning(widths, least=0), widths), heights
    )
    axes.x_axis(_axis_label(gap))
    axes.y_axis(_axis_label(report.metric))
    steps = sorted(at[name] for name in front)
    corners = [(x, y) for (_, y), (x, _) in pairwise(steps)]
    path = [each for pair in zip(steps, corners, strict=False) for each in pair] + steps[-1:]
    axes.line(path, "accent", 1.4, dashes=(6, 3))
    labels = []
    for name, (x, y) in at.items():
        colour, shown = "accent" if name in front else "muted", name
        if name in far:
            y, shown = heights[0], f"{name}, {report.metric.show(points[name][0])}"
            axes.mark(x, y, "v", colour, 7)
        else:
            to_sides, to_ends = across[name]
            axes.line([(x, end) for end in to_ends], colour, 1, opacity=0.35)
            axes.line([(end, y) for end in to_sides], colour, 1, opacity=0.35)
            axes.mark(x, y, "o" if name in front else "s", colour, 6)
        labels.append((shown, axes.at(x, y)))
    _label_aside(axes, labels)
    spoken = (
        f"{name}: {report.metric.show(metric)}, gap {gap.show(size)}"
        + (", on the front" if name in front else "")
        for name, (metric, size) in points.items()
    )
    file = f"{file_stem(gap.attribute)}-plane"
    return finished(sheet, gap.attribute, title, spoken, file)


def far_below(values: Mapping[str, float]) -> list[str]:
    """Names of the lowest values without which the others, three or more, span less than a quarter."""
    names = sorted(values, key=lambda name: values[name])
    whole = values[names[-1]] - values[names[0]]
    for count in range(1, len(names) - 2):
        if values[names[-1]] - values[names[count]] < whole / 4:
            return names[:count]
    return []


def _label_aside(axes: Axes, labels: Sequence[tuple[str, Point]]) -> None:
    """Each point's name beside the axes, at the height of the point as far as others leave room."""
    bottom, left = axes.top + axes.height, axes.left + axes.width + 8
    ordered = sorted(labels, key=lambda label: label[1][1])
    texts = [wrap(text, 20, max_lines=2, placeholder="…") for text, _ in ordered]
    line = min(9.0, 0.9 * axes.height / sum(map(len, texts)))
    middles: list[float] = []
    for number, (_, (_, y)) in enumerate(ordered):
        middle = max(y, axes.top)
        if number:
            apart = line * (len(texts[number - 1]) + len(texts[number])) / 2 + line / 5
            middle = max(middle, middles[-1] + apart)
        middles.append(middle)
    lift = max(0.0, middles[-1] - bottom)
    for lines, (_, point), middle in zip(texts, ordered, middles, strict=True):
        place = (left, middle - lift)
        axes.sheet.line([point, place], "muted", 0.5, dashes=(1, 2), opacity=0.5)
        for number, text in enumerate(lines):
            height = place[1] + line * (number - (len(lines) - 1) / 2)
            axes.sheet.text((left + 2, height), text, size=min(7, line))


def _ends(values: OverSeeds) -> list[float]:
    """An interval times 100; without one, the smallest and the largest value."""
    return [100 * limit for limit in values.interval or (min(values.values), max(values.values))]


def _possible(ends: Point, drawn: Sequence[float]) -> Point:
    """The ends of an axis: from 0 to 100 at most, where all that is drawn lies between."""
    if not drawn or min(drawn) < 0 or max(drawn) > 100:
        return ends
    return max(ends[0], 0.0), min(ends[1], 100.0)


def _axis_label(quantity: FollowedQuantity) -> str:
    unit = {"rate": "%", "points": "points"}.get(quantity.unit, "× 100")
    return f"{quantity.title}, {unit}"


def _last_part(key: str) -> str:
    return key.rsplit(".", 1)[-1]
