"""Codes become names at the door: what a column's numbers and letters stand for.

N rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.groups import AGE_CUTS, age_band, check_age_cuts
from fairlora_cls.data.tables import Table
from fairlora_cls.data.text_files import one_line

OLDEST = 130.0  # years; more is no age

UNKNOWN_CODES: dict[str, str | None] = {"-1": None, "unknown": None}


def number_names(names: Sequence[str]) -> dict[str, str | None]:
    """Plain codes → names for an attribute coded 0, 1, 2 … or written out."""
    return {str(k): n for k, n in enumerate(names)} | {n.lower(): n for n in names}


def plain(value: Any) -> str:
    """A code as text: no case, no outer spaces, `2.0` as `2`, blank for what is not recorded."""
    return (recorded(value) or "").lower()


def read_codes(
    table: Table, column: str, names: Mapping[str, str | None], *, required: bool = False
) -> list[str | None]:
    """The name of each row's code; None where it is blank or stands for "not recorded".

    `names` maps plain codes to names, or to None for the code of an unknown value. Any other code is
    refused with its row: it never becomes a group. `required`: so is a row without a name.
    """

    def name(cell: str) -> str | None:
        code = plain(cell)
        if code and code not in names:
            raise ValueError(f"has {column} '{cell}'; expected {_choices(names)}.")
        return names[required_name(cell, column).lower()] if required else names.get(code)

    return table.read(column, name)


def _choices(names: Mapping[str, str | None]) -> str:
    words = list(names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def read_ages(table: Table, column: str, unknown: Sequence[str] = ("unknown",)) -> list[float]:
    """Ages in years, NaN where not recorded (blank, NaN, or one of the words `unknown`).

    A row with what is no age is refused: a word, infinity, a negative number or more than 130.
    """

    def age(cell: str) -> float:
        if plain(cell) in ("", *unknown):
            return math.nan
        try:
            years = float(cell)
        except ValueError:
            years = math.nan
        if not 0.0 <= years <= OLDEST:
            raise ValueError(
                f"has {column} '{cell}', which is not an age in years (a number from 0 to 130)."
            )
        return years

    return [math.nan if years is None else years for years in table.read(column, age)]


def age_in_words(age: float | None) -> str | None:
    """Years as a table shows them; None where they are not known."""
    return None if age is None or math.isnan(age) else f"{age:g}"


def age_bands(ages: Sequence[float], cuts: Sequence[float] = AGE_CUTS) -> list[str | None]:
    """The band of each age, None where it is NaN. Raises InputError for cuts that do not rise."""
    check_age_cuts(cuts)
    return [age_band(age, cuts) for age in ages]


def read_groups(table: Table, column: str, missing: Sequence[str] = ()) -> list[str | None]:
    """Names in a column that has no coding of its own, None where nothing is recorded.

    `missing`: further words for "not recorded", in any case. A line break or another control
    character within a name becomes a space.
    """
    words = {plain(word) for word in missing}
    return table.read(column, lambda cell: recorded(one_line(cell), words))


def read_required(table: Table, column: str) -> list[str | None]:
    """As `read_groups`, for labels and patients: a row without a value is refused."""
    return table.read(column, lambda cell: required_name(cell, column))


def required_name(cell: str, column: str) -> str:
    """The name in a cell of the column. Raises ValueError where nothing is recorded."""
    name = recorded(one_line(cell))
    if name is None:
        seen = f" ('{cell.strip()}' says that it is not known)" if cell.strip() else ""
        raise ValueError(f"has no value for '{column}'{seen}.")
    return name


def read_texts(table: Table, column: str | None) -> list[str | None]:
    """Reports, questions, answers, as `read_text` has them; None of no column."""
    if column is None or column not in table.frame:
        return [None] * len(table.frame)
    return [read_text(cell) for cell in table.frame[column]]


def read_text(cell: Any) -> str | None:
    """A text as it stands but for outer spaces; None where nothing is recorded."""
    return None if recorded(cell) is None else str(cell).strip()
