"""Equal and nearly equal images: found across rescaling and recompression, and not invented."""

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.checking.duplicates import find_duplicates, find_pairs
from fairlora_cls.checking.image_facts import gather_image_facts
from fairlora_cls.data.examples import Example


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((120, 90), Image.Resampling.BICUBIC)


@pytest.fixture
def facts(tmp_path):
    picture(0).save(tmp_path / "a.png")
    picture(0).save(tmp_path / "b.png")  # the same bytes
    picture(0).resize((80, 60)).save(tmp_path / "c.jpg", quality=60)
    picture(0).point(lambda v: v // 2 + 40).save(tmp_path / "d.png")  # darker, less contrast
    picture(1).save(tmp_path / "e.png")
    Image.new("RGB", (50, 50)).save(tmp_path / "f.png")
    Image.new("RGB", (51, 50), (9, 9, 9)).save(tmp_path / "g.png")
    (tmp_path / "h.png").write_bytes(b"")
    return gather_image_facts([tmp_path / f for f in _names()], str(tmp_path), lambda n: None)


def _names():
    return ["a.png", "b.png", "c.jpg", "d.png", "e.png", "f.png", "g.png", "h.png"]


def test_pairs(facts):
    pairs = find_pairs(facts)
    assert pairs.identical.tolist() == [[0, 1]]
    assert sorted(map(tuple, pairs.near.tolist())) == [(0, 2), (0, 3), (2, 3)]


def test_unrelated_pictures_are_no_pairs(tmp_path):
    for seed in range(60):
        picture(seed).save(tmp_path / f"{seed}.png")
    paths = [tmp_path / f"{seed}.png" for seed in range(60)]
    pairs = find_pairs(gather_image_facts(paths, str(tmp_path), lambda n: None))
    assert len(pairs.identical) == len(pairs.near) == 0


def example(name, label, unit):
    return Example(name, name, label, {}, unit)


def test_findings_by_split_unit_and_label(facts):
    pairs = find_pairs(facts)
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
    facts = gather_image_facts(paths, str(tmp_path), lambda n: None)
    assert facts.hash[0] == facts.hash[1]
    assert len(find_pairs(facts).near) == 0
