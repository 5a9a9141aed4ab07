"""Image files of every kind become upright 8-bit RGB, or are named."""

import math
import os
import struct

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.checking.image_facts import gather_image_facts
from fairlora_cls.data import archives, images
from fairlora_cls.data.file_facts import content_digests
from fairlora_cls.data.images import (
    UnreadableImageError,
    check_rescaling,
    content_digest,
    find_unreadable,
    fit_to_budget,
    read_image,
)
from fairlora_cls.errors import InputError
from tests.small_images import png_chunk, write_png16, write_tiff


def test_sixteen_bit_greyscale_is_rescaled_not_clipped(tmp_path):
    ramp = np.linspace(1000, 9000, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "x.png")
    pixels = np.asarray(read_image(tmp_path / "x.png"))
    assert pixels.shape == (64, 64, 3)
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert abs(float(pixels.mean()) - 127.5) < 3


def test_transparency_becomes_white(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "x.png")
    assert np.asarray(read_image(tmp_path / "x.png")).min() == 255


def test_palette_and_grey(tmp_path):
    Image.new("L", (8, 8), 77).save(tmp_path / "grey.png")
    assert np.asarray(read_image(tmp_path / "grey.png")).tolist()[0][0] == [77, 77, 77]
    Image.new("RGB", (8, 8), (10, 200, 30)).convert("P").save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").mode == "RGB"


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate by 90 degrees
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").size == (10, 20)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"bad\.png.*--skip-unreadable"):
        read_image(path)
    assert [error.path for error in find_unreadable([path])] == [path]


def test_a_truncated_file_is_unreadable(tmp_path):
    Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / "x.jpg")
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImageError):
        read_image(tmp_path / "x.jpg")


def test_digest_is_of_the_content(tmp_path):
    for name, content in [("a", b"1"), ("b", b"1"), ("c", b"2")]:
        (tmp_path / name).write_bytes(content)
    a, b, c = (content_digest(tmp_path / n) for n in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("size", "budget", "expected"),
    [((112, 112), 31360, (112, 112)), ((200, 150), 31360, (196, 140)), ((30, 30), 31360, (56, 56))],
)
def test_budget(size, budget, expected):
    """Sides are multiples of 28; 3,136 px² are the least, `budget` the most."""
    fitted = fit_to_budget(Image.new("RGB", size), 3136, budget)
    assert fitted.size == expected


