"""A comparison on disk: comparison.json, comparison.md, comparison.html and figures/."""

import json
from html import escape
from pathlib import Path

from fairlora_cls.evaluation.comparison_figures import draw_comparison_figures
from fairlora_cls.evaluation.comparison_results import Comparison
from fairlora_cls.evaluation.comparison_tables import contest_tables, methods_table, pair_tables
from fairlora_cls.evaluation.comparison_wording import (
    describe_accuracy,
    describe_comparison_method,
    describe_contest,
    describe_gap_difference,
    verdict_of,
)
from fairlora_cls.evaluation.markdown import markdown_table, markdown_text
from fairlora_cls.evaluation.page import html_table
from fairlora_cls.evaluation.page_style import STYLE
from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.tables import Table
from fairlora_cls.files import write_atomically, write_text

COMPARISON_FILES = {"comparison.json", "comparison.md", "comparison.html", "figures"}
PAIRS_TITLE = "<h2>Pair by pair</h2>\n"  # where the methods over their seeds come first
NOTES = "Before you trust these numbers"
METHOD = "How these numbers are made"


def write_comparison(comparison: Comparison, folder: str | Path) -> None:
    """Writes the files into `folder`, which is made; each is whole or absent.

    All contents are made before the first file is written, so that a failure writes nothing;
    figures of an earlier comparison are removed.
    """
    folder = Path(folder)
    figures = draw_comparison_figures(comparison)
    text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    texts = {
        "comparison.json": text + "\n",
        "comparison.md": render_comparison_markdown(comparison, figures),
        "comparison.html": render_comparison_page(comparison, figures),
    }
    for figure in figures:
        write_atomically(
            folder / "figures" / figure.file_name,
            lambda path, png=figure.png: path.write_bytes(png),
        )
    for name, content in texts.items():
        write_text(folder / name, content)
    drawn = {figure.file_name for figure in figures}
    for old in (folder / "figures").glob("*.png"):
        if old.name not in drawn:
            old.unlink()


def describe_comparison(comparison: Comparison) -> list[str]:
    """What the first paragraphs of the files say, and the notes; of methods with several seeds
    what they show over the seeds, without each seed's pair."""
    return [*(_over_seeds(comparison) or _sentences(comparison)), *comparison.notes]


def render_comparison_page(comparison: Comparison, figures: list[ReportFigure]) -> str:
    """One HTML file that needs nothing else."""
    lead = "".join(f'<p class="lead">{escape(text)}</p>\n' for text in _over_seeds(comparison))
    accuracy = "".join(f"<p>{escape(text)}</p>\n" for text in _accuracy(comparison))
    verdicts = "".join(
        f"""<section class="verdict {kind}">
<h3>{escape(title)} <span class="badge">{badge}</span></h3>
<p>{escape(text)}</p>
</section>
"""
        for title, kind, badge, text in _verdicts(comparison)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    warnings = f'<section><h2>{NOTES}</h2><ul class="warnings">{notes}</ul></section>'
    pictures = "\n".join(
        f"""<figure>
<figcaption>{escape(figure.title)}</figcaption>
<div role="img" aria-label="{escape(figure.alternative_text)}">{figure.svg}</div>
</figure>"""
        for figure in figures
    )
    tables = "\n".join(
        f"<section>\n<h2>{escape(title)}</h2>\n{''.join(map(html_table, group))}\n</section>"
        for title, group in _tables(comparison)
    )
    method = "\n".join(f"<p>{escape(t)}</p>" for t in describe_comparison_method(comparison))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison of runs</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Comparison of runs</h1>
<p class="facts">{escape(_facts(comparison))}</p>
</header>
<section aria-label="In short">
{lead}{PAIRS_TITLE if lead else ""}{verdicts}{accuracy}</section>
{warnings if comparison.notes else ""}
<section>
<h2>Paired differences</h2>
<div class="figures">
{pictures}
</div>
</section>
{tables}
<section class="method">
<h2>{METHOD}</h2>
{method}
</section>
</main>
</body>
</html>
"""


def render_comparison_markdown(comparison: Comparison, figures: list[ReportFigure]) -> str:
    """The same content as Markdown; figures are linked from figures/."""
    parts = ["# Comparison of runs", markdown_text(_facts(comparison))]
    parts += map(markdown_text, _sentences(comparison))
    if comparison.notes:
        notes = "\n".join(f"- {markdown_text(note)}" for note in comparison.notes)
        parts += [f"## {NOTES}", notes]
    parts.append("## Paired differences")
    parts += [f"![{markdown_text(f.alternative_text)}](figures/{f.file_name})" for f in figures]
    for title, tables in _tables(comparison):
        parts.append(f"## {markdown_text(title)}")
        for table in tables:
            parts += [f"### {markdown_text(table.caption)}", markdown_table(table)]
    parts += [f"## {METHOD}", *map(markdown_text, describe_comparison_method(comparison))]
    return "\n\n".join(parts) + "\n"


def _facts(comparison: Comparison) -> str:
    runs = ", ".join(run.name for run in comparison.runs)
    return (
        f"{comparison.n:,} test images, the same for all · positive class {comparison.positive} · "
        f"runs {runs} · reference {comparison.runs[0].method}"
    )


def _sentences(comparison: Comparison) -> list[str]:
    """What methods show over their seeds, then each pair's gaps, then its accuracy."""
    verdicts = [text for *_, text in _verdicts(comparison)]
    return [*_over_seeds(comparison), *verdicts, *_accuracy(comparison)]


def _over_seeds(comparison: Comparison) -> list[str]:
    return [text for contest in comparison.contests for text in describe_contest(contest)]


def _accuracy(comparison: Comparison) -> list[str]:
    return [describe_accuracy(comparison, pair) for pair in comparison.pairs]


def _verdicts(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    """Of each pair and attribute: title, kind, badge and sentences."""
    return [
        (
            f"{pair.other} – {pair.reference}: {attribute}",
            *verdict_of(result.gaps["max_acc_gap"]),
            describe_gap_difference(pair, attribute, result),
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
        sections.append((f"{pair.other} – {pair.reference}: all numbers", pair_tables(pair)))
    return sections
