"""A comparison on disk: comparison.json, comparison.md, comparison.html and figures/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.evaluation.comparison_figures import draw_comparison_figures
from fairlora_cls.evaluation.comparison_results import ClassComparison, Comparison
from fairlora_cls.evaluation.comparison_tables import contest_tables, methods_table, pair_tables
from fairlora_cls.evaluation.comparison_wording import (
    Judged,
    describe_comparison_method,
    describe_contest,
    describe_gap_difference,
    describe_overall,
    verdict_on,
)
from fairlora_cls.presentation.document import (
    Document,
    Fact,
    Part,
    ReportFigure,
    Table,
    Verdict,
    explain_method,
    list_notes,
)
from fairlora_cls.presentation.writing import write_document


def write_comparison(comparison: Comparison, folder: str | Path, png: bool = False) -> None:
    """Writes comparison.json, .md, .html and figures/ into `folder`, as `write_document`."""
    document = comparison_document(comparison, draw_comparison_figures(comparison))
    write_document(document, comparison.to_dict(), folder, "comparison", png=png)


def describe_comparison(comparison: Comparison) -> list[str]:
    """What the first paragraphs of the files say, and the notes; of methods with several seeds
    what they show over the seeds, without each seed's pair."""
    return [*(_over_seeds(comparison) or _sentences(comparison)), *comparison.notes]


def comparison_document(comparison: Comparison, figures: Sequence[ReportFigure]) -> Document:
    """The comparison as a document: first what methods show over their seeds, then pair by pair."""
    over_seeds = _over_seeds(comparison)
    of_classes = isinstance(comparison, ClassComparison)
    return Document(
        title="Comparison of runs" if of_classes else "Comparison of generated texts",
        facts=_facts(comparison),
        summary=tuple(over_seeds),
        verdicts_title="Pair by pair" if over_seeds else "",
        verdicts=tuple(_verdicts(comparison)),
        parts=(
            Part(f"All {Judged.of(comparison).images}", tuple(_overall(comparison))),
            *([list_notes(comparison.notes)] if comparison.notes else []),
            Part("Paired differences", figures=tuple(figures)),
            *(Part(title, tables=tuple(tables)) for title, tables in _tables(comparison)),
            explain_method(tuple(describe_comparison_method(comparison))),
        ),
    )


def _facts(comparison: Comparison) -> tuple[Fact, ...]:
    units = [] if comparison.units is None else [Fact(f"{comparison.units:,} units drawn whole")]
    runs = [
        Fact("runs", tuple(run.name for run in comparison.runs)),
        Fact("reference", (comparison.runs[0].method,)),
    ]
    if isinstance(comparison, ClassComparison):
        same = Fact(f"{comparison.n:,} test images, the same for all")
        return (same, *units, Fact("positive class", (comparison.positive,)), *runs)
    same = Fact(f"{comparison.n:,} texts, the same references for all")
    judged = Fact("judged by", (comparison.metrics[comparison.headline].title,))
    return (same, *units, *runs, judged)


def _sentences(comparison: Comparison) -> list[str]:
    """What methods show over their seeds, then each pair's gaps, then all examples together."""
    verdicts = [verdict.text for verdict in _verdicts(comparison)]
    return [*_over_seeds(comparison), *verdicts, *_overall(comparison)]


def _over_seeds(comparison: Comparison) -> list[str]:
    return [
        text for contest in comparison.contests for text in describe_contest(comparison, contest)
    ]


def _overall(comparison: Comparison) -> list[str]:
    return [describe_overall(comparison, pair) for pair in comparison.pairs]


def _verdicts(comparison: Comparison) -> list[Verdict]:
    """One of each pair and attribute."""
    return [
        Verdict(
            f"{pair.other} – {pair.reference}: {attribute}",
            *verdict_on(comparison, result),
            describe_gap_difference(comparison, pair, attribute, result),
        )
        for pair in comparison.pairs
        for attribute, result in pair.attributes.items()
    ]


def _tables(comparison: Comparison) -> list[tuple[str, list[Table]]]:
    """Sections of tables with their titles."""
    sections = []
    if comparison.methods:
        over_seeds = [methods_table(comparison)]
        for contest in comparison.contests:
            over_seeds += contest_tables(comparison, contest)
        sections.append(("Over seeds: all numbers", over_seeds))
    for pair in comparison.pairs:
        sections.append(
            (f"{pair.other} – {pair.reference}: all numbers", pair_tables(comparison, pair))
        )
    return sections
