"""A document on disk: its numbers as JSON, the same as Markdown and HTML, and its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlora_cls.files import write_atomically, write_text
from fairlora_cls.presentation.document import Document
from fairlora_cls.presentation.rendering import render_markdown, render_page

CHECKLIST = "checklist.md"  # beside a report
FIGURES = "figures"  # the folder of the figures' files


def files_of(stem: str) -> set[str]:
    """What `write_document` writes."""
    return {f"{stem}.json", f"{stem}.md", f"{stem}.html", FIGURES}


def write_document(
    document: Document,
    values: Mapping[str, Any],
    folder: str | Path,
    stem: str,
    *,
    beside: Mapping[str, str] | None = None,
    png: bool = False,
) -> None:
    """Write `stem`.html, .md and .json (`values`) and figures/ into `folder`, which is made.

    beside: further files by name, with what they say; png: each figure as PNG too, beside its SVG

    All contents are made before the first file is written, so that a failure writes nothing; each
    file is whole or absent, and the JSON comes last. Figures of an earlier document are removed,
    other files of the folder stay. Raises ValueError where `values` hold NaN.
    """
    folder = Path(folder)
    contents = {
        **(beside or {}),
        f"{stem}.html": render_page(document),
        f"{stem}.md": render_markdown(document),
        f"{stem}.json": json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    drawn = {}
    for figure in document.figures:
        drawn[f"{figure.file_name}.svg"] = figure.drawing.as_file(figure.alternative_text).encode()
        if png:
            drawn[f"{figure.file_name}.png"] = figure.drawing.png()
    for name, content in drawn.items():
        write_atomically(
            folder / FIGURES / name, lambda path, content=content: path.write_bytes(content)
        )
    for name, content in contents.items():
        write_text(folder / name, content)
    for earlier in (folder / FIGURES).glob("*.*"):
        if earlier.suffix in (".svg", ".png") and earlier.name not in drawn:
            earlier.unlink()
