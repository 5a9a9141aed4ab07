"""Image files → RGB pixels within the model's pixel budget, resized exactly once."""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from fairlora_cls.data.archives import read_archive_image
from fairlora_cls.data.dicom import is_dicom, read_dicom
from fairlora_cls.data.threads import map_in_threads
from fairlora_cls.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# What Pillow, numpy and zipfile raise on broken files.
DECODING_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    NotImplementedError,
    struct.error,
    Image.DecompressionBombError,
)
PERCENTILES = (0.5, 99.5)
# How pixels deeper than 8 bits become 8 bits: `percentile` (0.5th to 99.5th of the image), `range`
# (its least to its greatest value), or (low, high), a window in the file's own values.
Rescaling = str | tuple[float, float]


class UnreadableImageError(InputError):
    """An image file that cannot be decoded; carries the path and the reason."""

    def __init__(self, path: Path, reason: str):
        super().__init__(
            f"Image '{path}' cannot be read ({reason}); mend it, or leave it out with --skip-unreadable."
        )
        self.path = path
        self.reason = reason


def content_digest(path: Path) -> str:
    """blake2b of the file's bytes: the same image, the same key, whatever its name.

    Raises UnreadableImageError for a missing file.
    """
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UnreadableImageError(path, error.strerror or str(error)) from error


def read_image(path: Path, rescaling: Rescaling = "percentile") -> Image.Image:
    """Decode a whole image as 8-bit RGB, upright by its EXIF orientation, transparency as white.

    Whatever Pillow opens, DICOM (with pydicom: its rescale slope, VOI window and photometric
    interpretation) and npz. Pixels deeper than 8 bits (PadChest) are rescaled by `rescaling`,
    because a plain conversion clips them to white without a word; a DICOM's own window goes
    before a percentile. Raises UnreadableImageError, also for a file of more than 179 million
    pixels (Pillow's guard against decompression bombs).
    """
    try:
        return _decode(path, rescaling)
    except InputError:
        raise
    except DECODING_ERRORS as error:
        raise UnreadableImageError(path, str(error) or type(error).__name__) from error


def _decode(path: Path, rescaling: Rescaling) -> Image.Image:
    if path.suffix.lower() == ".npz":
        return _from_array(read_archive_image(path), rescaling)
    if is_dicom(path):
        pixels, turned_over = read_dicom(path, use_window=rescaling == "percentile")
        picture = _from_array(pixels, rescaling)
        return ImageOps.invert(picture) if turned_over else picture
    with Image.open(path) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        return _from_array(np.asarray(upright), rescaling)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layered = upright.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")
    return upright.convert("RGB")


def _from_array(pixels: np.ndarray, rescaling: Rescaling) -> Image.Image:
    """8-bit pixels as they are, deeper ones rescaled; (H, W) or (H, W, 3) → RGB."""
    if pixels.dtype == np.uint8:
        return Image.fromarray(pixels).convert("RGB")
    if pixels.dtype == np.uint16:  # one entry per value instead of arithmetic per pixel
        counts = np.bincount(pixels.ravel(), minlength=2**16)
        window = _window_of_counts(counts, rescaling)
        shades = _shades(np.arange(2**16, dtype=np.float32), *window)
        return Image.fromarray(shades[pixels]).convert("RGB")
    pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError("pixels that are not finite")
    return Image.fromarray(_shades(pixels, *_window(pixels, rescaling))).convert("RGB")


def _shades(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (scaled * 255.0 + 0.5).astype(np.uint8)


def _window_of_counts(counts: np.ndarray, rescaling: Rescaling) -> tuple[float, float]:
    """`_window` of the values 0, 1, 2 … that occur `counts` times."""
    if rescaling not in ("percentile", "range"):
        return _window(counts, rescaling)
    below = np.cumsum(counts)
    ranks = np.array(PERCENTILES if rescaling == "percentile" else (0.0, 100.0)) / 100
    ranks = ranks * (below[-1] - 1)
    lower = np.searchsorted(below, np.floor(ranks), side="right")
    upper = np.searchsorted(below, np.ceil(ranks), side="right")
    low, high = lower + (ranks - np.floor(ranks)) * (upper - lower)
    return float(low), float(high)


def _window(pixels: np.ndarray, rescaling: Rescaling) -> tuple[float, float]:
    """The values that become black and white."""
    if rescaling == "percentile":
        low, high = np.percentile(pixels, PERCENTILES)
    elif rescaling == "range":
        low, high = pixels.min(), pixels.max()
    else:
        low, high = rescaling
    return float(low), float(high)


def check_rescaling(value: Any) -> Rescaling:
    """A rescaling as a recipe gives it. Raises InputError for what is none."""
    if value in ("percentile", "range"):
        return value
    try:
        low, high = (float(bound) for bound in value)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not -math.inf < low < high < math.inf:
        raise InputError(
            "choose percentile, range, or a window of two rising numbers such as [0, 4095]"
        )
    return low, high


def fitted_size(
    size: tuple[int, int], minimum_pixels: int, maximum_pixels: int, multiple: int = 28
) -> tuple[int, int]:
    """(width, height) by qwen-vl-utils: multiples of `multiple` px, area within the budgets (px²)."""
    from qwen_vl_utils.vision_process import smart_resize

    width, height = size
    rows, columns = smart_resize(
        height, width, multiple, min_pixels=minimum_pixels, max_pixels=maximum_pixels
    )
    return columns, rows


def fit_to_budget(
    image: Image.Image, minimum_pixels: int, maximum_pixels: int, multiple: int = 28
) -> Image.Image:
    """Resize as qwen-vl-utils does, to `fitted_size`."""
    return image.resize(fitted_size(image.size, minimum_pixels, maximum_pixels, multiple))


def find_unreadable(paths: Sequence[Path]) -> list[UnreadableImageError]:
    """Decode every file once, in threads, and return what went wrong, in order."""

    def problem(path: Path) -> UnreadableImageError | None:
        try:
            read_image(path)
        except UnreadableImageError as error:
            return error
        return None

    return [error for error in map_in_threads(problem, paths) if error is not None]
