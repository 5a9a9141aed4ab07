"""The report as Markdown: sentences, warnings and all tables, nothing that needs a browser."""

import re
from collections.abc import Iterable

from fairlora_cls.evaluation.document import Document, Fact
from fairlora_cls.evaluation.tables import Table


def render_markdown(document: Document) -> str:
    """The whole document; its figures are linked from figures/."""
    parts = [
        f"# {markdown_text(document.title)}",
        " · ".join(map(_fact, document.facts)),
        markdown_text(" ".join(document.summary)),
    ]
    parts += ["## Attribute by attribute"] if document.verdicts else []
    parts += [markdown_text(verdict.text) for verdict in document.verdicts]
    if document.warnings:
        warnings = "\n".join(f"- {markdown_text(warning)}" for warning in document.warnings)
        parts += ["## Before you trust these numbers", warnings]
    for section in document.sections:
        parts += [f"## {markdown_text(section.title)}", *map(markdown_text, section.sentences)]
        for excerpt in section.excerpts:
            parts += [f"### {markdown_text(excerpt.heading)}", *map(_quotation, excerpt.texts)]
        parts += _tables(section.tables)
    parts += [f"## {markdown_text(document.overall_title)}", *_tables(document.overall)]
    for name, tables in document.attributes.items():
        parts.append(f"## {markdown_text(name)}")
        parts += [
            f"![{markdown_text(figure.alternative_text)}](figures/{figure.file_name})"
            for figure in document.figures
            if figure.attribute == name
        ]
        parts += _tables(tables)
    parts += ["## How these numbers are made", *map(markdown_text, document.method)]
    return "\n\n".join(parts) + "\n"


def _tables(tables: Iterable[Table]) -> list[str]:
    return [
        part
        for table in tables
        for part in (f"### {markdown_text(table.caption)}", markdown_table(table))
    ]


def _fact(fact: Fact) -> str:
    return " ".join([markdown_text(fact.words), ", ".join(map(markdown_text, fact.names))]).strip()


def _quotation(labelled: tuple[str, str]) -> str:
    label, text = labelled
    return f"{markdown_text(label)}:\n\n> {markdown_text(text)}"


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
    text = re.sub(r"([\\`*_\[\]|$~#])", r"\\\1", text)
    text = re.sub(r"^(\d*)([-+=.)])(?=\s|$)", r"\1\\\2", text)  # a list, or an underline
    return re.sub(r"^>", "&gt;", text)  # a quotation
