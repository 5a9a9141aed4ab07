"""DICOM by its header: slope, window, photometry, colour, and what it cannot be."""

import sys

import numpy as np
import pytest

from fairlora_cls.data.images import UnreadableImageError, read_image
from fairlora_cls.errors import InputError

pydicom = pytest.importorskip("pydicom")

STORED = np.array([[0, 100], [1000, 4000]], dtype=np.uint16)


def write(path, pixels=STORED, photometry="MONOCHROME2", **header):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    data.PhotometricInterpretation = photometry
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored = 8 if pixels.dtype == np.uint8 else 12
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = 0
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    for name, value in header.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def shades(path, rescaling="percentile"):
    return np.asarray(read_image(path, rescaling))[..., 0].ravel().tolist()


def test_without_a_window_the_rescaling_decides(tmp_path):
    assert shades(write(tmp_path / "x.dcm"), "range") == [0, 6, 64, 255]
    assert shades(write(tmp_path / "x.dcm"), (0, 2000)) == [0, 13, 128, 255]


def test_the_window_of_the_header(tmp_path):
    """Centre 1000, width 2001: from 0 − 0.5 to 2000 − 0.5 (DICOM PS3.3 C.11.2.1.2.1)."""
    path = write(tmp_path / "x.dcm", WindowCenter=[1000, 40], WindowWidth=[2001, 80])
    expected = [(value - 999.5) / 2000 + 0.5 for value in (0, 100, 1000)]
    assert shades(path) == [int(v * 255 + 0.5) for v in expected] + [255]
    assert shades(path, "range") == [0, 6, 64, 255]  # an explicit choice leaves the window aside


def test_slope_and_intercept_come_before_the_window(tmp_path):
    """Stored 1000 is 2·1000 − 1000 = 1000 in modality units."""
    path = write(
        tmp_path / "x.dcm",
        RescaleSlope=2,
        RescaleIntercept=-1000,
        WindowCenter=1000,
        WindowWidth=2001,
    )
    assert shades(path) == [0, 0, int((0.5 / 2000 + 0.5) * 255 + 0.5), 255]
    assert shades(path, (-1000, 7000)) == [0, 6, 64, 255]


def test_monochrome1_is_turned_over(tmp_path):
    path = write(tmp_path / "x.dcm", photometry="MONOCHROME1")
    assert shades(path, "range") == [255, 249, 191, 0]
    assert shades(path, (0, 2000)) == [255, 242, 127, 0]
    windowed = write(
        tmp_path / "w.dcm", photometry="MONOCHROME1", WindowCenter=1000, WindowWidth=2001
    )
    assert shades(windowed)[-1] == 0


def test_colour_and_names_without_suffix(tmp_path):
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    path = write(tmp_path / "IM000001", pixels, "RGB")
    assert read_image(path).getpixel((0, 0)) == (200, 0, 0)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"no dicom at all")
    with pytest.raises(UnreadableImageError, match=r"x\.dcm"):
        read_image(tmp_path / "x.dcm")
    path = write(tmp_path / "y.dcm")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UnreadableImageError, match=r"y\.dcm"):
        read_image(path)
    bomb = write(tmp_path / "b.dcm", Rows=60000, Columns=60000)
    with pytest.raises(UnreadableImageError, match="decompression bomb"):
        read_image(bomb)
    frames = write(tmp_path / "z.dcm", NumberOfFrames=2)
    with pytest.raises(UnreadableImageError, match="frames"):
        read_image(frames)


def test_without_pydicom_the_way_out_is_said(tmp_path, monkeypatch):
    path = write(tmp_path / "x.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"needs pydicom: pip install 'fairlora-cls\[dicom\]'"):
        read_image(path)
