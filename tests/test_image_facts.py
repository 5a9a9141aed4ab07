"""Facts of image files: right, read once, renewed when a file changes, kept without pickling."""

import os

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.checking import image_facts
from fairlora_cls.checking.image_facts import difference_hash, gather_image_facts
from fairlora_cls.data import file_facts
from tests.small_images import write_png16


@pytest.fixture
def files(tmp_path):
    halves = np.zeros((30, 40), np.uint8)
    halves[:, 20:] = 200
    Image.fromarray(halves).save(tmp_path / "halves.png")
    Image.new("RGB", (10, 12), (50, 50, 50)).save(tmp_path / "plain.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    return [tmp_path / n for n in ("halves.png", "plain.png", "broken.jpg", "absent.png")]


@pytest.fixture
def reads(monkeypatch):
    """The files that are really read."""
    seen = []
    real = image_facts.read_facts
    monkeypatch.setattr(
        image_facts, "read_facts", lambda path: (seen.append(path.name), real(path))[1]
    )
    return seen


def test_facts_by_hand(files):
    facts = gather_image_facts(files, lambda n: None)
    assert facts.readable.tolist() == [True, True, False, False]
    assert "cannot identify" in facts.error[2]
    assert "No such file" in facts.error[3]
    assert facts.mode.tolist()[:2] == ["L", "RGB"]
    assert facts.width.tolist()[:2] == [40, 10]
    assert facts.height.tolist()[:2] == [30, 12]
    assert facts.brightness.tolist()[:2] == [100.0, 50.0]
    assert facts.spread.tolist()[:2] == [200, 0]
    assert facts.bytes[0] == files[0].stat().st_size
    assert facts.thumbnail.shape == (4, 16, 16)
    assert facts.thumbnail[0, 0].tolist() == [0] * 8 + [200] * 8


def test_difference_hash_by_hand():
    # Nine columns, brighter by one from the fifth on: only the step from the fourth is "brighter".
    steps = np.zeros((8, 9), np.uint8)
    steps[:, 4:] = 10
    byte = 0b00010000
    assert difference_hash(Image.fromarray(steps)) == int.from_bytes(bytes([byte] * 8), "big")
    assert difference_hash(Image.fromarray(np.full((8, 9), 7, np.uint8))) == 0


def test_only_new_and_changed_files_are_read(files, reads, monkeypatch):
    monkeypatch.setattr(file_facts, "SETTLED", -(10**18))  # every file counts as settled
    done = []
    first = gather_image_facts(files[:2], done.append)
    assert sorted(reads) == ["halves.png", "plain.png"]
    reads.clear()
    again = gather_image_facts(files[:2], done.append)
    assert reads == []
    assert sum(done) == 4
    for name, column in vars(first).items():
        assert np.array_equal(column, getattr(again, name)), name
    Image.new("RGB", (10, 12), (90, 50, 50)).save(files[1])
    os.utime(files[1], ns=(1, 1))
    changed = gather_image_facts(files[:2], done.append)
    assert reads == ["plain.png"]
    assert changed.digest[0] == first.digest[0]
    assert changed.digest[1] != first.digest[1]


def test_modes_of_what_pillow_does_not_open_or_cuts(tmp_path):
    pytest.importorskip("pydicom")
    from tests.test_dicom import write as write_dicom

    deep = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 300
    files = [
        write_dicom(tmp_path / "1.2.840.3"),
        write_dicom(tmp_path / "1.2.840.4", deep.astype(np.uint8), "RGB"),
        write_png16(tmp_path / "deep.png", deep),
        tmp_path / "x.npz",
    ]
    np.savez(tmp_path / "x.npz", image=np.zeros((2, 2), np.uint8))
    facts = gather_image_facts(files, lambda n: None)
    assert facts.mode.tolist() == ["dicom", "RGB", "RGB;16", "npz"]
