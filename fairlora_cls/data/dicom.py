"""DICOM files → pixels, by what their header says of rescaling, window, padding and photometry.

H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fairlora_cls.errors import InputError

LARGEST = 178_956_970  # pixels, as Pillow has it
PREAMBLE = 128  # bytes before the mark DICM
GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class DicomPixels:
    """One image."""

    values: np.ndarray  # (H, W) float32, or uint8 after a window; colour (H, W, 3) uint8 or uint16
    is_image: np.ndarray | None = None  # (H, W) bool: no padding; None where there is none
    turned_over: bool = False  # the least value is white (MONOCHROME1)


def is_dicom(beginning: bytes) -> bool:
    """By the mark after the preamble: archives name files by their UID, without a suffix."""
    return beginning[PREAMBLE : PREAMBLE + 4] == b"DICM"


def is_grey(path: Path) -> bool:
    """Whether a DICOM that can be read has grey pixels."""
    import pydicom

    header = pydicom.dcmread(path, specific_tags=["PhotometricInterpretation"])
    return header.PhotometricInterpretation in GREY


def read_dicom(path: Path, use_window: bool) -> DicomPixels:
    """The pixels of a single-frame DICOM.

    Grey ones after the modality transform (rescale slope and intercept, or a table); with
    `use_window`, where the header has a VOI window or table, the first of them is applied. Colour
    as RGB: YBR_FULL and palettes are converted. Raises InputError without pydicom, and ValueError
    for a file that cannot be decoded or has another photometric interpretation.
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


def _pixels(header: Any, use_window: bool) -> DicomPixels:
    from pydicom.pixels import apply_modality_lut, get_decoder

    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"{header.NumberOfFrames} frames; one image is expected")
    if header.Rows * header.Columns > LARGEST:
        raise ValueError(f"{header.Rows} × {header.Columns} pixels: a decompression bomb?")
    pixels, photometry = _marked_jpeg(header), "RGB"
    if pixels is None:  # the decoder turns YBR_FULL into RGB itself, and says what it gives
        pixels, given = get_decoder(header.file_meta.TransferSyntaxUID).as_array(header)
        photometry = given["photometric_interpretation"]
    if pixels.shape[:2] != (header.Rows, header.Columns):
        raise ValueError(
            f"pixels of {' × '.join(map(str, pixels.shape))} where the header says one image of "
            f"{header.Rows} × {header.Columns}"
        )
    if photometry == "RGB":
        # Colour of 16 bits that uses 8 of them is colour of 8 bits.
        return DicomPixels(pixels.astype(np.uint8) if header.BitsStored <= 8 else pixels)
    if photometry == "PALETTE COLOR":
        return DicomPixels(_coloured(pixels, header))
    if photometry not in GREY or pixels.ndim != 2:
        raise ValueError(
            f"{header.SamplesPerPixel} samples of {photometry}, which is not read; there is: "
            f"{', '.join(GREY)}, RGB, YBR_FULL, YBR_FULL_422, PALETTE COLOR"
        )
    is_image = _is_image(pixels, header)
    values = apply_modality_lut(pixels, header).astype(np.float32)
    if use_window:
        values = _windowed(values, header)
    return DicomPixels(values, is_image, photometry == "MONOCHROME1")


def _marked_jpeg(header: Any) -> np.ndarray | None:
    """RGB (H, W, 3) of a colour JPEG that says itself how its colours are written; None without.

    Of Adobe's mark pydicom's decoder takes no notice and converts to RGB what is RGB already.
    """
    from pydicom.encaps import generate_frames
    from pydicom.uid import JPEGBaseline8Bit

    if header.file_meta.TransferSyntaxUID != JPEGBaseline8Bit or header.SamplesPerPixel != 3:
        return None
    frames = list(generate_frames(header.PixelData, number_of_frames=1))
    with Image.open(BytesIO(frames[0]), formats=("JPEG",)) as image:
        if len(frames) > 1 or not {"jfif", "adobe_transform"} & set(image.info):
            return None
        return np.asarray(image.convert("RGB"))


def _is_image(pixels: np.ndarray, header: Any) -> np.ndarray | None:
    """(H, W) bool: not filled in around the image (DICOM PS3.3 C.7.5.1.1.2), by stored value."""
    first = header.get("PixelPaddingValue")
    if first is None or pixels.dtype.kind not in "iu":
        return None
    last = header.get("PixelPaddingRangeLimit")
    last = first if last is None else last
    limits, steps = np.iinfo(pixels.dtype), 2 ** (8 * pixels.dtype.itemsize)
    # A header that writes −2000 without a sign, as 63536, means the same bits.
    bounds = [
        v - steps if v > limits.max else v + steps if v < limits.min else v for v in (first, last)
    ]
    return (pixels < min(bounds)) | (pixels > max(bounds))


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


def _coloured(indices: np.ndarray, header: Any) -> np.ndarray:
    """(H, W, 3) uint8 by the header's palette (DICOM PS3.3 C.7.6.3.1.5 and .6)."""
    if "SegmentedRedPaletteColorLookupTableData" in header:
        raise ValueError("a segmented palette, which is not read; save the image as RGB")
    entries, first, bits = (int(v) for v in header.RedPaletteColorLookupTableDescriptor)
    entries = entries % 2**16 or 2**16
    if indices.dtype.kind == "u":
        first %= 2**16  # written with a sign where the indices have none
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    tables = []
    for name in ("Red", "Green", "Blue"):
        content = header[f"{name}PaletteColorLookupTableData"].value
        wide = bits > 8 or len(content) >= 2 * entries
        tables.append(np.frombuffer(content, f"{order}u2" if wide else "u1", entries))
    palette = np.stack(tables, axis=1)
    if palette.max() > 255:  # 8 bits are also written into 16 as they are
        palette = palette >> 8
    places = np.clip(indices.astype(np.int64) - first, 0, entries - 1)
    return palette.astype(np.uint8)[places]
