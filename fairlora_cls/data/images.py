"""Image files → RGB pixels within the model's pixel budget, resized exactly once."""

from __future__ import annotations

import hashlib
import math
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from fairlora_cls.data.archives import is_archive, read_archive_image
from fairlora_cls.data.deep_colour import is_deep_colour, read_deep_colour
from fairlora_cls.data.dicom import PREAMBLE, is_dicom, read_dicom
from fairlora_cls.data.threads import attempt, map_in_threads
from fairlora_cls.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

READING = 2  # a new number wherever the same file becomes other pixels than before
LARGEST_RATIO = 200  # of an image's sides; qwen-vl-utils refuses more
PERCENTILES = (0.5, 99.5)
WHITE_IS_ZERO = 0  # of TIFF's tag 262
SIGNED = 2  # of TIFF's tag 339
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
    _require_file(path)
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UnreadableImageError(path, error.strerror or str(error)) from error


def read_image(path: Path, rescaling: Rescaling = "percentile") -> Image.Image:
    """Decode a whole image as 8-bit RGB, upright by its EXIF orientation, transparency as white.

    What it is, its content says and not its name: DICOM (with pydicom: its rescale slope, VOI
    window, padding and photometric interpretation), npz, or whatever Pillow opens. Pixels deeper
    than 8 bits (PadChest) are rescaled by `rescaling`, all colours alike, because a plain
    conversion clips them to white or cuts them to black without a word; a DICOM's own window goes
    before a percentile. Raises UnreadableImageError, also for a file of several frames, and of
    more than 179 million pixels (Pillow's guard against decompression bombs).
    """
    _require_file(path)
    try:
        return _decode(path, rescaling)
    except InputError:
        raise
    except Exception as error:  # broken files make decoders raise almost anything
        raise UnreadableImageError(path, str(error) or type(error).__name__) from error


def read_fitted(
    path: Path, fit: Callable[[Image.Image], Any], rescaling: Rescaling = "percentile"
) -> Any:
    """`fit` of an image. Raises UnreadableImageError also where its shape fits no backbone."""
    image = read_image(path, rescaling)
    try:
        return fit(image)
    except ValueError as error:
        raise UnreadableImageError(path, str(error)) from error


