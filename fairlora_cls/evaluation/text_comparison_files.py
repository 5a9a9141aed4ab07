"""A comparison of texts on disk: comparison.json, comparison.md and comparison.html."""

from pathlib import Path

from fairlora_cls.evaluation.document import VERDICTS, verdict
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.text_comparison import TextComparison, TextDifference, TextPair
from fairlora_cls.evaluation.text_results import TextMetric
from fairlora_cls.evaluation.wording import SIGNIFICANCE
from fairlora_cls.presentation.document import Cell, Document, Fact, Part, Table, explain_method
from fairlora_cls.presentation.numbers import show_p, show_p_value
from fairlora_cls.presentation.writing import write_document


def write_text_comparison(comparison: TextComparison, folder: str | Path) -> None:
    """Writes the files into `folder`, which is made; all contents are made before the first file."""
    write_document(text_comparison_document(comparison), comparison.to_dict(), folder, "comparison")


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
        summary=(
            " ".join(
                _sentence(metric, pair, pair.overall[comparison.headline], "")
                for pair in comparison.pairs
            ),
        ),
        verdicts_title=VERDICTS if comparison.pairs[0].gaps else "",
        verdicts=tuple(
            verdict(
                f"{pair.other} – {pair.reference}: {attribute}",
                _kind(found[comparison.headline]),
                _sentence(metric, pair, found[comparison.headline], attribute),
            )
            for pair in comparison.pairs
            for attribute, found in pair.gaps.items()
        ),
        parts=(
            *(_part(comparison, pair) for pair in comparison.pairs),
            explain_method(_method(comparison)),
        ),
    )


def _part(comparison: TextComparison, pair: TextPair) -> Part:
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
    return Part(f"{title}: all numbers", tables=tuple(tables))


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
