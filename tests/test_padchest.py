"""PadChest in its published layout: 16-bit PNG, lists written as strings, Spanish and translated."""

import csv
import gzip
import json

import numpy as np
import pytest
from PIL import Image

from fairlora_cls.data.examples import BadRowsError, validate_splits
from fairlora_cls.data.images import read_image
from fairlora_cls.data.sources.padchest import load_padchest
from fairlora_cls.errors import InputError

HEAD = [
    *("", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth"),
    *("PatientSex_DICOM", "ViewPosition_DICOM", "Projection", "Pediatric", "Rows_DICOM"),
    *("Columns_DICOM", "Report", "Labels"),
]


def row(i, **changes):
    values = {
        "": i,
        "ImageID": f"{i:04}_a.png",
        "ImageDir": i % 3,
        "StudyDate_DICOM": 20140915,
        "StudyID": f"S{i}",
        "PatientID": f"P{i // 2}",
        "PatientBirth": 1934.0 + i % 40,
        "PatientSex_DICOM": "MF"[i // 2 % 2],
        "Projection": "PA",
        "Pediatric": "No",
        "Report": "sin hallazgos . derrame pleural",
        "Labels": "['pleural effusion', ' cardiomegaly']" if i % 4 < 2 else "['normal']",
    }
    return {**values, **changes}


def write(root, rows, end=".csv.gz", images=True):
    table = root / f"PADCHEST_chest_x_ray_images_labels_160K_01.02.19{end}"
    opener = gzip.open if end.endswith("gz") else open
    with opener(table, "wt", newline="") as file:
        writer = csv.DictWriter(file, HEAD)
        writer.writeheader()
        writer.writerows(rows)
    for own in rows if images else []:
        folder = root / str(own["ImageDir"])
        folder.mkdir(exist_ok=True)
        pixels = np.linspace(0, 60000, 64).reshape(8, 8).astype(np.uint16)
        Image.fromarray(pixels).save(folder / own["ImageID"])
    return root


ROWS = [row(i) for i in range(60)]


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
def test_published_layout(tmp_path, end):
    splits = load_padchest(write(tmp_path, ROWS, end))
    validate_splits(splits)
    everyone = {e.id: e for e in splits.everything()}
    assert len(everyone) == 60
    first = everyone["0000_a.png"]
    assert (first.label, first.unit) == (1, "P0")
    assert first.attributes == {"sex": "Male", "age_group": "(65,∞)"}  # 2014 - 1934
    assert first.text == "sin hallazgos . derrame pleural"
    assert everyone["0002_a.png"].label == 0
    pixels = np.asarray(read_image(first.image))
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_every_bad_row_is_named_and_the_others_are_read(tmp_path):
    bad = [row(60, Labels="normal"), row(61, PatientID=""), row(62, PatientBirth="2100")]
    with pytest.raises(BadRowsError) as caught:
        load_padchest(write(tmp_path, [*ROWS, *bad]))
    places = [p.partition("csv.gz' ")[2][:6] for p in caught.value.problems]
    assert sorted(places) == ["row 62", "row 63", "row 64"]
    assert sum(1 for _ in caught.value.rest.everything()) == 60


def test_other_findings_views_and_exclusions(tmp_path):
    rows = [
        *ROWS,
        row(60, Projection="L"),
        row(61, Labels=""),
        row(62, Labels="['exclude']"),
        row(63, PatientSex_DICOM="", PatientBirth=""),
        row(64, PatientSex_DICOM="n/a", PatientBirth="nan", PatientID="1.0", Report="NA"),
        row(65, Labels="nan"),
    ]
    write(tmp_path, rows)
    splits = load_padchest(tmp_path, finding="cardiomegaly")
    ids = {e.id: e for e in splits.everything()}
    assert len(ids) == 62
    assert ids["0064_a.png"].attributes == ids["0063_a.png"].attributes
    assert (ids["0064_a.png"].unit, ids["0064_a.png"].text) == ("1", None)
    assert ids["0063_a.png"].attributes == {"sex": None, "age_group": None}
    assert sum(1 for _ in load_padchest(tmp_path, views=[]).everything()) == 63
    with pytest.raises(InputError, match="labelled 'efusion'"):
        load_padchest(tmp_path, finding="efusion")


def test_translated_reports(tmp_path):
    write(tmp_path, ROWS)
    entries = [
        {
            "ImageID": f"{i:04}_a.png",
            "image": f"{i:04}_a.png",
            "FINDINGS": f"Report {i}.",
            "INDICATION": "Cough.\nFever." if i % 2 else None,
            "gender": "F",
            "SexEncoded": 1,
            "Age": 60,
            "anchor_age_group": 1,
            "conversations": [
                {"from": "human", "value": "<image>\nDescribe."},
                {"from": "gpt", "value": f"Report {i}."},
            ],
        }
        for i in range(40)
    ]
    entries += [
        {"ImageID": f"{i:04}_a.png", "FINDINGS": blank}
        for i, blank in enumerate([None, "", " ", float("nan")], 40)
    ]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    splits = load_padchest(tmp_path, annotations=[str(tmp_path / "train.json")])
    found = {e.id: e for e in splits.everything()}
    assert set(found) == {f"{i:04}_a.png" for i in range(40)}  # none without findings
    assert found["0007_a.png"].text == "Report 7."
    question = "Provide a description of the findings in the radiology image"
    given = f"{question} given the following indication: Cough. Fever."
    assert found["0007_a.png"].conversation == ((given, "Report 7."),)
    assert found["0008_a.png"].conversation == ((f"{question}.", "Report 8."),)
    (tmp_path / "blank.json").write_text(json.dumps(entries[40:]))
    with pytest.raises(InputError, match=r"No image .*, and FINDINGS in data\.options"):
        load_padchest(tmp_path, annotations=[str(tmp_path / "blank.json")])
    (tmp_path / "bad.json").write_text('[{"image": "x"}]')
    with pytest.raises(InputError, match="entry 1 has no ImageID"):
        load_padchest(tmp_path, annotations=[str(tmp_path / "bad.json")])
    with pytest.raises(InputError, match="cannot be read"):
        load_padchest(tmp_path, annotations=["nowhere.json"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Labels": "__import__('os').system('touch executed')"}, "which is not a list such as"),
        ({"Labels": "['normal'"}, "row 62 has Labels"),
        ({"PatientSex_DICOM": "X"}, "row 62 has PatientSex_DICOM 'X'; expected f, m"),
        ({"PatientBirth": 2050}, "row 62 has StudyDate_DICOM '20140915' and PatientBirth '2050'"),
        ({"ImageID": "0000_a.png"}, "row 62 has the id '0000_a.png' of row 2 again"),
        ({"PatientID": ""}, "row 62 has no value for 'PatientID'"),
        ({"PatientID": "NULL"}, "row 62 has no value for 'PatientID'"),
        ({"Labels": "'pleural effusion'"}, "row 62 has Labels .* not a list"),
        ({"Labels": "[" * 5000}, "row 62 has Labels .* not a list"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, [*ROWS, row(60, **change)])
    with pytest.raises(InputError, match=words):
        load_padchest(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_missing_image_and_wrong_level(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", ROWS)
    (tmp_path / "data" / "1" / "0001_a.png").unlink()
    with pytest.raises(InputError, match=r"row 3 names image '0001_a\.png'"):
        load_padchest(tmp_path / "data")
    with pytest.raises(InputError, match="data' does: point there"):
        load_padchest(tmp_path)
