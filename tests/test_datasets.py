"""Loaders on folders in the published layouts, and on real data where it lies beside the checkout."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from fairlora_cls.data.datasets import DATASETS, dataset_options, load_splits
from fairlora_cls.data.examples import validate_splits
from fairlora_cls.errors import InputError

REAL_HAM = Path(__file__).parent.parent.parent / "shared" / "data" / "ham10000"


def ham_folder(folder, rows, images="HAM10000_images_part_1", metadata="HAM10000_metadata.csv"):
    (folder / images).mkdir(parents=True)
    text = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
    for lesion, image, dx, age, sex in rows:
        text += f"{lesion},{image},{dx},histo,{age},{sex},back\n"
        Image.new("RGB", (20, 15)).save(folder / images / f"{image}.jpg")
    (folder / metadata).write_text(text)
    return folder


ROWS = [(f"L{i}", f"I{i}", "mel" if i % 2 else "nv", 30 + 5 * (i % 10), "male") for i in range(40)]


@pytest.mark.parametrize(
    "images", ["HAM10000_images", "HAM10000_images_part_2", "ISIC2018_Task3_Training_Input"]
)
@pytest.mark.parametrize("metadata", ["HAM10000_metadata.csv", "HAM10000_metadata"])
def test_ham10000_layouts(tmp_path, images, metadata):
    splits = load_splits("ham10000", ham_folder(tmp_path, ROWS, images, metadata), {})
    validate_splits(splits)
    assert splits.classes == ("benign", "malignant")
    assert sum(1 for _ in splits.everything()) == 40
    assert sum(e.label for e in splits.everything()) == 20


def test_ham10000_codes_become_names(tmp_path):
    rows = [
        ("L", "I", " BCC ", "", "unknown"),
        ("M", "J", "nv", "85.0", "female"),
        ("N", "K", "df", "40", ""),
    ]
    splits = load_splits("ham10000", ham_folder(tmp_path, rows), {"task": "diagnosis"})
    found = {e.id: (splits.classes[e.label], dict(e.attributes)) for e in splits.everything()}
    assert found == {
        "I": ("bcc", {"sex": None, "age_group": None}),
        "J": ("nv", {"sex": "female", "age_group": "(65,∞)"}),
        "K": ("df", {"sex": None, "age_group": "(0,44]"}),
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("L", "I", "melanoma", "50", "male"), "row 2 has dx 'melanoma'"),
        (("L", "I", "nv", "old", "male"), "row 2 has age 'old'"),
        (("L", "I", "nv", "50", "m"), "row 2 has sex 'm'"),
    ],
)
def test_ham10000_unknown_codes_are_refused(tmp_path, row, words):
    with pytest.raises(InputError, match=words):
        load_splits("ham10000", ham_folder(tmp_path, [row]), {})


def test_ham10000_wrong_places(tmp_path):
    with pytest.raises(InputError, match="holds no HAM10000_metadata"):
        load_splits("ham10000", tmp_path, {})
    with pytest.raises(InputError, match="no folder"):
        load_splits("ham10000", tmp_path / "nowhere", {})
    folder = ham_folder(tmp_path / "x", ROWS)
    (folder / "HAM10000_images_part_1" / "I3.jpg").unlink()
    with pytest.raises(InputError, match="names image 'I3'"):
        load_splits("ham10000", folder, {})


@pytest.mark.skipif(not REAL_HAM.is_dir(), reason="the real data is not here")
def test_real_ham10000():
    """Counts of facts/formats.md."""
    splits = load_splits("ham10000", REAL_HAM, {"task": "diagnosis"})
    validate_splits(splits)
    everyone = list(splits.everything())
    assert len(everyone) == 10015
    assert len({e.unit for e in everyone}) == 7470
    assert Counter(splits.classes[e.label] for e in everyone)["mel"] == 1113
    assert Counter(e.attributes["sex"] for e in everyone) == {
        "male": 5406,
        "female": 4552,
        None: 57,
    }
    assert abs(len(splits.test) / 10015 - 0.1) < 0.01


def test_simulated_fundus_is_drawn_once_and_read_again(tmp_path):
    folder = tmp_path / "cohort"
    options = {"train": 12, "validation": 6, "test": 8, "seed": 5}
    first = load_splits("simulated-fundus", folder, options)
    stamp = (folder / "table.csv").stat().st_mtime_ns
    again = load_splits("simulated-fundus", folder, options)
    assert first == again
    assert (folder / "table.csv").stat().st_mtime_ns == stamp
    assert [len(first.train), len(first.validation), len(first.test)] == [12, 6, 8]
    assert first.classes == ("no", "yes")


def test_every_source_refuses_unknown_options_and_needs_its_path():
    for name, row in DATASETS.items():
        with pytest.raises(InputError, match="no option 'sede'"):
            load_splits(name, Path(), {"sede": 1})
        assert "seed" in dataset_options(name)
        if row.needs_path:
            with pytest.raises(InputError, match=f"--data {name}:PATH"):
                load_splits(name, None, {})


def test_unknown_source():
    with pytest.raises(InputError, match="did you mean 'ham10000'"):
        load_splits("ham1000", None, {})
