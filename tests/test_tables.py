"""A CSV beside images, in the layouts and with the mistakes that users bring."""

import pytest

from fairlora_cls.data.tables import load_table, split_by_unit
from fairlora_cls.errors import InputError

HEAD = "id,image,label,sex,patient,split\n"
ROWS = (
    "1,a.png,no,F,p1,train\n2,b.png,yes,M,p2,Training\n3,c.png,no,,p3,val\n4,d.png,yes,F,p4,TEST\n"
)


def write(folder, text, name="table.csv"):
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


def test_the_folder_may_be_given(tmp_path):
    write(tmp_path, HEAD + ROWS, "metadata.csv")
    assert len(load_table(tmp_path).train) == 2


def test_other_column_names_and_tabs(tmp_path):
    path = write(tmp_path, "file\tdx\na.png\tx\nb.png\ty\n", "t.tsv")
    splits = load_table(path, image_column="file", label_column="dx", attributes=[])
    assert splits.classes == ("x", "y")
    assert {e.id for e in splits.everything()} == {"a.png", "b.png"}


def test_class_order_can_be_given(tmp_path):
    assert load_table(write(tmp_path, HEAD + ROWS), classes=["yes", "no"]).classes == ("yes", "no")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a readable CSV"),
        (HEAD, "has no rows"),
        ("id,image,lable\n1,a,b\n", "no column 'label'; did you mean 'lable'"),
        (HEAD + "1,,no,F,p,train\n", "row 2 has no value for 'image'"),
        (HEAD + "1,a.png,,F,p,train\n", "row 2 has no value for 'label'"),
        (HEAD + "1,a.png,no,F,p,trian\n", "split 'trian'; did you mean 'train'"),
        (HEAD + "1,../a.png,no,F,p,train\n", "outside the data folder"),
        (HEAD + "1,http://x/a.png,no,F,p,train\n", "only local files"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        load_table(write(tmp_path, text))


def test_unknown_class_attribute_and_place(tmp_path):
    path = write(tmp_path, HEAD + ROWS)
    with pytest.raises(InputError, match="row 3 has the label 'yes'"):
        load_table(path, classes=["no", "maybe"])
    with pytest.raises(InputError, match="no column 'race'"):
        load_table(path, attributes=["race"])
    with pytest.raises(InputError, match="no file or folder"):
        load_table(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no table\.csv"):
        load_table(tmp_path / "empty")


def test_split_by_unit_keeps_units_whole_and_classes_in_proportion():
    units = [f"u{i // 2}" for i in range(2000)]
    labels = ["rare" if i // 2 % 10 == 0 else "common" for i in range(2000)]
    homes = split_by_unit(units, labels, seed=3)
    assert all(homes[i] == homes[i + 1] for i in range(0, 2000, 2))
    for name, share in [("train", 0.8), ("validation", 0.1), ("test", 0.1)]:
        for label, count in [("rare", 200), ("common", 1800)]:
            found = sum(h == name and own == label for h, own in zip(homes, labels, strict=True))
            assert found == share * count
    assert homes == split_by_unit(units, labels, seed=3)
    assert homes != split_by_unit(units, labels, seed=4)
    backwards = split_by_unit(units[::-1], labels[::-1], seed=3)[::-1]
    assert homes == backwards
