"""How every figure is drawn: colours, lines, rows of values, and its form as SVG and PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.numbers import Limits

# Okabe and Ito's colours, told apart with every kind of colour vision. In the SVG each becomes the
# CSS variable of the same name, so that the page's light and dark themes reach the figures.
COLOURS = {
    "ink": "#1c2126",
    "muted": "#5b6570",
    "line": "#dfe3e8",
    "band": "#cfd6de",
    "accent": "#0072b2",
    "alert": "#c2500a",
    "group-1": "#0072b3",
    "group-2": "#d55e00",
    "group-3": "#009e73",
    "group-4": "#b8588f",
    "group-5": "#b07a00",
    "group-6": "#3f8fc4",
}
WIDTH = 4.3  # inches; at 72 points each as wide as a phone, so that text keeps its size there
# Groups differ by dashes and markers too, not by colour alone.
LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 3)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_DRAWN = len(LINES)  # groups in one set of axes; of more, the largest
ROW_HEIGHT = 0.34  # inches
MOST_ROWS = 24
BEHIND = 1.5  # the order in which lines are drawn: below values, above the grid


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


def new_figure(height: float) -> Figure:
    """An empty figure of the common width; height in inches."""
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, kept: tuple[str, ...] = ("bottom",)) -> None:
    """Thin muted axes, without the spines that are not kept."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in kept)
        spine.set_color(COLOURS["muted"])
    axes.tick_params(colors=COLOURS["muted"], labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=COLOURS["muted"], fontsize=8)
    axes.set_axisbelow(True)


def line_of(number: int, width: float, marker_size: float | None = None) -> dict[str, Any]:
    """How the line of a group is plotted: its colour and dashes, and its marker where it has a size."""
    marker = {"marker": MARKERS[number], "markersize": marker_size} if marker_size else {}
    colour = COLOURS[f"group-{number + 1}"]
    return {"color": colour, "linestyle": LINES[number], "linewidth": width, **marker}


def write(
    axes: Axes, x: float, y: float, text: str, colour: str, side: str, size: int, **options: Any
) -> None:
    """Text at a place in the axes' data, never read as mathematics: a group may be called "$x$"."""
    options |= {"va": "center", "size": size, "parse_math": False}
    axes.text(x, y, text, color=COLOURS[colour], ha=side, **options)


def mark_at(axes: Axes, x: float) -> None:
    """A dashed line from top to bottom: what the rows are read against."""
    axes.axvline(x, color=COLOURS["muted"], linewidth=1, dashes=(3, 3), zorder=BEHIND)


def draw_rows(
    attribute: str,
    title: str,
    file_name: str,
    rows: Sequence[Row],
    axis_label: str,
    draw: Callable[[Axes], None] = lambda axes: None,
    scale: float = 100,
) -> ReportFigure:
    """A row each, values times `scale`; `draw` adds to them, and what lies BEHIND them."""
    height = ROW_HEIGHT * len(rows) + 0.55
    figure = new_figure(height)
    axes = figure.add_axes((0.33, 0.47 / height, 0.54, 1 - 0.53 / height))
    for place, row in enumerate(rows):
        colour = COLOURS["alert" if row.stands_out else "accent"]
        if row.interval is not None:
            ends = [scale * limit for limit in row.interval]
            axes.plot(ends, [place, place], color=colour, linewidth=2.2)
        shape = "D" if row.stands_out else "o"
        axes.plot(scale * row.value, place, shape, color=colour, markersize=6.5)
        beside = {"transform": axes.get_yaxis_transform()}
        write(axes, -0.04, place - 0.16, shortened(row.name, 20), "ink", "right", 9, **beside)
        write(axes, -0.04, place + 0.24, shortened(row.remark, 23), "muted", "right", 7, **beside)
        write(axes, 1.05, place, row.shown, "ink", "left", 9, **beside)
    draw(axes)
    axes.set_xlabel(axis_label)
    style_axes(axes)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    for line in axes.lines:
        line.set_clip_on(False)
        line.set_solid_capstyle("round" if line.get_linewidth() < 5 else "butt")
    return finished(figure, attribute, title, (row.spoken for row in rows), file_name)


def finished(
    figure: Figure,
    attribute: str,
    title: str,
    spoken: Iterable[str],
    file_name: str,
    remark: str = "",
) -> ReportFigure:
    """The drawn figure as SVG for the page and as PNG.

    spoken: what it shows, part by part, for those who do not see it; remark: goes on from the title
    """
    alternative_text = f"{title}: {'; '.join(spoken)}."
    settings = {"svg.fonttype": "none", "svg.hashsalt": file_name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a PNG shows a box for it
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(png, format="png", dpi=160)
    return ReportFigure(
        attribute,
        f"{title}{remark}",
        alternative_text,
        file_name,
        _themed(svg.getvalue()),
        png.getvalue(),
    )


def shortened(name: str, longest: int = 17) -> str:
    """The name, or its beginning and an ellipsis."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _themed(svg: str) -> str:
    """Matplotlib's SVG as an element of the page: no prologue, metadata, ids or fixed fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<clipPath.*?</clipPath>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' clip-path="[^"]*"| transform="rotate\(-0[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: (\d+px) [^;\"]*|font-family: [^;\"]*;", r"", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return re.sub(
        r'<svg [^>]*(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg, count=1
    )
