"""DICOM files → pixels, by what their header says of rescaling, window and photometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.errors import InputError

SUFFIXES = (".dcm", ".dicom")
LARGEST = 178_956_970  # pixels, as Pillow has it
PREAMBLE = 128  # bytes before the mark DICM


def is_dicom(path: Path) -> bool:
    """By suffix, or by the mark after the preamble where the name says nothing. Raises OSError."""
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix:
        return False
    with path.open("rb") as handle:
        return handle.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"


def read_dicom(path: Path, use_window: bool) -> tuple[np.ndarray, bool]:
    """The pixels of a single-frame DICOM, and whether they are to be turned over (MONOCHROME1).

    (H, W) float32 after the modality transform (rescale slope and intercept, or a table); with
    `use_window`, where the header has a VOI window or table, the first of them is applied and
    the pixels are uint8; colour is (H, W, 3) uint8. Raises InputError without pydicom, and
    ValueError for a file that cannot be decoded.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            f"'{path}' is a DICOM file, which needs pydicom: pip install 'fairlora-cls[dicom]'."
        ) from error
    try:
        return _pixels(pydicom.dcmread(path), use_window)
    except Exception as error:  # a broken header makes pydicom raise almost anything
        raise ValueError(str(error) or type(error).__name__) from error


def _pixels(header: Any, use_window: bool) -> tuple[np.ndarray, bool]:
    from pydicom.pixels import apply_modality_lut

    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"{header.NumberOfFrames} frames; one image is expected")
    if header.Rows * header.Columns > LARGEST:
        raise ValueError(f"{header.Rows} × {header.Columns} pixels: a decompression bomb?")
    pixels = header.pixel_array
    photometry = header.get("PhotometricInterpretation", "MONOCHROME2")
    if header.get("SamplesPerPixel", 1) == 3:
        return _colour(pixels, photometry), False
    pixels = apply_modality_lut(pixels, header).astype(np.float32)
    if use_window:
        pixels = _windowed(pixels, header)
    return pixels, photometry == "MONOCHROME1"


def _windowed(pixels: np.ndarray, header: Any) -> np.ndarray:
    """The header's first window as 0 … 255; the pixels as they are where it has none."""
    from pydicom.pixels import apply_voi, apply_windowing

    if header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        shown = apply_windowing(pixels, header)
        # What lies far below and above the window is black and white, whatever the image holds.
        low, high = apply_windowing(np.array([-1e9, 1e9], dtype=np.float32), header)
    elif "VOILUTSequence" in header:
        shown = apply_voi(pixels.astype(np.int32), header)
        low, high = 0, 2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1
    else:
        return pixels
    scaled = np.clip((shown - float(low)) / max(float(high) - float(low), 1e-6), 0.0, 1.0)
    return (scaled * 255.0 + 0.5).astype(np.uint8)


def _colour(pixels: np.ndarray, photometry: str) -> np.ndarray:
    from pydicom.pixels import convert_color_space

    if photometry.startswith("YBR"):
        pixels = convert_color_space(pixels, photometry, "RGB")
    if pixels.dtype != np.uint8:
        raise ValueError(f"colour of {pixels.dtype}; 8 bits are expected")
    return pixels
