"""MIMIC-IV's words for race become FairLLaVA's five groups, and patients become people."""

import math

from fairlora_cls.data.sources.demographics import load_mimic_iv, read_races
from tests.small_tables import table_of


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
    cells = [None if word == "?" else word for word in words]
    assert read_races(table_of({"race": cells}), "race") == list(words.values())
    table = table_of({"race": ["WHITE", "MARTIAN"]}, "a.csv")
    assert read_races(table, "race") == ["White", None]
    assert "'a.csv' row 3 has race 'MARTIAN', which is no race" in table.problems[0]


def test_people(tmp_path):
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age\n1,F,52\n2,M,\n")
    rows = "subject_id,race\n1,WHITE\n1,ASIAN\n1,WHITE - RUSSIAN\n2,WHITE\n2,ASIAN\n"
    (tmp_path / "admissions.csv").write_text(rows)
    people, problems = load_mimic_iv(tmp_path, None)
    assert problems == []
    assert people["sex"] == {"1": "Female", "2": "Male"}
    assert people["race"] == {"1": "White", "2": None}  # the most frequent; a tie is not recorded
    assert people["age"]["1"] == 52
    assert math.isnan(people["age"]["2"])
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age\n1,F,52\n1,M,53\n")
    _, problems = load_mimic_iv(tmp_path, None)
    assert "row 3 has the id '1' of row 2 again" in problems[0]
