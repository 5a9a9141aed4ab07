"""check.html: findings, tables, the first example as the model reads it, a contact sheet.

One file that needs nothing else: no script, font or image from outside.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fairlora_cls.checking.findings import CheckReport, CheckTable, Finding, counted
from fairlora_cls.checking.model import FirstExample
from fairlora_cls.data.examples import Example
from fairlora_cls.data.images import UnreadableImageError, read_image
from fairlora_cls.presentation.style import STYLE

STRIP = 6  # images of a group and label on the contact sheet
THUMBNAIL = 96  # pixels a side, at most

OWN_STYLE = """
.finding { border-left: 4px solid var(--line); background: var(--panel); padding: .7rem 1.1rem;
  border-radius: 0 8px 8px 0; margin: 0 0 .7rem; max-width: 54rem; }
.finding.error { border-color: var(--alert); background: var(--alert-panel); }
.finding.warning { border-color: var(--accent); }
.finding b { margin-right: .5rem; }
.finding code { color: var(--muted); font-size: .8rem; margin-left: .4rem; }
.sheet { margin: 0 0 1rem; }
.sheet h3 { font-weight: 500; margin: .8rem 0 .3rem; }
.sheet div { display: flex; flex-wrap: wrap; gap: 6px; }
.sheet img { display: block; height: 84px; width: auto; border-radius: 3px; }
.first { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.first img { max-width: 100%; border: 1px solid var(--line); image-rendering: auto; }
pre { white-space: pre-wrap; background: var(--panel); border-radius: 8px; padding: .9rem 1.1rem;
  font-size: .85rem; margin: 0 0 1rem; max-width: 54rem; }
.tokens span { display: inline-block; background: var(--panel); border: 1px solid var(--line);
  border-radius: 4px; padding: 0 .3rem; margin: 0 3px 3px 0; font: .8rem ui-monospace, monospace;
  white-space: pre; }
.tokens small { display: inline; }
"""


@dataclass(frozen=True)
class Strip:
    """Some images of one group and label."""

    title: str
    images: tuple[Path, ...]


def choose_strips(
    examples: Sequence[Example],
    readable: Sequence[bool],
    attributes: Sequence[str],
    classes: Sequence[str],
) -> list[Strip]:
    """Evenly chosen readable images of every group and label; of every label without attributes."""
    cells: dict[tuple[str, ...], list[Path]] = {}
    for example, usable in zip(examples, readable, strict=True):
        label = classes[example.label]
        keys = [(f"{name} {example.attributes.get(name)}", label) for name in attributes]
        for key in (keys or [(label,)]) if usable else ():
            cells.setdefault(key, []).append(example.image)
    strips = []
    for key, images in sorted(cells.items()):
        places = np.linspace(0, len(images) - 1, min(STRIP, len(images)), dtype=int)
        title = " · ".join((*key, f"{len(images):,}"))
        strips.append(Strip(title, tuple(images[i] for i in places)))
    return strips


def render_check_page(
    title: str, report: CheckReport, first: FirstExample | None, sheet: Sequence[Strip]
) -> str:
    """The whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Check: {escape(title)}</title>
<style>{STYLE}{OWN_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Check before training</h1>
<p class="facts"><b>{escape(title)}</b></p>
</header>
<section aria-label="Findings">
<p class="lead">{escape(_verdict(report))}</p>
{"".join(_finding(f) for f in report.findings)}
</section>
{_first_example(first) if first else ""}
{_contact_sheet(sheet)}
<section>
<h2>Numbers</h2>
{"".join(_table(t) for t in report.tables)}
</section>
</main>
</body>
</html>
"""


def _verdict(report: CheckReport) -> str:
    counts = report.to_dict()["counts"]
    if report.failed:
        return f"{counted(counts['error'], 'error')} must be mended before training."
    if counts["warning"]:
        return f"Nothing stops a training; look at {counted(counts['warning'], 'warning')}."
    return "Nothing stops a training."


def _finding(finding: Finding) -> str:
    return (
        f'<p class="finding {finding.severity}"><b>{finding.severity.capitalize()}</b>'
        f"{escape(finding.message)}<code>{escape(finding.code)}</code></p>\n"
    )


def _first_example(first: FirstExample) -> str:
    shown = escape(
        first.text.replace(first.placeholder, f"{first.placeholder} × {first.visual_tokens}", 1)
    )
    width, height = first.image.size
    return f"""<section>
<h2>The first example, as the model reads it</h2>
<p>Example <b>{escape(first.id)}</b>: stored with {first.stored[0]} × {first.stored[1]} px, resized to
{width} × {height} px, {first.visual_tokens} visual tokens; {len(first.token_ids)} tokens in all.</p>
<div class="first"><img alt="The resized image" src="{_data_uri(first.image, "PNG")}"
width="{width}" height="{height}"></div>
<h3>The text of the chat template</h3>
<pre>{shown}</pre>
<h3>Tokens</h3>
<p class="tokens">{_tokens(first)}</p>
</section>"""


def _tokens(first: FirstExample) -> str:
    shown, repeated = [], 0
    for number, token in zip(first.token_ids, first.tokens, strict=True):
        if number == first.image_token:
            repeated += 1
            if repeated > 1:
                continue
            token = f"{token} × {first.visual_tokens}"
        spelled = token.replace("\n", "⏎")
        shown.append(f"<span>{escape(spelled)} <small>{number}</small></span>")
    return "".join(shown)


def _contact_sheet(sheet: Sequence[Strip]) -> str:
    if not sheet:
        return ""
    strips = "".join(
        f"<h3>{escape(strip.title)}</h3>\n<div>{''.join(_thumbnail(p) for p in strip.images)}</div>\n"
        for strip in sheet
    )
    return f'<section class="sheet">\n<h2>Contact sheet</h2>\n{strips}</section>'


def _thumbnail(path: Path) -> str:
    try:
        image = read_image(path)
    except UnreadableImageError:
        return ""
    image.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))
    name = escape(path.name)
    return f'<img alt="{name}" title="{name}" src="{_data_uri(image, "JPEG")}">'


def _data_uri(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 80} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _table(table: CheckTable) -> str:
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">
<table>
<caption>{escape(table.title)}</caption>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
"""
