"""What makes a data set fit for a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from fairlora_cls.data.examples import Example, Splits, fingerprint, limit_splits, validate_splits
from fairlora_cls.errors import InputError


def example(name, label=0, unit=None, **attributes):
    return Example(name, Path(f"{name}.png"), label, attributes, unit or name)


GOOD = Splits(
    "here",
    ("no", "yes"),
    ("sex",),
    train=(example("a", 0, sex="F"), example("b", 1, sex="M"), example("c", 1, sex="M")),
    validation=(example("d", 0, sex="F"), example("e", 1, sex="F")),
    test=(example("f", 0, sex="F"), example("g", 1, sex=None)),
)


def test_a_good_data_set_passes():
    validate_splits(GOOD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": ()}, "test split of 'here' is empty"),
        ({"classes": ("no",)}, "at least two"),
        ({"classes": ("no", "yes", "maybe")}, "class 'maybe'"),
        ({"test": (example("a", 1),)}, "'a' occurs more than once"),
        ({"test": (example("x", 1, unit="a"),)}, "'a' is in both train and test"),
    ],
)
def test_a_bad_data_set_is_refused_in_words(change, words):
    with pytest.raises(InputError, match=words):
        validate_splits(replace(GOOD, **change))


def test_limit_keeps_every_class_and_the_order():
    many = replace(GOOD, train=tuple(example(str(i), int(i == 9)) for i in range(10)))
    limited = limit_splits(many, 4)
    assert [e.id for e in limited.train] == ["0", "2", "5", "9"]
    assert len(limited.validation) == 2
    by_class = replace(GOOD, train=tuple(example(str(i), int(i >= 6)) for i in range(9)))
    assert [e.id for e in limit_splits(by_class, 3).train] == ["0", "3", "6"]
    assert limit_splits(many, None) is many


def test_fingerprint_sees_every_kind_of_change():
    changes = [
        replace(GOOD, classes=("yes", "no")),
        replace(GOOD, train=GOOD.train[::-1]),
        replace(GOOD, train=(replace(GOOD.train[0], label=1), *GOOD.train[1:])),
        replace(GOOD, train=(replace(GOOD.train[0], attributes={"sex": "M"}), *GOOD.train[1:])),
        replace(GOOD, validation=GOOD.test, test=GOOD.validation),
        replace(GOOD, train=(replace(GOOD.train[0], text="Clear."), *GOOD.train[1:])),
        replace(GOOD, train=(replace(GOOD.train[0], text=""), *GOOD.train[1:])),
    ]
    assert len({fingerprint(s) for s in [GOOD, *changes]}) == 8
    assert (
        fingerprint(GOOD) == "4ee41ccd7af0a706ccef02d4fe397a14"
    )  # runs of earlier versions must still resume
    assert fingerprint(GOOD) == fingerprint(replace(GOOD, source="elsewhere"))
