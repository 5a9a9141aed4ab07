"""A Hugging Face data set on disk: embedded images, class names, splits, and no surprises."""

import io
import sys

import pytest
from PIL import Image

from fairlora_cls.data.images import read_image
from fairlora_cls.data.sources.saved_datasets import load_saved_dataset
from fairlora_cls.data.table_splits import TableOptions
from fairlora_cls.errors import InputError

datasets = pytest.importorskip("datasets")


def picture(shade):
    buffer = io.BytesIO()
    Image.new("L", (9, 7), shade).save(buffer, "PNG")
    return buffer.getvalue()


def build(count, images, **columns):
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "sex": datasets.Value("string"),
            "age": datasets.Value("int64"),
            "patient": datasets.Value("int64"),
        }
    )
    values = {
        "image": images,
        "label": [i % 2 for i in range(count)],
        "sex": ["F", None] * (count // 2),
        "age": [40 + i for i in range(count)],
        "patient": list(range(count)),
    }
    return datasets.Dataset.from_dict({**values, **columns}, features=features)


def embedded(count, first=0):
    return [{"bytes": picture(first + i), "path": None} for i in range(count)]


def test_a_data_set_with_splits_and_embedded_images(tmp_path):
    parts = {
        name: build(4, embedded(4, 10 * k), patient=[10 * k + i for i in range(4)])
        for k, name in enumerate(["train", "validation", "test"])
    }
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    splits = load_saved_dataset(tmp_path / "saved", TableOptions(age_column="age"))
    assert splits.classes == ("no", "yes")
    assert splits.attributes == ("sex", "age_group")
    assert len(splits.train) == len(splits.validation) == len(splits.test) == 4
    second = splits.test[1]
    assert (second.label, second.unit) == (1, "21")
    assert second.attributes == {"sex": None, "age_group": "(0,44]"}
    assert read_image(second.image).getpixel((0, 0)) == (21, 21, 21)
    again = load_saved_dataset(tmp_path / "saved", TableOptions(age_column="age"))
    assert again == splits


def test_a_single_data_set_is_split_by_patient(tmp_path):
    build(40, embedded(40)).save_to_disk(str(tmp_path / "saved"))
    splits = load_saved_dataset(
        tmp_path / "saved", TableOptions(attributes=["sex"], stratify=["sex"])
    )
    assert sum(1 for _ in splits.everything()) == 40
    assert len(splits.train) > 25


def test_images_by_path_stay_in_the_folder(tmp_path):
    def save(name, target):
        rows = {"image": [target, "b.png"], "label": ["no", "yes"]}
        datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / name))
        return load_saved_dataset(tmp_path / name)

    assert {e.image.name for e in save("good", "a.png").everything()} == {"a.png", "b.png"}
    with pytest.raises(InputError, match="outside the data folder"):
        save("bad", "../x.png")


def test_embedded_images_of_one_name_are_different_examples(tmp_path):
    images = [{"bytes": picture(i), "path": "x.png"} for i in range(4)]
    build(4, images).save_to_disk(str(tmp_path / "saved"))
    everyone = list(load_saved_dataset(tmp_path / "saved").everything())
    assert len({e.id for e in everyone}) == len({e.image for e in everyone}) == 4


def plain(folder, **columns):
    """Four rows without class labels, and what is given."""
    rows = {"image": embedded(4), "label": ["no", "yes"] * 2, **columns}
    features = datasets.Features(
        {name: datasets.Value("string") for name in rows} | {"image": datasets.Image()}
    )
    data = datasets.Dataset.from_dict(rows, features=features)
    data.save_to_disk(str(folder))
    return folder


def test_the_rules_of_tables_hold(tmp_path):
    owners = {"MRN": ["1", "1.0", "nan", "NA"], "sex": ["n/a", "1.0", "1", "None"]}
    splits = load_saved_dataset(plain(tmp_path / "good", **owners), TableOptions(id_column="MRN2"))
    found = [(e.unit, e.attributes) for e in sorted(splits.everything(), key=lambda e: e.id)]
    assert [unit for unit, _ in found] == ["1", "1", "id 2", "id 3"]
    assert [attributes for _, attributes in found] == [
        {"sex": sex} for sex in (None, "1", "1", "None")
    ]
    assert "'MRN'" in splits.notes[0]
    for name, columns, words in (
        ("nan", {"label": ["no", "yes", "nan", "no"]}, "row 3 has no value for 'label'"),
        ("twice", {"sex": ["F"] * 4, "sex ": ["M"] * 4}, "column 'sex' more than once"),
        ("nul", {"sex": ["F", "a\0", "F", "F"]}, "row 2 .*NUL"),
    ):
        with pytest.raises(InputError, match=words):
            load_saved_dataset(plain(tmp_path / name, **columns))
    named = ("maybe", "no", "yes")  # training refuses it, an evaluation need not
    assert load_saved_dataset(tmp_path / "good", TableOptions(classes=named)).classes == named


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="is no data set that `datasets` saved"):
        load_saved_dataset(tmp_path)
    build(4, embedded(4)).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(InputError, match="no column 'dx'"):
        load_saved_dataset(tmp_path / "saved", TableOptions(label_column="dx"))
    arrow = next((tmp_path / "saved").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(InputError, match="not a whole saved data set"):
        load_saved_dataset(tmp_path / "saved")
    datasets.DatasetDict({"one": build(4, embedded(4))}).save_to_disk(str(tmp_path / "odd"))
    with pytest.raises(InputError, match="has the split 'one'"):
        load_saved_dataset(tmp_path / "odd")


def test_without_the_library_the_way_out_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora-cls\[datasets\]'"):
        load_saved_dataset(tmp_path)
