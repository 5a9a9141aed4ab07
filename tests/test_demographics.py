"""MIMIC-IV's words for race become FairLLaVA's five groups, and patients become people."""

import math
from pathlib import Path

import pandas as pd
import pytest

from fairlora_cls.data.sources.demographics import decode_races, load_mimic_iv
from fairlora_cls.errors import InputError


def test_races():
    words = {
        "WHITE - OTHER EUROPEAN": "White",
        "BLACK/CARIBBEAN ISLAND": "Black",
        "ASIAN - SOUTH EAST ASIAN": "Asian",
        "HISPANIC OR LATINO": "Hispanic",
        "PORTUGUESE": "Other",
        "AMERICAN INDIAN/ALASKA NATIVE": "Other",
        "MULTIPLE RACE/ETHNICITY": "Other",
        "UNABLE TO OBTAIN": None,
        "?": None,
    }
    column = pd.Series([None if word == "?" else word for word in words], name="race")
    assert decode_races(column, Path("a.csv")) == list(words.values())
    with pytest.raises(InputError, match=r"'a\.csv' row 3 has race 'MARTIAN', which is no race"):
        decode_races(pd.Series(["WHITE", "MARTIAN"], name="race"), Path("a.csv"))


def test_people(tmp_path):
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age\n1,F,52\n2,M,\n")
    rows = "subject_id,race\n1,WHITE\n1,ASIAN\n1,WHITE - RUSSIAN\n2,WHITE\n2,ASIAN\n"
    (tmp_path / "admissions.csv").write_text(rows)
    people = load_mimic_iv(tmp_path, None)
    assert people["sex"] == {"1": "Female", "2": "Male"}
    assert people["race"] == {"1": "White", "2": None}  # the most frequent; a tie is not recorded
    assert people["age"]["1"] == 52
    assert math.isnan(people["age"]["2"])
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age\n1,F,52\n1,M,53\n")
    with pytest.raises(InputError, match="row 3 has the id '1' of row 2 again"):
        load_mimic_iv(tmp_path, None)
