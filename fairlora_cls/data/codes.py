"""Codes become names at the door: what a column's numbers and letters stand for, or an InputError.

N rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.groups import AGE_CUTS, age_band, check_age_cuts
from fairlora_cls.data.tables import row_of
from fairlora_cls.data.text_files import one_line
from fairlora_cls.errors import InputError

OLDEST = 130.0  # years; more is no age

UNKNOWN_CODES: dict[str, str | None] = {"-1": None, "unknown": None}


def number_names(names: Sequence[str]) -> dict[str, str | None]:
    """Plain codes → names for an attribute coded 0, 1, 2 … or written out."""
    return {str(k): n for k, n in enumerate(names)} | {n.lower(): n for n in names}


def plain(value: Any) -> str:
    """A code as text: no case, no outer spaces, `2.0` as `2`, blank for what is not recorded."""
    return (recorded(value) or "").lower()


def decode_column(
    column: pd.Series, names: Mapping[str, str | None], file: Path | Sequence[Path]
) -> list[str | None]:
    """The name of each row's code; None where it is blank or stands for "not recorded".

    `names` maps plain codes to names, or to None for the code of an unknown value. Raises
    InputError naming file, row and value for any other code: it never becomes a group.
    """
    texts = column.fillna("").astype(str)
    decoded: dict[str, str | None] = {}
    for value in texts.unique():
        code = plain(value)
        if code and code not in names:
            row = int((texts == value).argmax())
            raise InputError(
                f"{row_of(file, row)} has {column.name} '{value}'; expected {_choices(names)}."
            )
        decoded[value] = names.get(code)
    return [decoded[value] for value in texts]


def _choices(names: Mapping[str, str | None]) -> str:
    words = list(names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def read_ages(
    column: pd.Series, file: Path | Sequence[Path], unknown: Sequence[str] = ("unknown",)
) -> list[float]:
    """Ages in years, NaN where not recorded (blank, NaN, or one of the words `unknown`).

    Raises InputError naming file, row and value for what is no age: a word, infinity, a negative
    number or more than 130.
    """
    texts = column.fillna("").astype(str)
    ages: dict[str, float] = {}
    for value in texts.unique():
        age = _age(value, unknown)
        if age is None:
            row = int((texts == value).argmax())
            raise InputError(
                f"{row_of(file, row)} has {column.name} '{value}', which is not an age in years (a number from 0 to 130)."
            )
        ages[value] = age
    return [ages[value] for value in texts]


def _age(value: str, unknown: Sequence[str]) -> float | None:
    if plain(value) in ("", *unknown):
        return math.nan
    try:
        age = float(value)
    except ValueError:
        return None
    return age if 0.0 <= age <= OLDEST else None


def age_bands(ages: Sequence[float], cuts: Sequence[float] = AGE_CUTS) -> list[str | None]:
    """The band of each age, None where it is NaN. Raises InputError for cuts that do not rise."""
    check_age_cuts(cuts)
    return [age_band(age, cuts) for age in ages]


def decode_free(column: pd.Series, missing: Sequence[str] = ()) -> list[str | None]:
    """Names in a column that has no coding of its own, None where nothing is recorded.

    `missing`: further words for "not recorded", in any case. A line break or another control
    character within a name becomes a space.
    """
    words = {plain(word) for word in missing}
    cells = column.fillna("").astype(str)
    names = {cell: recorded(one_line(cell), words) for cell in cells.unique()}
    return [names[cell] for cell in cells]


def decode_required(column: pd.Series, file: Path | Sequence[Path]) -> list[str]:
    """As `decode_free`, for labels and patients. Raises InputError naming a row without a value."""
    return require_recorded(decode_free(column), column, file)


def require_recorded(
    names: Sequence[str | None], column: pd.Series, file: Path | Sequence[Path]
) -> list[str]:
    """The names decoded from `column`. Raises InputError naming the first row that has none."""
    if None in names:
        row = names.index(None)
        cell = column.fillna("").astype(str).iloc[row].strip()
        seen = f" ('{cell}' says that it is not known)" if cell else ""
        raise InputError(f"{row_of(file, row)} has no value for '{column.name}'{seen}.")
    return list(names)


def read_texts(column: pd.Series) -> list[str | None]:
    """Reports, questions, answers: as they stand but for outer spaces; None where not recorded."""
    return [read_text(cell) for cell in column]


def read_text(cell: Any) -> str | None:
    """A text as it stands but for outer spaces; None where nothing is recorded."""
    return None if recorded(cell) is None else str(cell).strip()
