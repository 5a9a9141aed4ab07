"""The report as Markdown: sentences, warnings and all tables, nothing that needs a browser."""

import re

from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.evaluation.tables import Table, attribute_tables, overall_tables
from fairlora_cls.evaluation.wording import describe_gap, describe_method


def render_markdown(report: FairnessReport, figures: list[ReportFigure]) -> str:
    """The whole document. `figures` are the report's figures, linked from figures/."""
    parts = ["# Fairness report", _facts(report), _text(" ".join(describe_in_short(report)))]
    parts += ["## Attribute by attribute"] if report.attributes else []
    parts += [_text(describe_gap(name, result)) for name, result in report.attributes.items()]
    if report.warnings:
        warnings = "\n".join(f"- {_text(warning)}" for warning in report.warnings)
        parts += ["## Before you trust these numbers", warnings]
    for section in report.sections:
        parts += [f"## {_text(section.title)}", *map(_text, section.sentences)]
        for made in section.tables:
            parts += [f"### {_text(made.caption)}", _table(made)]
    parts.append("## All examples")
    for table in overall_tables(report):
        parts += [f"### {_text(table.caption)}", _table(table)]
    for name in report.attributes:
        parts.append(f"## {_text(name)}")
        parts += [
            f"![{_text(figure.alternative_text)}](figures/{figure.file_name})"
            for figure in figures
            if figure.attribute == name
        ]
        for table in attribute_tables(report, name):
            parts += [f"### {_text(table.caption)}", _table(table)]
    parts += ["## How these numbers are made", *map(_text, describe_method(report))]
    return "\n\n".join(parts) + "\n"


def _facts(report: FairnessReport) -> str:
    classes = ", ".join(map(_text, report.classes))
    count = "" if report.n is None else f"{report.n:,} examples · "
    return f"{count}classes {classes} · positive class {_text(report.positive)}"


def _table(table: Table) -> str:
    rows = [
        [
            f"{_text(cell.text)} ({_text(cell.detail)})" if cell.detail else _text(cell.text)
            for cell in row
        ]
        for row in table.rows
    ]
    lines = [list(map(_text, table.header)), ["---"] * len(table.header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """One line of text in which no character starts markup."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|$~#])", r"\\\1", text)
