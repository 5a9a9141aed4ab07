"""The source `fairvlmed`: Harvard-FairVLMed and its npz relatives (SLO fundus, glaucoma).

N examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairlora_cls.data.archives import read_archive
from fairlora_cls.data.columns import (
    UNKNOWN_CODES,
    age_bands,
    number_names,
    read_ages,
    read_codes,
    read_texts,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.splitting import gather_splits, read_split_names
from fairlora_cls.data.tables import (
    Table,
    first_file,
    open_table,
    point_at,
)
from fairlora_cls.data.threads import attempt, map_in_threads
from fairlora_cls.errors import InputError, first_few

SUMMARY = "data_summary.csv"
FOLDERS = {
    "Training": "train",
    "Validation": "validation",
    "Test": "test",
    "Testing": "test",
}
TEXTS = ("none", "note", "gpt4_summary")
WORDS = ("note", "gpt4_summary", "age")  # that a prompt may name besides the attributes
CLASSES = ("no", "yes")

# Codes of the npz files and names of data_summary.csv → group names.
GLAUCOMA = number_names(CLASSES)
SEX = number_names(["Female", "Male"])
RACE = number_names(["Asian", "Black", "White"])
ETHNICITY = number_names(["Non-Hispanic", "Hispanic"]) | UNKNOWN_CODES
LANGUAGE = number_names(["English", "Spanish", "Other"]) | UNKNOWN_CODES
MARITAL = (
    number_names(["Marriage or Partnered", "Single", "Divorced", "Widowed", "Legally Separated"])
    | UNKNOWN_CODES
)
# attribute → (names of its key, old ones last; its codes)
ATTRIBUTES = {
    "ethnicity": (("ethnicity", "hispanic"), ETHNICITY),
    "sex": (("gender", "male"), SEX),
    "race": (("race",), RACE),
    "language": (("language",), LANGUAGE),
    "marital_status": (("maritalstatus", "maritalStatus"), MARITAL),
}


def load_fairvlmed(
    path: Path, *, text: str = "note", age_cuts: Sequence[float] = AGE_CUTS
) -> Splits:
    """Harvard-FairVLMed (Luo et al. 2024) in its own split: Training, Validation, Test or Testing.

    Labels and attributes come from data_summary.csv, or from the npz files where a download has
    none (FairVision's relatives). Attributes: ethnicity, sex, race, language, marital_status (those
    that the files have), age_group banded at `age_cuts` (years). "Unknown" is not recorded:
    data.missing_groups keeps it as a group, drops it or refuses it. `text`: `note`, `gpt4_summary`
    or `none`. Images are read from the npz, or from slo_fundus_xxxxx.jpg where that is all there
    is. Raises BadRowsError naming every bad row; npz files are never unpickled.
    """
    if text not in TEXTS:
        raise InputError(f"data.options.text is '{text}'; choose {', '.join(TEXTS)}.")
    if not path.is_dir():
        raise InputError(f"There is no folder '{path}'.")
    files = _list_files(path)
    summary = first_file(path, [SUMMARY])
    if summary is None:
        table = _read_archives(files)
        names = table.read_names("filename")  # two splits may have a file of one name
    else:
        table = open_table(summary, needed=["filename", "use", "glaucoma"])
        names = table.read_ids("filename")
    homes = read_split_names(table, "use")
    labels = read_codes(table, "glaucoma", GLAUCOMA, required=True)
    columns = _attributes(table, age_cuts)
    if not columns:
        raise InputError(f"'{path}' has no attribute such as race, gender or ethnicity.")
    stems = [Path(name or "").stem for name in names]
    images = [
        files.get((home, stem)) or files.get((home, stem.replace("data", "slo_fundus", 1)))
        for home, stem in zip(homes, stems, strict=True)
    ]
    table.refuse(
        {
            row: f"names '{names[row]}', which is not in its {homes[row]} folder of '{path}'."
            for row, image in enumerate(images)
            if image is None and names[row] and homes[row]
        }
    )
    texts = read_texts(table, text)
    words = {name: read_texts(table, name) for name in WORDS if name in table.frame}
    examples = [
        Example(
            stems[row],
            images[row],
            CLASSES.index(labels[row]),
            {name: values[row] for name, values in columns.items()},
            unit=stems[row],
            text=texts[row],
            words={name: values[row] for name, values in words.items()},
        )
        for row in table.good
    ]
    own = [homes[row] for row in table.good]
    return gather_splits(
        str(path), CLASSES, tuple(columns), examples, own, table.problems, words=tuple(words)
    )


def _list_files(path: Path) -> dict[tuple[str, str], Path]:
    """(split, stem) → npz or jpg; both have different stems, so neither hides the other."""
    folders = [path / name for name in FOLDERS if (path / name).is_dir()]
    if not folders:
        raise InputError(
            f"'{path}' holds none of {', '.join(FOLDERS)}; "
            f"{point_at(path, lambda near: any((near / name).is_dir() for name in FOLDERS))}."
        )
    return {
        (FOLDERS[folder.name], file.stem): file
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in (".npz", ".jpg")
    }


def _attributes(table: Table, age_cuts: Sequence[float]) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {}
    for attribute, (keys, names) in ATTRIBUTES.items():
        there = [key for key in keys if key in table.frame]
        if there:  # npz files of one folder may differ in their keys
            table.frame[there[0]] = table.frame[there[0]].fillna(table.frame[there[-1]])
            columns[attribute] = read_codes(table, there[0], names)
    if "age" in table.frame:
        columns["age_group"] = age_bands(read_ages(table, "age", ("unknown", "-1")), age_cuts)
    return columns


def _read_archives(files: dict[tuple[str, str], Path]) -> Table:
    """All npz files, with labels, attributes and notes as data_summary.csv would hold them."""
    archives = [(home, file) for (home, _), file in files.items() if file.suffix == ".npz"]
    if not archives:
        raise InputError(f"There is no {SUMMARY}, and {', '.join(FOLDERS)} hold no npz files.")
    wanted = {"glaucoma", *WORDS, *(k for keys, _ in ATTRIBUTES.values() for k in keys)}
    rows, files_read, problems = [], [], []
    read = map_in_threads(attempt(lambda item: read_archive(item[1], wanted), InputError), archives)
    for (home, file), row in zip(archives, read, strict=True):
        if isinstance(row, InputError):
            problems += row.problems
        elif "glaucoma" not in row:
            problems.append(f"'{file}' has no 'glaucoma'; it has {', '.join(row) or 'nothing'}.")
        else:
            rows.append({**row, "filename": file.name, "use": home})
            files_read.append(file)
    if not rows:
        raise InputError(first_few(problems))
    return Table(files_read, pd.DataFrame(rows), problems=first_few(problems))
