"""Classes are those that the user names or the labels, and a label that combines others is said."""

from pathlib import Path

import pytest

from fairlora_cls.data.labels import code_labels, name_classes, note_combined, sort_classes
from fairlora_cls.errors import InputError

FILES = [Path("a.csv"), Path("b.csv")]


def test_classes_that_are_named_have_labels():
    assert name_classes(["1.0", "0"], {"0": 3, "1": 2}) == ("1", "0")
    assert name_classes(["no", "yes"], {"no": 5}) == ("no", "yes")  # a cohort without the disease
    for named, words in (
        (["Normal", "Glaucoma"], "Normal, Glaucoma .* the labels are glaucoma, normal"),
        (["normal", "normal"], "once"),
        (["normal", "n/a"], "not known"),
    ):
        with pytest.raises(InputError, match=words):
            name_classes(named, {"normal": 1, "glaucoma": 1})


def test_labels_are_sorted_over_all_files_and_written_alike():
    assert sort_classes([["yes"], ["no", "yes"]], FILES) == ("no", "yes")
    with pytest.raises(InputError, match=r"'b\.csv' row 3 has the label 'No'"):
        sort_classes([["yes", "no"], ["yes", "No"]], FILES)


def test_labels_have_their_class():
    assert code_labels(["b", "a"], ("a", "b"), FILES[0]) == [1, 0]
    with pytest.raises(InputError, match="row 3 has the label 'c'"):
        code_labels(["b", "c"], ("a", "b"), FILES[0])


@pytest.mark.parametrize(
    "label", ["a|b", "a; b", "b,a", "a/b", "a + b", "a & b", "a and b", '["a", "b"]', "a|b|a"]
)
def test_a_label_that_combines_others_is_said(label):
    (note,) = note_combined({"a": 5, "b": 5, label: 7})
    assert f"'{label}' (7 rows)" in note


@pytest.mark.parametrize("label", ["a|c", "n/a", "ab", "a", "a sand b", "a|"])
def test_a_label_with_a_part_that_is_no_label_is_its_own(label):
    assert note_combined({"a": 5, "b": 5, label: 7}) == ()
