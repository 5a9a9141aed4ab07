"""Which groups does an attribute have, in which order, and which group is each example in?

N examples, G groups.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError

MOST_GROUPS = 500  # more groups than this are an identifier or a number by mistake


@dataclass(frozen=True)
class Grouping:
    """The groups of one attribute: their names in report order, and each example's, (N,) codes."""

    names: tuple[str, ...]
    codes: np.ndarray


class Table(Protocol):
    """Predictions or generated texts."""

    def group_names(self, attribute: str) -> np.ndarray: ...


def grouping_of(table: Table, attribute: str) -> Grouping:
    """Groups in the order of their names, 5-9 before 10-14, and the missing ones last.

    Raises InputError for more than MOST_GROUPS groups.
    """
    names, codes = np.unique(table.group_names(attribute), return_inverse=True)
    if len(names) > MOST_GROUPS:
        raise InputError(
            f"attribute '{attribute}' has {len(names)} different values among {len(codes)} "
            "examples; it looks like a number or an identifier: put it into bins, or name other "
            "attributes"
        )
    order = sorted(range(len(names)), key=lambda code: _reading_order(names[code]))
    return Grouping(tuple(str(names[i]) for i in order), np.argsort(order)[codes])


def held_attributes(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """The other single attributes of a report; none for an intersection."""
    if INTERSECTION in name:
        return ()
    return tuple(other for other in names if other != name and INTERSECTION not in other)


def _reading_order(name: str) -> tuple:
    parts = re.split(r"(\d+)", name)
    numbered = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return MISSING in name.split(INTERSECTION), numbered
