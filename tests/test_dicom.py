"""DICOM by its header: slope, window, photometry, colour, and what it cannot be."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

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
    data.PixelData = pixels.tobytes() if pixels.size % 2 == 0 else pixels.tobytes() + b"\0"
    data["PixelData"].VR = "OB" if pixels.dtype == np.uint8 else "OW"
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


RED = np.full((2, 2, 3), (200, 0, 0), np.uint8)
# Y, Cb, Cr of red by hand (PS3.3 C.7.6.3.1.2): 0.299·200, 128 − 0.1687·200, 128 + 0.5·200.
RED_YBR = np.full((2, 2, 3), (60, 94, 228), np.uint8)


def colour(path):
    return np.asarray(read_image(path)).reshape(-1, 3).astype(int)


@pytest.mark.parametrize("name", ["x.dcm", "IM000001", "1.2.840.113619.2.55.3.2831", "x.png"])
def test_dicom_is_known_by_what_it_holds(tmp_path, name):
    assert (colour(write(tmp_path / name, RED, "RGB")) == (200, 0, 0)).all()


def test_colour_is_converted_once(tmp_path):
    found = colour(write(tmp_path / "x.dcm", RED_YBR, "YBR_FULL"))
    assert np.abs(found - (200, 0, 0)).max() <= 2
    by_plane = np.ascontiguousarray(np.moveaxis(RED_YBR, 2, 0)).reshape(2, 2, 3)
    found = colour(write(tmp_path / "x.dcm", by_plane, "YBR_FULL", PlanarConfiguration=1))
    assert np.abs(found - (200, 0, 0)).max() <= 2


def test_colour_with_half_of_its_chroma(tmp_path):
    """YBR_FULL_422: of two pixels Y, Y, Cb, Cr."""
    path = write(tmp_path / "x.dcm", RED_YBR, "YBR_FULL_422")
    data = pydicom.dcmread(path)
    data.PixelData = bytes([60, 60, 94, 228] * 2)
    data.save_as(path)
    assert np.abs(colour(path) - (200, 0, 0)).max() <= 2


@pytest.mark.parametrize("mark", ["jfif", "adobe", "none"])
@pytest.mark.parametrize("photometry", ["YBR_FULL_422", "YBR_FULL"])
def test_colour_of_jpeg_is_converted_once(tmp_path, mark, photometry):
    """What says that the colours are Y, Cb, Cr: a mark in the JPEG itself, or the DICOM's header."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 0, 0)).save(file, "JPEG")
    content = file.getvalue()
    assert content[2:4] == b"\xff\xe0"  # JFIF's segment, which the others lack
    if mark != "jfif":
        content = content[:2] + content[4 + int.from_bytes(content[4:6], "big") :]
    if mark == "adobe":
        content = content[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(4) + b"\1" + content[2:]
    path = write(tmp_path / "x.dcm", np.zeros((16, 16, 3), np.uint8), photometry)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([content])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    assert np.abs(colour(path) - (200, 0, 0)).max() <= 2


def palette(red, green, blue, bits, first=0):
    """Header entries of a palette with one list of numbers a colour."""
    kind = "<u1" if bits == 8 else "<u2"
    entries = {}
    for name, values in zip(("Red", "Green", "Blue"), (red, green, blue), strict=True):
        content = np.array(values, kind).tobytes()
        entries[f"{name}PaletteColorLookupTableDescriptor"] = [len(values), first, bits]
        entries[f"{name}PaletteColorLookupTableData"] = content + b"\0" * (len(content) % 2)
    return entries


@pytest.mark.parametrize(
    ("bits", "top", "kind", "first"),
    [
        (16, 65535, np.uint8, 0),
        (8, 255, np.uint8, 0),
        (16, 255, np.uint8, 0),
        (16, 65535, np.uint16, 1000),
        (8, 255, np.uint16, 1000),
    ],
)
def test_a_palette_gives_its_colours(tmp_path, bits, top, kind, first):
    """Three entries: red, green, blue; an index beyond the last is the last."""
    pixels = np.array([[0, 1], [2, 9]], kind) + kind(first)
    tables = palette([top, 0, 0], [0, top, 0], [0, 0, top], bits, first)
    path = write(tmp_path / "x.dcm", pixels, "PALETTE COLOR", **tables)
    expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 255]]
    assert colour(path).tolist() == expected


def test_deep_colour_keeps_its_hue(tmp_path):
    pixels = np.array([[[0, 1000, 4000], [3000, 0, 1000]]], np.uint16)
    path = write(tmp_path / "x.dcm", pixels, "RGB")
    assert np.asarray(read_image(path, "range")).tolist() == [[[0, 64, 255], [191, 0, 64]]]


@pytest.mark.parametrize("photometry", ["YBR_PARTIAL_420", "HSV", "CMYK", "MONOCHROME2"])
def test_other_kinds_of_colour_are_refused_by_name(tmp_path, photometry):
    with pytest.raises(UnreadableImageError, match=photometry):
        read_image(write(tmp_path / "x.dcm", RED, photometry))


@pytest.mark.parametrize("rescaling", ["percentile", "range", (1000.0, 1100.0)])
@pytest.mark.parametrize("photometry", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_the_contrast(tmp_path, photometry, rescaling):
    """Tissue of 1000 … 1100 beside padding of 0 and of 5, and under a limit also 3."""
    tissue = np.arange(1000, 1101, dtype=np.uint16)
    pixels = np.array([[0] * 101, [5] * 101, [3] * 101, tissue], np.uint16)
    path = write(
        tmp_path / "x.dcm", pixels, photometry, PixelPaddingValue=5, PixelPaddingRangeLimit=0
    )
    found = np.asarray(read_image(path, rescaling))[..., 0]
    assert found[:3].max() == 0
    assert (found[3].min(), found[3].max()) == (0, 255)
    assert np.argmax(found[3]) == (0 if photometry == "MONOCHROME1" else 100)


def test_padding_written_without_the_sign_of_the_pixels(tmp_path):
    pixels = np.array([[-2000, -2000], [0, 100]], np.int16)
    path = write(tmp_path / "x.dcm", pixels, PixelRepresentation=1, BitsStored=16, HighBit=15)
    data = pydicom.dcmread(path)
    data.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    data.save_as(path)
    assert shades(path, "range") == [0, 0, 0, 255]


def test_padding_that_no_pixel_can_have_is_no_padding(tmp_path):
    pixels = np.array([[0, 255], [100, 200]], np.uint8)
    path = write(tmp_path / "x.dcm", pixels, PixelPaddingValue=65535)
    assert shades(path, "range") == [0, 255, 100, 200]


def test_an_image_of_padding_alone_is_black(tmp_path):
    path = write(tmp_path / "x.dcm", np.zeros((2, 2), np.uint16), PixelPaddingValue=0)
    assert shades(path) == shades(path, "range") == [0, 0, 0, 0]


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
