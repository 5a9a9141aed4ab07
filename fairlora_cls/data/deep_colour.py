"""Colour of 16 bits a channel, of which Pillow by itself keeps the upper 8 without a word.

H rows, W columns, C channels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

BITS_PER_SAMPLE = 258  # a tag of TIFF
BYTE_ORDERS = ("B", "L", "N")  # at the end of a raw mode: big, little, the machine's own
NATIVE = "L" if sys.byteorder == "little" else "B"
CODESTREAM = b"\xff\x4f\xff\x51"  # how one of JPEG 2000 begins …
DEPTH_AT = 42  # … and where it says the bits of a channel, less one


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened file has more than 8 bits a channel and Pillow would keep 8 of them."""
    if image.mode.startswith(("I", "F")):
        return False
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8
    if image.format == "JPEG2000":
        return _jpeg2000_bits(Path(image.filename)) > 8
    if image.format == "PPM":
        return any(isinstance(tile[3], tuple) and tile[3][1] > 255 for tile in image.tile)
    return any(_is_deep(raw_mode) for raw_mode in _raw_modes(image))


def read_deep_colour(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All bits of such a file, upright: colour (H, W, 3) uint16, and what can be seen (H, W) uint16.

    Pillow takes the first byte of a sample where the raw mode says that the big end comes first,
    and the second one where it says the little end: read both ways, both are there. Raises
    ValueError for other kinds than RGB and grey, each also with transparency.
    """
    with Image.open(path) as image:
        kind, raw_modes = image.mode, _raw_modes(image)
        hidden = image.info.get("transparency")  # of PNG: the one colour that is not seen
    raw_mode = raw_modes.pop() if len(raw_modes) == 1 else ""
    if raw_mode == "LA;16B":  # grey and its transparency, four bytes like those of RGBA
        grey_high, grey_low, seen_high, seen_low = np.moveaxis(_read_as(path, "RGBA"), 2, 0)
        grey = _joined(grey_high, grey_low)
        return np.repeat(grey[..., None], 3, axis=2), _joined(seen_high, seen_low)
    if not _is_deep(raw_mode) or raw_mode[:-1] not in ("RGB;16", "RGBA;16", "RGBX;16"):
        raise ValueError(f"{kind} of more than 8 bits a channel; save it with 8 bits, or as RGB")
    order = NATIVE if raw_mode[-1] == "N" else raw_mode[-1]
    other = "B" if order == "L" else "L"
    samples = _joined(_read_as(path, raw_mode), _read_as(path, raw_mode[:-1] + other))
    colour = samples[..., :3]
    if samples.shape[2] == 4:
        return colour, samples[..., 3]
    seen = np.full(colour.shape[:2], 65535, np.uint16)
    if hidden is not None:
        seen[(colour == np.array(hidden)).all(axis=2)] = 0
    return colour, seen


def _is_deep(raw_mode: str) -> bool:
    return raw_mode.endswith(tuple(f";16{order}" for order in BYTE_ORDERS))


def _raw_modes(image: Image.Image) -> set[str]:
    """How the parts of an opened file say that their bytes become pixels."""
    arguments = (tile[3] for tile in image.tile)
    return {str(a[0]) if isinstance(a, tuple) else str(a) for a in arguments}


def _read_as(path: Path, raw_mode: str) -> np.ndarray:
    """(H, W, C) uint8 by another raw mode than the file's own, upright."""

    def renamed(tile: tuple) -> tuple:
        arguments = (raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode
        changed = (*tile[:3], arguments)
        return changed if type(tile) is tuple else tile._make(changed)  # plain before Pillow 11

    with Image.open(path) as image:
        image.tile = [renamed(tile) for tile in image.tile]
        image.load()
        return np.asarray(ImageOps.exif_transpose(image))


def _joined(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return high.astype(np.uint16) << 8 | low


def _jpeg2000_bits(path: Path) -> int:
    content = path.read_bytes()
    start = content.find(CODESTREAM)
    return (content[start + DEPTH_AT] & 0x7F) + 1 if start >= 0 else 8
