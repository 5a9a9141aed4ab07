"""The source `mimic-cxr`: MIMIC-CXR-JPG with MIMIC-IV demographics, or LLaVA-Rad's annotations.

N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fairlora_cls.data.chexpert import FINDINGS, label_finding
from fairlora_cls.data.codes import age_bands, decode_column, read_ages
from fairlora_cls.data.demographics import SEX, decode_races, load_mimic_iv
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.splitting import gather_splits, read_split_names
from fairlora_cls.data.tables import (
    find_table,
    first_file,
    read_json_list,
    read_table,
    require_columns,
    require_unique,
    require_values,
)
from fairlora_cls.errors import InputError, nearest

PREFIX = "mimic-cxr-2.0.0-"
ANNOTATIONS = {
    split: f"chat_{split}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
    for split in ("train", "dev", "test")
}
ATTRIBUTES = ("sex", "race", "age_group")
FRONTAL = ("PA", "AP")


def load_mimic_cxr(
    path: Path,
    *,
    finding: str = "Pleural Effusion",
    uncertain: str = "drop",
    blank: str = "negative",
    views: Sequence[str] = FRONTAL,
    mimic_iv: str | None = None,
    annotations: str | None = None,
    age_cuts: Sequence[float] = AGE_CUTS,
) -> Splits:
    """One CheXpert finding on MIMIC-CXR-JPG (Johnson et al. 2019), in its own split by patient.

    `finding`: one of the 14 labels; classes no and yes. `uncertain` (−1) and `blank` (not
    mentioned): `drop`, `negative` or `positive`. `views`: ViewPositions kept ([] keeps all).
    Attributes from MIMIC-IV's patients and admissions in the folder `mimic_iv` (default: looked
    for in `path`): sex; race, the most frequent over a patient's admissions; age_group of
    anchor_age, banded at `age_cuts` (years). `annotations`: a folder of LLaVA-Rad's
    chat_{train,dev,test}_….json, which then say which images there are, their labels and, as the
    examples' text, their findings; demographics that FairLLaVA wrote into them are used. Raises
    InputError naming file, row and value.
    """
    if finding not in FINDINGS:
        raise InputError(f"data.options.finding is '{finding}'{nearest(finding, FINDINGS)}")
    if annotations is not None:
        file, frame = _read_annotations(Path(annotations).expanduser(), finding)
    else:
        file, frame = _read_tables(path, finding)
    labels = label_finding(frame[finding], file, uncertain=uncertain, blank=blank)
    kept = pd.Series([label is not None for label in labels], index=frame.index)
    if views:
        seen = frame["ViewPosition"].fillna("").str.strip().str.upper()
        kept &= seen.isin([view.upper() for view in views])
    frame = frame.assign(label=labels)[kept].reset_index(drop=True)
    if frame.empty:
        raise InputError(f"No image of '{file}' has one of the views {list(views)} and a label.")
    columns = _attributes(frame, file, path, mimic_iv, age_cuts)
    images = resolve_images(file, frame["image"], folder=path)
    homes = read_split_names(frame["split"], file)
    texts = frame["text"] if "text" in frame else [None] * len(frame)
    rows = zip(
        frame["dicom_id"], images, frame["label"], frame["subject_id"], texts, *columns.values(),
        strict=True,
    )  # fmt: skip
    examples = [
        Example(
            name, image, int(label), dict(zip(columns, values, strict=True)), f"p{subject}", text
        )
        for name, image, label, subject, text, *values in rows
    ]
    return gather_splits(str(path), ("no", "yes"), ATTRIBUTES, examples, homes)


def _read_tables(path: Path, finding: str) -> tuple[Path, pd.DataFrame]:
    """Metadata, labels and split of MIMIC-CXR-JPG as one row per image, with the image's path."""
    parts = {}
    columns = {
        "metadata": ["dicom_id", "subject_id", "study_id", "ViewPosition"],
        "chexpert": ["subject_id", "study_id", finding],
        "split": ["dicom_id", "split"],
    }
    for part, needed in columns.items():
        file = find_table(path, [f"{PREFIX}{part}.csv"])
        parts[part] = read_table(file, columns=needed)
        require_columns(parts[part], needed, file)
        require_values(parts[part], [c for c in needed if c.endswith("_id")], file)
    file = find_table(path, [f"{PREFIX}metadata.csv"])
    require_unique(parts["metadata"]["dicom_id"], file)
    # An image whose study was never labelled, or that is in no split, has no row there.
    frame = parts["metadata"].merge(
        parts["chexpert"].drop(columns="subject_id").drop_duplicates("study_id"), on="study_id"
    )
    frame = frame.merge(parts["split"].drop_duplicates("dicom_id"), on="dicom_id")
    if frame.empty:
        raise InputError(f"No image of '{file}' is in both the -chexpert and the -split table.")
    subject, study = frame["subject_id"], frame["study_id"]
    folder = "files/p" + subject.str[:2] + "/p" + subject + "/s" + study
    return file, frame.assign(image=folder + "/" + frame["dicom_id"] + ".jpg")


def _read_annotations(folder: Path, finding: str) -> tuple[Path, pd.DataFrame]:
    """LLaVA-Rad's files as one row per image. They hold bare NaN, which Python's JSON reads."""
    rows: list[dict[str, Any]] = []
    first: Path | None = None
    for split, name in ANNOTATIONS.items():
        file = first_file(folder, [name])
        if file is None:
            raise InputError(
                f"'{folder}' holds no {name}; point data.options.annotations at the folder that does."
            )
        first = first or file
        rows += [
            _annotation_row(entry, split, finding, file, i)
            for i, entry in enumerate(read_json_list(file))
        ]
    return first, pd.DataFrame(rows)


def _annotation_row(
    entry: dict[str, Any], split: str, finding: str, file: Path, place: int
) -> dict[str, Any]:
    try:
        subject, study = str(entry["id"]).split("_")[:2]
        image = str(entry["image"])
        answer = entry["conversations"][-1]["value"]
        label = entry["chexpert_labels"].get(finding)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"'{file}' entry {place + 1} lacks the id, image, chexpert_labels or conversations of "
            f"LLaVA-Rad's annotations ({type(error).__name__}: {error})."
        ) from error
    return {
        "dicom_id": Path(image).stem,
        "subject_id": subject,
        "study_id": study,
        "image": f"files/{image.removeprefix('mimic/').removeprefix('files/')}",
        "split": split,
        "ViewPosition": _text(entry.get("view")),
        finding: _text(label),
        "text": str(answer).replace("<image>", "").strip() or None,
        "gender": _text(entry.get("gender")),
        "anchor_age": _text(entry.get("anchor_age")),
        "race": _text(entry.get("race_major")),
    }


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)


def _attributes(
    frame: pd.DataFrame, file: Path, path: Path, mimic_iv: str | None, age_cuts: Sequence[float]
) -> dict[str, list[str | None]]:
    """Sex, race and age group of each row: from the annotations where they say it, or MIMIC-IV."""
    if "gender" in frame and frame["gender"].notna().any():
        race = decode_races(frame["race"], file)
        sex, ages = decode_column(frame["gender"], SEX, file), read_ages(frame["anchor_age"], file)
    else:
        people = load_mimic_iv(path, mimic_iv)
        sex, race, ages = (
            [people[column].get(subject) for subject in frame["subject_id"]]
            for column in ("sex", "race", "age")
        )
    return dict(zip(ATTRIBUTES, (sex, race, age_bands(ages, age_cuts)), strict=True))
