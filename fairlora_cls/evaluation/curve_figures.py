"""The figures of one attribute that show how scores behave: ROC, calibration and decision curves by
group, and score distributions.

G groups, K classes. More than six groups in one set of axes cannot be told apart: the largest are
drawn, and the title says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.results import Curves, FairnessReport
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.drawing import WIDTH, Axes, Point, Sheet
from fairlora_cls.presentation.plotting import (
    MOST_DRAWN,
    NAMES,
    Curve,
    draw_curves,
    finished,
    shortened,
)

FEW_IN_BIN = 5  # a calibration bin of fewer examples is not drawn; the table has it
SCORES_HEIGHT = 46.0  # points, of one group


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
        self, sheet: Sheet, kind: str, spoken: Mapping[str, str], remark: str = ""
    ) -> ReportFigure:
        """The figure with its title, and each group's part of it in words."""
        title = f"{kind} by {self.attribute}{self.suffix}"
        words = (f"{name}{text}" for name, text in spoken.items())
        file = f"{self.stem}-{kind.lower()}"
        return finished(sheet, self.attribute, title, words, file, remark)


def curve_figures(report: FairnessReport, attribute: str, stem: str) -> list[ReportFigure]:
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
    return [*figures, _calibration_figure(drawn), _decision_figure(drawn), _scores_figure(drawn)]


def _roc_figure(drawn: Drawn) -> ReportFigure:
    points = {name: curves.roc for name, curves in drawn.curves.items() if curves.roc}
    areas = drawn.values("auroc", points)
    labels = ("False positive rate (1 − specificity)", "True positive rate (sensitivity)")
    sheet = draw_curves(
        {name: Curve(curve, areas[name]) for name, curve in points.items()},
        labels,
        has_diagonal=True,
    )
    return drawn.finish(sheet, "ROC", {name: f" area {value}" for name, value in areas.items()})


def _calibration_figure(drawn: Drawn) -> ReportFigure:
    errors = drawn.values("ece", drawn.curves)
    curves = {
        name: Curve(
            [(each.confidence, each.outcome) for each in own.reliability if each.n >= FEW_IN_BIN],
            errors[name],
        )
        for name, own in drawn.curves.items()
    }
    labels = ("Top probability", "Share of right answers")
    if len(drawn.report.classes) == 2:
        labels = (f"Predicted probability of {drawn.report.positive}", "Share that is so")
    sheet = draw_curves(curves, labels, width=1.3, marker_size=4.5, has_diagonal=True)
    spoken = {name: f" calibration error {value}" for name, value in errors.items()}
    return drawn.finish(sheet, "Calibration", spoken)


def _decision_figure(drawn: Drawn) -> ReportFigure:
    """Net benefit per 100 examples by threshold; thin: of treating everybody in the group."""
    lines = {name: 100 * np.array(curves.decision) for name, curves in drawn.curves.items()}
    sizes = {
        name: f"n = {drawn.report.attributes[drawn.attribute].groups[name].n:,}" for name in lines
    }
    highest = max(1.0, *(line[:, 1:].max() for line in lines.values()))
    lowest = -highest / 4  # a net benefit falls without end; what lies below is not drawn

    def above(line: np.ndarray, column: int) -> list[Point]:
        return [(row[0] / 100, row[column]) for row in line if row[column] >= lowest]

    sheet = draw_curves(
        {name: Curve(above(line, 1), sizes[name], above(line, 2)) for name, line in lines.items()},
        ("Threshold: act from this probability on", "Net benefit per 100"),
        y=(lowest, 1.05 * highest),
        level=0,
    )
    spoken = {
        name: f" ({sizes[name]}) "
        + ", ".join(f"{own:.0f} at {t:.0f}%" for t, own, _ in line[9::10])
        for name, line in lines.items()
    }
    remark = "; thin: treating all of a group, 0: treating nobody"
    return drawn.finish(sheet, "Net-benefit", spoken, remark)


def _scores_figure(drawn: Drawn) -> ReportFigure:
    """A row per group: positives above the line, the others below it."""
    histograms = {name: curves.score_histogram for name, curves in drawn.curves.items()}
    edges = np.linspace(0, 1, len(next(iter(histograms.values()))[0]) + 1)
    height = SCORES_HEIGHT * len(histograms)
    sheet = Sheet(height + 36)
    whole = Axes(sheet, NAMES, 4, WIDTH - NAMES - 10, height, (0, 1), (0, 1))
    whole.x_axis(shortened(f"Predicted probability of {drawn.report.positive}", 45), has_grid=False)
    for number, (name, histogram) in enumerate(histograms.items()):
        shares = [np.array(counts) / max(1, sum(counts)) for counts in histogram]
        highest = max(*map(np.max, shares), 1e-9)
        top = 6 + SCORES_HEIGHT * number
        limits = (-highest, highest)
        axes = Axes(sheet, NAMES, top, whole.width, SCORES_HEIGHT - 6, (0, 1), limits)
        for share, sign, colour in zip(shares, (-1, 1), ("muted", "accent"), strict=True):
            steps = zip(np.repeat(edges, 2)[1:-1], np.repeat(sign * share, 2), strict=True)
            axes.area([(0, 0), *steps, (1, 0)], colour, 0.85)
        axes.line([(0, 0), (1, 0)], "ink", 0.6)
        negatives, positives = (sum(counts) for counts in histogram)
        _, middle = axes.at(0, 0)
        sheet.text((NAMES - 6, middle - 11), shortened(name), "ink", "right", 8)
        sheet.text((NAMES - 6, middle), f"▲ {positives:,} positive", "accent", "right", 6.5)
        sheet.text((NAMES - 6, middle + 9), f"▼ {negatives:,} other", "muted", "right", 6.5)
    spoken = {
        name: f": mean score {_mean_score(positives, edges)} of positives, "
        f"{_mean_score(others, edges)} of the others"
        for name, (others, positives) in histograms.items()
    }
    return drawn.finish(sheet, "Scores", spoken)


def _mean_score(counts: tuple[int, ...], edges: np.ndarray) -> str:
    if not sum(counts):
        return "undefined"
    return f"{float(np.average((edges[1:] + edges[:-1]) / 2, weights=counts)):.2f}"
