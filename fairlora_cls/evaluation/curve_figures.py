"""The figures of one attribute that show how scores behave: ROC and calibration by group, score
distributions, confusion by group.

G groups, K classes. More than six groups in one set of axes cannot be told apart: the largest are
drawn, and the title says so.
"""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes

from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.plotting import (
    COLOURS,
    LINES,
    MARKERS,
    MOST_DRAWN,
    finished,
    new_figure,
    shortened,
    style_axes,
    write,
)
from fairlora_cls.evaluation.results import AttributeResult, Curves, FairnessReport
from fairlora_cls.presentation.document import ReportFigure

MOST_CLASSES = 8  # of a confusion that can be read as a picture; the table has any number
FEW_IN_BIN = 5  # a calibration bin of fewer examples is not drawn; the table has it


def draw_curves(report: FairnessReport, attribute: str, stem: str) -> list[ReportFigure]:
    """The figures of one attribute; none where its curves are not published."""
    result = report.attributes[attribute]
    largest = sorted(result.curves, key=lambda name: -(result.groups[name].n or 0))[:MOST_DRAWN]
    drawn = {name: curves for name, curves in result.curves.items() if name in largest}
    if not drawn:
        return []
    left_out = len(result.curves) - len(drawn)
    suffix = f" (the {len(drawn)} largest of {len(result.curves)})" if left_out else ""
    figures = []
    if any(curves.roc for curves in drawn.values()):
        figures.append(_roc_figure(attribute, result, drawn, suffix, f"{stem}-roc.png"))
    figures.append(
        _calibration_figure(report, attribute, result, drawn, suffix, f"{stem}-calibration.png")
    )
    figures.append(_scores_figure(report, attribute, drawn, suffix, f"{stem}-scores.png"))
    if len(report.classes) <= MOST_CLASSES:
        figures.append(_confusion_figure(report, attribute, drawn, suffix, f"{stem}-confusion.png"))
    return figures


def _roc_figure(
    attribute: str, result: AttributeResult, drawn: Mapping[str, Curves], suffix: str, file: str
) -> ReportFigure:
    drawn = {name: curves for name, curves in drawn.items() if curves.roc}

    def draw(axes: Axes) -> None:
        for place, curves in enumerate(drawn.values()):
            x, y = np.array(curves.roc).T
            axes.plot(x, y, linestyle=LINES[place], color=_colour(place), linewidth=1.6)
        axes.set_xlabel("False positive rate (1 − specificity)")
        axes.set_ylabel("True positive rate (sensitivity)")

    values = {
        name: METRICS["auroc"].show(result.groups[name].metrics["auroc"].value) for name in drawn
    }
    title = f"ROC by {attribute}{suffix}"
    spoken = "; ".join(f"{name} area {value}" for name, value in values.items())
    return _square(attribute, title, f"{title}: {spoken}.", file, values, draw)


def _calibration_figure(
    report: FairnessReport,
    attribute: str,
    result: AttributeResult,
    drawn: Mapping[str, Curves],
    suffix: str,
    file: str,
) -> ReportFigure:
    binary = len(report.classes) == 2

    def draw(axes: Axes) -> None:
        for place, curves in enumerate(drawn.values()):
            bins = [found for found in curves.reliability if found.n >= FEW_IN_BIN]
            axes.plot(
                [found.confidence for found in bins],
                [found.outcome for found in bins],
                linestyle=LINES[place],
                marker=MARKERS[place],
                markersize=4,
                color=_colour(place),
                linewidth=1.3,
            )
        said = f"Predicted probability of {report.positive}" if binary else "Top probability"
        axes.set_xlabel(shortened(said, 60), parse_math=False)
        axes.set_ylabel("Share that is so" if binary else "Share of right answers")

    errors = {name: METRICS["ece"].show(result.groups[name].metrics["ece"].value) for name in drawn}
    title = f"Calibration by {attribute}{suffix}"
    spoken = "; ".join(f"{name} calibration error {value}" for name, value in errors.items())
    return _square(attribute, title, f"{title}: {spoken}.", file, errors, draw)


