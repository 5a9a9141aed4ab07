"""Harvard-FairVLMed in its published layout: csv and npz, old and new keys, Test and Testing."""

import csv

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.data.examples import validate_splits
from fairlora_cls.data.groups import apply_missing_policy
from fairlora_cls.data.images import read_image
from fairlora_cls.data.sources.fairvlmed import load_fairvlmed
from fairlora_cls.errors import InputError

HEAD = "filename,age,gender,race,ethnicity,language,maritalstatus,note,gpt4_summary,glaucoma,use"
PEOPLE = [  # as data_summary.csv has them; ten per split would only be slower
    ("00001", 61.2, "female", "asian", "non-hispanic", "english", "single", "no", "training"),
    ("00002", 40.0, "male", "black", "hispanic", "spanish", "widowed", "yes", "training"),
    ("00003", 70.9, "female", "white", "unknown", "unknown", "unknown", "yes", "training"),
    ("07001", 55.0, "male", "white", "non-hispanic", "other", "divorced", "yes", "validation"),
    ("08001", 33.0, "female", "black", "hispanic", "english", "legally separated", "no", "test"),
]
FOLDERS = {"training": "Training", "validation": "Validation"}


def folder_of(use, test):
    return FOLDERS.get(use, test)


def write_summary(root, people=PEOPLE):
    with (root / "data_summary.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD.split(","))
        for number, *values, glaucoma, use in people:
            note = "Two lines,\nand a comma."
            row = [f"data_{number}.npz", *values, note, "Summary.", glaucoma, use]
            writer.writerow(row)


def write_images(root, test="Test", suffix="npz", people=PEOPLE):
    for number, *_, use in people:
        folder = root / folder_of(use, test)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((12, 10), int(number) % 200, dtype=np.uint8)
        if suffix == "npz":
            np.savez(folder / f"data_{number}.npz", slo_fundus=pixels, md=-3.0, tds=np.zeros(52))
        else:
            Image.fromarray(pixels).save(folder / f"slo_fundus_{number}.jpg")


@pytest.mark.parametrize("test", ["Test", "Testing"])
@pytest.mark.parametrize("suffix", ["npz", "jpg"])
def test_data_summary(tmp_path, test, suffix):
    write_images(tmp_path, test, suffix)
    write_summary(tmp_path)
    splits = load_fairvlmed(tmp_path)
    validate_splits(splits)
    assert splits.classes == ("no", "yes")
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [3, 1, 1]
    first, second, third = splits.train
    assert (first.id, first.label, first.text) == ("data_00001", 0, "Two lines,\nand a comma.")
    assert second.attributes == {
        "ethnicity": "Hispanic",
        "sex": "Male",
        "race": "Black",
        "language": "Spanish",
        "marital_status": "Widowed",
        "age_group": "(0,44]",
    }
    assert third.attributes["ethnicity"] is third.attributes["language"] is None
    assert read_image(splits.test[0].image).size == (10, 12)


def test_unknown_is_kept_dropped_or_refused(tmp_path):
    write_images(tmp_path)
    write_summary(tmp_path)
    splits = load_fairvlmed(tmp_path, text="none")
    kept, touched = apply_missing_policy(splits, ["ethnicity"], "keep")
    assert (kept.train[2].attributes["ethnicity"], touched) == ("Unknown", 1)
    assert len(apply_missing_policy(splits, ["ethnicity"], "drop")[0].train) == 2
    with pytest.raises(InputError, match="'data_00003' has no value for 'ethnicity'"):
        apply_missing_policy(splits, ["ethnicity"], "error")
    assert splits.train[0].text is None
    assert load_fairvlmed(tmp_path, text="gpt4_summary").train[0].text == "Summary."


def write_archives(root, **changes):
    """npz files alone, with the numeric codes."""
    for i in range(9):
        folder = root / ("Training", "Validation", "Test")[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        values = {"slo_fundus": np.zeros((4, 4), np.uint8), "age": 66.5, "race": i % 3}
        values |= {"gender": 1, "ethnicity": -1, "language": 2, "maritalstatus": 3}
        values |= {"glaucoma": i // 3 % 2, "note": "seen"}
        np.savez(folder / f"data_{i:05}.npz", **{**values, **changes})


def test_archives_alone(tmp_path):
    write_archives(tmp_path)
    splits = load_fairvlmed(tmp_path)
    assert [e.attributes["race"] for e in (splits.train[0], splits.validation[0])] == [
        "Asian",
        "Black",
    ]
    expected = {"race": "Asian", "sex": "Male", "ethnicity": None, "language": "Other"}
    expected |= {"marital_status": "Widowed", "age_group": "(65,∞)"}
    assert splits.train[0].attributes == expected
    assert splits.train[0].text == "seen"


def test_old_keys_of_archives(tmp_path):
    """FairVision has male and hispanic."""
    for i, name in enumerate(["Training", "Validation", "Test"]):
        (tmp_path / name).mkdir()
        values = {"slo_fundus": np.zeros((4, 4), np.uint8), "male": 0, "hispanic": 1, "race": 2}
        np.savez(tmp_path / name / f"data_{i:05}.npz", glaucoma=i % 2, **values)
    splits = load_fairvlmed(tmp_path)
    assert splits.attributes == ("ethnicity", "sex", "race")
    assert splits.test[0].attributes == {"ethnicity": "Hispanic", "sex": "Female", "race": "White"}


def test_pickled_values_are_refused_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    write_archives(tmp_path, note=np.array([Trap()], dtype=object))
    with pytest.raises(
        InputError, match=r"data_00000\.npz' keeps 'note' as a pickled.*data_summary"
    ):
        load_fairvlmed(tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"race": 3}, r"data_00000\.npz' has race '3'; expected 0, 1, 2, asian"),
        ({"ethnicity": 5}, r"data_00000\.npz' has ethnicity '5'"),
        ({"glaucoma": 2}, r"npz' has glaucoma '2'; expected 0, 1, no or yes"),
        ({"glaucoma": np.nan}, r"npz' has no value for 'glaucoma'"),
        ({"age": np.inf}, r"npz' has age 'inf'"),
        ({"race": [1, 2]}, "has 2 values for 'race'"),
    ],
)
def test_unknown_codes_are_refused(tmp_path, change, words):
    write_archives(tmp_path, **change)
    with pytest.raises(InputError, match=words):
        load_fairvlmed(tmp_path)


