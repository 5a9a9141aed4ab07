"""npz files, opened with pickling off: an archive from a stranger cannot run code here."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from fairlora_cls.errors import InputError

IMAGE_KEYS = ("slo_fundus", "oct_fundus", "image")
LARGEST = 2**30  # bytes that an image may unpack to: a small archive can hold any number of zeros


def read_archive(path: Path, keys: Collection[str]) -> dict[str, str]:
    """Those of `keys` that an npz file has, as text. Raises InputError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: _text(archive, key, path) for key in archive.files if key in keys}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{path}' cannot be read as an npz file ({_reason(error)}).") from error


def read_archive_image(path: Path) -> np.ndarray:
    """The image of an npz file, (height, width) or (height, width, 3).

    Raises ValueError or OSError, as Pillow does for other files.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = next((k for k in IMAGE_KEYS if k in archive.files), None)
            if key is None:
                raise ValueError(f"none of {', '.join(IMAGE_KEYS)} in {', '.join(archive.files)}")
            if archive.zip.getinfo(f"{key}.npy").file_size > LARGEST:
                raise ValueError(f"'{key}' unpacks to more than {LARGEST / 2**30:g} GiB")
            pixels = archive[key]
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise OSError(_reason(error)) from error
    if not pixels.size or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"'{key}' has the shape {pixels.shape}")
    return pixels


def _text(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> str:
    try:
        value = archive[key]
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


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
