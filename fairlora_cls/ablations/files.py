"""An ablation on disk: ablation.csv, report.json, report.md, report.html and figures/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.ablations.figures import draw_ablation_figures
from fairlora_cls.ablations.outcome import AblationOutcome
from fairlora_cls.ablations.wording import (
    contrast_table,
    describe_evidence,
    describe_figures,
    describe_method,
    describe_selection,
    describe_undecided,
    selection_table,
    settings_table,
)
from fairlora_cls.presentation.document import (
    Document,
    Fact,
    Part,
    ReportFigure,
    explain_method,
    list_notes,
)
from fairlora_cls.presentation.writing import write_document


def write_ablation(outcome: AblationOutcome, folder: Path) -> None:
    """Writes report.json, .md, .html and figures/ into the ablation's folder, as `write_document`."""
    document = ablation_document(outcome, draw_ablation_figures(outcome))
    write_document(document, outcome.to_dict(folder), folder, "report")


def ablation_document(outcome: AblationOutcome, figures: Sequence[ReportFigure]) -> Document:
    """The ablation as a document: first what the data decide."""
    return Document(
        title=f"Ablation: {outcome.name}",
        facts=_facts(outcome),
        summary=(),
        verdicts=(),
        parts=tuple(_parts(outcome, figures)),
    )


def _parts(outcome: AblationOutcome, figures: Sequence[ReportFigure]) -> list[Part]:
    evidence = describe_evidence(outcome) or [
        f"Nothing: no setting can be told from {outcome.reference} by these runs."
    ]
    parts = [Part("What the data decide", points=tuple(evidence))]
    if outcome.notes:
        parts.append(list_notes(tuple(outcome.notes)))
    parts += [
        Part("Every setting", tables=(settings_table(outcome),)),
        Part("Figures", points=tuple(describe_figures(outcome)), figures=tuple(figures)),
    ]
    if outcome.selections is not None:
        protected = ", ".join(outcome.selections.attributes) or "none"
        parts.append(
            Part(
                f"Chosen without looking at test (groups of: {protected})",
                points=tuple(describe_selection(outcome)),
                tables=(selection_table(outcome),),
            )
        )
    if outcome.contrasts:
        if undecided := describe_undecided(outcome):
            parts.append(Part("What the data cannot decide", points=tuple(undecided)))
        tables = tuple(contrast_table(outcome, quantity) for quantity in outcome.quantities)
        parts.append(Part(f"Compared with {outcome.reference}: all numbers", tables=tables))
    return [*parts, explain_method(tuple(describe_method(outcome)))]


def _facts(outcome: AblationOutcome) -> tuple[Fact, ...]:
    finished = sum(run.status == "complete" for run in outcome.runs)
    return (
        *([] if outcome.n is None else [Fact(f"{outcome.n:,} test examples")]),
        Fact(f"{len(outcome.settings)} settings"),
        Fact(f"{finished} of {len(outcome.runs)} runs"),
        Fact("reference", (outcome.reference,)),
    )
