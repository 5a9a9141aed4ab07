"""Equal and nearly equal images: found across rescaling and recompression, and not invented."""

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.checking.duplicates import (
    NAMED_PAIRS,
    Pairs,
    are_one_picture,
    find_duplicates,
    find_pairs,
    read_structure,
)
from fairlora_cls.checking.image_facts import gather_image_facts
from fairlora_cls.data.examples import Example


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((120, 90), Image.Resampling.BICUBIC)


def pairs_of(folder, names):
    """What is found among files of `folder`."""
    paths = [folder / name for name in names]
    return find_pairs(gather_image_facts(paths, lambda n: None), paths)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("pictures")
    picture(0).save(tmp_path / "a.png")
    picture(0).save(tmp_path / "b.png")  # the same bytes
    picture(0).resize((80, 60)).save(tmp_path / "c.jpg", quality=60)
    picture(0).point(lambda v: v // 2 + 40).save(tmp_path / "d.png")  # darker, less contrast
    picture(1).save(tmp_path / "e.png")
    Image.new("RGB", (50, 50)).save(tmp_path / "f.png")
    Image.new("RGB", (51, 50), (9, 9, 9)).save(tmp_path / "g.png")
    (tmp_path / "h.png").write_bytes(b"")
    return pairs_of(tmp_path, _names())


def _names():
    return ["a.png", "b.png", "c.jpg", "d.png", "e.png", "f.png", "g.png", "h.png"]


def test_pairs(pairs):
    assert pairs.identical.tolist() == [[0, 1]]
    assert sorted(map(tuple, pairs.near.tolist())) == [(0, 2), (0, 3), (2, 3)]


def test_unrelated_pictures_are_no_pairs(tmp_path):
    for seed in range(60):
        picture(seed).save(tmp_path / f"{seed}.png")
    pairs = pairs_of(tmp_path, [f"{seed}.png" for seed in range(60)])
    assert len(pairs.identical) == len(pairs.near) == 0


def example(name, label, unit):
    return Example(name, name, label, {}, unit)


def test_findings_by_split_unit_and_label(pairs):
    examples = [example(n, int(n == "b.png"), "one" if n < "c" else n) for n in _names()]
    homes = ["train", "train", "test", "train", "train", "train", "train", "test"]
    found = {f.code: f for f in find_duplicates(examples, homes, pairs)}
    assert found["identical-contradicting"].severity == "error"
    assert found["identical-within-unit"].examples == ("a.png = b.png",)
    assert found["near-identical-across-splits"].examples == ("a.png = c.jpg", "c.jpg = d.png")
    assert found["near-identical-of-two-units"].examples == ("a.png = d.png",)
    assert set(found) == {
        "identical-contradicting",
        "identical-within-unit",
        "near-identical-across-splits",
        "near-identical-of-two-units",
    }


def test_equal_hashes_of_different_pictures_are_no_pair(tmp_path):
    """Both brighten to the right in every row; one also brightens downwards, the other upwards."""
    across = np.linspace(0, 40, 90)[None, :]
    down = np.linspace(0, 180, 60)[:, None]
    Image.fromarray((across + down).astype(np.uint8)).save(tmp_path / "down.png")
    Image.fromarray((across + down[::-1]).astype(np.uint8)).save(tmp_path / "up.png")
    paths = [tmp_path / "down.png", tmp_path / "up.png"]
    facts = gather_image_facts(paths, lambda n: None)
    assert facts.hash[0] == facts.hash[1]
    assert len(find_pairs(facts, paths).near) == 0


@pytest.fixture(scope="module")
def framed(cohort, tmp_path_factory):
    """Simulated eyes in a camera's round black frame, and three copies of the first."""
    folder = tmp_path_factory.mktemp("framed")
    down, across = np.mgrid[:90, :90] - 44.5
    for i, path in enumerate(sorted((cohort / "images").iterdir())[:60]):
        eye = np.array(Image.open(path).convert("RGB").resize((90, 90)))
        eye[down**2 + across**2 > 44**2] = 0
        photograph = Image.new("RGB", (224, 224))
        photograph.paste(Image.fromarray(eye), (67, 67))
        photograph.save(folder / f"{i:03}.png")
    first = Image.open(folder / "000.png")
    first.save(folder / "encoded.jpg", quality=60)
    first.resize((150, 150)).save(folder / "resized.png")
    first.crop((40, 50, 180, 190)).save(folder / "less frame.png")
    return folder


def test_eyes_of_one_camera_are_no_pairs_and_copies_are(framed):
    names = sorted(path.name for path in framed.iterdir())
    near = {(names[a], names[b]) for a, b in pairs_of(framed, names).near.tolist()}
    assert near == {
        ("000.png", "encoded.jpg"),
        ("000.png", "resized.png"),
        ("encoded.jpg", "resized.png"),
    }


def test_a_moved_or_other_frame_does_not_hide_a_copy(framed):
    whole, cut = (read_structure(framed / name) for name in ("000.png", "less frame.png"))
    assert are_one_picture(whole, cut)
    assert not are_one_picture(whole, read_structure(framed / "001.png"))
    moved = Image.open(framed / "000.png").rotate(0, translate=(2, -1))
    moved.save(framed.parent / "moved.png")
    assert are_one_picture(whole, read_structure(framed.parent / "moved.png"))


def test_an_image_that_vanished_is_like_no_other(framed):
    lost = read_structure(framed / "no such file.png")
    assert not are_one_picture(lost, lost)


def test_many_like_images_are_few_pairs(tmp_path):
    """Each of 40 once with the first, not 780 pairs."""
    for i in range(40):
        picture(0).point(lambda v, i=i: min(255, v + i // 4)).save(
            tmp_path / f"{i}.jpg", quality=50 + i
        )
    near = pairs_of(tmp_path, [f"{i}.jpg" for i in range(40)]).near
    assert near.tolist() == [[0, i] for i in range(1, 40)]


def test_a_finding_lists_no_more_than_it_must():
    examples = [example(str(i), 0, str(i)) for i in range(3001)]
    star = np.array([[0, i] for i in range(1, 3001)])
    pairs = Pairs(np.zeros((0, 2), np.int64), star, unconfirmed=7)
    several, unknown = find_duplicates(examples, ["train"] * 3001, pairs)
    assert "3,000 pairs" in several.message
    assert len(several.examples) == NAMED_PAIRS
    assert unknown.code == "near-identical-unknown"
    assert "7 pairs" in unknown.message
