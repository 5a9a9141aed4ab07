"""The report as one HTML file that needs nothing else: no script, font or image from outside."""

from html import escape

from fairlora_cls.evaluation.document import Document, Fact, Verdict
from fairlora_cls.evaluation.page_style import STYLE
from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.sections import Excerpt, Section
from fairlora_cls.evaluation.tables import Cell, Table

BADGES = {
    "untested": "not tested",
    "chance": "within chance",
    "lead": "a lead, not evidence",
    "evidence": "evidence",
}


def render_page(document: Document) -> str:
    """The whole page, with the figures drawn into it as SVG."""
    drawn = {
        name: [figure for figure in document.figures if figure.attribute == name]
        for name in document.attributes
    }
    pictures = "".join(_figures(name, group) for name, group in drawn.items() if group)
    tables = "".join(_tables(name, tables) for name, tables in document.attributes.items())
    title = escape(document.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p class="facts">{" · ".join(map(_fact, document.facts))}</p>
</header>
<section aria-label="In short">
<p class="summary">{escape(" ".join(document.summary))}</p>
{"".join(map(_verdict, document.verdicts))}
</section>
{_warnings(document.warnings)}
{pictures}
{"".join(map(_section, document.sections))}
<section>
<h2>{escape(document.overall_title)}: all numbers</h2>
{"".join(map(html_table, document.overall))}
</section>
{tables}
{_method(document.method)}
</main>
</body>
</html>
"""


def _fact(fact: Fact) -> str:
    names = ", ".join(f"<b>{escape(name)}</b>" for name in fact.names)
    return f"{escape(fact.words)} {names}" if names else escape(fact.words)


def _verdict(verdict: Verdict) -> str:
    return f"""<section class="verdict {verdict.kind}">
<h2>{escape(verdict.attribute)} <span class="badge">{BADGES[verdict.kind]}</span></h2>
<p>{escape(verdict.text)}</p>
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
    parts = "\n".join((*map(_excerpt, section.excerpts), *map(html_table, section.tables)))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{sentences}\n{parts}\n</section>\n"


def _excerpt(excerpt: Excerpt) -> str:
    texts = "\n".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(text)}</dd></div>"
        for label, text in excerpt.texts
    )
    return f"""<article class="excerpt">
<h3>{escape(excerpt.heading)}</h3>
<dl>{texts}</dl>
</article>"""


def _tables(attribute: str, tables: tuple[Table, ...]) -> str:
    rows = "\n".join(map(html_table, tables))
    return f"<section>\n<h2>{escape(attribute)}: all numbers</h2>\n{rows}\n</section>\n"


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


def _method(method: tuple[str, ...]) -> str:
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in method)
    return f"""<section class="method">
<h2>How these numbers are made</h2>
{paragraphs}
</section>"""
