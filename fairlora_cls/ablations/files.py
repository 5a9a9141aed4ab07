"""An ablation on disk: ablation.csv, report.json, report.md, report.html and figures/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.ablations.figures import draw_ablation_figures
from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.wording import (
    change_tables,
    contrast_table,
    describe_changes,
    describe_evidence,
    describe_figures,
    describe_method,
    describe_selection,
    describe_settings,
    describe_undecided,
    describe_verdicts,
    selection_table,
    settings_table,
    verdict_tables,
)
from fairlora_cls.evaluation.document import EXPLORATORY
from fairlora_cls.presentation.document import (
    Document,
    Fact,
    Part,
    ReportFigure,
    explain_method,
    list_notes,
)
from fairlora_cls.presentation.writing import write_document


def write_ablation(report: AblationReport, folder: Path, png: bool = False) -> None:
    """Writes report.json, .md, .html and figures/ into the ablation's folder, as `write_document`."""
    document = ablation_document(report, draw_ablation_figures(report))
    write_document(document, report.to_dict(folder), folder, "report", png=png)


def ablation_document(report: AblationReport, figures: Sequence[ReportFigure]) -> Document:
    """The ablation as a document: first who is served worse by which setting, and what is decided."""
    return Document(
        title=f"Ablation: {report.name}",
        facts=_facts(report),
        summary=(),
        verdicts=(),
        parts=tuple(_parts(report, figures)),
    )


def _parts(report: AblationReport, figures: Sequence[ReportFigure]) -> list[Part]:
    evidence = describe_evidence(report) or [
        f"Nothing: no setting can be told from {report.reference} by these runs."
    ]
    parts = [
        Part("Setting by setting", points=tuple(describe_settings(report))),
        Part("What the data decide", points=tuple(evidence)),
    ]
    if report.notes:
        parts.append(list_notes(tuple(report.notes)))
    parts += [
        Part("Every setting", tables=(settings_table(report),)),
        Part("Figures", points=tuple(describe_figures(report)), figures=tuple(figures)),
    ]
    if report.selections is not None:
        protected = ", ".join(report.selections.attributes) or "none"
        parts.append(
            Part(
                f"Chosen without looking at test (groups of: {protected})",
                points=tuple(describe_selection(report)),
                tables=(selection_table(report),),
            )
        )
    if verdicts := tuple(verdict_tables(report)):
        title = "What each run's own report says of its groups"
        parts.append(Part(title, tuple(describe_verdicts(report)), tables=verdicts, is_folded=True))
    if changes := tuple(describe_changes(report)):
        title = f"Who gains, who loses beside {report.reference} ({EXPLORATORY})"
        parts.append(
            Part(title, points=changes, tables=tuple(change_tables(report)), is_folded=True)
        )
    if report.contrasts:
        if undecided := tuple(describe_undecided(report)):
            title = f"What the data cannot decide: {len(undecided)} of {len(report.contrasts)}"
            parts.append(Part(f"{title} comparisons", points=undecided, is_folded=True))
        tables = tuple(contrast_table(report, quantity) for quantity in report.quantities)
        title = f"Compared with {report.reference}: all numbers"
        parts.append(Part(title, tables=tables, is_folded=True))
    return [*parts, explain_method(tuple(describe_method(report)))]


def _facts(report: AblationReport) -> tuple[Fact, ...]:
    finished = sum(run.status == "complete" for run in report.runs)
    return (
        *([] if report.n is None else [Fact(f"{report.n:,} test examples")]),
        Fact(f"{len(report.settings)} settings"),
        Fact(f"{finished} of {len(report.runs)} runs"),
        Fact("reference", (report.reference,)),
    )
