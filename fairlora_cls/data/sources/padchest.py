"""The source `padchest`: 16-bit chest X-rays with Spanish reports, or FairLLaVA's translations.

N images.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairlora_cls.data.columns import (
    OLDEST,
    age_bands,
    age_in_words,
    plain,
    read_codes,
    read_required,
    read_text,
    read_texts,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.splitting import gather_splits, split_examples
from fairlora_cls.data.tables import Table, find_table, open_table
from fairlora_cls.data.text_files import read_json_list
from fairlora_cls.errors import InputError, first_few, nearest
from fairlora_cls.files import user_path

CLASSES = ("no", "yes")
LABELS = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
SEX = {"f": "Female", "m": "Male", "o": None, "none": None}
WORDS = ("indication", "view", "age")  # that a prompt may name besides the attributes
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
    BadRowsError naming every bad row.
    """
    file = find_table(path, [LABELS])
    table = open_table(file, columns=COLUMNS, needed=[c for c in COLUMNS if c != "Report"])
    names = table.read_ids("ImageID")
    patients = read_required(table, "PatientID")
    labels = table.read("Labels", _parse_labels)
    known = {label for own in labels if own for label in own}
    if finding not in known:
        unknown = f"No image of '{file}' is labelled '{finding}' (data.options.finding)"
        raise InputError([*table.problems, f"{unknown}{nearest(finding, sorted(known))}"])
    ages = _read_ages(table)
    columns = {
        "sex": read_codes(table, "PatientSex_DICOM", SEX),
        "age_group": age_bands(ages, age_cuts),
    }
    projections = read_texts(table, "Projection")
    texts = read_texts(table, "Report")
    translated = _read_translations(annotations)
    shown = {view.lower() for view in views}
    kept = [
        row
        for row, view in enumerate(table.cells("Projection"))
        if labels[row]
        and EXCLUDED not in labels[row]
        and (not annotations or names[row] in translated)
        and (not shown or view.strip().lower() in shown)
    ]
    images = _index_images(path)
    nowhere = f"which is neither in '{path}' nor in a folder of it"
    table.refuse(
        {
            row: f"names image '{names[row]}', {nowhere}."
            for row in kept
            if names[row] and names[row] not in images
        }
    )
    examples = []
    for row in kept:
        if row in table.bad:
            continue
        name = names[row]
        attributes = {attribute: values[row] for attribute, values in columns.items()}
        indication, words = translated.get(name, (None, texts[row]))
        asked = findings_conversation(indication, words) if annotations else ()
        label = int(finding in labels[row])
        own = {
            "indication": indication,
            "view": projections[row],
            "age": age_in_words(ages[row]),
        }
        patient = patients[row]
        examples.append(Example(name, images[name], label, attributes, patient, words, asked, own))
    if not examples:
        also = ", and FINDINGS in data.options.annotations" if annotations else ""
        unseen = f"No image of '{file}' has labels and one of the views {list(views)}{also}."
        raise InputError(table.problems or unseen)
    homes = split_examples(examples, CLASSES, stratify, seed)
    return gather_splits(
        str(path), CLASSES, tuple(columns), examples, homes, table.problems, words=WORDS
    )


def _parse_labels(cell: str) -> frozenset[str] | None:
    """The labels of a cell; None where there are none. A list written as Python writes it."""
    try:
        value = ast.literal_eval(cell.strip() if plain(cell) else "[]")
        if not isinstance(value, list | tuple | set):
            raise ValueError("no list")
        return frozenset(plain(label) for label in value) - {""} or None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"has Labels {cell!r}, which is not a list such as ['normal'].") from error


def _read_ages(table: Table) -> list[float]:
    """Study year − PatientBirth; NaN where either is blank; a row with no possible age is refused."""
    dates, births = (table.frame[n].map(plain) for n in ("StudyDate_DICOM", "PatientBirth"))
    years = pd.to_numeric(dates.str[:4], errors="coerce")
    ages = years - pd.to_numeric(births, errors="coerce")
    wrong = (dates != "") & (births != "") & ~ages.between(0, OLDEST)
    shown = zip(table.cells("StudyDate_DICOM"), table.cells("PatientBirth"), wrong, strict=True)
    table.refuse(
        {
            row: f"has StudyDate_DICOM '{date}' and PatientBirth '{birth}', which give no age from "
            "0 to 130."
            for row, (date, birth, is_wrong) in enumerate(shown)
            if is_wrong
        }
    )
    return list(ages)


def _index_images(path: Path) -> dict[str, Path]:
    """ImageID → file, in `path` and in its folders (ImageDir 0 … 54, or one folder for all)."""
    folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())]
    return {f.name: f for folder in folders for f in folder.iterdir() if f.suffix == ".png"}


def _read_translations(files: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    """ImageID → INDICATION and FINDINGS of FairLLaVA's JSON files; not those without findings."""
    texts: dict[str, tuple[str | None, str]] = {}
    problems = []
    for name in files:
        file = user_path(name)
        for place, entry in enumerate(read_json_list(file), 1):
            image = str(entry.get("ImageID") or "").strip()
            findings, indication = (_words(entry.get(key)) for key in ("FINDINGS", "INDICATION"))
            if not image:
                problems.append(f"'{file}' entry {place} has no ImageID.")
            elif findings:
                texts[image] = (indication, findings)
    if problems:
        raise InputError(first_few(problems))
    return texts


def _words(value: object) -> str | None:
    """A text of the JSON; None where nothing is recorded, and for what is no text."""
    return read_text(value) if isinstance(value, str) else None