def test_rescaling_by_range_and_window(tmp_path):
    """100 … 1100 in 16 bits: the window [0, 2000] puts 1000 at half, 2000 and more at white."""
    values = np.array([[100, 1000], [2000, 5000]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")

    def shades(rescaling):
        return np.asarray(read_image(tmp_path / "x.png", rescaling))[..., 0].ravel().tolist()

    assert shades((0, 2000)) == [13, 128, 255, 255]
    assert shades("range") == [0, 47, 99, 255]


@pytest.mark.parametrize("value", ["percentil", [1], [5, 1], [0, "x"], [0, math.inf], None, 3])
def test_a_bad_rescaling_is_refused(value):
    with pytest.raises(InputError, match="choose percentile, range, or a window"):
        check_rescaling(value)
    assert check_rescaling([0, 4095]) == (0.0, 4095.0)
    assert check_rescaling("range") == "range"


def test_a_constant_deep_image_is_black(tmp_path):
    Image.fromarray(np.full((4, 4), 7000, np.uint16)).save(tmp_path / "x.png")
    assert np.asarray(read_image(tmp_path / "x.png")).max() == 0


def test_archives_and_their_image(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    np.savez_compressed(tmp_path / "x.npz", slo_fundus=grey, md=1.0)
    assert (np.asarray(read_image(tmp_path / "x.npz"))[..., 1] == grey).all()
    for name, arrays in [("a", {"md": 1.0}), ("b", {"image": np.zeros((2, 2, 7))})]:
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(UnreadableImageError, match=rf"{name}\.npz"):
            read_image(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "nan.npz", image=np.full((2, 2), np.nan))
    with pytest.raises(UnreadableImageError, match="not finite"):
        read_image(tmp_path / "nan.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:200])
    (tmp_path / "zero.npz").write_bytes(b"")
    for name in ("half", "zero"):
        with pytest.raises(UnreadableImageError, match=name):
            read_image(tmp_path / f"{name}.npz")


def test_a_decompression_bomb_is_unreadable(tmp_path, monkeypatch):
    """A small file that would unpack to more than twice Pillow's limit of pixels, or to much zip."""
    monkeypatch.setattr(archives, "LARGEST", 5000)
    np.savez_compressed(tmp_path / "x.npz", image=np.zeros((100, 100), np.uint8))
    with pytest.raises(UnreadableImageError, match="unpacks to more than"):
        read_image(tmp_path / "x.npz")
    Image.new("L", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(UnreadableImageError, match="decompression bomb"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("rescaling", ["percentile", "range", (100.0, 900.0)])
def test_the_table_of_sixteen_bits_equals_arithmetic_on_pixels(rescaling):
    """Against numpy's own percentiles on the pixels as float."""
    rng = np.random.default_rng(0)
    pixels = rng.gamma(2.0, 300.0, size=(57, 43)).astype(np.uint16)
    bounds = {"percentile": (0.5, 99.5), "range": (0, 100)}.get(rescaling)
    low, high = np.percentile(pixels, bounds) if bounds else rescaling
    expected = np.clip((pixels - low) / (high - low), 0, 1) * 255
    found = np.asarray(images._from_array(pixels, rescaling))[..., 0]
    assert np.abs(found - expected).max() <= 0.51


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "bmp", "npz"])
def test_damaged_files_are_named_whatever_the_decoder_says(tmp_path, suffix):
    """Every file is cut off or has bytes changed; it is read or named, nothing else."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    path = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, image=pixels)
    else:
        Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    named = 0
    for i in range(60):
        damaged = bytearray(whole if i % 2 else whole[: rng.integers(len(whole))])
        for place in rng.integers(0, min(len(whole), 300), 4 * (i % 2)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_image(path).mode == "RGB"
        except UnreadableImageError:
            named += 1
    assert named > 20


# 12 bits in 16: 0 is black and 4000 white under `range`, so 1000 is 64 and 3000 is 191.
DEEP = np.array([[[0, 1000, 4000], [3000, 0, 1000]]], np.uint16)  # (1, 2, 3)
SHADES = [[0, 64, 255], [191, 0, 64]]
OPAQUE = np.full((1, 2, 1), 65535, np.uint16)


def shown(path, rescaling="range"):
    return np.asarray(read_image(path, rescaling)).reshape(-1, 3).tolist()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
def test_deep_colour_of_tiff_is_rescaled(tmp_path, order, compressed):
    """One window for all channels: with one of its own each, every hue would change."""
    path = tmp_path / "x.tif"
    assert shown(write_tiff(path, DEEP, order, compressed=compressed)) == SHADES
    layered = np.concatenate([DEEP, OPAQUE], axis=2)
    for extra in (0, 2):  # a fourth channel without meaning, or transparency
        found = shown(write_tiff(path, layered, order, compressed=compressed, t338=(extra,)))
        assert found == SHADES


def test_deep_colour_of_png_is_rescaled(tmp_path):
    assert shown(write_png16(tmp_path / "x.png", DEEP)) == SHADES
    assert shown(write_png16(tmp_path / "x.png", DEEP), (0, 2000)) == [[0, 128, 255], [255, 0, 128]]
    assert shown(write_png16(tmp_path / "x.png", np.concatenate([DEEP, OPAQUE], 2))) == SHADES
    grey = np.concatenate([DEEP[..., :1], OPAQUE], axis=2)
    assert shown(write_png16(tmp_path / "x.png", grey), (0, 4000)) == [[0] * 3, [191] * 3]


def test_what_is_transparent_becomes_white_and_says_nothing_of_the_window(tmp_path):
    """The unseen 60000 would leave the rest nearly black."""
    pixels = np.concatenate([DEEP, np.full((1, 1, 3), 60000, np.uint16)], axis=1)
    alpha = np.array([[[65535], [65535], [0]]], np.uint16)
    expected = [*SHADES, [255] * 3]
    assert shown(write_png16(tmp_path / "x.png", np.concatenate([pixels, alpha], 2))) == expected
    unseen = png_chunk(b"tRNS", struct.pack(">HHH", *[60000] * 3))
    assert shown(write_png16(tmp_path / "y.png", pixels, unseen)) == expected
    grey = np.array([[[0], [4000], [60000]]], np.uint16)
    unseen = png_chunk(b"tRNS", struct.pack(">H", 60000))
    assert shown(write_png16(tmp_path / "z.png", grey, unseen)) == [[0] * 3, [255] * 3, [255] * 3]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_tiff_whose_zero_is_white(tmp_path, kind):
    tags = {"t339": (3,)} if kind is np.float32 else {}
    pixels = np.array([[[0], [255]]], kind)
    assert shown(write_tiff(tmp_path / "x.tif", pixels, photometric=0, **tags)) == [
        [255] * 3,
        [0] * 3,
    ]


def test_signs_of_tiff(tmp_path):
    path = tmp_path / "x.tif"
    for kind, sign, values in (
        (np.int16, 2, [-1000, 0, 1000]),
        (np.uint32, 1, [0, 2**31, 2**32 - 1]),
        (np.int32, 2, [-(2**30), 0, 2**30]),
    ):
        pixels = np.array(values, kind).reshape(1, 3, 1)
        assert shown(write_tiff(path, pixels, photometric=1, t339=(sign,))) == [
            [0] * 3,
            [128] * 3,
            [255] * 3,
        ]
    write_tiff(path, np.array([[[-1], [1]]], np.int8), photometric=1, t339=(2,))
    with pytest.raises(UnreadableImageError, match="sign"):
        read_image(path)


def test_deep_colour_that_cannot_be_told_is_refused(tmp_path):
    """Inks, planes one after another, and colour that is multiplied by its transparency."""
    layered = np.concatenate([DEEP, OPAQUE], axis=2)
    write_tiff(tmp_path / "ink.tif", layered, photometric=5)
    write_tiff(tmp_path / "planes.tif", DEEP, t284=(2,))
    write_tiff(tmp_path / "multiplied.tif", layered, t338=(1,))
    (tmp_path / "x.ppm").write_bytes(b"P6 2 1 65535\n" + DEEP.astype(">u2").tobytes())
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jp2")
    content = bytearray((tmp_path / "x.jp2").read_bytes())
    content[content.find(b"\xff\x4f\xff\x51") + 42] = 15  # bits of a channel, less one
    (tmp_path / "x.jp2").write_bytes(content)
    for name in ("ink.tif", "planes.tif", "multiplied.tif", "x.ppm", "x.jp2"):
        with pytest.raises(UnreadableImageError, match=rf"{name}.*more than 8 bits"):
            read_image(tmp_path / name)


def test_pixels_that_are_no_numbers_are_refused(tmp_path):
    nothing = np.array([[[np.nan], [1]]], np.float32)
    with pytest.raises(UnreadableImageError, match="not finite"):
        read_image(write_tiff(tmp_path / "x.tif", nothing, photometric=1, t339=(3,)))
    np.savez(tmp_path / "x.npz", image=np.full((2, 2), 1j))
    with pytest.raises(UnreadableImageError, match="complex"):
        read_image(tmp_path / "x.npz")


def test_kinds_of_eight_bits(tmp_path):
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    red.convert("CMYK").save(tmp_path / "ink.tif")
    red.quantize(2).save(tmp_path / "palette.png", transparency=0)
    Image.new("LA", (4, 4), (100, 0)).save(tmp_path / "clear.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bit.png")
    assert [read_image(tmp_path / n).getpixel((0, 0)) for n in ("ink.tif", "palette.png")] == [
        (255, 0, 0),
        (255, 255, 255),
    ]
    assert [read_image(tmp_path / n).getpixel((0, 0)) for n in ("clear.png", "bit.png")] == [
        (255, 255, 255)
    ] * 2


@pytest.mark.parametrize("kind", ["tif", "gif", "png", "webp", "mpo"])
def test_several_frames_are_refused(tmp_path, kind):
    pages = [Image.effect_noise((20, 20), 50 + i).convert("RGB") for i in range(2)]
    pages[0].save(tmp_path / f"x.{kind}", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableImageError, match="frames"):
        read_image(tmp_path / f"x.{kind}")
    pages[0].save(tmp_path / f"one.{kind}")
    assert read_image(tmp_path / f"one.{kind}").size == (20, 20)


def test_a_photograph_with_a_small_one_of_itself_is_one_image(tmp_path):
    picture = Image.new("RGB", (20, 20), (250, 250, 250))
    picture.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[picture.resize((5, 5))])
    assert read_image(tmp_path / "x.jpg").size == (20, 20)


def test_a_file_is_what_it_holds(tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "x.dcm", "PNG")
    assert read_image(tmp_path / "x.dcm").getpixel((0, 0)) == (1, 2, 3)
    np.savez(tmp_path / "y.npz", image=np.full((2, 2), 9, np.uint8))
    (tmp_path / "y.npz").rename(tmp_path / "y.image")
    assert read_image(tmp_path / "y.image").getpixel((0, 0)) == (9, 9, 9)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for path in (tmp_path / "x.png", tmp_path):
        with pytest.raises(UnreadableImageError, match="not a file"):
            read_image(path)
        with pytest.raises(UnreadableImageError, match="not a file"):
            content_digest(path)


def test_a_shape_that_fits_no_backbone_is_unreadable(tmp_path):
    Image.new("RGB", (9, 3)).save(tmp_path / "x.png")

    def fits(size):
        raise ValueError(f"{size[0]} × {size[1]} is too narrow")

    (problem,) = find_unreadable([tmp_path / "x.png"], fits)
    assert problem.path == tmp_path / "x.png"
    assert "9 × 3" in problem.reason


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "loop"])
def test_names_that_no_file_can_have_are_unreadable_images(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    assert [error.path for error in find_unreadable([path])] == [path]
    with pytest.raises(UnreadableImageError):
        content_digest(path)
    assert content_digests([path]) == {}
    assert gather_image_facts([path], lambda count: None).error[0]
