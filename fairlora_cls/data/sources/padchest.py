"""The source `padchest`: 16-bit chest X-rays with Spanish reports, or FairLLaVA's translations.

N images.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairlora_cls.data.codes import (
    OLDEST,
    age_bands,
    decode_column,
    decode_required,
    plain,
    read_text,
    read_texts,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.splitting import gather_splits, split_examples
from fairlora_cls.data.tables import (
    find_table,
    read_table,
    require_columns,
    require_unique,
    require_values,
    row_of,
)
from fairlora_cls.data.text_files import read_json_list
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path

LABELS = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
SEX = {"f": "Female", "m": "Male", "o": None, "none": None}
FRONTAL = ("PA", "AP", "AP_horizontal")
EXCLUDED = "exclude"  # PadChest's own label for images that are not to be used
COLUMNS = [
    *("ImageID", "ImageDir", "StudyDate_DICOM", "PatientID", "PatientBirth"),
    *("PatientSex_DICOM", "Projection", "Report", "Labels"),
]


def load_padchest(
    path: Path,
    *,
    finding: str = "pleural effusion",
    views: Sequence[str] = FRONTAL,
    annotations: Sequence[str] = (),
    age_cuts: Sequence[float] = AGE_CUTS,
    stratify: Sequence[str] = ("sex", "age_group"),
    seed: int = 42,
) -> Splits:
    """One radiographic finding on PadChest (Bustos et al. 2020), split 80/10/10 by patient.

    `finding`: a label of the column Labels; classes no and yes. Images without labels, or labelled
    `exclude`, are left out. `views`: Projections kept ([] keeps all). Attributes: sex; age_group of
    study year − year of birth, banded at `age_cuts` (years). The examples' text is the Spanish
    report; `annotations`, FairLLaVA's JSON files with translated FINDINGS, replace it, bring the
    question asked for them, and keep only the images that have some. `stratify`: attributes that,
    with the label, every split keeps in proportion. Labels are parsed, never evaluated. Raises
    InputError naming file, row and value.
    """
    file = find_table(path, [LABELS])
    frame = read_table(file, columns=COLUMNS)
    require_columns(frame, [c for c in COLUMNS if c != "Report"], file)
    require_values(frame, ["ImageID"], file)
    names = frame["ImageID"].str.strip()
    require_unique(names, file)
    labels = _parse_labels(frame["Labels"], file)
    known = {label for own in labels if own for label in own}
    if finding not in known:
        raise InputError(
            f"No image of '{file}' is labelled '{finding}' (data.options.finding){nearest(finding, sorted(known))}"
        )
    ages, sexes = _ages(frame, file), decode_column(frame["PatientSex_DICOM"], SEX, file)
    bands = age_bands(ages, age_cuts)
    texts = read_texts(frame["Report"]) if "Report" in frame else [None] * len(frame)
    translated = _read_translations(annotations)
    shown = {view.lower() for view in views}
    images = _index_images(path)
    examples = []
    rows = zip(
        names, decode_required(frame["PatientID"], file), frame["Projection"].fillna(""),
        labels, sexes, bands, texts, strict=True,
    )  # fmt: skip
    for row, (name, patient, view, own, sex, band, text) in enumerate(rows):
        left_out = own is None or EXCLUDED in own or (annotations and name not in translated)
        if left_out or (shown and view.strip().lower() not in shown):
            continue
        if name not in images:
            raise InputError(
                f"{row_of(file, row)} names image '{name}', which is neither in '{path}' nor in a folder of it."
            )
        attributes = {"sex": sex, "age_group": band}
        indication, words = translated.get(name, (None, text))
        conversation = findings_conversation(indication, words) if annotations else ()
        examples.append(
            Example(
                name, images[name], int(finding in own), attributes, patient, words, conversation
            )
        )
    if not examples:
        found = ", and FINDINGS in data.options.annotations" if annotations else ""
        raise InputError(
            f"No image of '{file}' has labels and one of the views {list(views)}{found}."
        )
    homes = split_examples(examples, ("no", "yes"), stratify, seed)
    return gather_splits(str(path), ("no", "yes"), ("sex", "age_group"), examples, homes)


def _parse_labels(column: pd.Series, file: Path) -> list[frozenset[str] | None]:
    """The labels of each row; None where there are none. A list written as Python writes it."""
    parsed: dict[str, frozenset[str] | None] = {}
    texts = column.fillna("")
    for text in texts.unique():
        try:
            value = ast.literal_eval(text.strip() if plain(text) else "[]")
            if not isinstance(value, list | tuple | set):
                raise ValueError("no list")
            labels = frozenset(plain(label) for label in value) - {""}
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            row = int((texts == text).argmax())
            raise InputError(
                f"{row_of(file, row)} has Labels {text!r}, which is not a list such as ['normal']."
            ) from error
        parsed[text] = labels or None
    return [parsed[text] for text in texts]


def _ages(frame: pd.DataFrame, file: Path) -> list[float]:
    """Study year − PatientBirth; NaN where either is blank. Raises InputError for no possible age."""
    dates, births = (frame[name].map(plain) for name in ("StudyDate_DICOM", "PatientBirth"))
    years = pd.to_numeric(dates.str[:4], errors="coerce")
    ages = years - pd.to_numeric(births, errors="coerce")
    blank = (dates == "") | (births == "")
    wrong = ~blank & ~ages.between(0, OLDEST)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{row_of(file, row)} has StudyDate_DICOM '{frame['StudyDate_DICOM'][row]}' and PatientBirth "
            f"'{frame['PatientBirth'][row]}', which give no age from 0 to 130."
        )
    return list(ages)


def _index_images(path: Path) -> dict[str, Path]:
    """ImageID → file, in `path` and in its folders (ImageDir 0 … 54, or one folder for all)."""
    folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())]
    return {f.name: f for folder in folders for f in folder.iterdir() if f.suffix == ".png"}


def _read_translations(files: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    """ImageID → INDICATION and FINDINGS of FairLLaVA's JSON files; not those without findings."""
    texts: dict[str, tuple[str | None, str]] = {}
    for name in files:
        file = user_path(name)
        for place, entry in enumerate(read_json_list(file), 1):
            if not str(entry.get("ImageID") or "").strip():
                raise InputError(f"'{file}' entry {place} has no ImageID.")
            findings, indication = (_words(entry.get(key)) for key in ("FINDINGS", "INDICATION"))
            if findings:
                texts[str(entry["ImageID"]).strip()] = (indication, findings)
    return texts


def _words(value: object) -> str | None:
    """A text of the JSON; None where nothing is recorded, and for what is no text."""
    return read_text(value) if isinstance(value, str) else None
