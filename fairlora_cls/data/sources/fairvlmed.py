"""The source `fairvlmed`: Harvard-FairVLMed and its npz relatives (SLO fundus, glaucoma).

N examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairlora_cls.data.archives import read_archive
from fairlora_cls.data.codes import (
    UNKNOWN_CODES,
    age_bands,
    decode_column,
    number_names,
    read_ages,
    read_texts,
    require_recorded,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.splitting import gather_splits, read_split_names
from fairlora_cls.data.tables import (
    first_file,
    point_at,
    read_table,
    require_columns,
    require_unique,
    require_values,
    row_of,
)
from fairlora_cls.data.threads import map_in_threads
from fairlora_cls.errors import InputError

SUMMARY = "data_summary.csv"
FOLDERS = {
    "Training": "train",
    "Validation": "validation",
    "Test": "test",
    "Testing": "test",
}
TEXTS = ("none", "note", "gpt4_summary")
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
    is. Raises InputError naming file, row and value; npz files are never unpickled.
    """
    if text not in TEXTS:
        raise InputError(f"data.options.text is '{text}'; choose {', '.join(TEXTS)}.")
    if not path.is_dir():
        raise InputError(f"There is no folder '{path}'.")
    files = _list_files(path)
    summary = first_file(path, [SUMMARY])
    if summary is None:
        file, frame = _read_archives(files)
    else:
        file, frame = summary, read_table(summary)
        require_columns(frame, ["filename", "use", "glaucoma"], file)
        require_values(frame, ["filename"], file)
        frame["filename"] = frame["filename"].str.strip()
        require_unique(frame["filename"], file)
    homes = read_split_names(frame["use"], file)
    labels = decode_column(frame["glaucoma"], GLAUCOMA, file)
    labels = require_recorded(labels, frame["glaucoma"], file)
    columns = _attributes(frame, file, age_cuts)
    if not columns:
        raise InputError(f"'{path}' has no attribute such as race, gender or ethnicity.")
    texts = read_texts(frame[text]) if text in frame else [None] * len(frame)
    examples = []
    rows = zip(frame["filename"], homes, labels, texts, *columns.values(), strict=True)
    for row, (name, home, label, words, *values) in enumerate(rows):
        stem = Path(name).stem
        image = files.get((home, stem)) or files.get((home, stem.replace("data", "slo_fundus", 1)))
        if image is None:
            raise InputError(
                f"{row_of(file, row)} names '{name}', which is not in its {home} folder of '{path}'."
            )
        attributes = dict(zip(columns, values, strict=True))
        examples.append(Example(stem, image, CLASSES.index(label), attributes, stem, words))
    return gather_splits(str(path), CLASSES, tuple(columns), examples, homes)


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


def _attributes(
    frame: pd.DataFrame, file: Path | Sequence[Path], age_cuts: Sequence[float]
) -> dict[str, list[str | None]]:
    columns: dict[str, list[str | None]] = {}
    for attribute, (keys, names) in ATTRIBUTES.items():
        found = [frame[key] for key in keys if key in frame]
        if found:  # npz files of one folder may differ in their keys
            column = found[0].fillna(found[-1])
            columns[attribute] = decode_column(column, names, file)
    if "age" in frame:
        columns["age_group"] = age_bands(read_ages(frame["age"], file, ("unknown", "-1")), age_cuts)
    return columns


def _read_archives(files: dict[tuple[str, str], Path]) -> tuple[list[Path], pd.DataFrame]:
    """All npz files, and their labels, attributes and notes as data_summary.csv would hold them."""
    archives = [(home, file) for (home, _), file in files.items() if file.suffix == ".npz"]
    if not archives:
        raise InputError(f"There is no {SUMMARY}, and {', '.join(FOLDERS)} hold no npz files.")
    wanted = {"glaucoma", "age", "note", *(k for keys, _ in ATTRIBUTES.values() for k in keys)}
    rows = list(map_in_threads(lambda item: read_archive(item[1], wanted), archives))
    for (home, file), row in zip(archives, rows, strict=True):
        if "glaucoma" not in row:
            raise InputError(f"'{file}' has no 'glaucoma'; it has {', '.join(row) or 'nothing'}.")
        row |= {"filename": file.name, "use": home}
    return [file for _, file in archives], pd.DataFrame(rows)
