"""The report as one HTML file that needs nothing else: no script, font or image from outside."""

from html import escape

from fairlora_cls.evaluation.page_style import STYLE
from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.sections import Section
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.evaluation.tables import Cell, Table, attribute_tables, overall_tables
from fairlora_cls.evaluation.wording import (
    describe_gap,
    describe_method,
    judge_attribute,
)

BADGES = {
    "untested": "not tested",
    "chance": "within chance",
    "lead": "a lead, not evidence",
    "evidence": "evidence",
}


def render_page(report: FairnessReport, figures: list[ReportFigure]) -> str:
    """The whole page. `figures` are the report's figures, drawn into it as SVG."""
    drawn = {name: [f for f in figures if f.attribute == name] for name in report.attributes}
    pictures = "".join(_figures(name, group) for name, group in drawn.items() if group)
    tables = "".join(_tables(report, name) for name in report.attributes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fairness report</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Fairness report</h1>
<p class="facts">{_facts(report)}</p>
</header>
<section aria-label="In short">
<p class="summary">{escape(" ".join(describe_in_short(report)))}</p>
{"".join(_verdict(name, result) for name, result in report.attributes.items())}
</section>
{_warnings(report.warnings)}
{pictures}
{"".join(map(_section, report.sections))}
<section>
<h2>All examples: all numbers</h2>
{"".join(map(html_table, overall_tables(report)))}
</section>
{tables}
{_method(report)}
</main>
</body>
</html>
"""


def _facts(report: FairnessReport) -> str:
    classes = ", ".join(f"<b>{escape(name)}</b>" for name in report.classes)
    count = "" if report.n is None else f"{report.n:,} test examples · "
    units = "" if report.units is None else f"{report.units:,} patients or lesions · "
    return (
        f"{count}{units}classes {classes} · positive class <b>{escape(report.positive)}</b>"
        f"{_rule(report)}"
    )


def _rule(report: FairnessReport) -> str:
    decision = report.decision
    if decision is None or decision.rule == "given":
        return ""
    if decision.threshold is None:
        return " · most probable class" if decision.rule == "argmax" else " · one threshold"
    low, high = (f"{limit:.3g}" for limit in decision.threshold)
    return f" · threshold {low if low == high else f'{low} to {high}'}"


def _verdict(attribute: str, result: AttributeResult) -> str:
    kind = judge_attribute(result)
    return f"""<section class="verdict {kind}">
<h2>{escape(attribute)} <span class="badge">{BADGES[kind]}</span></h2>
<p>{escape(describe_gap(attribute, result))}</p>
</section>
"""


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    items = "\n".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f"""<section>
<h2>Before you trust these numbers</h2>
<ul class="warnings">
{items}
</ul>
</section>"""


def _figures(attribute: str, figures: list[ReportFigure]) -> str:
    drawn = "\n".join(
        f"""<figure>
<figcaption>{escape(figure.title)}</figcaption>
<div role="img" aria-label="{escape(figure.alternative_text)}">{figure.svg}</div>
</figure>"""
        for figure in figures
    )
    return f"""<section>
<h2>{escape(attribute)}</h2>
<div class="figures">
{drawn}
</div>
</section>
"""


def _section(section: Section) -> str:
    sentences = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in section.sentences)
    tables = "\n".join(map(html_table, section.tables))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{sentences}\n{tables}\n</section>\n"


def _tables(report: FairnessReport, attribute: str) -> str:
    tables = "\n".join(map(html_table, attribute_tables(report, attribute)))
    return f"<section>\n<h2>{escape(attribute)}: all numbers</h2>\n{tables}\n</section>\n"


def html_table(table: Table) -> str:
    """A table that scrolls by itself on a narrow screen, details below their value."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "\n".join(_row(row) for row in table.rows)
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.caption)}">
<table>
<caption>{escape(table.caption)}</caption>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _row(row: tuple[Cell, ...]) -> str:
    first, *others = row
    cells = "".join(f"<td>{_cell(cell)}</td>" for cell in others)
    return f'<tr><th scope="row">{_cell(first)}</th>{cells}</tr>'


def _cell(cell: Cell) -> str:
    detail = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
    return escape(cell.text) + detail


def _method(report: FairnessReport) -> str:
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in describe_method(report))
    return f"""<section class="method">
<h2>How these numbers are made</h2>
{paragraphs}
</section>"""
