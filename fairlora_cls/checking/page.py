"""A check as a document: findings, the first example as the model reads it, a contact sheet, tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fairlora_cls.checking.findings import SEVERITIES, CheckReport, counted
from fairlora_cls.data.examples import Example
from fairlora_cls.data.images import UnreadableImageError, read_image
from fairlora_cls.presentation.document import Document, Excerpt, Fact, Part, Picture

if TYPE_CHECKING:  # torch, of which a check of a bad recipe needs nothing
    from fairlora_cls.models.backbones import Backbone

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
    title: str, report: CheckReport, first: Part | None, sheet: tuple[Excerpt, ...]
) -> Document:
    """The check as a document: first what is wrong."""
    return Document(
        title="Check before training",
        facts=(Fact(title),),
        summary=(_verdict(report),),
        verdicts=(),
        parts=(
            *_findings(report),
            *([first] if first else []),
            *([Part("Contact sheet", excerpts=sheet)] if sheet else []),
            Part("Numbers", tables=tuple(report.tables)),
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


def show_first_example(example: Example, text: str, backbone: Backbone) -> Part:
    """One example exactly as the model will read it: read, resized and tokenised by the functions
    that training uses; `text` is the chat template's."""
    stored = read_image(example.image, backbone.rescaling)
    fitted = backbone.fit_image(stored)
    grid = backbone.grid_of_size(stored.size)
    tokens = backbone.encode_text(text, grid).tolist()
    count = backbone.visual_tokens(grid)
    placeholder = backbone.image_placeholder
    sizes = [f"{image.width} × {image.height} px" for image in (stored, fitted)]
    sentence = (
        f"Example {example.id}: stored with {sizes[0]}, resized to {sizes[1]}, {count} visual "
        f"tokens; {len(tokens)} tokens in all."
    )
    texts = (
        ("Text", text.replace(placeholder, f"{placeholder} × {count}", 1)),
        ("Tokens, each with its number", _spell(tokens, count, backbone)),
    )
    picture = _picture("The resized image", fitted, "PNG")
    return Part(
        "The first example, as the model reads it",
        sentences=(sentence,),
        excerpts=(Excerpt("Image, text of the chat template and tokens", texts, (picture,)),),
    )


def _spell(tokens: Sequence[int], count: int, backbone: Backbone) -> str:
    """'a' 12 · 'b' 7; of the visual tokens the first, with their count."""
    image = backbone.image_token
    first = tokens.index(image)
    spelled = []
    for place, token in enumerate(tokens):
        if token == image and place > first:
            continue
        times = f" × {count}" if token == image else ""
        word = backbone.processor.tokenizer.decode([token]).replace("\n", "⏎")
        spelled.append(f"'{word}'{times} {token}")
    return " · ".join(spelled)


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
