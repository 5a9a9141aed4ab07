"""MIMIC-CXR-JPG with MIMIC-IV, and LLaVA-Rad's annotations, in their published layouts."""

import gzip
import json

import pytest

from fairlora_cls.data.examples import BadRowsError, validate_splits
from fairlora_cls.data.sources.mimic_cxr import load_mimic_cxr
from fairlora_cls.errors import InputError

# subject, study, dicom, view, split, the label of Pleural Effusion
IMAGES = [
    ("10000032", "50414267", "02aa", "PA", "train", "1.0"),
    ("10000032", "50414267", "174f", "LATERAL", "train", "1.0"),
    ("10000032", "53189527", "2a28", "AP", "train", "0.0"),
    ("10000764", "57375967", "096b", "AP", "train", "-1.0"),
    ("10000898", "50771383", "8a10", "PA", "train", ""),
    ("10000935", "50578979", "d0b7", "PA", "validate", "1.0"),
    ("10000980", "50985099", "6ad0", "AP", "test", "0.0"),
]
PATIENTS = "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n" + "".join(
    f"{subject},{gender},{age},2180,2014 - 2016,\n"
    for subject, gender, age in [
        ("10000032", "F", 52),
        ("10000764", "M", 86),
        ("10000898", "F", 79),
        ("10000935", "F", 44),
    ]
)
ADMISSIONS = [
    ("10000032", "WHITE"),
    ("10000032", "OTHER"),
    ("10000032", "WHITE - RUSSIAN"),
    ("10000764", "BLACK/CAPE VERDEAN"),
    ("10000764", "ASIAN - CHINESE"),
    ("10000898", "HISPANIC/LATINO - PUERTO RICAN"),
    ("10000898", "UNKNOWN"),
    ("10000935", "PATIENT DECLINED TO ANSWER"),
]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_tables(root, end=".csv.gz", images=IMAGES):
    rows = [f"{d},{s},x,{v},2544,3056,21800506,{t}\n" for s, t, d, v, _, _ in images]
    head = "dicom_id,subject_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,study_id\n"
    write(root / f"mimic-cxr-2.0.0-metadata{end}", head + "".join(rows))
    studies = {t: (s, label) for s, t, _, _, _, label in images}
    rows = [f"{s},{t},,{label}\n" for t, (s, label) in studies.items()]
    head = "subject_id,study_id,Atelectasis,Pleural Effusion\n"
    write(root / f"mimic-cxr-2.0.0-chexpert{end}", head + "".join(rows))
    rows = [f"{d},{t},{s},{split}\n" for s, t, d, _, split, _ in images]
    write(
        root / f"mimic-cxr-2.0.0-split{end}", "dicom_id,study_id,subject_id,split\n" + "".join(rows)
    )


def write_mimic_iv(folder, end=".csv.gz", race="race", admissions=ADMISSIONS):
    write(folder / f"patients{end}", PATIENTS)
    rows = [f"{s},2{i},2180,{value}\n" for i, (s, value) in enumerate(admissions)]
    write(folder / f"admissions{end}", f"subject_id,hadm_id,admittime,{race}\n" + "".join(rows))


@pytest.fixture
def root(tmp_path):
    write_tables(tmp_path)
    write_mimic_iv(tmp_path / "hosp")
    return tmp_path


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
@pytest.mark.parametrize("race", ["race", "ethnicity"])
def test_tables(tmp_path, end, race):
    write_tables(tmp_path, end)
    write_mimic_iv(tmp_path / "iv", end, race)
    splits = load_mimic_cxr(tmp_path, mimic_iv=str(tmp_path / "iv"))
    validate_splits(splits)
    assert [e.id for e in splits.train] == ["02aa", "2a28", "8a10"]  # frontal, and certain
    first, _, third = splits.train
    where = "files/p10/p10000032/s50414267/02aa.jpg"
    assert first.image == tmp_path.resolve() / where
    assert (first.label, third.label) == (1, 0)
    assert (first.unit, first.text) == ("p10000032", None)
    assert first.attributes == {"sex": "Female", "race": "White", "age_group": "(44,65]"}
    assert third.attributes["race"] == "Hispanic"
    assert splits.validation[0].attributes["race"] is None  # declined to answer
    assert splits.test[0].attributes == {"sex": None, "race": None, "age_group": None}


