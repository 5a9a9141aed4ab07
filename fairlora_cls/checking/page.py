"""A check as a document: findings, the first example as the model reads it, a contact sheet, tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fairlora_cls.checking.findings import SEVERITIES, CheckReport, counted
from fairlora_cls.checking.model import FirstExample
from fairlora_cls.data.examples import Example
from fairlora_cls.data.images import UnreadableImageError, read_image
from fairlora_cls.presentation.document import Document, Excerpt, Fact, Part, Picture

STRIP = 6  # images of a group and label on the contact sheet
THUMBNAIL = 144  # pixels a side, at most


def draw_contact_sheet(
    examples: Sequence[Example],
    readable: Sequence[bool],
    attributes: Sequence[str],
    classes: Sequence[str],
) -> tuple[Excerpt, ...]:
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
        strips.append(Excerpt(title, pictures=_thumbnails([images[i] for i in places])))
    return tuple(strips)


def check_document(
    title: str, report: CheckReport, first: FirstExample | None, sheet: tuple[Excerpt, ...]
) -> Document:
    """The check as a document: first what is wrong."""
    return Document(
        title="Check before training",
        facts=(Fact(title),),
        summary=(_verdict(report),),
        verdicts=(),
        parts=(
            *_findings(report),
            *([_first_example(first)] if first else []),
            *([Part("Contact sheet", excerpts=sheet)] if sheet else []),
            Part("Numbers", tables=report.tables),
        ),
    )


def _verdict(report: CheckReport) -> str:
    counts = report.to_dict()["counts"]
    if report.failed:
        return f"{counted(counts['error'], 'error')} must be mended before training."
    if counts["warning"]:
        return f"Nothing stops a training; look at {counted(counts['warning'], 'warning')}."
    return "Nothing stops a training."


def _findings(report: CheckReport) -> list[Part]:
    """A part for each severity that there is, most severe first."""
    listed = {
        severity: tuple(
            f"{f.message} ({f.code})" for f in report.findings if f.severity == severity
        )
        for severity in SEVERITIES
    }
    return [
        Part(f"{severity.capitalize()}s", points=points)
        for severity, points in listed.items()
        if points
    ]


def _first_example(first: FirstExample) -> Part:
    width, height = first.image.size
    shown = first.text.replace(first.placeholder, f"{first.placeholder} × {first.visual_tokens}", 1)
    return Part(
        "The first example, as the model reads it",
        sentences=(
            f"Example {first.id}: stored with {first.stored[0]} × {first.stored[1]} px, resized to "
            f"{width} × {height} px, {first.visual_tokens} visual tokens; {len(first.token_ids)} "
            "tokens in all.",
        ),
        excerpts=(
            Excerpt(
                "Image, text of the chat template and tokens",
                (("Text", shown), ("Tokens, each with its number", _tokens(first))),
                (_picture("The resized image", first.image, "PNG"),),
            ),
        ),
    )


def _tokens(first: FirstExample) -> str:
    """'a' 12 · 'b' 7; the visual tokens once, with their count."""
    shown, repeated = [], 0
    for number, token in zip(first.token_ids, first.tokens, strict=True):
        times = ""
        if number == first.image_token:
            repeated += 1
            if repeated > 1:
                continue
            times = f" × {first.visual_tokens}"
        spelled = token.replace("\n", "⏎")
        shown.append(f"'{spelled}'{times} {number}")
    return " · ".join(shown)


def _thumbnails(paths: Sequence[Path]) -> tuple[Picture, ...]:
    """Small pictures of the files that can still be read."""
    pictures = []
    for path in paths:
        try:
            image = read_image(path)
        except UnreadableImageError:
            continue
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        pictures.append(_picture(path.name, image, "JPEG"))
    return tuple(pictures)


def _picture(name: str, image: Image.Image, kind: str) -> Picture:
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 80} if kind == "JPEG" else {}))
    content = base64.b64encode(file.getvalue()).decode()
    return Picture(name, f"data:image/{kind.lower()};base64,{content}")
