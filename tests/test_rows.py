"""Parts of a table join into one data set, each row at its place."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fairlora_cls.data.rows import Columns, Part, build_splits, name_attributes
from fairlora_cls.errors import InputError

COLUMNS = Columns("image", "label", "id", "split", "patient", None, None)
OPTIONS = {"age_cuts": [50], "missing_values": (), "classes": (), "stratify": (), "seed": 1}


def part(home, names, **columns):
    values = {"image": names, "label": ["no", "yes"] * (len(names) // 2), **columns}
    return Part(Path(f"{home}.csv"), home, pd.DataFrame(values, dtype=object))


def test_parts_keep_their_split_and_their_images():
    parts = [part(h, ["a", "b"], sex=["F", None]) for h in ("train", "validation", "test")]
    images = [[Path(h) / n for n in "ab"] for h in ("x", "y", "z")]
    splits = build_splits(parts, images, COLUMNS, ["sex"], **OPTIONS)
    assert [e.image for e in splits.everything()] == [p for own in images for p in own]
    assert splits.test[1].id == splits.test[1].unit == "test/b"
    assert splits.test[1].attributes == {"sex": None}


def test_attributes_are_what_has_no_other_use():
    parts = [part("train", ["a", "b"], id=["1", "2"], sex=["F", "M"], race=["A", "B"])]
    assert name_attributes(parts, COLUMNS, None) == ("sex", "race")
    assert name_attributes(parts, COLUMNS, ["race"]) == ("race",)
    with pytest.raises(InputError, match=r"no column 'rase'; .*data\.options\.attributes"):
        name_attributes(parts, COLUMNS, ["rase"])
    other = Columns("image", "dx", "id", "split", "patient", None, None)
    with pytest.raises(InputError, match=r"no column 'dx'.*data\.options\.label_column"):
        name_attributes(parts, other, None)


def test_questions_and_answers_of_a_table():
    asked = {"q": ["What is it?", " "], "a": ["A mole.", None]}
    parts = [part(home, ["a", "b"], **asked) for home in ("train", "validation", "test")]
    images = [[Path(h) / n for n in "ab"] for h in ("x", "y", "z")]
    columns = replace(COLUMNS, question="q", answer="a")
    splits = build_splits(parts, images, columns, [], **OPTIONS)
    assert [e.conversation for e in splits.train] == [(("What is it?", "A mole."),), ()]
    assert name_attributes(parts, columns, None) == ()
    with pytest.raises(InputError, match=r"no column 'r'.*data\.options\.answer_column"):
        name_attributes(parts, replace(columns, answer="r"), None)
    with pytest.raises(InputError, match="belong together"):
        build_splits(parts, images, replace(columns, answer=None), [], **OPTIONS)
    for wrong, words in (("q", "row 3 has 'a' but no 'q'"), ("a", "row 3 has 'q' but no 'a'")):
        half = {"q": ["What?", "What?"], "a": ["It.", "It."]}
        half[wrong] = [half[wrong][0], None]
        parts = [part(home, ["a", "b"], **half) for home in ("train", "validation", "test")]
        with pytest.raises(InputError, match=words):
            build_splits(parts, images, columns, [], **OPTIONS)