def test_rules_for_uncertain_blank_and_views(root):
    def labels(**options):
        splits = load_mimic_cxr(root, **options)
        return {e.id: e.label for e in splits.train}

    assert labels(uncertain="positive") == {"02aa": 1, "2a28": 0, "096b": 1, "8a10": 0}
    assert labels(uncertain="negative", blank="drop") == {"02aa": 1, "2a28": 0, "096b": 0}
    assert labels(views=[]) == {"02aa": 1, "174f": 1, "2a28": 0, "8a10": 0}
    with pytest.raises(InputError, match="uncertain is 'postive'; did you mean 'positive'"):
        labels(uncertain="postive")
    with pytest.raises(InputError, match="finding is 'Effusion'"):
        labels(finding="Effusion")


def test_numbers_that_a_tool_wrote_as_fractions_still_join(root):
    for file in ("chexpert", "metadata"):
        table = root / f"mimic-cxr-2.0.0-{file}.csv.gz"
        text = gzip.decompress(table.read_bytes()).decode()
        write(table, text.replace("50414267", "50414267.0").replace("10000032", "10000032.0"))
    first = load_mimic_cxr(root).train[0]
    assert first.image == root.resolve() / "files/p10/p10000032/s50414267/02aa.jpg"
    assert (first.unit, first.attributes["sex"]) == ("p10000032", "Female")


def test_a_patient_without_a_number_is_an_error_of_its_row(root):
    images = [*IMAGES[:2], ("nan", *IMAGES[2][1:])]
    write_tables(root, images=images)
    with pytest.raises(InputError, match=r"metadata\.csv\.gz' row 4 has no value for 'subject_id'"):
        load_mimic_cxr(root)


def test_bad_rows_of_any_table_are_named_and_their_images_left_out(root):
    """A label that is none is not negative, as a blank one would be."""
    images = [(*IMAGES[0][:5], "2"), *IMAGES[2:5], (*IMAGES[5][:4], "tset", "1"), IMAGES[6]]
    write_tables(root, images=images)
    with pytest.raises(BadRowsError) as caught:
        load_mimic_cxr(root)
    first, second = caught.value.problems
    assert "-chexpert.csv.gz' row 2 has Pleural Effusion '2'" in first
    assert "-split.csv.gz' row 6 has the split 'tset'" in second
    assert {e.id for e in caught.value.rest.everything()} == {"2a28", "8a10", "6ad0"}


def test_a_tie_between_races_is_unknown(root):
    splits = load_mimic_cxr(root, uncertain="positive")
    found = next(e for e in splits.train if e.id == "096b")
    assert found.attributes == {"sex": "Male", "race": None, "age_group": "(65,∞)"}


def test_unknown_codes_and_missing_tables(root, tmp_path):
    write_mimic_iv(root / "hosp", admissions=[("10000032", "WITHE")])
    with pytest.raises(InputError, match=r"admissions\.csv\.gz' row 2 has race 'WITHE'.*'white'"):
        load_mimic_cxr(root)
    (root / "hosp" / "patients.csv.gz").unlink()
    with pytest.raises(InputError, match=r"no MIMIC-IV patients\.csv.*mimic_iv"):
        load_mimic_cxr(root)
    write_tables(root, images=[(*IMAGES[0][:5], "2")])
    with pytest.raises(
        InputError, match=r"-chexpert\.csv\.gz' row 2 has Pleural Effusion '2'; exp"
    ):
        load_mimic_cxr(root)
    write_tables(root, images=[(*IMAGES[0][:4], "tset", "1")])
    with pytest.raises(InputError, match=r"-split\.csv\.gz' row 2 has the split 'tset'"):
        load_mimic_cxr(root)
    (root / "files").mkdir()
    with pytest.raises(
        InputError, match=r"holds no mimic-cxr-2\.0\.0-metadata\.csv; .* does: point"
    ):
        load_mimic_cxr(root / "files")


