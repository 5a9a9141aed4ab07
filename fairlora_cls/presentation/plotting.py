"""How every figure of the report is drawn: colours, sizes, and its form as SVG and PNG."""

import io
import re
import warnings

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairlora_cls.presentation.document import ReportFigure

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


def write(axes: Axes, x: float, y: float, text: str, colour: str, side: str, size: int) -> None:
    """Text at a place in the axes' data, never read as mathematics."""
    axes.text(x, y, text, color=COLOURS[colour], ha=side, va="center", size=size, parse_math=False)


def finished(
    figure: Figure, attribute: str, title: str, alternative_text: str, file_name: str
) -> ReportFigure:
    """The drawn figure as SVG for the page and as PNG."""
    settings = {"svg.fonttype": "none", "svg.hashsalt": file_name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a PNG shows a box for it
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(png, format="png", dpi=160)
    return ReportFigure(
        attribute, title, alternative_text, file_name, _themed(svg.getvalue()), png.getvalue()
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
