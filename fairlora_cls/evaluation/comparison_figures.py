"""The figures of a comparison: each paired difference with its interval, beside zero."""

import re

from matplotlib.axes import Axes

from fairlora_cls.evaluation.comparison_results import Comparison, Difference
from fairlora_cls.evaluation.comparison_wording import (
    is_evidence,
)
from fairlora_cls.evaluation.figures import MOST_ROWS, finish_rows
from fairlora_cls.evaluation.metrics import QUANTITIES
from fairlora_cls.evaluation.wording import LEADING_GAPS
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import COLOURS, shortened

OVERALL_ROWS = ("accuracy", "balanced_accuracy", "auroc")
FEW_PAIRS = 4  # with more pairs than this, only the first two gaps are drawn


def draw_comparison_figures(comparison: Comparison) -> list[ReportFigure]:
    """One figure for all examples and one per attribute; a row per quantity and pair."""
    pairs = comparison.pairs
    gaps = LEADING_GAPS if len(pairs) <= FEW_PAIRS else LEADING_GAPS[:2]
    views = [("", [(name, pair, pair.overall[name]) for name in OVERALL_ROWS for pair in pairs])]
    for attribute in pairs[0].attributes:
        rows = [
            (name, pair, pair.attributes[attribute].gaps[name]) for name in gaps for pair in pairs
        ]
        views.append((attribute, rows))
    one_reference = len({pair.reference for pair in pairs}) == 1
    figures = []
    for place, (attribute, rows) in enumerate(views):
        drawn = [
            (name, pair.other if one_reference else f"{pair.other} – {pair.reference}", found)
            for name, pair, found in rows
            if found.difference is not None
        ]
        if drawn:
            stem = file_stem(attribute) if attribute else "all"
            figures.append(_figure(attribute, drawn[:MOST_ROWS], f"{place}-{stem}.png"))
    return figures


def _figure(
    attribute: str, rows: list[tuple[str, str, Difference]], file_name: str
) -> ReportFigure:
    title = f"Differences in gaps of {attribute}" if attribute else "Differences, all images"
    spoken = "; ".join(
        f"{QUANTITIES[name].title}, {pair}: {QUANTITIES[name].show_signed(found.difference)}"
        + (
            f", interval {QUANTITIES[name].show_signed_range(found.interval)}"
            if found.interval
            else ""
        )
        for name, pair, found in rows
    )

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=COLOURS["muted"], linewidth=1, dashes=(3, 3))
        for row, (_, _, found) in enumerate(rows):
            colour = COLOURS["alert" if is_evidence(found) else "accent"]
            if found.interval is not None:
                axes.plot(
                    [100 * x for x in found.interval], [row, row], color=colour, linewidth=2.2
                )
            marker = "D" if is_evidence(found) else "o"
            axes.plot(100 * found.difference, row, marker, color=colour, markersize=6.5)
        axes.set_xlabel("Points (AUROC × 100); diamond: more than chance")

    short = [re.sub(r" \(.*| gap.*| difference", "", QUANTITIES[name].title) for name, _, _ in rows]
    labels = [(label, shortened(pair, 23)) for label, (_, pair, _) in zip(short, rows, strict=True)]
    values = [f"{100 * found.difference:+.1f}".replace("-", "−") for _, _, found in rows]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)
