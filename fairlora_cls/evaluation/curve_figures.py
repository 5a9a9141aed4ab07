"""The figures of one attribute that show how scores behave: ROC, calibration and decision curves by
group, score distributions, confusion by group.

G groups, K classes. More than six groups in one set of axes cannot be told apart: the largest are
drawn, and the title says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.results import Curves, FairnessReport
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import (
    COLOURS,
    MOST_DRAWN,
    finished,
    line_of,
    new_figure,
    shortened,
    style_axes,
    write,
)

MOST_CLASSES = 8  # of a confusion that can be read as a picture; the table has any number
FEW_IN_BIN = 5  # a calibration bin of fewer examples is not drawn; the table has it


@dataclass(frozen=True)
class Drawn:
    """The groups of one attribute that are drawn, the largest of all, and what their report holds."""

    report: FairnessReport
    attribute: str
    curves: Mapping[str, Curves]  # group -> its curves
    suffix: str  # of titles: how many groups there are, where some are left out
    stem: str  # of file names

    def values(self, metric: str, groups: Iterable[str]) -> dict[str, str]:
        """Each group's value of a metric, as it is shown."""
        measured = self.report.attributes[self.attribute].groups
        return {name: METRICS[metric].show(measured[name].metrics[metric].value) for name in groups}

    def finish(
        self, figure: Figure, kind: str, spoken: Mapping[str, str], remark: str = ""
    ) -> ReportFigure:
        """The figure with its title, and each group's part of it in words."""
        title = f"{kind} by {self.attribute}{self.suffix}"
        words = (f"{name}{text}" for name, text in spoken.items())
        file = f"{self.stem}-{kind.lower()}.png"
        return finished(figure, self.attribute, title, words, file, remark)


def draw_curves(report: FairnessReport, attribute: str, stem: str) -> list[ReportFigure]:
    """The figures of one attribute; none where its curves are not published."""
    result = report.attributes[attribute]
    largest = sorted(result.curves, key=lambda name: -(result.groups[name].n or 0))[:MOST_DRAWN]
    curves = {name: own for name, own in result.curves.items() if name in largest}
    if not curves:
        return []
    left_out = len(result.curves) - len(curves)
    suffix = f" (the {len(curves)} largest of {len(result.curves)})" if left_out else ""
    drawn = Drawn(report, attribute, curves, suffix, stem)
    figures = [_roc_figure(drawn)] if any(own.roc for own in curves.values()) else []
    figures += [_calibration_figure(drawn), _decision_figure(drawn), _scores_figure(drawn)]
    if len(report.classes) <= MOST_CLASSES:
        figures.append(_confusion_figure(drawn))
    return figures


def _roc_figure(drawn: Drawn) -> ReportFigure:
    points = {name: curves.roc for name, curves in drawn.curves.items() if curves.roc}
    labels = ("False positive rate (1 − specificity)", "True positive rate (sensitivity)")
    areas = drawn.values("auroc", points)
    spoken = {name: f" area {value}" for name, value in areas.items()}
    return drawn.finish(_curves_with_legend(points, areas, labels, 1.6), "ROC", spoken)


def _calibration_figure(drawn: Drawn) -> ReportFigure:
    points = {
        name: [
            (each.confidence, each.outcome) for each in curves.reliability if each.n >= FEW_IN_BIN
        ]
        for name, curves in drawn.curves.items()
    }
    labels = ("Top probability", "Share of right answers")
    if len(drawn.report.classes) == 2:
        labels = (f"Predicted probability of {drawn.report.positive}", "Share that is so")
    errors = drawn.values("ece", points)
    spoken = {name: f" calibration error {value}" for name, value in errors.items()}
    return drawn.finish(_curves_with_legend(points, errors, labels, 1.3, 4), "Calibration", spoken)


