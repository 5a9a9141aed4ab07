"""Shapes on a sheet: as SVG for the page and for the folder figures/, as PNG on demand."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

# Okabe and Ito's colours, told apart with every kind of colour vision. On the page each is the CSS
# variable of the same name, so that its light and dark themes reach the figures.
COLOURS = {
    "ink": "#1c2126",
    "muted": "#5b6570",
    "line": "#dfe3e8",
    "band": "#cfd6de",
    "accent": "#0072b2",
    "alert": "#c2500a",
    "group-1": "#0072b2",
    "group-2": "#d55e00",
    "group-3": "#009e73",
    "group-4": "#b8588f",
    "group-5": "#b07a00",
    "group-6": "#3f8fc4",
}
WIDTH = 260.0  # points: on a phone text is larger than its size, in print smaller
DOTS_PER_INCH = 200  # of a PNG; a point is an inch / 72
# Corners of a marker around its place, for a size of 2; "o" is a circle.
MARKERS = {
    "s": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "^": ((0, -1.1), (1, 0.8), (-1, 0.8)),
    "D": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "v": ((0, 1.1), (1, -0.8), (-1, -0.8)),
    "P": tuple(
        (0.4 * x, 0.4 * y)
        for x, y in (
            *((-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1)),
            *((1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1)),
        )
    ),
}


@dataclass(frozen=True)
class Shape:
    """A line, an area with its corners, a round dot, or text, in points; y grows downwards."""

    kind: str  # line | area | dot | text
    points: tuple[Point, ...]
    colour: str  # of COLOURS
    size: float = 0  # a line's width, a dot's diameter, the size of text
    opacity: float = 1
    dashes: tuple[float, ...] = ()
    text: str = ""
    side: str = "left"  # of the text, that stands at the point: left | center | right
    is_turned: bool = False  # text read from bottom to top


@dataclass
class Sheet:
    """A figure while it is drawn, and what it is written as."""

    height: float
    width: float = WIDTH
    shapes: list[Shape] = field(default_factory=list)

    def line(
        self,
        points: Iterable[Point],
        colour: str,
        width: float,
        dashes: tuple[float, ...] = (),
        opacity: float = 1,
    ) -> None:
        self.shapes.append(Shape("line", tuple(points), colour, width, opacity, dashes))

    def area(self, points: Iterable[Point], colour: str, opacity: float = 1) -> None:
        self.shapes.append(Shape("area", tuple(points), colour, opacity=opacity))

    def mark(self, point: Point, marker: str, colour: str, size: float) -> None:
        if marker == "o":
            self.shapes.append(Shape("dot", (point,), colour, size))
        else:
            x, y = point
            self.area([(x + size / 2 * a, y + size / 2 * b) for a, b in MARKERS[marker]], colour)

    def text(
        self,
        point: Point,
        text: str,
        colour: str = "ink",
        side: str = "left",
        size: float = 8,
        is_turned: bool = False,
    ) -> None:
        """Text whose middle is at the height of the point."""
        self.shapes.append(
            Shape("text", (point,), colour, size, text=text, side=side, is_turned=is_turned)
        )

    def for_page(self) -> str:
        """An element of the page, in the colours of its theme."""
        return self._svg('aria-hidden="true"', lambda name: f"var(--{name})")

    def as_file(self, alternative_text: str) -> str:
        """A file of its own: white below, colours as they are, so that any program shows it."""
        about = (
            f'xmlns="http://www.w3.org/2000/svg" width="{self.width:g}pt" '
            f'height="{self.height:g}pt" role="img" aria-label="{_spelled(alternative_text)}" '
            'font-family="DejaVu Sans, Verdana, sans-serif"'
        )
        return self._svg(
            about, COLOURS.__getitem__, '<rect width="100%" height="100%" fill="#fff"/>'
        )

    def _svg(self, about: str, colour_of: Callable[[str], str], below: str = "") -> str:
        drawn = "".join(_element(shape, colour_of(shape.colour)) for shape in self.shapes)
        return f'<svg viewBox="0 0 {self.width:g} {self.height:g}" {about}>{below}{drawn}</svg>'

    def png(self) -> bytes:
        """The same by matplotlib, which takes longer to import than all figures to draw."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
        from matplotlib.patches import Polygon

        figure = Figure(figsize=(self.width / 72, self.height / 72))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        for order, shape in enumerate(self.shapes):
            look = {"color": COLOURS[shape.colour], "alpha": shape.opacity, "zorder": order}
            (x, y), *_ = shape.points
            if shape.kind == "text":
                place = {"ha": shape.side, "va": "center", "rotation": 90 * shape.is_turned}
                axes.text(x, y, shape.text, size=shape.size, parse_math=False, **place, **look)
            elif shape.kind == "area":
                axes.add_patch(Polygon(shape.points, linewidth=0, **look))
            elif shape.kind == "dot":
                look |= {"marker": "o", "markersize": shape.size, "markeredgewidth": 0}
                axes.add_line(Line2D([x], [y], **look))
            else:
                dashes = (0, tuple(length / shape.size for length in shape.dashes))
                look |= {"linestyle": dashes if shape.dashes else "-", "linewidth": shape.size}
                look |= {"solid_capstyle": _cap(shape), "dash_capstyle": "butt"}
                axes.add_line(Line2D(*zip(*shape.points, strict=True), **look))
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
        return file.getvalue()


