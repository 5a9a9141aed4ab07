"""Small pictures, and the ways in which an image file can be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fuzzing.cases import EITHER, REFUSED, SAME, Mutation

SIZE = 48  # px, of either side


def draw_image(number: int, label: int) -> Image.Image:
    """Noise, with a bright square where the label is 1."""
    pixels = np.random.default_rng([7, number]).integers(0, 90, (SIZE, SIZE, 3)).astype(np.uint8)
    if label:
        pixels[12:24, 12:24] = 220
    return Image.fromarray(pixels)


def _bytes(change: Callable[[np.random.Generator, bytes], bytes]) -> Callable:
    def apply(generator: np.random.Generator, path: Path) -> None:
        path.write_bytes(change(generator, path.read_bytes()))

    return apply


def _saved(make: Callable[[np.random.Generator], Image.Image], **options: object) -> Callable:
    return lambda generator, path: make(generator).save(path, **options)


def _linked(target: str) -> Callable:
    def apply(generator: np.random.Generator, path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return apply


def _folder(generator: np.random.Generator, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pages(generator: np.random.Generator, path: Path) -> None:
    draw_image(1, 0).save(path, format="TIFF", save_all=True, append_images=[draw_image(2, 1)])


# same: a picture. refused: unreadable, by name. either: one of the two.
BROKEN_IMAGES = (
    Mutation("an image cut", _bytes(lambda g, d: d[: int(g.integers(1, len(d) - 20))]), REFUSED),
    Mutation("an image of no bytes", _bytes(lambda g, d: b""), REFUSED),
    Mutation("an image that is text", _bytes(lambda g, d: b"see attachment\n"), REFUSED),
    Mutation("an image of NULs", _bytes(lambda g, d: b"\0" * len(d)), REFUSED),
    Mutation("an image that is noise", _bytes(lambda g, d: g.bytes(400)), REFUSED),
    Mutation("an image with its head only", _bytes(lambda g, d: d[:60]), REFUSED),
    Mutation("an image with a tail", _bytes(lambda g, d: d + b"\0" * 100), SAME),
    Mutation("an image with bytes lost", _bytes(lambda g, d: d[:200] + d[260:]), EITHER),
    Mutation("an image that is gone", lambda g, p: p.unlink(), REFUSED),
    Mutation("an image that is a folder", _folder, REFUSED),
    Mutation("an image that is a broken link", _linked("none.png"), REFUSED),
    Mutation("an image that is a link in a circle", _linked("003.png"), REFUSED),
    Mutation("an image that is a link to another", _linked("004.png"), SAME),
    Mutation("JPEG called PNG", _saved(lambda g: draw_image(3, 1), format="JPEG"), SAME),
    Mutation("an image of 1 bit", _saved(lambda g: draw_image(3, 1).convert("1")), SAME),
    Mutation("an image with a palette", _saved(lambda g: draw_image(3, 1).convert("P")), SAME),
    Mutation("an image with alpha", _saved(lambda g: draw_image(3, 1).convert("RGBA")), SAME),
    Mutation("grey of 16 bits", _saved(lambda g: Image.fromarray(g.integers(0, 4000, (40, 40)).astype(np.uint16))), SAME),
    Mutation("CMYK", _saved(lambda g: draw_image(3, 1).convert("CMYK"), format="JPEG"), SAME),
    Mutation("real numbers", _saved(lambda g: Image.fromarray(g.random((40, 40)).astype(np.float32)), format="TIFF"), EITHER),
    Mutation("numbers that are not finite", _saved(lambda g: Image.fromarray(np.full((40, 40), np.nan, np.float32)), format="TIFF"), REFUSED),
    Mutation("one pixel", _saved(lambda g: Image.new("RGB", (1, 1))), EITHER),
    Mutation("a sliver", _saved(lambda g: Image.new("RGB", (3, 900))), EITHER),
    Mutation("several pages", _pages, REFUSED),
    Mutation("a moving picture", _saved(lambda g: draw_image(3, 1), format="GIF", save_all=True, append_images=[draw_image(4, 0)]), REFUSED),
)  # fmt: skip
