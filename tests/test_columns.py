"""Codes become names, and what is no code never becomes a group."""

import math

from fairlora_cls.data.columns import (
    UNKNOWN_CODES,
    age_bands,
    number_names,
    plain,
    read_ages,
    read_codes,
    read_groups,
    read_required,
    read_texts,
)
from tests.small_tables import table_of


def test_plain():
    values = [" Male ", "2.0", -1.0, 0, None, math.nan, "NaN", "n/a", "1.50"]
    assert [plain(v) for v in values] == ["male", "2", "-1", "0", "", "", "", "", "1.50"]


def test_numbers_and_names_mean_the_same():
    names = number_names(["Non-Hispanic", "Hispanic"]) | UNKNOWN_CODES
    cells = ["0", "1.0", "HISPANIC", "-1", None, "unknown"]
    expected = ["Non-Hispanic", "Hispanic", "Hispanic", None, None, None]
    table = table_of({"ethnicity": cells})
    assert read_codes(table, "ethnicity", names) == expected
    assert table.problems == []
    table = table_of({"ethnicity": ["0", "7", "7"]})
    assert read_codes(table, "ethnicity", names) == ["Non-Hispanic", None, None]
    assert table.problems[0].startswith("'t.csv' row 3 has ethnicity '7'; expected 0, 1, non-h")
    assert table.problems[1].startswith("'t.csv' row 4")
    table = table_of({"ethnicity": ["0", "nan"]})
    assert read_codes(table, "ethnicity", names, required=True) == ["Non-Hispanic", None]
    assert "row 3 has no value for 'ethnicity'" in table.problems[0]


def test_ages():
    table = table_of({"age": ["44", "44.5", " 80 ", "unknown", None, "NaN"]})
    ages = read_ages(table, "age")
    assert ages[:3] == [44.0, 44.5, 80.0]
    assert all(math.isnan(a) for a in ages[3:])
    assert table.bad == set()
    assert age_bands(ages) == ["(0,44]", "(44,65]", "(65,∞)", None, None, None]
    assert age_bands([64, 66], [65]) == ["(0,65]", "(65,∞)"]
    bad = table_of({"age": ["inf", "-1", "131", "old"]})
    assert all(math.isnan(age) for age in read_ages(bad, "age"))
    for row, (cell, problem) in enumerate(zip(bad.cells("age"), bad.problems, strict=True), 2):
        assert f"row {row} has age '{cell}', which is not an age" in problem


def test_free_values():
    table = table_of({"sex": [" F ", "", None, "nan", "?", "1.0", "two \n lines", "9.0"]})
    names = ["F", None, None, None, None, "1", "two lines", None]
    assert read_groups(table, "sex", ["?", "9"]) == names


def test_required_values():
    table = table_of({"label": ["1.0", "NA"]})
    assert read_required(table, "label") == ["1", None]
    (problem,) = table.problems
    assert "row 3 has no value for 'label'" in problem
    assert "NA" in problem


def test_texts_stay_as_they_are():
    table = table_of({"report": [" 1.0\n2. ", "nan", " ", None, "None."]})
    assert read_texts(table, "report") == ["1.0\n2.", None, None, None, "None."]
    assert read_texts(table, None) == [None] * 5