def _require_file(path: Path) -> None:
    """Raise UnreadableImageError for what is no file: a pipe or a device would be waited for without
    end, and some names no file can have."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise UnreadableImageError(path, getattr(error, "strerror", None) or str(error)) from error
    if not stat.S_ISREG(mode):
        raise UnreadableImageError(path, "it is a folder or a device, not a file")


def container_of(path: Path) -> str:
    """`dicom`, `npz`, or '' for what is left to Pillow. Raises OSError."""
    with path.open("rb") as handle:
        beginning = handle.read(PREAMBLE + 4)
    if is_dicom(beginning):
        return "dicom"
    return "npz" if is_archive(beginning) else ""


def _decode(path: Path, rescaling: Rescaling) -> Image.Image:
    container = container_of(path)
    if container == "npz":
        return _from_array(read_archive_image(path), rescaling)
    if container == "dicom":
        return _from_dicom(path, rescaling)
    with Image.open(path) as image:
        _refuse_several(image)
        if is_deep_colour(image):
            return _from_deep_colour(path, rescaling)
        tags = image.tag_v2 if image.format == "TIFF" else {}
        signed, turned_over = SIGNED in tags.get(339, ()), tags.get(262) == WHITE_IS_ZERO
        if signed and image.mode == "L":
            raise ValueError("8-bit pixels with a sign; save them without one")
        image.load()
        upright = ImageOps.exif_transpose(image)
    hidden = upright.info.get("transparency")
    if upright.mode.startswith(("I", "F")):
        pixels = np.asarray(upright)
        if tags and upright.mode == "I" and not signed:
            pixels = pixels.view(np.uint32)
        is_seen = None if hidden is None else pixels != hidden
        # Of 8 bits Pillow turns such files over itself.
        return _from_grey(pixels, rescaling, is_seen, turned_over, "white")
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or hidden is not None:
        return _on_white(upright.convert("RGBA"))
    return upright.convert("RGB")


def _refuse_several(image: Image.Image) -> None:
    """A photograph may carry a smaller one of itself (MPO); other frames are other pictures."""
    if not getattr(image, "is_animated", False):
        return
    if image.format == "MPO":
        width, height = image.size
        sizes = []
        for frame in range(1, image.n_frames):
            image.seek(frame)
            sizes.append(image.size)
        image.seek(0)
        if all(w < width and h < height for w, h in sizes):
            return
    raise ValueError("several pages or frames; one image is expected")


def _from_dicom(path: Path, rescaling: Rescaling) -> Image.Image:
    pixels = read_dicom(path, use_window=rescaling == "percentile")
    return _from_grey(pixels.values, rescaling, pixels.is_image, pixels.turned_over, "black")


def _from_deep_colour(path: Path, rescaling: Rescaling) -> Image.Image:
    colour, seen = read_deep_colour(path)
    layered = _from_array(colour, rescaling, seen > 0)
    layered.putalpha(Image.fromarray((seen >> 8).astype(np.uint8)))
    return _on_white(layered)


def _on_white(layered: Image.Image) -> Image.Image:
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("RGB")


def _from_grey(
    pixels: np.ndarray,
    rescaling: Rescaling,
    counted: np.ndarray | None,
    turned_over: bool,
    elsewhere: str,
) -> Image.Image:
    """Pixels whose least value is white where they are `turned_over`; what is not `counted` (H, W)
    gets the colour `elsewhere`."""
    picture = _from_array(pixels, rescaling, counted)
    picture = ImageOps.invert(picture) if turned_over else picture
    if counted is not None:
        picture.paste(elsewhere, mask=Image.fromarray(~counted))
    return picture


def _from_array(
    pixels: np.ndarray, rescaling: Rescaling, counted: np.ndarray | None = None
) -> Image.Image:
    """8-bit pixels as they are, deeper ones rescaled; (H, W) or (H, W, 3) → RGB.

    Only pixels that are `counted` (H, W) say what becomes black and white; one window for all
    colours keeps their hue.
    """
    if pixels.dtype == np.uint8:
        return Image.fromarray(pixels).convert("RGB")
    if pixels.dtype.kind not in "biuf":
        raise ValueError(f"pixels of the type {pixels.dtype}; numbers are expected")
    if pixels.dtype == np.uint16:  # one entry per value instead of arithmetic per pixel
        of_window = pixels if counted is None else pixels[counted]
        counts = np.bincount(of_window.ravel(), minlength=2**16)
        window = _window_of_counts(counts, rescaling)
        shades = _shades(np.arange(2**16, dtype=np.float32), *window)
        return Image.fromarray(shades[pixels]).convert("RGB")
    pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError("pixels that are not finite")
    of_window = pixels if counted is None else pixels[counted]
    return Image.fromarray(_shades(pixels, *_window(of_window, rescaling))).convert("RGB")


def _shades(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (scaled * 255.0 + 0.5).astype(np.uint8)


def _window_of_counts(counts: np.ndarray, rescaling: Rescaling) -> tuple[float, float]:
    """`_window` of the values 0, 1, 2 … that occur `counts` times."""
    if rescaling not in ("percentile", "range") or not counts.any():
        return _window(counts[counts > 0], rescaling)
    below = np.cumsum(counts)
    ranks = np.array(PERCENTILES if rescaling == "percentile" else (0.0, 100.0)) / 100
    ranks = ranks * (below[-1] - 1)
    lower = np.searchsorted(below, np.floor(ranks), side="right")
    upper = np.searchsorted(below, np.ceil(ranks), side="right")
    low, high = lower + (ranks - np.floor(ranks)) * (upper - lower)
    return float(low), float(high)


def _window(pixels: np.ndarray, rescaling: Rescaling) -> tuple[float, float]:
    """The values that become black and white; any where there are no pixels."""
    if not pixels.size:
        return 0.0, 1.0
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
        if any(isinstance(bound, bool) for bound in value):
            raise ValueError("no numbers")
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


def find_unreadable(
    paths: Sequence[Path], fits: Callable[[tuple[int, int]], Any] = lambda size: None
) -> list[UnreadableImageError]:
    """Decode every file once, in threads, and return what went wrong, in order.

    `fits` hears the size (width, height) of each and raises ValueError where it fits no backbone.
    """

    def look(path: Path) -> None:
        read_fitted(path, lambda image: fits(image.size))

    return [
        error
        for error in map_in_threads(attempt(look, UnreadableImageError), paths)
        if error is not None
    ]
