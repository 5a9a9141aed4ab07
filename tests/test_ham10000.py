"""HAM10000 in the layouts that go round, and the real one where it lies beside the checkout."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.examples import BadRowsError, validate_splits
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
        "I": ("bcc", {"sex": None, "age_group": None, "age": None, "localization": "back"}),
        "J": ("nv", {"sex": "female", "age_group": "(65,∞)", "age": "85", "localization": "back"}),
        "K": ("df", {"sex": None, "age_group": "(0,44]", "age": "40", "localization": "back"}),
    }
    assert splits.attributes == ("sex", "age_group", "age", "localization")


def test_ham10000_names_every_bad_row_and_reads_the_others(tmp_path):
    bad = [("", "A", "nv", "50", "male"), ("Z", "B", "xx", "old", "robot")]
    folder = ham_folder(tmp_path, [*ROWS, *bad])
    (folder / "HAM10000_images_part_1" / "I0.jpg").unlink()
    with pytest.raises(BadRowsError) as caught:
        load_splits("ham10000", folder, {})
    expected = ["row 42 .*lesion_id", "row 43 has dx 'xx'", "row 43 has age 'old'"]
    expected += ["row 43 has sex 'robot'", "row 2 names image 'I0'"]
    problems = caught.value.problems
    assert len(problems) == 5
    assert all(re.search(words, p) for words, p in zip(expected, problems, strict=True))
    assert {e.id for e in caught.value.rest.everything()} == {f"I{i}" for i in range(1, 40)}


def test_ham10000_ids_are_taken_as_they_stand(tmp_path):
    rows = [("1.0", "NA", "nv", "50", "male"), ("1", "nan", "mel", "n/a", "NULL")]
    splits = load_splits("ham10000", ham_folder(tmp_path, rows), {})
    found = {e.id: (e.unit, e.attributes["sex"], e.attributes["age"]) for e in splits.everything()}
    assert found == {"NA": ("1", "male", "50"), "nan": ("1", None, None)}


def test_ham10000_without_localizations_and_with_unknown_ones(tmp_path):
    folder = ham_folder(tmp_path, ROWS)
    table = folder / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace(",back", ",unknown"))
    splits = load_splits("ham10000", folder, {})
    assert {e.attributes["localization"] for e in splits.everything()} == {None}
    table.write_text(table.read_text().replace(",unknown", "").replace(",localization", ""))
    splits = load_splits("ham10000", folder, {})
    assert splits.attributes == ("sex", "age_group", "age")
    assert all("localization" not in e.attributes for e in splits.everything())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("L", "I", "wart", "50", "male"), "row 2 has dx 'wart'; expected akiec"),
        (("L", "I", "nv", "old", "male"), "row 2 has age 'old'"),
        (("L", "I", "nv", "-inf", "male"), "row 2 has age '-inf'"),
        (("L", "I", "nv", "50", "m"), "row 2 has sex 'm'"),
        (("", "I", "nv", "50", "male"), "row 2 has no value for 'lesion_id'"),
        (("nan", "I", "nv", "50", "male"), "row 2 has no value for 'lesion_id'"),
        (("L", "I", "NA", "50", "male"), "row 2 has no value for 'dx'"),
    ],
)
def test_ham10000_unknown_codes_are_refused(tmp_path, row, words):
    with pytest.raises(InputError, match=words):
        load_splits("ham10000", ham_folder(tmp_path, [row]), {})


def test_ham10000_long_names_of_diagnoses(tmp_path):
    names = ["Melanoma", "Melanomaanocytic nevi", "Melanocytic nevi ", "Basal cell carcinoma"]
    rows = [(f"L{i}", f"I{i}", name, 50, "male") for i, name in enumerate(names)]
    splits = load_splits("ham10000", ham_folder(tmp_path, rows), {"task": "diagnosis"})
    found = {e.id: splits.classes[e.label] for e in splits.everything()}
    assert found == {"I0": "mel", "I1": "nv", "I2": "nv", "I3": "bcc"}


def test_ham10000_tabs_lower_case_folders_own_bands_and_doubled_ids(tmp_path):
    folder = ham_folder(tmp_path, ROWS, "ham10000_images_part_1")
    table = folder / "HAM10000_metadata.csv"
    (folder / "HAM10000_metadata.tab").write_text(table.read_text().replace(",", "\t"))
    table.unlink()
    splits = load_splits("ham10000", folder, {"age_cuts": [60], "stratify": ["age_group"]})
    assert {e.attributes["age_group"] for e in splits.everything()} == {"(0,60]", "(60,∞)"}
    rows = [("L", "I", "nv", 50, "male"), ("M", "I", "mel", 50, "male")]
    with pytest.raises(InputError, match="row 3 has the id 'I' of row 2 again"):
        load_splits("ham10000", ham_folder(tmp_path / "doubled", rows), {})


def test_ham10000_wrong_places(tmp_path):
    with pytest.raises(InputError, match="holds no HAM10000_metadata"):
        load_splits("ham10000", tmp_path, {})
    ham_folder(tmp_path / "level", ROWS)
    for wrong in (tmp_path, tmp_path / "level" / "HAM10000_images_part_1"):
        with pytest.raises(InputError, match="level' does: point there"):
            load_splits("ham10000", wrong, {})
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


def test_questions_of_fairllava(tmp_path):
    """Its own questions come with the examples; an image may be there more than once."""
    folder = ham_folder(tmp_path, ROWS)
    pairs = [{"Q": "What is it?", "A": "Melanoma."}, {"Q": "Where? ", "A": "Back."}]
    entries = [
        {"img_path": f"x/I{i}.jpg", "image_id": f"I{i}", "label": "mel", "new_QA": pairs[:1]}
        for i in range(30)
    ]
    entries.append({**entries[3], "new_QA": pairs[1:]})
    entries.append({**entries[3], "image_id": "I31", "new_QA": []})
    file = tmp_path / "qa.json"
    file.write_text(json.dumps(entries))
    splits = load_splits("ham10000", folder, {"questions": str(file)})
    asked = {e.id: e.conversation for e in splits.everything()}
    assert set(asked) == {f"I{i}" for i in range(30)}
    assert asked["I3"] == (("What is it?", "Melanoma."), ("Where?", "Back."))
    assert asked["I4"] == (("What is it?", "Melanoma."),)
    assert all(e.text is None for e in splits.everything())
    file.write_text(json.dumps([{"image_id": "I3", "label": "mel"}]))
    with pytest.raises(InputError, match="entry 1 lacks the image_id or new_QA"):
        load_splits("ham10000", folder, {"questions": str(file)})
    file.write_text(json.dumps([{**entries[0], "new_QA": [{"Q": "What?", "A": float("nan")}]}]))
    with pytest.raises(InputError, match="entry 1 has a question or an answer that is blank"):
        load_splits("ham10000", folder, {"questions": str(file)})
    file.write_text(json.dumps([{**entries[0], "image_id": "J"}]))
    with pytest.raises(InputError, match=r"qa\.json' .* has no image of .*metadata"):
        load_splits("ham10000", folder, {"questions": str(file)})
