"""What is known of each image file: read once, and kept as long as the file does not change.

N files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fairlora_cls.data.deep_colour import is_deep_colour
from fairlora_cls.data.dicom import is_grey
from fairlora_cls.data.file_facts import content_digests, recall_or_read
from fairlora_cls.data.images import LARGEST_RATIO, READING, container_of, read_image

THUMBNAIL = 16  # pixels a side, greyscale
PIECE = 1024  # files that are looked at before the next are
RECORD = np.dtype(
    [
        ("mode", "U8"),
        ("width", np.int32),
        ("height", np.int32),
        ("bytes", np.int64),
        ("brightness", np.float32),
        ("spread", np.float32),
        ("hash", np.uint64),
        ("thumbnail", np.uint8, (THUMBNAIL, THUMBNAIL)),
    ]
)
KIND = f"image 1, pixels {READING}"  # another number reads every file anew, as READING does


@dataclass(frozen=True)
class ImageFacts:
    """Columns over N files; those of an unreadable file are zero, but for error and digest."""

    error: np.ndarray  # (N,) text; why the file cannot be read, or ''
    digest: np.ndarray  # (N,) text; blake2b of the file's bytes
    mode: np.ndarray  # (N,) text; Pillow's mode of the file as stored, e.g. RGB, L, I;16
    width: np.ndarray  # (N,) pixels, upright
    height: np.ndarray  # (N,) pixels, upright
    bytes: np.ndarray  # (N,) size of the file
    brightness: np.ndarray  # (N,) mean of the greyscale image, 0–255
    spread: np.ndarray  # (N,) largest less smallest grey value, 0–255
    hash: np.ndarray  # (N,) uint64 difference hash
    thumbnail: np.ndarray  # (N, 16, 16) uint8 greyscale

    @property
    def readable(self) -> np.ndarray:
        """(N,) bool."""
        return self.error == ""

    @property
    def too_long(self) -> np.ndarray:
        """(N,) bool: longer than any model reads."""
        longest = LARGEST_RATIO * np.minimum(self.width, self.height).astype(np.int64)
        return np.maximum(self.width, self.height) > longest

    def take(self, rows: np.ndarray) -> ImageFacts:
        return ImageFacts(**{name: column[rows] for name, column in vars(self).items()})


def gather_image_facts(paths: Sequence[Path], advance: Callable[[int], None]) -> ImageFacts:
    """Facts of every path, in order; only files that are new or changed are read.

    `advance` hears how many files are done.
    """
    errors: list[str] = []
    digests: list[str] = []
    records: list[bytes] = []
    for start in range(0, len(paths), PIECE):
        piece = paths[start : start + PIECE]
        digest_of = content_digests(piece)
        facts_of = recall_or_read(KIND, piece, read_facts)
        for path in piece:
            facts = facts_of[path]
            readable = isinstance(facts, bytes)
            errors.append("" if readable else facts.reason)
            digests.append(digest_of.get(path, ""))
            records.append(facts if readable else bytes(RECORD.itemsize))
        advance(len(piece))
    table = np.frombuffer(b"".join(records), RECORD)
    return ImageFacts(
        error=np.array(errors, str),
        digest=np.array(digests, str),
        **{name: table[name] for name in RECORD.names},
    )


def read_facts(path: Path) -> bytes:
    """The facts of one file, a RECORD. Raises UnreadableImageError."""
    image = read_image(path)
    grey = image.convert("L")
    pixels = np.asarray(grey)
    record = (
        stored_mode(path),
        image.width,
        image.height,
        path.stat().st_size,
        pixels.mean(),
        int(pixels.max()) - int(pixels.min()),
        difference_hash(grey),
        np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)),
    )
    return np.array(record, RECORD).tobytes()


def stored_mode(path: Path) -> str:
    """Pillow's mode of a readable file as stored, `;16` after that of deep colour; `npz`, and of
    DICOM `dicom` where it is grey, else RGB."""
    container = container_of(path)
    if container:
        return "RGB" if container == "dicom" and not is_grey(path) else container
    with Image.open(path) as stored:
        return f"{stored.mode};16" if is_deep_colour(stored) else stored.mode


def difference_hash(grey: Image.Image) -> np.uint64:
    """Whether each of 8 × 8 places is brighter than its left neighbour, as 64 bits (dHash).

    The image is shrunk to 9 × 8 first, so rescaling, recompression and small changes of light
    leave most bits as they are.
    """
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (small[:, 1:] > small[:, :-1]).reshape(-1)
    return np.packbits(bits).view(">u8")[0].astype(np.uint64)
