"""Codes become names, and what is no code never becomes a group."""

import math
from pathlib import Path

import pandas as pd
import pytest

from fairlora_cls.data.codes import (
    UNKNOWN_CODES,
    age_bands,
    decode_column,
    decode_free,
    decode_required,
    number_names,
    plain,
    read_ages,
    read_texts,
)
from fairlora_cls.errors import InputError

FILE = Path("t.csv")


def test_plain():
    values = [" Male ", "2.0", -1.0, 0, None, math.nan, "NaN", "n/a", "1.50"]
    assert [plain(v) for v in values] == ["male", "2", "-1", "0", "", "", "", "", "1.50"]


def test_numbers_and_names_mean_the_same():
    names = number_names(["Non-Hispanic", "Hispanic"]) | UNKNOWN_CODES
    column = pd.Series(["0", "1.0", "HISPANIC", "-1", None, "unknown"], name="ethnicity")
    expected = ["Non-Hispanic", "Hispanic", "Hispanic", None, None, None]
    assert decode_column(column, names, FILE) == expected
    with pytest.raises(InputError, match=r"'t.csv' row 3 has ethnicity '7'; expected 0, 1, non-h"):
        decode_column(pd.Series(["0", "7"], name="ethnicity"), names, FILE)


def test_ages():
    column = pd.Series(["44", "44.5", " 80 ", "unknown", None, "NaN"], name="age")
    ages = read_ages(column, FILE)
    assert ages[:3] == [44.0, 44.5, 80.0]
    assert all(math.isnan(a) for a in ages[3:])
    assert age_bands(ages) == ["(0,44]", "(44,65]", "(65,∞)", None, None, None]
    assert age_bands([64, 66], [65]) == ["(0,65]", "(65,∞)"]
    for bad in ("inf", "-1", "131", "old"):
        with pytest.raises(InputError, match=f"row 2 has age '{bad}', which is not an age"):
            read_ages(pd.Series([bad], name="age"), FILE)


def test_free_values():
    column = pd.Series([" F ", "", None, "nan", "?", "1.0", "two \n lines", "9.0"])
    names = ["F", None, None, None, None, "1", "two lines", None]
    assert decode_free(column, ["?", "9"]) == names


def test_required_values():
    column = pd.Series(["1.0", "NA"], name="label")
    assert decode_required(column[:1], FILE) == ["1"]
    with pytest.raises(InputError, match=r"row 3 has no value for 'label'.*NA"):
        decode_required(column, FILE)


def test_texts_stay_as_they_are():
    column = pd.Series([" 1.0\n2. ", "nan", " ", None, "None."])
    assert read_texts(column) == ["1.0\n2.", None, None, None, "None."]