def _decision_figure(drawn: Drawn) -> ReportFigure:
    """Net benefit per 100 examples by threshold; thin: of treating everybody in the group."""
    lines = {name: 100 * np.array(curves.decision) for name, curves in drawn.curves.items()}
    sizes = {
        name: f"n = {drawn.report.attributes[drawn.attribute].groups[name].n:,}" for name in lines
    }

    highest = max(1.0, *(line[:, 1:].max() for line in lines.values()))
    lowest = -highest / 4  # a net benefit falls without end; what lies below is not drawn

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=COLOURS["muted"], linewidth=1)
        for place, (threshold, _, treat_all) in enumerate(line.T for line in lines.values()):
            shown = treat_all >= lowest
            axes.plot(threshold[shown] / 100, treat_all[shown], **line_of(place, 0.6))

    figure = _curves_with_legend(
        {
            name: [(threshold / 100, own) for threshold, own, _ in line if own >= lowest]
            for name, line in lines.items()
        },
        sizes,
        ("Threshold: act from this probability on", "Net benefit per 100"),
        1.6,
        heights=(lowest, 1.05 * highest),
        draw=draw,
    )
    spoken = {
        name: f" ({sizes[name]}) "
        + ", ".join(f"{own:.0f} at {t:.0f}%" for t, own, _ in line[9::10])
        for name, line in lines.items()
    }
    remark = "; thin: treating all of a group, 0: treating nobody"
    return drawn.finish(figure, "Net-benefit", spoken, remark)


def _draw_diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=COLOURS["band"], linewidth=1)


