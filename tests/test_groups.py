"""Group codes, counts, and what becomes of missing values."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from fairlora_cls.data.groups import (
    age_band,
    apply_missing_policy,
    encode_groups,
    encode_recorded,
    merge_rare_groups,
)
from fairlora_cls.errors import InputError
from tests.test_examples import GOOD, example


def test_keep_makes_unknown_a_group():
    kept, touched = apply_missing_policy(GOOD, ["sex"], "keep")
    assert touched == 1
    assert kept.test[1].attributes["sex"] == "Unknown"
    groups = encode_groups(kept, "sex")
    assert groups.names == ("F", "M", "Unknown")
    assert groups.counts == (1, 2, 0)
    assert groups.codes["test"].tolist() == [0, 2]
    assert groups.absent_from_training == ("Unknown",)


def test_drop_leaves_the_example_out():
    dropped, touched = apply_missing_policy(GOOD, ["sex"], "drop")
    assert touched == 1
    assert [e.id for e in dropped.test] == ["f"]


def test_error_names_the_example():
    with pytest.raises(InputError, match=r"'g' has no value for 'sex' \(1 such"):
        apply_missing_policy(GOOD, ["sex"], "error")


def test_an_unknown_attribute_is_named_with_its_nearest():
    with pytest.raises(InputError, match="no attribute 'sx'; did you mean 'sex'"):
        apply_missing_policy(GOOD, ["sx"], "keep")


def test_intersections():
    both = tuple(
        example(name, 0, sex=sex, race=race)
        for name, sex, race in [("p", "F", "B"), ("q", "M", "B"), ("r", "F", "W")]
    )
    splits = replace(
        GOOD, attributes=("sex", "race"), train=both, validation=both[:1], test=both[1:2]
    )
    groups = encode_groups(splits, "sex×race")
    assert groups.attribute == "sex×race"
    assert groups.names == ("F×B", "F×W", "M×B")
    assert groups.counts == (1, 1, 1)
    with pytest.raises(InputError, match="no attribute 'rac'; did you mean 'race'"):
        encode_groups(splits, "sex×rac")


def test_rare_cells_of_an_intersection_become_one():
    from dataclasses import replace

    cells = [("F", "B"), ("F", "B"), ("M", "B"), ("M", "W"), ("F", "B")]
    train = tuple(example(f"p{i}", 0, sex=s, race=r) for i, (s, r) in enumerate(cells))
    test = (example("q", 0, sex="F", race="W"),)
    splits = replace(GOOD, attributes=("sex", "race"), train=train, validation=train[:1], test=test)
    groups = encode_groups(splits, "sex×race", merge_below=2)
    assert groups.names == ("F×B", "Other")
    assert groups.counts == (3, 2)
    assert groups.codes["test"].tolist() == [1]  # a cell that training never saw
    assert encode_groups(splits, "race", merge_below=4).names == ("B", "W")  # not an intersection


def test_what_is_not_recorded_gets_no_code():
    from dataclasses import replace

    people = [("F", None), ("M", "B"), (None, "W"), ("Unknown", "B")]
    train = tuple(example(f"p{i}", 0, sex=s, race=r) for i, (s, r) in enumerate(people))
    splits = replace(GOOD, attributes=("sex", "race"), train=train, validation=(), test=())
    sex = encode_recorded(splits, "sex")
    assert sex.names == ("F", "M")
    assert sex.codes["train"].tolist() == [0, 1, -1, -1]
    assert sex.counts == (1, 1)
    assert encode_recorded(splits, "sex×race").codes["train"].tolist() == [-1, 0, -1, -1]


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0.5, "(0,44]"),
        (44, "(0,44]"),
        (44.1, "(44,65]"),
        (65, "(44,65]"),
        (66, "(65,∞)"),
        (None, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_age_bands(age, band):
    assert age_band(age) == band


def people(**counts):
    """Training examples with so many of each race, from `white=30`."""
    return tuple(
        example(f"{race}{i}", i % 2, race=race) for race, n in counts.items() for i in range(n)
    )


def test_rare_values_are_merged_by_their_count_in_training():
    splits = replace(
        GOOD,
        attributes=("race",),
        train=people(white=30, asian=4, black=5, Unknown=1),
        validation=(example("v", race="pacific"), example("w", race=None)),
        test=(example("t", race="asian"), example("u", race="white")),
    )
    merged, (note,) = merge_rare_groups(splits, ["race"], 5)
    assert note.startswith("race: asian, pacific, each with fewer than 5 training examples")
    assert "(4 in training;" in note
    assert [e.attributes["race"] for e in merged.test] == ["Other", "white"]
    assert [e.attributes["race"] for e in merged.validation] == ["Other", None]
    counts = Counter(e.attributes["race"] for e in merged.train)
    assert counts == {"white": 30, "Other": 4, "black": 5, "Unknown": 1}


def test_one_rare_value_is_left_alone_unless_there_is_an_other_to_join():
    alone = replace(GOOD, attributes=("race",), validation=(), test=())
    splits = replace(alone, train=people(white=30, asian=4))
    assert merge_rare_groups(splits, ["race"], 5) == (splits, ())
    assert merge_rare_groups(splits, ["race"], 0) == (splits, ())
    splits = replace(alone, train=people(white=30, asian=4, Other=20))
    merged, (note,) = merge_rare_groups(splits, ["race"], 5)
    assert Counter(e.attributes["race"] for e in merged.train) == {"white": 30, "Other": 24}
    assert "race: asian, each" in note


def test_own_age_bands():
    assert [age_band(a, [40, 60, 80]) for a in (40, 41, 81)] == ["(0,40]", "(40,60]", "(80,∞)"]
    for cuts in ([], [60, 40], [0, 60], [40, 40]):
        with pytest.raises(InputError, match="must rise from above 0"):
            age_band(50, cuts)
