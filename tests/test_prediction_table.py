"""Reading and writing prediction tables: a good one comes back whole, a bad one is named."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.other_splits import other_splits
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    write_predictions,
)


def table(tmp_path, text):
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def three_classes() -> Predictions:
    return Predictions(
        ids=("a", "b", "c"),
        labels=[2, 0, -1],
        predictions=[2, 1, 0],
        probabilities=[[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]],
        classes=("benign, common", "0", 'a "quoted" one'),
        attributes={
            "sex": np.array(["F", "", "M"], dtype=object),
            "race": np.array([None, "Blåck", "<b>"], dtype=object),
        },
        positive=1,
    )


def test_a_written_table_comes_back_whole(tmp_path):
    path = tmp_path / "folder" / "test.csv"
    write_predictions(three_classes(), path)
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert (
        header
        == 'id,label,prediction,"prob_benign, common",prob_0,"prob_a ""quoted"" one",sex,race'
    )
    back = read_predictions(path, positive="0")
    assert back.ids == ("a", "b", "c")
    assert back.classes == three_classes().classes
    assert back.positive == 1
    assert back.labels.tolist() == [2, 0, -1]
    assert back.predictions.tolist() == [2, 1, 0]
    assert (back.probabilities == three_classes().probabilities).all()  # to the last digit
    assert back.group_names("sex").tolist() == ["F", "missing", "M"]
    assert back.group_names("race").tolist() == ["missing", "Blåck", "<b>"]
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "test.csv"
    path.write_text("old")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("pandas.DataFrame.to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_predictions(three_classes(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_score_is_the_probability_of_the_positive_class(tmp_path):
    path = table(tmp_path, "id,label,score\n1,yes,0.9\n2,no,0.2\n3,no,0.5\n")
    last = read_predictions(path)
    assert last.classes == ("no", "yes")
    assert last.positive == 1
    assert np.allclose(last.probabilities, [[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
    assert last.predictions.tolist() == [1, 0, 0]
    named = read_predictions(path, positive="no")
    assert named.positive == 0
    assert np.allclose(named.probabilities[:, 0], [0.9, 0.2, 0.5])


def test_numbers_are_names_and_blank_groups_are_missing(tmp_path):
    path = table(
        tmp_path, "id,label,prediction,prob_0,prob_1,age,sex\n7,0,1,.4,.6,44,\n8,1,1,.1,.9, ,NaN\n"
    )
    read = read_predictions(path)
    assert read.classes == ("0", "1")
    assert read.labels.tolist() == [0, 1]
    assert read.group_names("age").tolist() == ["44", "missing"]
    assert read.group_names("age×sex").tolist() == ["44×missing", "missing×missing"]


def test_prediction_and_label_may_be_absent(tmp_path):
    read = read_predictions(table(tmp_path, "id,prob_a,prob_b,prob_c\n1,.2,.5,.3\n2,.4,.3,.3\n"))
    assert read.predictions.tolist() == [1, 0]
    assert read.labels.tolist() == [-1, -1]


def test_only_the_named_attributes_are_kept(tmp_path):
    text = (
        "id,label,prob_a,prob_b,sex,race,path\n1,a,.5,.5,F,Black,x.png\n2,b,.5,.5,M,White,y.png\n"
    )
    path = table(tmp_path, text)
    assert list(read_predictions(path).attributes) == ["sex", "race", "path"]
    assert list(read_predictions(path, ["race", "sex×race"]).attributes) == ["race", "sex"]


def test_the_column_of_row_numbers_is_no_attribute(tmp_path):
    for name in ("", "Unnamed: 0"):
        text = f"{name},id,label,prob_no,prob_yes,sex\n0,a,no,.5,.5,F\n1,b,yes,.5,.5,M\n"
        assert list(read_predictions(table(tmp_path, text)).attributes) == ["sex"]


def test_nothing_recorded_is_the_same_in_every_column(tmp_path):
    text = "id,label,prob_no,prob_yes,sex,unit\na,no,.5,.5,F,p\nb,yes,.5,.5,F,p\nNA,{0},.5,.5,{0},{0}\n"
    blank = read_predictions(table(tmp_path, text.format("")))
    assert blank.units == ("p", "p", "id NA")
    for word in ("nan", "NA", "n/a", "null", " "):
        other = read_predictions(table(tmp_path, text.format(word)))
        assert (other.ids, other.units) == (blank.ids, blank.units)
        assert other.labels.tolist() == blank.labels.tolist() == [0, 1, -1]
        assert other.group_names("sex").tolist() == ["F", "F", "missing"]


def test_one_and_one_point_zero_are_one_name(tmp_path):
    text = (
        "id,label,prediction,prob_0,prob_1.0,sex,unit\n"
        "a,1.0,1,.4,.6,1,7\nb,0,0.0,.7,.3,1.0,7.0\nc,1,1,.2,.8,2,8\n"
    )
    read = read_predictions(table(tmp_path, text), positive="1.0")
    assert (read.classes, read.positive) == (("0", "1"), 1)
    assert read.labels.tolist() == [1, 0, 1]
    assert read.predictions.tolist() == [1, 0, 1]
    assert read.group_names("sex").tolist() == ["1", "1", "2"]
    assert read.units == ("7", "7", "8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_says_how_the_table_is_encoded(tmp_path, encoding):
    path = tmp_path / "x.csv"
    path.write_text("id;label;score;sex\n1;né;0,2;♀\n2;yes;0,7;♂\n", encoding=encoding)
    read = read_predictions(path)
    assert read.classes == ("né", "yes")
    assert read.group_names("sex").tolist() == ["♀", "♂"]


def test_semicolons_in_a_class_do_not_part_the_columns(tmp_path):
    odd = replace(three_classes(), classes=("a;b;c;d", "e;f", "=1+1"), positive=2)
    write_predictions(odd, tmp_path / "x.csv")
    assert read_predictions(tmp_path / "x.csv").classes == odd.classes


def test_names_that_look_like_formulas_come_back_as_they_were(tmp_path):
    odd = ("=1+1", "+1", "@SUM(A1)")
    write_predictions(replace(three_classes(), ids=odd), tmp_path / "x.csv")
    assert read_predictions(tmp_path / "x.csv").ids == odd


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [[0], [1, 2], [0]]},
        {"predictions": np.array([[0], [1, 2], [0]], dtype=object)},
        {"probabilities": [["a", "b", "c"]] * 3},
        {"probabilities": [[0.5, 0.5], [1.0], [1.0]]},
    ],
)
def test_what_is_no_table_of_numbers_is_refused(change):
    with pytest.raises(InputError):
        replace(three_classes(), **change)


@pytest.mark.parametrize(
    "change",
    [
        {"ids": ("a\n", "b", "c")},
        {"units": ("p\rq", "p\rq", "r")},
        {"attributes": {"se\x01x": ["a", "b", "c"]}},
        {"attributes": {"sex": ["a\nb", "b", "c"]}},
    ],
)
def test_what_a_table_cannot_hold_is_not_written(tmp_path, change):
    with pytest.raises(InputError, match="control character"):
        write_predictions(replace(three_classes(), **change), tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


def test_one_attribute_may_be_given_alone(tmp_path):
    path = table(tmp_path, "id,label,prob_a,prob_b,sex,race\n1,a,.5,.5,F,B\n2,b,.5,.5,M,W\n")
    assert list(read_predictions(path, "sex").attributes) == ["sex"]


@pytest.mark.parametrize(
    ("row", "total"),
    [
        ((".167",) * 6, 1.002),  # six sixths, each half a thousandth too large at most
        ((".334", ".334", ".333"), 1.001),
        ((".14",) * 7, 0.98),
        ((".334", ".334", ".334"), None),  # 0.002 is more than three times 0.0005
        ((".5", ".6"), None),
        ((".50", ".55"), None),
        (("0.25000001",) + (".25",) * 3 + ("0.002",), None),
    ],
)
def test_probabilities_may_be_off_by_their_rounding_alone(tmp_path, row, total):
    names = ",".join(f"prob_{code}" for code in range(len(row)))
    path = table(tmp_path, f"id,{names}\n1,{','.join(row)}\n")
    if total is None:
        with pytest.raises(InputError, match="sum to"):
            read_predictions(path)
    else:
        read = read_predictions(path).probabilities
        assert read.tolist() == [[float(text) for text in row]]
        assert read.sum() == pytest.approx(total)


GOOD = "id,label,prob_no,prob_yes,sex\n1,no,.5,.5,F\n"


@pytest.mark.parametrize(
    ("text", "arguments", "named"),
    [
        ("image_id,label,prob_no,prob_yes\n1,no,.5,.5\n", {}, ["'id'", "'image_id'"]),
        ("ID,label,prob_no,prob_yes\n1,no,.5,.5\n", {}, ["'id'", "'ID'"]),
        ("id,Label,prob_no,prob_yes\n1,no,.5,.5\n", {}, ["'label'", "'Label'"]),
        ("id,predictions,prob_no,prob_yes\n1,no,.5,.5\n", {}, ["'prediction'", "'predictions'"]),
        ("id,label,p_no\n1,no,.5\n", {}, ["prob_<class>", "score", "p_no"]),
        ("id,label,prob_no\n1,no,.5\n", {}, ["prob_no", "score"]),
        ("id,label,prob_no,prob_yes\n", {}, ["no rows"]),
        ("", {}, ["it is empty"]),
        ("id,label,prob_no,prob_yes\n1,no,.5,.5,.5\n", {}, ["5 cells"]),
        ("id,label,prob_no,prob_yes\nx7,no,-.1,1.1\n", {}, ["-0.1", "'x7'", "'no'"]),
        ("id,label,prob_no,prob_yes\nx7,no,nan,1\n", {}, ["nan", "'x7'"]),
        ("id,label,prob_no,prob_yes\nx7,no,,1\n", {}, ["prob_no", "''", "'x7'"]),
        ("id,label,prob_no,prob_yes\nx7,no,half,.5\n", {}, ["prob_no", "'half'", "'x7'"]),
        ("id,label,score\n1,no,.5\nx7,yes,1.5\n", {}, ["score", "1.5", "'x7'"]),
        ("id,label,prob_no,prob_yes\nx7,no,.5,.6\n", {}, ["sum to 1.1", "'x7'"]),
        (
            "id,label,prob_no,prob_yes\n1,Yes,.5,.5\n",
            {},
            ["'label'", "'Yes'", "'yes'", "'no', 'yes'"],
        ),
        (
            "id,label,prediction,prob_no,prob_yes\n1,no,maybe,.5,.5\n",
            {},
            ["'prediction'", "'maybe'"],
        ),
        ("id,label,prediction,prob_no,prob_yes\n1,no,,.5,.5\n", {}, ["'prediction'", "''"]),
        ("id,label,prob_no,prob_yes\n1,no,.5,.5\n1,no,.5,.5\n", {}, ["1 ids", "'1'"]),
        ("id,label,score\n1,no,.5\n2,no,.1\n", {}, ["two classes", "'no'"]),
        ("id,label,score\n1,a,.5\n2,b,.1\n3,c,.2\n", {}, ["two classes", "'a', 'b', 'c'"]),
        ("id,label,prob_no,prob_yes,label\n1,no,.5,.5,no\n", {}, ["'label'", "once"]),
        ("id,label,prob_no,prob_yes,prob_yes \n1,no,.2,.4,.4\n", {}, ["'prob_yes'", "once"]),
        ("id,label,prob_no,prob_yes,sex\n1,no,.5,.5\n", {}, ["4 cells"]),
        ("id,label,prob_1,prob_1.0\n1,1,.5,.5\n", {}, ["different classes"]),
        ("id,label,prob_NA,prob_yes\n1,yes,.5,.5\n", {}, ["'NA'"]),
        ("id,label,prob_no,prob_yes\n1,no,.5,\0\n", {}, ["NUL"]),
        (GOOD, {"attributes": ["sexx"]}, ["'sexx'", "'sex'"]),
        (GOOD, {"attributes": ["sex×race"]}, ["'race'", "sex"]),
        (GOOD, {"attributes": ["label"]}, ["'label'", "sex"]),
        (GOOD, {"positive": "Yes"}, ["'Yes'", "'yes'"]),
    ],
)
def test_a_bad_table_is_refused_with_one_clear_sentence(tmp_path, text, arguments, named):
    with pytest.raises(InputError) as error:
        read_predictions(table(tmp_path, text), **arguments)
    for part in named:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        "id;Größe\n1;groß\n".encode("cp1252"),
        b"id,label,score\n1,a,.5\n2,\xf6,.4\n",
        GOOD.encode("utf-16-le"),
        b"\xff\xfe\x00\xd8",
        b"x" * 200_000,
        bytes(range(256)),
        b'id,label,score\n1,"a,.5\n',
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.csv"):
        read_predictions(tmp_path / "x.csv")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        read_predictions(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ids": ()}, "empty"),
        ({"labels": [0]}, "'label' has 1 values for 2"),
        ({"labels": [0, 2]}, "label codes"),
        ({"predictions": [0, -1]}, "prediction codes"),
        ({"positive": 2}, "positive class code 2"),
        ({"predictions": [0.3, 0.8]}, "0.3"),
        ({"labels": [0.0, float("nan")]}, "nan"),
        ({"labels": ["a", "b"]}, "'a'"),
        ({"labels": [[1, 0], [0, 1]]}, "labels"),
        ({"predictions": [True, False], "positive": 0}, "True"),
        ({"classes": ("nan", "b")}, "'nan'"),
        ({"ids": ("1", "2\ud800")}, "half a character"),
        ({"probabilities": [[0.5, 0.5]]}, "shape"),
        ({"classes": ("a", "a")}, "different classes"),
        ({"attributes": {"score": ["x", "y"]}}, "'score'"),
        ({"attributes": {"sex": ["x"]}}, "'sex' has 1 values for 2"),
    ],
)
def test_predictions_are_checked_when_built(change, named):
    good = {
        "ids": ("1", "2"),
        "labels": [0, 1],
        "predictions": [1, 1],
        "probabilities": [[0.5, 0.5], [0.2, 0.8]],
        "classes": ("a", "b"),
    }
    Predictions(**good)
    with pytest.raises(InputError, match=named):
        Predictions(**(good | change))


def test_whole_numbers_and_truth_are_codes():
    good = Predictions(("1", "2"), [0.0, 1.0], [False, True], [[0.5, 0.5]] * 2, ("a", "b"))
    assert good.labels.tolist() == good.predictions.tolist() == [0, 1]
    assert good.labels.dtype == good.predictions.dtype == int


def test_importing_the_table_is_light():
    heavy = "torch", "matplotlib", "sklearn", "fairlearn", "scipy"
    code = (
        "import sys, fairlora_cls.evaluation.prediction_table, fairlora_cls.evaluation.report\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_semicolons_tabs_and_decimal_commas(tmp_path):
    """As a spreadsheet in Germany or France writes it."""
    text = "id;label;prob_no;prob_yes;sex\n1;no;0,75;0,25;F\n2;yes;0,1;0,9;M\n"
    found = read_predictions(table(tmp_path, text))
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.1, 0.9]]
    assert list(found.attributes) == ["sex"]
    text = "id\tlabel\tscore\n1\tno\t0,2\n2\tyes\t0.7\n"  # Excel's "Unicode text"
    (tmp_path / "wide.csv").write_text(text, encoding="utf-16")
    assert read_predictions(tmp_path / "wide.csv").probabilities[:, 1].tolist() == [0.2, 0.7]
    assert read_predictions(table(tmp_path, text)).probabilities[:, 1].tolist() == [0.2, 0.7]


def test_units_come_from_their_column_and_go_back_to_it(tmp_path):
    text = "id,label,prob_no,prob_yes,patient,sex\n1,no,.5,.5,p,F\n2,yes,.5,.5,p,F\n3,no,.5,.5,,M\n"
    found = read_predictions(table(tmp_path, text), unit="patient")
    assert found.units == ("p", "p", "id 3")
    assert list(found.attributes) == ["sex"]
    write_predictions(found, tmp_path / "out.csv")
    header = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert header == "id,label,prediction,prob_no,prob_yes,sex,unit"
    back = read_predictions(tmp_path / "out.csv")
    assert back.units == found.units
    assert list(back.attributes) == ["sex"]
    with pytest.raises(InputError, match="did you mean 'patient'"):
        read_predictions(table(tmp_path, text), unit="patients")


def test_units_that_all_differ_are_no_units(tmp_path):
    text = "id,label,prob_no,prob_yes,unit\n1,no,.5,.5,a\n2,yes,.5,.5,b\n"
    found = read_predictions(table(tmp_path, text))
    assert found.units is None
    write_predictions(found, tmp_path / "out.csv")
    assert "unit" not in (tmp_path / "out.csv").read_text()


def test_the_other_splits_lie_beside(tmp_path):
    (tmp_path / "test.csv").write_text("id\n1\n")
    (tmp_path / "validation.csv").write_text("id,label,unit\n7,no,p\n8,no,\n")
    (tmp_path / "train.csv").write_text("name\nx\n")
    assert other_splits(tmp_path / "test.csv") == ({"validation": {"7", "8", "p"}}, ())
    (tmp_path / "mine.csv").write_text("id\n7\n")
    assert other_splits(tmp_path / "mine.csv") == ({}, ())


def test_a_broken_table_beside_stops_nothing_and_is_named(tmp_path):
    (tmp_path / "test.csv").write_text("id\n1\n")
    (tmp_path / "train.csv").write_bytes("id;Größe\n1;groß\n".encode("cp1252"))
    (tmp_path / "validation.csv").write_text("id,id\n1,2\n")
    known, notes = other_splits(tmp_path / "test.csv")
    assert known == {}
    assert ["train" in notes[0], "validation" in notes[1]] == [True, True]


def test_a_score_without_labels_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="column 'label'; the table has: id, y_true"):
        read_predictions(table(tmp_path, "id,y_true,score\n1,no,0.2\n2,yes,0.7\n"))
    with pytest.raises(InputError, match="is a folder"):
        read_predictions(tmp_path)


def test_texts_of_other_splits_lie_beside_too(tmp_path):
    for split, ids in (("test", "a"), ("validation", "bc")):
        lines = [
            f'{{"id": "{one}#report", "question": "report", "unit": "p", "text": "", "reference": ""}}'
            for one in ids
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    assert other_splits(tmp_path / "test.jsonl") == ({"validation": {"b", "c", "p"}}, ())