def _curves_with_legend(
    points: Mapping[str, Sequence[tuple[float, float]]],
    values: Mapping[str, str],
    labels: tuple[str, str],
    width: float,
    marker_size: float | None = None,
    heights: tuple[float, float] = (-0.01, 1.01),
    draw: Callable[[Axes], None] = _draw_diagonal,
) -> Figure:
    """Each group's curve from 0 to 1, what `draw` adds below, and a legend with a value each."""
    legend = 0.22 * ((len(values) + 1) // 2) + 0.1
    height = 3.55 + legend
    figure = new_figure(height)
    axes = figure.add_axes((0.14, (legend + 0.45) / height, 0.8, 3.0 / height))
    draw(axes)
    for place, curve in enumerate(points.values()):
        x, y = np.reshape(curve, (-1, 2)).T
        axes.plot(x, y, **line_of(place, width, marker_size))
    axes.set_xlabel(shortened(labels[0], 60), parse_math=False)
    axes.set_ylabel(labels[1])
    style_axes(axes, ("bottom", "left"))
    axes.set(xlim=(-0.01, 1.01), ylim=heights)
    axes.grid(color=COLOURS["line"], linewidth=0.7)
    key = figure.add_axes((0.02, 0, 0.96, legend / height))
    key.set(xlim=(0, 2), ylim=(-((len(values) + 1) // 2) + 0.4, 0.6))
    key.axis("off")
    for place, (name, value) in enumerate(values.items()):
        x, y = place % 2, -(place // 2)
        ends = [x + 0.02, x + 0.1, x + 0.18]
        key.plot(ends, [y] * 3, markevery=[1], **line_of(place, 1.6, marker_size))
        write(key, x + 0.22, y, f"{shortened(name, 15)}  {value}", "ink", "left", 8)
    return figure


def _scores_figure(drawn: Drawn) -> ReportFigure:
    """A row per group: positives above the line, the others below it."""
    histograms = {name: curves.score_histogram for name, curves in drawn.curves.items()}
    row, margin = 0.72, 0.5
    height = row * len(histograms) + margin + 0.1
    figure = new_figure(height)
    bins = len(next(iter(histograms.values()))[0])
    edges = np.linspace(0, 1, bins + 1)
    for number, (name, histogram) in enumerate(histograms.items()):
        bottom = (height - 0.1 - row * (number + 1)) / height
        axes = figure.add_axes((0.3, bottom, 0.66, row * 0.88 / height))
        for counts, sign, colour in zip(histogram, (-1, 1), ("muted", "accent"), strict=True):
            share = sign * np.array(counts) / max(1, sum(counts))
            axes.stairs(share, edges, fill=True, color=COLOURS[colour], alpha=0.85)
        axes.axhline(0, color=COLOURS["ink"], linewidth=0.6)
        last = number == len(histograms) - 1
        style_axes(axes, ("bottom",) if last else ())
        axes.set(xlim=(0, 1), yticks=[])
        limit = max(abs(value) for value in axes.get_ylim())
        axes.set_ylim(-limit, limit)
        if not last:
            axes.set_xticks([])
        negatives, positives = (sum(counts) for counts in histogram)
        write(axes, -0.03, 0.45 * limit, shortened(name), "ink", "right", 9)
        write(axes, -0.03, -0.05 * limit, f"▲ {positives:,} positive", "accent", "right", 7)
        write(axes, -0.03, -0.5 * limit, f"▼ {negatives:,} other", "muted", "right", 7)
        if last:
            said = f"Predicted probability of {drawn.report.positive}"
            axes.set_xlabel(shortened(said, 60), parse_math=False)
    spoken = {
        name: f": mean score {_mean_score(positives, edges)} of positives, "
        f"{_mean_score(others, edges)} of the others"
        for name, (others, positives) in histograms.items()
    }
    return drawn.finish(figure, "Scores", spoken)


def _confusion_figure(drawn: Drawn) -> ReportFigure:
    """A square per group: rows are labels, columns predictions, shades the shares of the label."""
    confusions = {name: np.array(curves.confusion) for name, curves in drawn.curves.items()}
    short = [shortened(name, 9) for name in drawn.report.classes]
    classes = len(short)
    across = 2 if classes <= 4 else 1
    side, gap_above, left = 3.4 / across, 0.42, 0.62
    down = -(-len(confusions) // across)
    height = down * (side * 0.86 + gap_above) + 0.45
    figure = new_figure(height)
    for number, (name, counts) in enumerate(confusions.items()):
        column, line = number % across, number // across
        top = height - line * (side * 0.86 + gap_above) - gap_above
        axes = figure.add_axes(
            (
                (left + column * (3.6 / across)) / 4.3,
                (top - side * 0.86) / height,
                side * 0.94 / 4.3,
                side * 0.86 / height,
            )
        )
        _draw_confusion(axes, counts)
        axes.set_title(
            shortened(name, 20), fontsize=9, color=COLOURS["ink"], loc="left", parse_math=False
        )
        if column == 0:
            axes.set_yticks(range(classes), short, parse_math=False)
        if line == down - 1 or number + across >= len(confusions):
            turned = 45 if classes > 4 else 0
            axes.set_xticks(range(classes), short, rotation=turned, parse_math=False)
            axes.set_xlabel("predicted")
        style_axes(axes, ())
        axes.tick_params(length=0)
    spoken = {
        name: f": {np.trace(counts):,} of {counts.sum():,} right"
        for name, counts in confusions.items()
    }
    return drawn.finish(figure, "Confusion", spoken, "; rows are labels")


def _draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for label in range(classes):
        for predicted in range(classes):
            share = float(shares[label, predicted])
            colour = COLOURS["accent"] if label == predicted else COLOURS["alert"]
            box = (predicted - 0.48, label - 0.48)
            for shade, opacity in ((COLOURS["line"], 0.5), (colour, 0.75 * share)):
                axes.add_patch(
                    Rectangle(box, 0.96, 0.96, facecolor=shade, alpha=opacity, linewidth=0)
                )
            if classes <= 4:
                count = f"{counts[label, predicted]:,}"
                write(axes, predicted, label - 0.12, count, "ink", "center", 9)
                write(axes, predicted, label + 0.22, f"{100 * share:.0f}%", "ink", "center", 7)
            else:
                write(axes, predicted, label, f"{100 * share:.0f}", "ink", "center", 7)
    axes.set(xlim=(-0.5, classes - 0.5), ylim=(classes - 0.5, -0.5), xticks=[], yticks=[])


def _mean_score(counts: tuple[int, ...], edges: np.ndarray) -> str:
    if not sum(counts):
        return "undefined"
    return f"{float(np.average((edges[1:] + edges[:-1]) / 2, weights=counts)):.2f}"
