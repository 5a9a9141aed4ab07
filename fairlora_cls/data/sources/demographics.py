"""MIMIC-IV's patients and admissions → sex, race and age of each subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.columns import plain, read_ages, read_codes, read_required
from fairlora_cls.data.tables import Table, first_file, open_table, refuse_repeated_ids
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


def load_mimic_iv(
    path: Path, folder: str | None
) -> tuple[dict[str, dict[str | None, str | float | None]], list[str]]:
    """`sex`, `race` and `age` (years), each subject → value, and what is wrong with which row.

    From patients and admissions in `folder`, or in and below `path`. Raises InputError for a missing
    table or column.
    """
    root = user_path(folder) if folder else path
    patients = _find(root, "patients.csv")
    columns = ["subject_id", "gender", "anchor_age"]
    people = open_table(patients, columns=columns, needed=columns)
    subjects = read_required(people, "subject_id")
    refuse_repeated_ids([people], [subjects])
    admissions = _find(root, "admissions.csv")
    visits = open_table(admissions, columns=["subject_id", "race", "ethnicity"])
    race_column = "race" if "race" in visits.frame else "ethnicity"
    visits.require(["subject_id", race_column])
    known = {
        "sex": dict(zip(subjects, read_codes(people, "gender", SEX), strict=True)),
        "age": dict(zip(subjects, read_ages(people, "anchor_age"), strict=True)),
        "race": _majority(read_required(visits, "subject_id"), read_races(visits, race_column)),
    }
    return known, [*people.problems, *visits.problems]


def _find(root: Path, name: str) -> Path:
    file = next((f for place in PLACES if (f := first_file(root / place, [name]))), None)
    if file is None:
        raise InputError(
            f"'{root}' holds no MIMIC-IV {name}, which has the patients' sex, race and age; name its "
            "folder (hosp) with data.options.mimic_iv."
        )
    return file


def _majority(
    subjects: Sequence[str | None], races: Sequence[str | None]
) -> dict[str | None, str | None]:
    """Each subject's most frequent race over admissions, "unknown" not counted; a tie is unknown."""
    counts: dict[str | None, Counter[str]] = {}
    for subject, race in zip(subjects, races, strict=True):
        if race is not None:
            counts.setdefault(subject, Counter())[race] += 1
    return {subject: _most_common(own) for subject, own in counts.items()}


def _most_common(counts: Counter[str]) -> str | None:
    ranked = counts.most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def read_races(table: Table, column: str) -> list[str | None]:
    """White, Black, Asian, Hispanic or Other; None where not recorded. Any other is refused."""

    def race(cell: str) -> str | None:
        code = plain(cell)
        begins = next((n for start, n in RACE_BEGINNINGS.items() if code.startswith(start)), None)
        if code and begins is None and code not in RACE:
            raise ValueError(
                f"has {column} '{cell}', which is no race that MIMIC-IV knows"
                f"{nearest(code, [*RACE_BEGINNINGS, *RACE])}"
            )
        return begins or RACE.get(code)

    return table.read(column, race)
