"""What every table of a model's answers must hold, of classes or of texts, and the groups in it.

N examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError, nearest

MISSING = "missing"  # the group of the examples whose attribute is blank


def require_unique(ids: Sequence[str], where: str = "") -> None:
    """Raise InputError naming how many ids stand more than once, and the first of them; `where` is
    said before."""
    doubled = [identity for identity, count in Counter(ids).items() if count > 1]
    if doubled:
        raise InputError(
            f"{where}{len(doubled)} ids appear more than once, such as '{doubled[0]}'; ids must be unique."
        )


def require_table(
    ids: Sequence[str], columns: Mapping[str, Sequence[Any]], attributes: Mapping[str, Any]
) -> None:
    """Raise InputError for a table without examples, a column or attribute that has not a value for
    each, and an attribute whose name would be read as an intersection."""
    if not len(ids):
        raise InputError("The table is empty; there must be at least one example.")
    for name, values in (*columns.items(), *attributes.items()):
        if len(values) != len(ids):
            raise InputError(f"'{name}' has {len(values)} values for {len(ids)} examples.")
    for name in attributes:
        if INTERSECTION in name:
            raise InputError(
                f"An attribute cannot be called '{name}': {INTERSECTION} joins attributes; rename it."
            )


def read_numbers(table: pd.DataFrame, columns: Sequence[str], what: str) -> np.ndarray:
    """Columns of a table with an `id` as (N, C) float64, every digit kept.

    Raises InputError naming column, value and id of a cell that is no number; `what` it must be.
    """
    values = np.empty((len(table), len(columns)))
    for column, name in enumerate(columns):
        for row, text in enumerate(table[name]):
            try:
                values[row, column] = float(text)
            except ValueError:
                raise InputError(
                    f"column '{name}' has '{text}' for id '{table['id'].iloc[row]}'; it must be {what}"
                ) from None
    return values


def group_names(attributes: Mapping[str, Sequence[Any]], attribute: str) -> np.ndarray:
    """The (N,) group names of an attribute or intersection, with blanks named 'missing'.

    Raises InputError for an attribute that is not among `attributes`.
    """
    parts = []
    for name in attribute.split(INTERSECTION):
        if name not in attributes:
            hint = nearest(name, attributes) or "; the table has none"
            raise InputError(f"There is no attribute '{name}'{hint}")
        parts.append([recorded(value) or MISSING for value in attributes[name]])
    return np.array([INTERSECTION.join(cell) for cell in zip(*parts, strict=True)], dtype=str)
