"""CheXpert's four values become yes, no or left out, by the rule that was stated."""

from pathlib import Path

import pandas as pd
import pytest

from fairlora_cls.data.sources.chexpert import label_finding
from fairlora_cls.errors import InputError

COLUMN = pd.Series(["1.0", "0.0", "-1.0", None], name="Edema")


@pytest.mark.parametrize(
    ("uncertain", "blank", "expected"),
    [
        ("drop", "negative", [1, 0, None, 0]),
        ("positive", "drop", [1, 0, 1, None]),
        ("negative", "positive", [1, 0, 0, 1]),
    ],
)
def test_rules(uncertain, blank, expected):
    assert label_finding(COLUMN, Path("t.csv"), uncertain=uncertain, blank=blank) == expected


def test_other_values_and_rules_are_refused():
    column = pd.Series(["1", "0.5"], name="Edema")
    with pytest.raises(InputError, match=r"row 3 has Edema '0\.5'; expected 1, 0 or -1"):
        label_finding(column, Path("t.csv"), uncertain="drop", blank="drop")
    with pytest.raises(InputError, match="blank is 'zero'"):
        label_finding(COLUMN, Path("t.csv"), uncertain="drop", blank="zero")