@dataclass(frozen=True)
class Axes:
    """A part of a sheet with scales of its own."""

    sheet: Sheet
    left: float
    top: float
    width: float
    height: float
    x: Point  # values at the left and right end
    y: Point  # values at the bottom and the top
    is_logarithmic: bool = False  # along x

    def at(self, x: float, y: float) -> Point:
        """Where on the sheet these values are."""
        (first, last), (low, high) = self.x, self.y
        if self.is_logarithmic:
            first, last, x = math.log(first), math.log(last), math.log(x)
        return (
            self.left + self.width * (x - first) / (last - first),
            self.top + self.height * (high - y) / (high - low),
        )

    def line(self, points: Iterable[Point], colour: str, width: float, **look) -> None:
        self.sheet.line([self.at(*point) for point in points], colour, width, **look)

    def area(self, points: Iterable[Point], colour: str, opacity: float = 1) -> None:
        self.sheet.area([self.at(*point) for point in points], colour, opacity)

    def mark(self, x: float, y: float, marker: str, colour: str, size: float) -> None:
        self.sheet.mark(self.at(x, y), marker, colour, size)

    def x_axis(
        self,
        label: str,
        ticks: Sequence[float] | None = None,
        *,
        has_grid: bool = True,
    ) -> None:
        """Axis, ticks with their numbers, and label, below; call it before values are drawn."""
        bottom = self.top + self.height
        for tick in _ticks(*self.x) if ticks is None else ticks:
            x, _ = self.at(tick, self.y[0])
            if has_grid:
                self.sheet.line([(x, self.top), (x, bottom)], "line", 0.7)
            self.sheet.line([(x, bottom), (x, bottom + 3)], "muted", 0.8)
            self.sheet.text((x, bottom + 9), _number(tick), "muted", "center", 7.5)
        self.sheet.line([(self.left, bottom), (self.left + self.width, bottom)], "muted", 0.8)
        self.sheet.text((self.left + self.width / 2, bottom + 21), label, "muted", "center", 7.5)

    def y_axis(self, label: str) -> None:
        """The same on the left."""
        for tick in _ticks(*self.y):
            _, y = self.at(self.x[0], tick)
            self.sheet.line([(self.left, y), (self.left + self.width, y)], "line", 0.7)
            self.sheet.line([(self.left - 3, y), (self.left, y)], "muted", 0.8)
            self.sheet.text((self.left - 5, y), _number(tick), "muted", "right", 7.5)
        top, bottom = self.top, self.top + self.height
        self.sheet.line([(self.left, top), (self.left, bottom)], "muted", 0.8)
        place = (self.left - 28, (top + bottom) / 2)
        self.sheet.text(place, label, "muted", "center", 7.5, is_turned=True)


def spanning(values: Iterable[float], least: float | None = None) -> Point:
    """Both ends of an axis for these values, with some room; `least` is where it begins instead."""
    values = list(values)
    low, high = min(values) if least is None else least, max(values)
    room = 0.05 * ((high - low) or abs(high) or 1.0)
    return low - room if least is None else least, high + room


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about `most` round numbers between both ends."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * number for number in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{round(value, 10):g}".replace("-", "−")


def _element(shape: Shape, colour: str) -> str:
    x, y = (f"{each:.1f}" for each in shape.points[0])
    opacity = f' opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
    if shape.kind == "text":
        anchor = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}
        turned = f' transform="rotate(-90 {x} {y})"' if shape.is_turned else ""
        below = f"{shape.points[0][1] + 0.35 * shape.size:.1f}"  # of the middle: the base line
        return (
            f'<text x="{x}" y="{below}" fill="{colour}" font-size="{shape.size:g}"'
            f"{anchor[shape.side]}{turned}>{_spelled(shape.text)}</text>"
        )
    if shape.kind == "dot":
        return f'<circle cx="{x}" cy="{y}" r="{shape.size / 2:g}" fill="{colour}"{opacity}/>'
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in shape.points)
    if shape.kind == "area":
        return f'<path d="{path}Z" fill="{colour}"{opacity}/>'
    look = f' stroke-linecap="{_cap(shape)}"' if _cap(shape) == "round" else ""
    if shape.dashes:
        look = f' stroke-dasharray="{" ".join(f"{each:g}" for each in shape.dashes)}"'
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{shape.size:g}"'
        f' stroke-linejoin="round"{look}{opacity}/>'
    )


def _cap(shape: Shape) -> str:
    """Intervals end round, bands and axes as they are."""
    return "round" if 2 <= shape.size < 5 else "butt"


def _spelled(text: str) -> str:
    """Text in which no character is markup, or forbidden in XML."""
    return escape(re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
