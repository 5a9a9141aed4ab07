"""What a cell of a table says: a name, or nothing. One rule for every reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Words that say "not recorded", as pandas, R, Excel and JSON write it; compared without case.
# "none" is not among them: it is a finding, a treatment, a class.
NOT_RECORDED = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "<na>"})

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")  # what pandas writes of 1 in a column with a blank


def recorded(cell: Any, missing: Iterable[str] = ()) -> str | None:
    """The name in a cell, or None where nothing is recorded.

    Outer spaces go, and a whole number loses its `.0`, so that 1 and 1.0 are one group, one class
    and one patient. `missing` are further words for "not recorded", in lower case and without `.0`.
    Not for ids and file names, which are taken as they stand: an image may be called NA.
    """
    text = "" if cell is None else str(cell).strip()
    number = _WHOLE_NUMBER.fullmatch(text)
    name = number[1] if number else text
    return None if name.lower() in NOT_RECORDED or name.lower() in missing else name
