import math

import numpy as np
import pandas as pd
import pytest

from fairlora_cls.data.cells import recorded


@pytest.mark.parametrize(
    "cell",
    [
        None,
        "",
        "  ",
        "nan",
        " NA ",
        "N/A",
        "#N/A",
        "NULL",
        "<NA>",
        math.nan,
        pd.NA,
        np.float64("nan"),
    ],
)
def test_nothing_is_recorded(cell):
    assert recorded(cell) is None


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("1.", "1"),
        (1.0, "1"),
        (np.int64(3), "3"),
        ("-1.00", "-1"),
        ("1.5", "1.5"),
        ("1.05", "1.05"),
        ("01", "01"),
        (" White ", "White"),
        ("none", "none"),
        ("None", "None"),
        ("Nancy", "Nancy"),
    ],
)
def test_names_are_kept_and_whole_numbers_are_whole(cell, name):
    assert recorded(cell) == name


def test_further_words_are_the_callers():
    assert recorded("Unknown") == "Unknown"
    assert recorded("Unknown", ["unknown"]) is None
    assert recorded("-9.0", ["-9"]) is None
