"""Classes are those that the user names or the labels, and a label that combines others is said."""

import pytest

from fairlora_cls.data.labels import code_labels, name_classes, note_combined, sort_classes
from fairlora_cls.errors import InputError
from tests.small_tables import table_of


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


def test_labels_are_sorted_and_written_alike():
    assert sort_classes(["yes", "no", "yes"]) == ("no", "yes")
    assert sort_classes(["yes", "no", "No"]) == ("no", "yes")
    table = table_of({"label": ["yes", "No"]})
    assert code_labels(table, ["yes", "No"], ("no", "yes"), named=False) == [1, None]
    assert "row 3 has the label 'No', and others have 'no'" in table.problems[0]


def test_labels_have_their_class():
    table = table_of({"label": ["b", "a", None, "c", "c"]})
    codes = code_labels(table, ["b", "a", None, "c", "c"], ("a", "b"), named=True)
    assert codes == [1, 0, None, None, None]
    assert ["row 5 has the label 'c'" in p for p in table.problems] == [True, False]
    assert table.bad == {3, 4}


@pytest.mark.parametrize(
    "label", ["a|b", "a; b", "b,a", "a/b", "a + b", "a & b", "a and b", '["a", "b"]', "a|b|a"]
)
def test_a_label_that_combines_others_is_said(label):
    (note,) = note_combined({"a": 5, "b": 5, label: 7})
    assert f"'{label}' (7 rows)" in note


@pytest.mark.parametrize("label", ["a|c", "n/a", "ab", "a", "a sand b", "a|"])
def test_a_label_with_a_part_that_is_no_label_is_its_own(label):
    assert note_combined({"a": 5, "b": 5, label: 7}) == ()
