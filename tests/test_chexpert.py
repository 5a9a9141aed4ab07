"""CheXpert's four values become yes, no or left out, by the rule that was stated."""

import pytest

from fairlora_cls.data.sources.chexpert import label_finding
from fairlora_cls.errors import InputError
from tests.small_tables import table_of

CELLS = {"Edema": ["1.0", "0.0", "-1.0", None]}


@pytest.mark.parametrize(
    ("uncertain", "blank", "expected"),
    [
        ("drop", "negative", [1, 0, None, 0]),
        ("positive", "drop", [1, 0, 1, None]),
        ("negative", "positive", [1, 0, 0, 1]),
    ],
)
def test_rules(uncertain, blank, expected):
    assert label_finding(table_of(CELLS), "Edema", uncertain=uncertain, blank=blank) == expected


def test_other_values_and_rules_are_refused():
    table = table_of({"Edema": ["1", "0.5", "2"]})
    found = label_finding(table, "Edema", uncertain="drop", blank="drop")
    assert found == [1, None, None]
    first, second = table.problems
    assert "row 3 has Edema '0.5'; expected 1, 0 or -1" in first
    assert "row 4 has Edema '2'" in second
    with pytest.raises(InputError, match="blank is 'zero'"):
        label_finding(table_of(CELLS), "Edema", uncertain="drop", blank="zero")
