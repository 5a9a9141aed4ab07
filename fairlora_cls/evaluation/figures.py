"""The report's figures: what the overview leaves out by group, each gap beside what chance gives, and
the curves of `curve_figures.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fairlora_cls.evaluation.curve_figures import curve_figures
from fairlora_cls.evaluation.overview import MOST_GROUPS
from fairlora_cls.evaluation.results import Report, TextReport
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import LEADING_GAPS
from fairlora_cls.files import file_stem
from fairlora_cls.presentation.document import ReportFigure
from fairlora_cls.presentation.numbers import POINTS, Quantity, show_p
from fairlora_cls.presentation.plotting import MOST_ROWS, Row, draw_rows, shortened

DRAWN_METRICS = ("accuracy", "auroc")
DRAWN_BESIDE = ("rouge_l", "bleu_4", "bleu_1")  # the first of them joins the headline metric


def draw_figures(report: Report) -> list[ReportFigure]:
    """For each attribute: two metrics by group, the leading gaps, and of classes the curves.

    A metric that the overview shows of every group is not drawn again, but for its median.
    """
    of_texts, metrics = isinstance(report, TextReport), DRAWN_METRICS
    if of_texts:
        beside = [n for n in DRAWN_BESIDE if n in report.metrics and n != report.headline]
        metrics = (report.headline, *beside[:1])
    figures = []
    for position, (name, result) in enumerate(report.attributes.items(), start=1):
        stem = f"{position}-{file_stem(name)}"
        for metric in metrics:
            known = [g for g in result.groups.values() if g.metrics[metric].value is not None]
            is_shown = metric in report.endpoints.names and len(result.groups) <= MOST_GROUPS
            if known and (of_texts or not is_shown):
                figures.append(_groups_figure(report, name, metric, f"{stem}-{file_stem(metric)}"))
        leading = [
            gap
            for gap in (result.gaps if of_texts else LEADING_GAPS)
            if result.gaps[gap].null_interval is not None and _is_drawn(report, gap)
        ]
        if leading:
            figures.append(_gaps_figure(report, name, leading, f"{stem}-gaps"))
        if not of_texts:
            figures += curve_figures(report, name, stem)
    return figures


def _is_drawn(report: Report, gap: str) -> bool:
    """In hundredths, so that shares and scores stand on one axis: only fractions."""
    return all(report.measures[name].is_fraction for name in report.gaps[gap].metrics)


def _groups_figure(report: Report, attribute: str, name: str, file_name: str) -> ReportFigure:
    metric, of_texts = report.measures[name], isinstance(report, TextReport)
    groups = {
        group: result
        for group, result in report.attributes[attribute].groups.items()
        if result.metrics[name].value is not None
    }
    title = f"{capitalised(metric.title)} by {attribute}"
    if len(groups) > MOST_ROWS:  # the lowest and the highest are drawn
        half = MOST_ROWS // 2
        title += f" (lowest and highest {half} of {len(groups)})"
        ranked = sorted(groups, key=lambda group: groups[group].metrics[name].value)
        groups = {
            group: groups[group] for group in groups if group in ranked[:half] + ranked[-half:]
        }
    scale, overall = 100 if metric.unit == "rate" else 1, report.overall[name].value
    medians = [getattr(result.metrics[name], "median", None) for result in groups.values()]
    rows = [
        Row(
            shortened(group),
            f"n = {result.n:,}",
            metric.show_number(estimate.value),
            f"{group} {metric.show(estimate.value)}",
            estimate.value,
            estimate.interval,
            tick=median and median.value,
        )
        for (group, result), median in zip(groups.items(), medians, strict=True)
        for estimate in (result.metrics[name],)
    ]
    percent, tick = " (%)" if scale == 100 else "", "; tick: median" if any(medians) else ""
    label = f"{metric.title}{percent}{tick}; dashed: all {'texts' if of_texts else 'examples'}"
    return draw_rows(attribute, title, file_name, rows, label, scale=scale, mark=overall)


def _gaps_figure(
    report: Report, attribute: str, names: Iterable[str], file_name: str
) -> ReportFigure:
    """In hundredths: each gap, and 95% of chance as a band with its mean."""
    results = {name: report.attributes[attribute].gaps[name] for name in names}
    rows = [
        Row(
            short_title(gap),
            show_p(result.p_value),
            POINTS.show_number(result.value),
            f"{gap.title} {gap.show(result.value)}, by chance {gap.show_range(result.null_interval)}",
            result.value,
            band=result.null_interval,
            tick=result.null_mean,
        )
        for name, result in results.items()
        for gap in (report.gaps[name],)
    ]
    title = f"Gaps between groups of {attribute}, beside chance"
    hundredths = " (hundredths)" if isinstance(report, TextReport) else ""
    label = f"Points{hundredths}; band: 95% of chance, tick: its mean"
    return draw_rows(attribute, title, file_name, rows, label, least=0)


def short_title(quantity: Quantity) -> str:
    """'Sensitivity' of its gap."""
    return re.sub(r" \(.*| gap.*| difference", "", quantity.title)