def write_annotations(folder, **extra):
    """As LLaVA-Rad writes them: bare NaN, and images below mimic/."""
    names = {"train": "train", "validate": "dev", "test": "test"}
    for split, name in names.items():
        entries = [
            {
                "id": f"{s}_{t}",
                "image": f"mimic/p{s[:2]}/p{s}/s{t}/{d}.jpg",
                "generate_method": "rule-based" if split == "test" else "gpt4",
                "reason": "Cough.\nFever.",
                "view": view,
                "chexpert_labels": {"Pleural Effusion": float(label or "nan")},
                "conversations": [
                    {"from": "human", "value": "<image>\nProvide a description …"},
                    {"from": "gpt", "value": "The lungs are clear."},
                ],
                **extra,
            }
            for s, t, d, view, own, label in IMAGES
            if own == split
        ]
        text = json.dumps(entries)
        assert "NaN" in text or split != "train"
        write(folder / f"chat_{name}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json", text)


def test_llava_rad_annotations_with_mimic_iv(root, tmp_path):
    write_annotations(tmp_path / "rad")
    splits = load_mimic_cxr(root, annotations=str(tmp_path / "rad"))
    assert [e.id for e in splits.train] == ["02aa", "2a28", "8a10"]
    assert splits.train[0].image.parts[-4:] == ("p10", "p10000032", "s50414267", "02aa.jpg")
    assert splits.train[0].text == "The lungs are clear."
    question = (
        "Provide a description of the findings in the radiology image "
        "given the following indication: Cough. Fever."
    )
    assert splits.train[0].conversation == ((question, "The lungs are clear."),)
    assert splits.train[0].attributes["race"] == "White"


def test_annotations_without_a_reason_or_findings_and_rewritten_test_findings(tmp_path):
    """LLaVA-Rad's own rules: no empty findings; of the test split rule-based ones only."""
    people = {"gender": "F", "anchor_age": 70, "race_major": "WHITE"}
    write_annotations(tmp_path, reason=float("nan"), **people)
    splits = load_mimic_cxr(tmp_path, annotations=str(tmp_path), uncertain="positive")
    question = "Provide a description of the findings in the radiology image."
    assert {e.conversation for e in splits.everything()} == {((question, "The lungs are clear."),)}
    names = [e.id for e in splits.train]

    train = tmp_path / "chat_train_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
    entries = json.loads(train.read_text())
    entries[0]["conversations"][1]["value"] = float("nan")
    train.write_text(json.dumps(entries))
    test = tmp_path / "chat_test_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
    kept = json.loads(test.read_text())
    rewritten = [{**e, "generate_method": "gpt4", "image": "mimic/other.jpg"} for e in kept]
    test.write_text(json.dumps([*rewritten, *kept]))
    splits = load_mimic_cxr(tmp_path, annotations=str(tmp_path), uncertain="positive")
    assert [e.id for e in splits.train] == names[1:]
    assert [e.id for e in splits.test] == ["6ad0"]

    # A row is named as the file counts, whatever was left out before it.
    entries[2]["race_major"] = "PURPLE"
    train.write_text(json.dumps(entries))
    with pytest.raises(InputError, match="row 3 has race_major 'PURPLE'"):
        load_mimic_cxr(tmp_path, annotations=str(tmp_path))


def test_demographics_that_fairllava_added(tmp_path):
    write_annotations(tmp_path, gender="F", anchor_age=70, race_major="BLACK/AFRICAN AMERICAN")
    splits = load_mimic_cxr(tmp_path, annotations=str(tmp_path))
    expected = {"sex": "Female", "race": "Black", "age_group": "(65,∞)"}
    assert all(e.attributes == expected for e in splits.everything())


def test_unknown_codes_in_annotations_name_file_and_entry(tmp_path):
    write_annotations(tmp_path, gender="F", anchor_age=70, race_major="PURPLE")
    with pytest.raises(InputError, match=r"chat_train_.*json' row 1 has race_major 'PURPLE'"):
        load_mimic_cxr(tmp_path, annotations=str(tmp_path))


def test_broken_annotations(root, tmp_path):
    with pytest.raises(InputError, match="holds no chat_train_MIMIC"):
        load_mimic_cxr(root, annotations=str(tmp_path / "nowhere"))
    write_annotations(tmp_path, conversations=[])
    with pytest.raises(InputError, match=r"v1\.json' row 1 lacks the id, image"):
        load_mimic_cxr(root, annotations=str(tmp_path))
    write(tmp_path / "chat_train_MIMIC_CXR_all_gpt4extract_rulebased_v1.json", "[{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        load_mimic_cxr(root, annotations=str(tmp_path))