def test_wrong_places_and_broken_files(tmp_path):
    with pytest.raises(InputError, match="holds none of Training"):
        load_fairvlmed(tmp_path)
    (tmp_path / "FairVLMed" / "Training").mkdir(parents=True)
    with pytest.raises(InputError, match="FairVLMed' does: point there"):
        load_fairvlmed(tmp_path)
    with pytest.raises(InputError, match=r"data\.options\.text is 'notes'"):
        load_fairvlmed(tmp_path, text="notes")
    write_images(tmp_path)
    with pytest.raises(InputError, match=r"data_00001\.npz' has no 'glaucoma'"):
        load_fairvlmed(tmp_path)
    write_summary(tmp_path)
    (tmp_path / "Test" / "data_08001.npz").unlink()
    with pytest.raises(
        InputError, match=r"row 6 names 'data_08001\.npz', which is not in its test"
    ):
        load_fairvlmed(tmp_path)
    (tmp_path / "data_summary.csv").unlink()
    (tmp_path / "Test" / "data_08001.npz").write_bytes(b"half an archi")
    with pytest.raises(InputError, match=r"data_08001\.npz' cannot be read as an npz"):
        load_fairvlmed(tmp_path)


@pytest.mark.parametrize("glaucoma", ["nan", "NA", "", "n/a"])
def test_a_label_that_is_not_recorded_is_an_error_of_its_row(tmp_path, glaucoma):
    people = [*PEOPLE[:2], (*PEOPLE[2][:-2], glaucoma, "training")]
    write_images(tmp_path, people=people)
    write_summary(tmp_path, people)
    with pytest.raises(InputError, match=r"data_summary\.csv' row 4 has no value for 'glaucoma'"):
        load_fairvlmed(tmp_path)


def test_notes_and_groups_that_are_not_recorded(tmp_path):
    people = [("00001", "nan", "NA", "n/a", "null", "", "#N/A", "0.0", "Training "), *PEOPLE[1:]]
    write_images(tmp_path, people=[PEOPLE[0], *PEOPLE[1:]])
    write_summary(tmp_path, people)
    summary = tmp_path / "data_summary.csv"
    summary.write_text(summary.read_text().replace("Summary.", "nan"))
    first = load_fairvlmed(tmp_path, text="gpt4_summary").train[0]
    assert (first.label, first.text) == (0, None)
    assert set(first.attributes.values()) == {None}
