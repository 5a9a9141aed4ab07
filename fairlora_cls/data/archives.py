"""npz files, opened with pickling off: an archive from a stranger cannot run code here."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np

from fairlora_cls.errors import InputError

IMAGE_KEYS = ("slo_fundus", "oct_fundus", "image")
LARGEST = 2**30  # bytes that an image may unpack to: a small archive can hold any number of zeros
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
MARKS = (b"PK\3\4", b"PK\5\6")  # of a zip file, and of an empty one


def is_archive(beginning: bytes) -> bool:
    """By the mark of a zip file, whatever its name."""
    return beginning.startswith(MARKS)


def open_archive(path: Path) -> np.lib.npyio.NpzFile:
    """An npz file, whose arrays `read_member` reads. Raises ValueError for any other file."""
    with path.open("rb") as file:
        if not is_archive(file.read(len(MARKS[0]))):
            raise ValueError("it is no zip archive")
    return np.load(path, allow_pickle=False)


def read_archive(path: Path, keys: Collection[str]) -> dict[str, str]:
    """Those of `keys` that an npz file has, as text. Raises InputError naming the file."""
    try:
        with open_archive(path) as archive:
            return {key: _text(archive, key, path) for key in archive.files if key in keys}
    except InputError:
        raise
    except Exception as error:  # broken archives make numpy and zipfile raise almost anything
        raise InputError(
            f"'{path}' cannot be read as an npz file ({str(error) or type(error).__name__})."
        ) from error


def read_archive_image(path: Path) -> np.ndarray:
    """The image of an npz file, (height, width) or (height, width, 3).

    Raises whatever numpy and zipfile raise on broken files.
    """
    with open_archive(path) as archive:
        key = next((k for k in IMAGE_KEYS if k in archive.files), None)
        if key is None:
            raise ValueError(f"none of {', '.join(IMAGE_KEYS)} in {', '.join(archive.files)}")
        pixels = read_member(archive, key, LARGEST)
    if not pixels.size or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"'{key}' has the shape {pixels.shape}")
    return pixels


def read_member(archive: np.lib.npyio.NpzFile, key: str, largest: float = math.inf) -> np.ndarray:
    """An array of an opened npz file.

    numpy makes room for what a header declares before it reads, so the header is compared with
    what is there. Raises ValueError where it declares more, or more than `largest` bytes.
    """
    name = key if key in archive.zip.namelist() else f"{key}.npy"
    size = archive.zip.getinfo(name).file_size
    if size > largest:
        raise ValueError(f"'{key}' unpacks to more than {largest / 2**30:g} GiB")
    with archive.zip.open(name) as member:
        read_header = HEADERS.get(np.lib.format.read_magic(member))
        if read_header is None:
            raise ValueError(f"'{key}' is written in an unknown version of numpy's format")
        shape, _, kind = read_header(member)
        held = size - member.tell()
    declared = math.prod(shape) * kind.itemsize
    if not kind.hasobject and declared > held:
        raise ValueError(f"'{key}' declares {declared:,} bytes and holds {held:,}")
    return archive[key]


def _text(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> str:
    try:
        value = read_member(archive, key, LARGEST)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"'{path}' keeps '{key}' as a pickled Python object, which could run code when opened "
            "and is not read; put data_summary.csv beside the folders, or save the value anew as "
            "plain text or a number."
        ) from error
    if value.size != 1:
        raise InputError(f"'{path}' has {value.size} values for '{key}'; expected one.")
    return str(value.reshape(-1)[0])
