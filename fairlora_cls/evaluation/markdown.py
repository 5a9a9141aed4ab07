"""The report as Markdown: sentences, warnings and all tables, nothing that needs a browser."""

import re

from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.evaluation.tables import Table, attribute_tables, overall_tables
from fairlora_cls.evaluation.wording import describe_gap, describe_method


def render_markdown(report: FairnessReport, figures: list[ReportFigure]) -> str:
    """The whole document. `figures` are the report's figures, linked from figures/."""
    parts = [
        "# Fairness report",
        _facts(report),
        markdown_text(" ".join(describe_in_short(report))),
    ]
    parts += ["## Attribute by attribute"] if report.attributes else []
    parts += [
        markdown_text(describe_gap(name, result)) for name, result in report.attributes.items()
    ]
    if report.warnings:
        warnings = "\n".join(f"- {markdown_text(warning)}" for warning in report.warnings)
        parts += ["## Before you trust these numbers", warnings]
    for section in report.sections:
        parts += [f"## {markdown_text(section.title)}", *map(markdown_text, section.sentences)]
        for made in section.tables:
            parts += [f"### {markdown_text(made.caption)}", markdown_table(made)]
    parts.append("## All examples")
    for table in overall_tables(report):
        parts += [f"### {markdown_text(table.caption)}", markdown_table(table)]
    for name in report.attributes:
        parts.append(f"## {markdown_text(name)}")
        parts += [
            f"![{markdown_text(figure.alternative_text)}](figures/{figure.file_name})"
            for figure in figures
            if figure.attribute == name
        ]
        for table in attribute_tables(report, name):
            parts += [f"### {markdown_text(table.caption)}", markdown_table(table)]
    parts += ["## How these numbers are made", *map(markdown_text, describe_method(report))]
    return "\n\n".join(parts) + "\n"


def _facts(report: FairnessReport) -> str:
    classes = ", ".join(map(markdown_text, report.classes))
    count = "" if report.n is None else f"{report.n:,} examples · "
    return f"{count}classes {classes} · positive class {markdown_text(report.positive)}"


def markdown_table(table: Table) -> str:
    """A table in pipes, details in brackets after their value."""
    rows = [
        [
            f"{markdown_text(cell.text)} ({markdown_text(cell.detail)})"
            if cell.detail
            else markdown_text(cell.text)
            for cell in row
        ]
        for row in table.rows
    ]
    lines = [list(map(markdown_text, table.header)), ["---"] * len(table.header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """One line of text in which no character starts markup."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|$~#])", r"\\\1", text)
