"""Whose image is it? The column of patients or lesions, known by its usual names.

N rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from fairlora_cls.data.columns import read_groups
from fairlora_cls.data.tables import Table
from fairlora_cls.errors import InputError

USUAL = "patient"  # the column's name unless data.options.unit_column says another
MOST_IMAGES = 20  # of a patient, on average, where only the values tell ids from kinds of lesions

_PERSON = "(patient|subject|participant|person|individual|proband)"
_NUMBER = "(u?id|nr|no|num|number|key|code|name|identifier|hash)"
# Of a name without case and signs: "Patient ID", "eye_subject_id", "ID_patient", "MRN"; of lesions
# the id alone, since a lesion's name or code is what it is, and its number how many there are.
_CERTAIN = re.compile(
    rf".*({_PERSON}(en|s)?{_NUMBER}|lesions?u?id)|u?id({_PERSON}|lesion)"
    "|mrn|medicalrecordnumber|empi|pid|ptid|patid|subjid|usubjid|caseid|casenumber"
)
_LIKELY = re.compile(
    rf"(eye|the)?({_PERSON}|lesion)|{_PERSON}eye"
)  # or a kind of subject or lesion


def find_candidates(tables: Sequence[Table], used: Collection[str]) -> dict[str, bool]:
    """Columns that say whose image a row is → whether one of them has several, over all tables.

    Known by their names; a bare "subject" or "lesion" must also have as many values as patients
    have. Columns that are `used` as something else are passed over.
    """
    candidates = {}
    for column in dict.fromkeys(name for table in tables for name in table.frame):
        plain = re.sub(r"[\W_]+", "", column.lower())
        certain = bool(_CERTAIN.fullmatch(plain))
        if column in used or not (certain or _LIKELY.fullmatch(plain)):
            continue
        cells = [read_groups(table, column) for table in tables if column in table.frame]
        owners = [name for own in cells for name in own if name is not None]
        different = len(set(owners))
        if certain or different * MOST_IMAGES >= len(owners):
            candidates[column] = different < len(owners)
    return candidates


def choose_unit_column(
    tables: Sequence[Table], named: str | None, candidates: dict[str, bool]
) -> tuple[str | None, tuple[str, ...]]:
    """The column of patients or lesions, None for none, and what there is to say of the choice.

    `named` (data.options.unit_column) decides where a column has that name, and None means none.
    Where the usual name is not there, the one candidate whose values repeat is taken. Raises
    InputError where two of them do.
    """
    if named is None or any(named in table.frame for table in tables):
        return named, ()
    repeating = [column for column, repeats in candidates.items() if repeats]
    if named != USUAL:
        return None, (
            f"No column is called '{named}' (data.options.unit_column), so every image counts as a "
            "patient of its own.",
        )
    if not repeating:
        return None, ()
    if len(repeating) > 1:
        listed = " and ".join(f"'{column}'" for column in repeating)
        raise InputError(
            f"{listed} may each say which images belong together; name the one that does with "
            "data.options.unit_column (null: none of them)."
        )
    return repeating[0], (
        f"Rows with the same '{repeating[0]}' are taken for one patient or lesion and stay in one "
        f"split; say so with data.options.unit_column='{repeating[0]}', or null if they are not.",
    )
