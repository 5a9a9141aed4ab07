"""The figures that every report shares: rows of values, curves of groups with their legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.drawing import WIDTH, Axes, Point, Sheet, spanning
from fairlora_cls.presentation.numbers import Limits

# Groups differ by dashes and markers too, not by colour alone.
LINES = ((), (8, 2.5), (2.5, 2), (9, 2.5, 2.5, 2.5), (5, 4), (13, 3))  # dashes, points
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_DRAWN = len(LINES)  # groups in one set of axes; of more, the largest
ROW_HEIGHT = 24.0  # points
MOST_ROWS = 24
NAMES, VALUES = 92.0, 36.0  # points on both sides of the rows


@dataclass(frozen=True)
class Row:
    """A value with its interval, in a row of its own."""

    name: str
    remark: str  # below the name
    shown: str  # the value, on the right
    spoken: str  # all of it in words
    value: float
    interval: Limits | None = None
    stands_out: bool = False  # drawn as a diamond, in the colour of warnings
    band: Limits | None = None  # behind the value
    tick: float | None = None  # a short upright line


@dataclass(frozen=True)
class Curve:
    """One line of `draw_curves`."""

    points: Sequence[Point]
    remark: str = ""  # beside its name in the legend
    beside: Sequence[Point] = ()  # a thin line that looks alike


def draw_rows(
    attribute: str,
    title: str,
    file_name: str,
    rows: Sequence[Row],
    axis_label: str,
    *,
    scale: float = 100,
    mark: float | None = None,
    least: float | None = None,
) -> ReportFigure:
    """A row each, values times `scale`.

    mark: a value at which a dashed line goes from top to bottom; least: where the axis begins
    """
    height = ROW_HEIGHT * len(rows)
    sheet = Sheet(height + 36)
    drawn = [row.value for row in rows] + ([] if mark is None else [mark])
    for row in rows:
        drawn += [*(row.interval or ()), *(row.band or ())]
        drawn += [] if row.tick is None else [row.tick]
    ends = spanning([scale * value for value in drawn], least=least)
    axes = Axes(sheet, NAMES, 4, WIDTH - NAMES - VALUES, height, ends, (len(rows) - 0.5, -0.5))
    axes.x_axis(axis_label)
    if mark is not None:
        axes.line(
            [(scale * mark, -0.5), (scale * mark, len(rows) - 0.5)], "muted", 1, dashes=(3, 3)
        )
    for place, row in enumerate(rows):
        colour = "alert" if row.stands_out else "accent"
        _, middle = axes.at(0, place)
        if row.band is not None:
            axes.line([(scale * end, place) for end in row.band], "band", 10)
        if row.interval is not None:
            axes.line([(scale * end, place) for end in row.interval], colour, 2.2)
        if row.tick is not None:
            axes.line([(scale * row.tick, place + part) for part in (-0.22, 0.22)], "muted", 1.4)
        axes.mark(scale * row.value, place, "D" if row.stands_out else "o", colour, 6.5)
        sheet.text((NAMES - 6, middle - 4), shortened(row.name, 20), "ink", "right", 8)
        sheet.text((NAMES - 6, middle + 6), shortened(row.remark, 23), "muted", "right", 6.5)
        sheet.text((WIDTH - VALUES + 5, middle), row.shown, "ink", "left", 8)
    return finished(sheet, attribute, title, (row.spoken for row in rows), file_name)


def draw_curves(
    curves: Mapping[str, Curve],
    labels: tuple[str, str],
    *,
    width: float = 1.5,
    marker_size: float = 0,
    x: Point = (0.0, 1.0),
    y: Point = (0.0, 1.0),
    has_diagonal: bool = False,
    level: float | None = None,
) -> Sheet:
    """At most MOST_DRAWN curves on the same axes, told apart in a legend below.

    labels: of both axes; marker_size: of a marker at each point, 0 for none; has_diagonal, level:
        drawn below the curves, from corner to corner or at a height
    """
    legend = 15 * ((len(curves) + 1) // 2)
    sheet = Sheet(246 + legend)
    axes = Axes(sheet, 42, 6, WIDTH - 52, 208, x, y)
    axes.x_axis(shortened(labels[0], 60))
    axes.y_axis(labels[1])
    if has_diagonal:
        axes.line([(x[0], y[0]), (x[1], y[1])], "band", 1)
    if level is not None:
        axes.line([(x[0], level), (x[1], level)], "muted", 1)
    for place, curve in enumerate(curves.values()):
        look = line_of(place, width)
        if len(curve.beside) > 1:
            axes.line(curve.beside, **line_of(place, 0.6))
        if len(curve.points) > 1:
            axes.line(curve.points, **look)
        for point in curve.points if marker_size else ():
            axes.mark(*point, MARKERS[place], look["colour"], marker_size)
    draw_legend(sheet, 244, {name: curve.remark for name, curve in curves.items()}, marker_size)
    return sheet


def draw_legend(sheet: Sheet, top: float, names: Mapping[str, str], marker_size: float = 0) -> None:
    """Each line's name and what is said of it, two in a row."""
    for place, (name, remark) in enumerate(names.items()):
        left, middle = 8 + (WIDTH - 8) / 2 * (place % 2), top + 7 + 15 * (place // 2)
        look = line_of(place, 1.6)
        sheet.line([(left, middle), (left + 20, middle)], **look)
        if marker_size:
            sheet.mark((left + 10, middle), MARKERS[place], look["colour"], marker_size)
        sheet.text((left + 25, middle), f"{shortened(name, 15)}  {remark}".rstrip(), size=7.5)


def line_of(number: int, width: float) -> dict[str, Any]:
    """How the line of a group looks: its colour, width and dashes."""
    return {"colour": f"group-{number + 1}", "width": width, "dashes": LINES[number]}


def finished(
    sheet: Sheet,
    attribute: str,
    title: str,
    spoken: Iterable[str],
    file_name: str,
    remark: str = "",
) -> ReportFigure:
    """The drawn figure with its title.

    spoken: what it shows, part by part, for those who do not see it; remark: goes on from the title
    """
    alternative_text = f"{title}: {'; '.join(spoken)}."
    return ReportFigure(attribute, f"{title}{remark}", alternative_text, file_name, sheet)


def shortened(name: str, longest: int = 17) -> str:
    """The name, or its beginning and an ellipsis."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
