"""What is known of each image file: read once, kept in a cache by path, size and time of change.

N files.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fairlora_cls.data.deep_colour import is_deep_colour
from fairlora_cls.data.dicom import is_grey
from fairlora_cls.data.images import (
    READING,
    UnreadableImageError,
    container_of,
    content_digest,
    read_image,
)
from fairlora_cls.files import cache_folder, write_atomically

FACTS_VERSION = 1  # a new number reads every file anew, as READING does
THUMBNAIL = 16  # pixels a side, greyscale
PIECE = 64  # files that one worker reads at a time

FIELDS = {
    "error": np.dtype("U200"),
    "mode": np.dtype("U8"),
    "digest": np.dtype("U32"),
    "width": np.dtype(np.int32),
    "height": np.dtype(np.int32),
    "bytes": np.dtype(np.int64),
    "brightness": np.dtype(np.float32),
    "spread": np.dtype(np.float32),
    "hash": np.dtype(np.uint64),
    "thumbnail": np.dtype((np.uint8, (THUMBNAIL, THUMBNAIL))),
}


@dataclass(frozen=True)
class ImageFacts:
    """Columns over N files; those of an unreadable file are blank or zero."""

    error: np.ndarray  # (N,) text; why the file cannot be read, or ''
    mode: np.ndarray  # (N,) text; Pillow's mode of the file as stored, e.g. RGB, L, I;16
    digest: np.ndarray  # (N,) text; blake2b of the file's bytes
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

    def take(self, rows: np.ndarray) -> ImageFacts:
        return ImageFacts(**{name: column[rows] for name, column in vars(self).items()})


def gather_image_facts(
    paths: Sequence[Path], source: str, advance: Callable[[int], None]
) -> ImageFacts:
    """Facts of every path, in order; only files that are new or changed are read.

    `source` names the data set, whose cache is one npz file. `advance` hears how many files are
    done.
    """
    name = hashlib.blake2b(
        f"{FACTS_VERSION} {READING} {source}".encode(), digest_size=8
    ).hexdigest()
    file = cache_folder() / "image_facts" / f"{name}.npz"
    keys = np.array([_key(path) for path in paths], dtype="U32")
    known_keys, known = _load(file)
    place = {key: row for row, key in enumerate(known_keys.tolist())}
    rows = np.array([place.get(key, -1) for key in keys.tolist()], dtype=np.int64)
    new = np.flatnonzero(rows < 0)
    advance(len(paths) - len(new))
    if not len(new):
        return known.take(rows)
    read = _read_all([paths[i] for i in new], advance)
    columns = {}
    for name, kind in FIELDS.items():
        column = np.zeros(len(paths), dtype=kind) if kind.subdtype is None else _blank(len(paths))
        old = rows >= 0
        column[old] = getattr(known, name)[rows[old]]
        column[new] = read[name]
        columns[name] = column
    with suppress(OSError):  # the next check reads the files again
        write_atomically(file, lambda path: np.savez(path, keys=keys, **columns))
    return ImageFacts(**columns)


def _blank(count: int) -> np.ndarray:
    return np.zeros((count, THUMBNAIL, THUMBNAIL), np.uint8)


def _key(path: Path) -> str:
    """Changes whenever the file's place, size or time of change does."""
    try:
        stat = path.stat()
        text = f"{path} {stat.st_size} {stat.st_mtime_ns}"
    except (OSError, ValueError):  # gone, or a name that no file can have
        text = f"{path} missing"
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _load(file: Path) -> tuple[np.ndarray, ImageFacts]:
    """Keys and facts kept in a cache file; none where it is absent or damaged."""
    if file.is_file():
        try:
            with np.load(file, allow_pickle=False) as kept:
                columns = {name: kept[name] for name in FIELDS}
                return kept["keys"], ImageFacts(**columns)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            pass  # written anew below
    return np.zeros(0, "U32"), ImageFacts(
        **{
            name: np.zeros(0, kind) if kind.subdtype is None else _blank(0)
            for name, kind in FIELDS.items()
        }
    )


def _read_all(paths: Sequence[Path], advance: Callable[[int], None]) -> dict[str, np.ndarray]:
    found: list[dict[str, object]] = []
    pieces = [paths[i : i + PIECE] for i in range(0, len(paths), PIECE)]
    # Pillow lets go of Python's lock while it decodes, so threads suffice.
    with ThreadPoolExecutor() as pool:
        for piece in pool.map(lambda part: [read_facts(path) for path in part], pieces):
            found += piece
            advance(len(piece))
    return {name: np.array([facts[name] for facts in found]) for name in FIELDS}


def read_facts(path: Path) -> dict[str, object]:
    """The facts of one file, by the names of ImageFacts."""
    blank = {
        name: _blank(1)[0] if kind.subdtype else np.zeros(1, kind)[0]
        for name, kind in FIELDS.items()
    }
    try:
        digest = content_digest(path)
        image = read_image(path)
        mode = stored_mode(path)
    except UnreadableImageError as error:
        return {**blank, "error": error.reason[:200]}
    grey = image.convert("L")
    pixels = np.asarray(grey)
    return {
        "error": "",
        "mode": mode,
        "digest": digest,
        "width": image.width,
        "height": image.height,
        "bytes": path.stat().st_size,
        "brightness": pixels.mean(),
        "spread": int(pixels.max()) - int(pixels.min()),
        "hash": difference_hash(grey),
        "thumbnail": np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)),
    }


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
