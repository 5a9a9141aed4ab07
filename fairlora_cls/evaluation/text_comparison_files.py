"""A comparison of texts on disk: comparison.json, comparison.md and comparison.html."""

import json
from pathlib import Path

from fairlora_cls.evaluation.document import Document, Fact, Verdict
from fairlora_cls.evaluation.markdown import render_markdown
from fairlora_cls.evaluation.page import render_page
from fairlora_cls.evaluation.sections import Section
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.tables import Cell, Table
from fairlora_cls.evaluation.text_comparison import TextComparison, TextDifference, TextPair
from fairlora_cls.evaluation.text_results import TextMetric
from fairlora_cls.evaluation.wording import SIGNIFICANCE
from fairlora_cls.files import write_text
from fairlora_cls.presentation.numbers import show_p, show_p_value


def write_text_comparison(comparison: TextComparison, folder: str | Path) -> None:
    """Writes the files into `folder`, which is made; all contents are made before the first file."""
    document = text_comparison_document(comparison)
    text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    contents = {
        "comparison.json": text + "\n",
        "comparison.md": render_markdown(document),
        "comparison.html": render_page(document),
    }
    for name, content in contents.items():
        write_text(Path(folder) / name, content)


def describe_text_comparison(comparison: TextComparison) -> list[str]:
    """A sentence on each pair's headline score, and on the headline gap of each attribute."""
    metric = comparison.metrics[comparison.headline]
    told = []
    for pair in comparison.pairs:
        told.append(_sentence(metric, pair, pair.overall[comparison.headline], ""))
        told += [
            _sentence(metric, pair, found[comparison.headline], attribute)
            for attribute, found in pair.gaps.items()
        ]
    return told


def text_comparison_document(comparison: TextComparison) -> Document:
    """The comparison as a document."""
    metric = comparison.metrics[comparison.headline]
    return Document(
        title="Comparison of generated texts",
        facts=(
            Fact(f"{comparison.n:,} texts, the same references for all"),
            *(
                []
                if comparison.units is None
                else [Fact(f"{comparison.units:,} units drawn whole")]
            ),
            Fact("runs", comparison.runs),
            Fact("judged by", (metric.title,)),
        ),
        summary=tuple(
            _sentence(metric, pair, pair.overall[comparison.headline], "")
            for pair in comparison.pairs
        ),
        verdicts=tuple(
            Verdict(
                f"{pair.other} – {pair.reference}: {attribute}",
                _kind(found[comparison.headline]),
                _sentence(metric, pair, found[comparison.headline], attribute),
            )
            for pair in comparison.pairs
            for attribute, found in pair.gaps.items()
        ),
        warnings=(),
        figures=(),
        sections=tuple(_section(comparison, pair) for pair in comparison.pairs[1:]),
        overall_title=f"{comparison.pairs[0].other} – {comparison.pairs[0].reference}",
        overall=_section(comparison, comparison.pairs[0]).tables,
        attributes={},
        method=_method(comparison),
    )


def _section(comparison: TextComparison, pair: TextPair) -> Section:
    title = f"{pair.other} – {pair.reference}"
    tables = [_table(f"Scores: {title}", comparison, pair, pair.overall, TextMetric.show)]
    tables += [
        _table(
            f"Gaps between groups of {attribute}: {title}",
            comparison,
            pair,
            found,
            TextMetric.show_gap,
        )
        for attribute, found in pair.gaps.items()
    ]
    return Section(pair.other, title, (), tuple(tables))


def _table(caption, comparison, pair, differences, show) -> Table:
    header = ("Metric", pair.reference, pair.other, "Difference", "p", "p (Holm)")
    rows = tuple(
        (
            Cell(metric.title),
            Cell(show(metric, found.reference)),
            Cell(show(metric, found.other)),
            Cell(
                metric.show_signed(found.difference.value),
                metric.show_range(found.difference.interval),
            ),
            Cell(show_p_value(found.p_value)),
            Cell(show_p_value(found.p_holm)),
        )
        for metric, found in ((comparison.metrics[name], d) for name, d in differences.items())
    )
    return Table(caption, header, rows)


def _sentence(metric: TextMetric, pair: TextPair, found: TextDifference, attribute: str) -> str:
    """Of the score itself, or of its gap between the groups of an attribute."""
    subject = (
        f"The gap in {metric.title} between groups of {attribute}" if attribute else metric.title
    )
    show = metric.show_gap if attribute else metric.show
    if found.difference.value is None:
        return f"{capitalised(subject)} is undefined for {pair.other} or {pair.reference}."
    text = (
        f"{capitalised(subject)} is {show(found.other)} for {pair.other} and "
        f"{show(found.reference)} for {pair.reference}: a difference of "
        f"{metric.show_signed(found.difference.value)}"
    )
    if found.difference.interval is not None:
        text += f" (95% interval {metric.show_range(found.difference.interval)})"
    if found.p_holm is None:
        return f"{text}."
    if _kind(found) == "evidence":
        return f"{text}, which chance alone hardly explains ({show_p(found.p_holm)})."
    return f"{text}, which chance alone can explain ({show_p(found.p_holm)})."


def _kind(found: TextDifference) -> str:
    if found.p_holm is None:
        return "untested"
    return "evidence" if found.p_holm <= SIGNIFICANCE else "chance"


def _method(comparison: TextComparison) -> tuple[str, ...]:
    return (
        f"Intervals: {comparison.bootstrap:,} bootstrap resamples of texts within groups, whole units "
        "where known, the same draws for both models. Resampling widens gaps, so the interval of a "
        "gap's difference is a rough guide.",
        "p: for each text, or unit, a coin decides whether the two models exchange their answers; p is "
        f"the share of {comparison.bootstrap:,} draws, the observed one counted, with a difference at "
        "least as large. It is corrected (Holm) over the pairs and attributes, for each metric by "
        "itself.",
        f"Random seed {comparison.seed}.",
    )
