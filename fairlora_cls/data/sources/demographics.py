"""MIMIC-IV's patients and admissions → sex, race and age of each subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairlora_cls.data.codes import decode_column, decode_required, plain, read_ages
from fairlora_cls.data.tables import (
    first_file,
    read_table,
    require_columns,
    require_unique,
    row_of,
)
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path

PLACES = ("", "hosp", "core", "mimic-iv", "mimic-iv/hosp", "mimic-iv/core", "mimiciv/hosp")
SEX = {"f": "Female", "m": "Male", "female": "Female", "male": "Male"}
# FairLLaVA's five groups: by how the value begins, or told whole; None is "not recorded".
RACE_BEGINNINGS = {"white": "White", "black": "Black", "asian": "Asian", "hispanic": "Hispanic"}
RACE = {
    "other": "Other",
    "south american": "Other",
    "portuguese": "Other",
    "american indian/alaska native": "Other",
    "native hawaiian or other pacific islander": "Other",
    "multiple race/ethnicity": "Other",
    "multi race ethnicity": "Other",
    "middle eastern": "Other",
    "unknown": None,
    "unknown/not specified": None,
    "unable to obtain": None,
    "patient declined to answer": None,
}


def load_mimic_iv(path: Path, folder: str | None) -> dict[str, dict[str, str | float | None]]:
    """`sex`, `race` and `age` (years), each subject → value, from patients and admissions.

    Looked for in `folder`, or in and below `path`. Raises InputError for a missing table or an
    unknown code.
    """
    root = user_path(folder) if folder else path
    patients = _find(root, "patients.csv")
    people = read_table(patients, columns=["subject_id", "gender", "anchor_age"])
    require_columns(people, ["subject_id", "gender", "anchor_age"], patients)
    subjects = decode_required(people["subject_id"], patients)
    require_unique(pd.Series(subjects), patients)
    admissions = _find(root, "admissions.csv")
    visits = read_table(admissions, columns=["subject_id", "race", "ethnicity"])
    race_column = "race" if "race" in visits else "ethnicity"
    require_columns(visits, ["subject_id", race_column], admissions)
    return {
        "sex": dict(zip(subjects, decode_column(people["gender"], SEX, patients), strict=True)),
        "age": dict(zip(subjects, read_ages(people["anchor_age"], patients), strict=True)),
        "race": _majority(
            decode_required(visits["subject_id"], admissions), visits[race_column], admissions
        ),
    }


def _find(root: Path, name: str) -> Path:
    found = next((f for place in PLACES if (f := first_file(root / place, [name]))), None)
    if found is None:
        raise InputError(
            f"'{root}' holds no MIMIC-IV {name}, which has the patients' sex, race and age; name its "
            "folder (hosp) with data.options.mimic_iv."
        )
    return found


def _majority(subjects: Sequence[str], races: pd.Series, file: Path) -> dict[str, str | None]:
    """Each subject's most frequent race over admissions, "unknown" not counted; a tie is unknown."""
    counts: dict[str, Counter[str]] = {}
    for subject, race in zip(subjects, decode_races(races, file), strict=True):
        if race is not None:
            counts.setdefault(subject, Counter())[race] += 1
    return {subject: _most_common(own) for subject, own in counts.items()}


def _most_common(counts: Counter[str]) -> str | None:
    ranked = counts.most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def decode_races(races: pd.Series, file: Path) -> list[str | None]:
    """White, Black, Asian, Hispanic or Other; None where not recorded. Raises InputError."""
    texts = races.fillna("")
    decoded: dict[str, str | None] = {}
    for value in texts.unique():
        code = plain(value)
        begins = next((n for start, n in RACE_BEGINNINGS.items() if code.startswith(start)), None)
        if code and begins is None and code not in RACE:
            row = int((texts == value).argmax())
            raise InputError(
                f"{row_of(file, row)} has {races.name} '{value}', which is no race that MIMIC-IV "
                f"knows{nearest(code, [*RACE_BEGINNINGS, *RACE])}"
            )
        decoded[value] = begins or RACE.get(code)
    return [decoded[value] for value in texts]
