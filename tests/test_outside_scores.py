"""Scores that come in a table from another tool."""

import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.texts.outside_scores import read_scores

IDS = ("a#report", "b#report")


def write(tmp_path, *rows, header="id,metric,value"):
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_long_form_becomes_metric_id_value(tmp_path):
    path = write(tmp_path, "a#report,green,0.5", "b#report,green,1", "b#report,mine,-2e1")
    assert read_scores(path, IDS) == {
        "green": {"a#report": 0.5, "b#report": 1.0},
        "mine": {"b#report": -20.0},
    }


def test_a_blank_value_is_no_score(tmp_path):
    path = write(tmp_path, "a#report,green,", "b#report,green,0.25")
    assert read_scores(path, IDS) == {"green": {"b#report": 0.25}}


@pytest.mark.parametrize("word", ["nan", "NA", "n/a", "null", "none", " "])
def test_nothing_recorded_is_no_score(tmp_path, word):
    path = write(tmp_path, f"a#report,green,{word}", "b#report,green,0.25")
    assert read_scores(path, IDS) == {"green": {"b#report": 0.25}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c#report,green,1", "row 3 has the id 'c#report', which is none of the 2 texts; did you"),
        ("a,green,1", "row 3 has the id 'a', which is none of the 2 texts; there is: a#report"),
        ("a#report,green,1", r"row 3 scores 'green' of the id 'a#report' again \(first in row 2\)"),
        ("b#report,green,good", "row 3 has the value 'good', which is not a number"),
        ("b#report,green,inf", "row 3 has the value 'inf', which is not a number"),
        ("b#report,,1", "row 3 has no value for 'metric'"),
        ("b#report,other,", "has rows of the metric 'other', but no value in them"),
    ],
)
def test_each_error_is_one_sentence(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read_scores(write(tmp_path, "a#report,green,0.5", row), IDS)


def test_a_column_that_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match="no column 'value'; did you mean 'values'"):
        read_scores(write(tmp_path, "a#report,green,1", header="id,metric,values"), IDS)
    with pytest.raises(InputError, match="There is no table"):
        read_scores(tmp_path / "absent.csv", IDS)


def test_every_row_that_cannot_be_used_is_named(tmp_path):
    path = write(
        tmp_path, "c#report,green,1", "a#report,green,good", ",green,1", "b#report,green,1"
    )
    with pytest.raises(InputError) as error:
        read_scores(path, IDS)
    assert sorted(problem.split("row ")[1][0] for problem in error.value.problems) == list("234")