def _square(
    attribute: str,
    title: str,
    spoken: str,
    file: str,
    values: Mapping[str, str],
    draw: Callable[[Axes], None],
) -> ReportFigure:
    """Unit square with its diagonal, and a legend of groups with a value each."""
    legend = 0.22 * ((len(values) + 1) // 2) + 0.1
    height = 3.55 + legend
    figure = new_figure(height)
    axes = figure.add_axes((0.14, (legend + 0.45) / height, 0.8, 3.0 / height))
    axes.plot([0, 1], [0, 1], color=COLOURS["band"], linewidth=1)
    draw(axes)
    style_axes(axes, ("bottom", "left"))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid(color=COLOURS["line"], linewidth=0.7)
    key = figure.add_axes((0.02, 0, 0.96, legend / height))
    key.set(xlim=(0, 2), ylim=(-((len(values) + 1) // 2) + 0.4, 0.6))
    key.axis("off")
    for place, (name, value) in enumerate(values.items()):
        x, y = place % 2, -(place // 2)
        key.plot(
            [x + 0.02, x + 0.1, x + 0.18],
            [y] * 3,
            linestyle=LINES[place],
            marker=MARKERS[place] if "alibration" in title else None,
            markevery=[1],
            markersize=4,
            color=_colour(place),
            linewidth=1.6,
        )
        write(key, x + 0.22, y, f"{shortened(name, 15)}  {value}", "ink", "left", 8)
    return finished(figure, attribute, title, spoken, file)


def _scores_figure(
    report: FairnessReport, attribute: str, drawn: Mapping[str, Curves], suffix: str, file: str
) -> ReportFigure:
    """A row per group: positives above the line, the others below it."""
    row, margin = 0.72, 0.5
    height = row * len(drawn) + margin + 0.1
    figure = new_figure(height)
    bins = len(next(iter(drawn.values())).score_histogram[0])
    edges = np.linspace(0, 1, bins + 1)
    for place, (name, curves) in enumerate(drawn.items()):
        bottom = (height - 0.1 - row * (place + 1)) / height
        axes = figure.add_axes((0.3, bottom, 0.66, row * 0.88 / height))
        for counts, sign, colour in zip(
            curves.score_histogram, (-1, 1), ("muted", "accent"), strict=True
        ):
            share = sign * np.array(counts) / max(1, sum(counts))
            axes.stairs(share, edges, fill=True, color=COLOURS[colour], alpha=0.85)
        axes.axhline(0, color=COLOURS["ink"], linewidth=0.6)
        last = place == len(drawn) - 1
        style_axes(axes, ("bottom",) if last else ())
        axes.set(xlim=(0, 1), yticks=[])
        limit = max(abs(value) for value in axes.get_ylim())
        axes.set_ylim(-limit, limit)
        if not last:
            axes.set_xticks([])
        negatives, positives = (sum(counts) for counts in curves.score_histogram)
        write(axes, -0.03, 0.45 * limit, shortened(name), "ink", "right", 9)
        write(axes, -0.03, -0.05 * limit, f"▲ {positives:,} positive", "accent", "right", 7)
        write(axes, -0.03, -0.5 * limit, f"▼ {negatives:,} other", "muted", "right", 7)
        if last:
            said = f"Predicted probability of {report.positive}"
            axes.set_xlabel(shortened(said, 60), parse_math=False)
    title = f"Scores by {attribute}{suffix}"
    spoken = "; ".join(
        f"{name}: mean score {_mean_score(c.score_histogram[1], edges)} of positives, "
        f"{_mean_score(c.score_histogram[0], edges)} of the others"
        for name, c in drawn.items()
    )
    return finished(figure, attribute, title, f"{title}: {spoken}.", file)


def _confusion_figure(
    report: FairnessReport, attribute: str, drawn: Mapping[str, Curves], suffix: str, file: str
) -> ReportFigure:
    """A square per group: rows are labels, columns predictions, shades the shares of the label."""
    classes = len(report.classes)
    across = 2 if classes <= 4 else 1
    side, gap_above, left = 3.4 / across, 0.42, 0.62
    down = -(-len(drawn) // across)
    height = down * (side * 0.86 + gap_above) + 0.45
    figure = new_figure(height)
    for place, (name, curves) in enumerate(drawn.items()):
        column, line = place % across, place // across
        top = height - line * (side * 0.86 + gap_above) - gap_above
        axes = figure.add_axes(
            (
                (left + column * (3.6 / across)) / 4.3,
                (top - side * 0.86) / height,
                side * 0.94 / 4.3,
                side * 0.86 / height,
            )
        )
        _draw_confusion(axes, np.array(curves.confusion))
        axes.set_title(
            shortened(name, 20), fontsize=9, color=COLOURS["ink"], loc="left", parse_math=False
        )
        if column == 0:
            axes.set_yticks(
                range(classes), [shortened(c, 9) for c in report.classes], parse_math=False
            )
        if line == down - 1 or place + across >= len(drawn):
            axes.set_xticks(
                range(classes),
                [shortened(c, 9) for c in report.classes],
                rotation=45 if classes > 4 else 0,
                parse_math=False,
            )
            axes.set_xlabel("predicted")
        style_axes(axes, ())
        axes.tick_params(length=0)
    title = f"Confusion by {attribute}{suffix}"
    spoken = "; ".join(
        f"{name}: {sum(row[k] for k, row in enumerate(c.confusion)):,} of "
        f"{sum(map(sum, c.confusion)):,} right"
        for name, c in drawn.items()
    )
    return finished(figure, attribute, f"{title}; rows are labels", f"{title}: {spoken}.", file)


def _draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for label in range(classes):
        for predicted in range(classes):
            share = float(shares[label, predicted])
            colour = COLOURS["accent"] if label == predicted else COLOURS["alert"]
            box = (predicted - 0.48, label - 0.48)
            axes.add_patch(_rectangle(box, COLOURS["line"], 0.5))
            axes.add_patch(_rectangle(box, colour, 0.75 * share))
            if classes <= 4:
                write(
                    axes,
                    predicted,
                    label - 0.12,
                    f"{counts[label, predicted]:,}",
                    "ink",
                    "center",
                    9,
                )
                write(axes, predicted, label + 0.22, f"{100 * share:.0f}%", "ink", "center", 7)
            else:
                write(axes, predicted, label, f"{100 * share:.0f}", "ink", "center", 7)
    axes.set(xlim=(-0.5, classes - 0.5), ylim=(classes - 0.5, -0.5), xticks=[], yticks=[])


def _rectangle(corner: tuple[float, float], colour: str, opacity: float):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=opacity, linewidth=0)


def _mean_score(counts: tuple[int, ...], edges: np.ndarray) -> str:
    if not sum(counts):
        return "undefined"
    return f"{float(np.average((edges[1:] + edges[:-1]) / 2, weights=counts)):.2f}"


def _colour(place: int) -> str:
    return COLOURS[f"group-{place + 1}"]
