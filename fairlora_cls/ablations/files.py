"""An ablation on disk: ablation.csv, report.json, report.md, report.html and figures/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
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
from fairlora_cls.evaluation.markdown import markdown_table, markdown_text
from fairlora_cls.evaluation.page import html_table
from fairlora_cls.evaluation.page_style import STYLE
from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.tables import Table
from fairlora_cls.files import write_atomically, write_text


@dataclass(frozen=True)
class Part:
    """One section of the document: a list of sentences, tables, figures."""

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[ReportFigure] = ()


def write_ablation(outcome: AblationOutcome, folder: Path) -> None:
    """Writes report and figures into the ablation's folder; figures of an earlier report go."""
    figures = draw_ablation_figures(outcome)
    parts = _parts(outcome, figures)
    numbers = json.dumps(outcome.to_dict(folder), indent=2, ensure_ascii=False, allow_nan=False)
    for figure in figures:
        write_atomically(
            folder / "figures" / figure.file_name,
            lambda path, png=figure.png: path.write_bytes(png),
        )
    write_text(folder / "report.json", numbers + "\n")
    write_text(folder / "report.md", render_markdown(outcome, parts))
    write_text(folder / "report.html", render_page(outcome, parts))
    drawn = {figure.file_name for figure in figures}
    for old in (folder / "figures").glob("*.png"):
        if old.name not in drawn:
            old.unlink()


def render_markdown(outcome: AblationOutcome, parts: Sequence[Part]) -> str:
    """The whole document; figures are linked from figures/."""
    lines = [f"# Ablation: {markdown_text(outcome.name)}", markdown_text(_facts(outcome))]
    for part in parts:
        lines.append(f"## {markdown_text(part.title)}")
        if part.sentences:
            lines.append("\n".join(f"- {markdown_text(text)}" for text in part.sentences))
        lines += [
            f"![{markdown_text(figure.alternative_text)}](figures/{figure.file_name})"
            for figure in part.figures
        ]
        for table in part.tables:
            lines += [f"### {markdown_text(table.caption)}", markdown_table(table)]
    return "\n\n".join(lines) + "\n"


def render_page(outcome: AblationOutcome, parts: Sequence[Part]) -> str:
    """One HTML file that needs nothing else."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ablation: {escape(outcome.name)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Ablation: {escape(outcome.name)}</h1>
<p class="facts">{escape(_facts(outcome))}</p>
</header>
{"".join(map(_section, parts))}
</main>
</body>
</html>
"""


def _parts(outcome: AblationOutcome, figures: Sequence[ReportFigure]) -> list[Part]:
    evidence = describe_evidence(outcome) or [
        f"Nothing: no setting can be told from {outcome.reference} by these runs."
    ]
    parts = [
        Part("What the data decide", evidence),
        Part("Before you trust these numbers", outcome.notes),
        Part("Every setting", tables=[settings_table(outcome)]),
        Part("Figures", describe_figures(outcome), figures=figures),
    ]
    if outcome.selections is not None:
        protected = ", ".join(outcome.selections.attributes) or "none"
        parts.append(
            Part(
                f"Chosen without looking at test (groups of: {protected})",
                describe_selection(outcome),
                [selection_table(outcome)],
            )
        )
    if outcome.contrasts:
        parts.append(Part("What the data cannot decide", describe_undecided(outcome)))
        tables = [contrast_table(outcome, quantity) for quantity in outcome.quantities]
        parts.append(Part(f"Compared with {outcome.reference}: all numbers", tables=tables))
    parts.append(Part("How these numbers are made", describe_method(outcome)))
    return [part for part in parts if part.sentences or part.tables or part.figures]


def _section(part: Part) -> str:
    items = "".join(f"<li>{escape(text)}</li>\n" for text in part.sentences)
    listed = f'<ul class="warnings">\n{items}</ul>\n' if items else ""
    drawn = "\n".join(
        f"""<figure>
<figcaption>{escape(figure.title)}</figcaption>
<div role="img" aria-label="{escape(figure.alternative_text)}">{figure.svg}</div>
</figure>"""
        for figure in part.figures
    )
    pictures = f'<div class="figures">\n{drawn}\n</div>\n' if drawn else ""
    tables = "\n".join(map(html_table, part.tables))
    return f"<section>\n<h2>{escape(part.title)}</h2>\n{listed}{pictures}{tables}</section>\n"


def _facts(outcome: AblationOutcome) -> str:
    finished = sum(run.status == "complete" for run in outcome.runs)
    count = "" if outcome.n is None else f"{outcome.n:,} test examples · "
    return (
        f"{count}{len(outcome.settings)} settings · {finished} of {len(outcome.runs)} runs · "
        f"reference {outcome.reference}"
    )
