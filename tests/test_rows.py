"""Parts of a table join into one data set, each row at its place."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fairlora_cls.data.rows import Columns, Part, Uses, build_splits, choose_uses
from fairlora_cls.errors import InputError

COLUMNS = Columns("image", "label", "id", "split", "patient", None, None)
OPTIONS = {"age_cuts": [50], "missing_values": (), "classes": (), "stratify": (), "seed": 1}


def part(home, names, **columns):
    values = {"image": names, "label": ["no", "yes"] * (len(names) // 2), **columns}
    return Part(Path(f"{home}.csv"), home, pd.DataFrame(values, dtype=object))


def test_parts_keep_their_split_and_their_images():
    parts = [part(h, ["a", "b"], sex=["F", None]) for h in ("train", "validation", "test")]
    images = [[Path(h) / n for n in "ab"] for h in ("x", "y", "z")]
    splits = build_splits(parts, images, Uses(COLUMNS, ("sex",), ()), **OPTIONS)
    assert [e.image for e in splits.everything()] == [p for own in images for p in own]
    assert splits.test[1].id == splits.test[1].unit == "test/b"
    assert splits.test[1].attributes == {"sex": None}


def test_attributes_are_what_has_no_other_use():
    parts = [part("train", ["a", "b"], id=["1", "2"], sex=["F", "M"], race=["A", "B"])]
    assert choose_uses(parts, COLUMNS, None).attributes == ("sex", "race")
    assert choose_uses(parts, COLUMNS, ["race", "race"]).attributes == ("race",)
    with pytest.raises(InputError, match=r"no column 'rase'; .*data\.options\.attributes"):
        choose_uses(parts, COLUMNS, ["rase"])
    other = Columns("image", "dx", "id", "split", "patient", None, None)
    with pytest.raises(InputError, match=r"no column 'dx'.*data\.options\.label_column"):
        choose_uses(parts, other, None)


def test_one_rule_for_what_is_missing_and_for_whole_numbers():
    """Blank patients are their own, whoever is called like their id; 1 and 1.0 are one."""
    parts = [
        part(
            home,
            [f"{home}-{i}" for i in range(4)],
            id=[f"{home}NA", f"{home}nan", f"{home}3", f"{home}1"],
            label=[f"{k}{end}" for k in (0, 1, 0, 1)],
            sex=["n/a", f"1{end}", f"0{end}", "-9.0"],
            patient=["null", f"{k}{end}", f"{k}{end}", f"{home}NA"],
            report=["nan", "2.0", "N/A", "Clear\nlungs."],
        )
        for k, (home, end) in enumerate({"train": "", "validation": ".0", "test": ".00"}.items())
    ]
    columns = replace(COLUMNS, text="report")
    images = [[Path(name) for name in own.frame["image"]] for own in parts]
    uses = choose_uses(parts, columns, None)
    splits = build_splits(parts, images, uses, **{**OPTIONS, "missing_values": ["-9"]})
    assert splits.classes == ("0", "1")
    for name, k in (("train", 0), ("validation", 1), ("test", 2)):
        own = splits.split(name)
        assert [e.id for e in own] == [f"{name}NA", f"{name}nan", f"{name}3", f"{name}1"]
        assert [e.attributes for e in own] == [{"sex": s} for s in (None, "1", "0", None)]
        assert [e.label for e in own] == [0, 1, 0, 1]
        assert [e.text for e in own] == [None, "2.0", None, "Clear\nlungs."]
        assert len({e.unit for e in own}) == 3
        assert [e.unit for e in own[1:3]] == [str(k)] * 2


@pytest.mark.parametrize("missing", ["nan", "NA", "n/a", "NULL", " ", None])
def test_a_missing_label_is_an_error_of_its_row(missing):
    parts = [part("train", ["a", "b"], label=["no", missing])]
    with pytest.raises(InputError, match="row 3 has no value for 'label'"):
        build_splits(parts, [[Path("a"), Path("b")]], Uses(COLUMNS, (), ()), **OPTIONS)


def test_patients_of_a_usual_name_are_used_and_never_an_attribute():
    owners = {"Patient ID": ["7", "7"], "lesion_id": ["1", "2"]}
    parts = [part("train", ["a", "b"], sex=["F", "F"], **owners)]
    uses = choose_uses(parts, COLUMNS, None)
    assert (uses.columns.unit, uses.attributes, len(uses.notes)) == ("Patient ID", ("sex",), 1)
    assert choose_uses(parts, COLUMNS, ["lesion_id"]).attributes == ("lesion_id",)
    none = choose_uses(parts, replace(COLUMNS, unit=None), None)
    assert (none.columns.unit, none.attributes, none.notes) == (None, ("sex",), ())


def test_a_column_of_some_tables_only_is_no_attribute():
    parts = [part("train", ["a", "b"], sex=["F", "F"], x=["1", "2"])]
    parts += [part("test", ["a", "b"], sex=["F", "F"])]
    uses = choose_uses(parts, COLUMNS, None)
    assert uses.attributes == ("sex",)
    assert "'x'" in uses.notes[0]


def test_age_groups_are_not_replaced():
    parts = [part("train", ["a", "b"], age=["50", "60"], age_group=["old", "old"])]
    with pytest.raises(InputError, match="'age_group'"):
        choose_uses(parts, replace(COLUMNS, age="age"), None)
    assert choose_uses(parts, replace(COLUMNS, age="age"), []).attributes == ()


def test_questions_and_answers_of_a_table():
    asked = {"q": ["What is it?", " "], "a": ["A mole.", None]}
    parts = [part(home, ["a", "b"], **asked) for home in ("train", "validation", "test")]
    images = [[Path(h) / n for n in "ab"] for h in ("x", "y", "z")]
    columns = replace(COLUMNS, question="q", answer="a")
    splits = build_splits(parts, images, Uses(columns, (), ()), **OPTIONS)
    assert [e.conversation for e in splits.train] == [(("What is it?", "A mole."),), ()]
    assert choose_uses(parts, columns, None).attributes == ()
    with pytest.raises(InputError, match=r"no column 'r'.*data\.options\.answer_column"):
        choose_uses(parts, replace(columns, answer="r"), None)
    with pytest.raises(InputError, match="belong together"):
        build_splits(parts, images, Uses(replace(columns, answer=None), (), ()), **OPTIONS)
    for wrong, words in (("q", "row 3 has 'a' but no 'q'"), ("a", "row 3 has 'q' but no 'a'")):
        half = {"q": ["What?", "What?"], "a": ["It.", "It."]}
        half[wrong] = [half[wrong][0], None]
        parts = [part(home, ["a", "b"], **half) for home in ("train", "validation", "test")]
        with pytest.raises(InputError, match=words):
            build_splits(parts, images, Uses(columns, (), ()), **OPTIONS)
