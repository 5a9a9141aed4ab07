"""The figures of a comparison: each paired difference with its interval, beside zero."""

from __future__ import annotations

import re

from matplotlib.axes import Axes

from fairlora_cls.evaluation.comparison_results import Comparison, Difference, TextComparison
from fairlora_cls.evaluation.comparison_wording import Judged, is_evidence
from fairlora_cls.evaluation.figures import DRAWN_BESIDE, MOST_ROWS, finish_rows
from fairlora_cls.evaluation.wording import LEADING_GAPS
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.plotting import COLOURS, shortened

OVERALL_ROWS = ("accuracy", "balanced_accuracy", "auroc")
FEW_PAIRS = 4  # with more pairs than this, only the first two gaps are drawn


def draw_comparison_figures(comparison: Comparison) -> list[ReportFigure]:
    """One figure for all examples and one per attribute; a row per quantity and pair."""
    pairs, metrics, gaps = comparison.pairs, OVERALL_ROWS, LEADING_GAPS
    if isinstance(comparison, TextComparison):
        metrics = tuple(
            name
            for name in dict.fromkeys([comparison.headline, *DRAWN_BESIDE])
            if name in comparison.metrics and comparison.metrics[name].is_fraction
        )
        gaps = tuple(f"{name}_gap" for name in metrics)
    if len(pairs) > FEW_PAIRS:
        gaps = gaps[:2]
    views = [("", [(name, pair, pair.overall[name]) for name in metrics for pair in pairs])]
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
            figures.append(_figure(comparison, attribute, drawn[:MOST_ROWS], f"{place}-{stem}.png"))
    return figures


def _figure(
    comparison: Comparison,
    attribute: str,
    rows: list[tuple[str, str, Difference]],
    file_name: str,
) -> ReportFigure:
    everything = f"Differences, all {Judged.of(comparison).images}"
    title = f"Differences in gaps of {attribute}" if attribute else everything
    quantities = [comparison.quantities[name] for name, _, _ in rows]
    spoken = "; ".join(
        f"{quantity.title}, {pair}: {quantity.show_signed(found.difference)}"
        + (f", interval {quantity.show_signed_range(found.interval)}" if found.interval else "")
        for quantity, (_, pair, found) in zip(quantities, rows, strict=True)
    )
    scaled = "scores" if isinstance(comparison, TextComparison) else "AUROC"

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
        axes.set_xlabel(f"Points ({scaled} × 100); diamond: more than chance")

    short = [re.sub(r" \(.*| gap.*| difference", "", quantity.title) for quantity in quantities]
    labels = [
        (shortened(label, 20), shortened(pair, 23))
        for label, (_, pair, _) in zip(short, rows, strict=True)
    ]
    values = [f"{100 * found.difference:+.1f}".replace("-", "−") for _, _, found in rows]
    return finish_rows(attribute, title, f"{title}: {spoken}.", file_name, labels, values, draw)
