"""Image files → RGB pixels within the model's pixel budget, resized exactly once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from fairlora_cls.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def read_image(path: Path) -> Image.Image:
    """Decode a whole image as 8-bit RGB, upright by its EXIF orientation.

    16-bit and float greyscale (PadChest) is rescaled between its 0.5th and 99.5th percentile,
    because a plain conversion clips it to white without a word. Raises UnreadableImageError.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(path, str(error) or type(error).__name__) from error
    if upright.mode.startswith(("I", "F")):
        return _percentile_window(np.asarray(upright, dtype=np.float32)).convert("RGB")
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layered = upright.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")
    return upright.convert("RGB")


def _percentile_window(pixels: np.ndarray) -> Image.Image:
    low, high = np.percentile(pixels, (0.5, 99.5))
    scaled = np.clip((pixels - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return Image.fromarray((scaled * 255.0 + 0.5).astype(np.uint8), mode="L")


def fit_to_budget(image: Image.Image, minimum_pixels: int, maximum_pixels: int) -> Image.Image:
    """Resize by qwen-vl-utils: sides to multiples of 28 px, area between the two budgets (px²)."""
    from qwen_vl_utils import fetch_image

    return fetch_image({"image": image, "min_pixels": minimum_pixels, "max_pixels": maximum_pixels})


def find_unreadable(paths: Sequence[Path]) -> list[UnreadableImageError]:
    """Decode every file once, in threads, and return what went wrong, in order."""
    from concurrent.futures import ThreadPoolExecutor

    def problem(path: Path) -> UnreadableImageError | None:
        try:
            read_image(path)
        except UnreadableImageError as error:
            return error
        return None

    with ThreadPoolExecutor() as pool:
        return [error for error in pool.map(problem, paths) if error is not None]
