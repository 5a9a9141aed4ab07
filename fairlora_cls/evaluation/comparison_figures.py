"""The figures of a comparison: each paired difference with its interval, beside zero."""

from __future__ import annotations

from fairlora_cls.evaluation.comparison_results import Comparison, Difference, Pair, TextComparison
from fairlora_cls.evaluation.comparison_wording import Judged, is_evidence
from fairlora_cls.evaluation.figures import DRAWN_BESIDE, short_title
from fairlora_cls.evaluation.wording import LEADING_GAPS
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.numbers import POINTS, Quantity
from fairlora_cls.presentation.plotting import MOST_ROWS, Row, draw_rows

OVERALL_ROWS = ("accuracy", "balanced_accuracy", "auroc")
FEW_PAIRS = 4  # with more pairs than this, only the first two gaps are drawn


def draw_comparison_figures(comparison: Comparison) -> list[ReportFigure]:
    """One figure for all examples and one per attribute; a row per quantity and pair."""
    pairs, metrics, gaps = comparison.pairs, OVERALL_ROWS, LEADING_GAPS
    of_texts = isinstance(comparison, TextComparison)
    if of_texts:
        metrics = tuple(
            name
            for name in dict.fromkeys([comparison.headline, *DRAWN_BESIDE])
            if name in comparison.metrics and comparison.metrics[name].is_fraction
        )
        gaps = tuple(f"{name}_gap" for name in metrics)
    if len(pairs) > FEW_PAIRS:
        gaps = gaps[:2]
    one_reference = len({pair.reference for pair in pairs}) == 1
    everything = f"Differences, all {Judged.of(comparison).images}"
    scaled = "scores" if of_texts else "AUROC"
    label = f"Points ({scaled} × 100); diamond: more than chance"
    figures = []
    for place, attribute in enumerate(["", *pairs[0].attributes]):
        rows = [
            _row(comparison.quantities[name], pair, difference, one_reference)
            for name in (gaps if attribute else metrics)
            for pair in pairs
            for difference in [
                (pair.attributes[attribute].gaps if attribute else pair.overall)[name]
            ]
            if difference.difference is not None
        ]
        if rows:
            title = f"Differences in gaps of {attribute}" if attribute else everything
            file = f"{place}-{file_stem(attribute) if attribute else 'all'}"
            figures.append(draw_rows(attribute, title, file, rows[:MOST_ROWS], label, mark=0))
    return figures


def _row(quantity: Quantity, pair: Pair, found: Difference, one_reference: bool) -> Row:
    remark = pair.other if one_reference else f"{pair.other} – {pair.reference}"
    spoken = f"{quantity.title}, {remark}: {quantity.show_signed(found.difference)}"
    if found.interval:
        spoken += f", interval {quantity.show_signed_range(found.interval)}"
    return Row(
        short_title(quantity),
        remark,
        POINTS.show_signed(found.difference).removesuffix(" points"),
        spoken,
        found.difference,
        found.interval,
        is_evidence(found),
    )
