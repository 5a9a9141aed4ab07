"""A table beside images, in the layouts and with the mistakes that users bring."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fairlora_cls.data.examples import validate_splits
from fairlora_cls.data.sources.table import load_table
from fairlora_cls.data.table_splits import TableOptions
from fairlora_cls.errors import InputError

HEAD = "id,image,label,sex,patient,split\n"
ROWS = (
    "1,a.png,no,F,p1,train\n2,b.png,yes,M,p2,Training\n3,c.png,no,,p3,val\n4,d.png,yes,F,p4,TEST\n"
)


def write(folder, text, name="table.csv"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_in_full(tmp_path):
    splits = load_table(write(tmp_path, HEAD + ROWS))
    assert splits.classes == ("no", "yes")
    assert splits.attributes == ("sex",)
    assert [e.id for e in splits.train] == ["1", "2"]
    assert splits.validation[0].attributes == {"sex": None}
    assert splits.test[0].image == (tmp_path / "d.png").resolve()
    assert splits.test[0].unit == "p4"
    assert splits.test[0].text is None


@pytest.mark.parametrize("name", ["metadata.csv", "table.tsv", "metadata.jsonl", "table.parquet"])
def test_the_folder_may_be_given(tmp_path, name):
    lines = [line.split(",") for line in (HEAD + ROWS).split()]
    if name.endswith("parquet"):
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        columns = zip(*lines[1:], strict=True)
        table = pa.table(dict(zip(lines[0], map(list, columns), strict=True)))
        pyarrow.parquet.write_table(table, tmp_path / name)
    elif name.endswith("jsonl"):
        write(tmp_path, "\n".join(json.dumps(dict(zip(lines[0], v))) for v in lines[1:]), name)  # noqa: B905
    else:
        separator = "\t" if name.endswith("tsv") else ","
        write(tmp_path, "\n".join(separator.join(line) for line in lines), name)
    splits = load_table(tmp_path)
    assert [e.id for e in splits.everything()] == ["1", "2", "3", "4"]
    assert splits.validation[0].attributes == {"sex": None}


def test_imagefolder_with_a_table_per_split(tmp_path):
    for split, label in [("train", "no"), ("valid", "yes"), ("test", "yes")]:
        write(tmp_path, f"file_name,label,age\na.png,{label},50\n", f"{split}/metadata.csv")
    splits = load_table(tmp_path)
    assert [e.id for e in splits.everything()] == ["train/a.png", "validation/a.png", "test/a.png"]
    assert splits.train[0].image == (tmp_path / "train" / "a.png").resolve()
    assert splits.attributes == ("age",)


def test_other_column_names_and_tabs(tmp_path):
    path = write(tmp_path, "file\tdx\na.png\tx\nb.png\ty\n", "t.tsv")
    splits = load_table(path, TableOptions(image_column="file", label_column="dx", attributes=[]))
    assert splits.classes == ("x", "y")
    assert {e.id for e in splits.everything()} == {"a.png", "b.png"}


def test_text_ages_and_words_for_missing(tmp_path):
    text = "image,label,report,age,sex\na.png, no ,Clear lungs.,44,F\nb.png,yes,,nan,not known\n"
    splits = load_table(
        write(tmp_path, text),
        TableOptions(
            text_column="report",
            age_column="age",
            age_cuts=[40, 60],
            missing_values=["Not Known"],
        ),
    )
    first, second = sorted(splits.everything(), key=lambda e: e.id)
    assert (first.text, second.text) == ("Clear lungs.", None)
    assert first.attributes == {"sex": "F", "age_group": "(40,60]"}
    assert second.attributes == {"sex": None, "age_group": None}
    assert splits.attributes == ("sex", "age_group")


def test_class_order_can_be_given(tmp_path):
    assert load_table(
        write(tmp_path, HEAD + ROWS), TableOptions(classes=["yes", "no"])
    ).classes == ("yes", "no")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "has no rows"),
        ("id,image,lable\n1,a,b\n", "no column 'label'; did you mean 'lable'.*label_column"),
        (HEAD + "1,,no,F,p,train\n", "row 2 has no value for 'image'"),
        (HEAD + "1,a.png, ,F,p,train\n", "row 2 has no value for 'label'"),
        (HEAD + ",a.png,no,F,p,train\n", "row 2 has no value for 'id'"),
        (HEAD + ROWS + "2,e.png,no,F,p,train\n", "row 6 has the id '2' of row 3 again"),
        (HEAD + ROWS + "5,e.png,No,F,p,train\n", "row 6 has the label 'No', and others have 'no'"),
        (HEAD + "1,a.png,no,F,p,trian\n", "split 'trian'; did you mean 'train'"),
        (HEAD + "1,../a.png,no,F,p,train\n", "outside the data folder"),
        (HEAD + "1,http://x/a.png,no,F,p,train\n", "only local files"),
        (HEAD.replace(",split", "") + "1,a,no,F,p\n2,b,yes,F,p\n", "'p' as 'patient' in every row"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        load_table(write(tmp_path, text))


@pytest.mark.parametrize("age", ["inf", "-inf", "-3", "old", "200"])
def test_impossible_ages_are_refused(tmp_path, age):
    path = write(tmp_path, f"image,label,age\na.png,no,\nb.png,yes,{age}\n")
    with pytest.raises(InputError, match=f"row 3 has age '{age}', which is not an age in years"):
        load_table(path, TableOptions(age_column="age"))


def test_one_example_of_each_class_is_too_few(tmp_path):
    splits = load_table(write(tmp_path, "image,label\na.png,no\nb.png,yes\n"))
    with pytest.raises(InputError, match="more than 1 examples; training, validation and test"):
        validate_splits(splits)


def test_unknown_class_attribute_and_place(tmp_path):
    path = write(tmp_path, HEAD + ROWS)
    for classes, words in (
        (["no"], "row 3 has the label 'yes'"),
        (["No", "Yes"], "class No, Yes of .*; the labels are no, yes"),
        (["no", "yes", "yes"], "name each class once"),
        (["no", "nan"], "name each class once"),
    ):
        with pytest.raises(InputError, match=words):
            load_table(path, TableOptions(classes=classes))
    with pytest.raises(InputError, match="no column 'race'"):
        load_table(path, TableOptions(attributes=["race"]))
    named = ("no", "maybe", "yes")  # training refuses it, an evaluation need not
    assert load_table(path, TableOptions(classes=named)).classes == named
    with pytest.raises(InputError, match="no file or folder"):
        load_table(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no 'tabel\.csv'; did you mean 'table\.csv'"):
        load_table(tmp_path, table="tabel.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no table\.csv.*point there"):
        load_table(tmp_path / "empty")


def test_spaces_and_accents_in_names(tmp_path):
    """A name with a composed é finds the file that a Mac wrote decomposed."""
    (tmp_path / "my images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "my images" / "cafe\u0301 1.png")
    splits = load_table(write(tmp_path, "image,label\nmy images/caf\u00e9 1.png,no\nb.png,yes\n"))
    assert next(e for e in splits.everything() if e.label == 0).image.is_file()


SAMPLES = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real data is not here")
def test_real_chest_reports():
    """166 radiographs with reports; patients kept whole, the split its own."""
    splits = load_table(
        SAMPLES / "chest_reports",
        TableOptions(
            label_column="finding",
            unit_column="patient_id",
            text_column="report",
            age_column="age",
            attributes=["sex"],
        ),
    )
    everyone = list(splits.everything())
    assert len(everyone) == 166
    assert all(e.text and e.image.is_file() for e in everyone)
    assert {e.attributes["sex"] for e in everyone} == {"male", "female"}


def test_a_table_of_texts_needs_no_label(tmp_path):
    rows = "id,image,patient,split,report\n1,a.png,p,train,Clear.\n2,b.png,q,val,\n3,c.png,r,test,Dim.\n"
    splits = load_table(
        write(tmp_path, rows), TableOptions(label_column=None, text_column="report")
    )
    assert splits.classes == ("unlabelled",)
    assert splits.attributes == ()
    assert [e.text for e in splits.everything()] == ["Clear.", None, "Dim."]
    with pytest.raises(
        InputError, match="1 class \\(unlabelled\\); a classifier needs at least two"
    ):
        validate_splits(splits)
