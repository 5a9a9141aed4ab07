"""The source `mimic-cxr`: MIMIC-CXR-JPG with MIMIC-IV demographics, or LLaVA-Rad's annotations.

N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairlora_cls.data.codes import age_bands, decode_column, decode_required, read_ages, read_text
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.sources.chexpert import FINDINGS, label_finding
from fairlora_cls.data.sources.demographics import SEX, decode_races, load_mimic_iv
from fairlora_cls.data.splitting import SPLIT_ALIASES, gather_splits, read_split_names
from fairlora_cls.data.tables import (
    find_table,
    first_file,
    read_table,
    require_columns,
    require_unique,
    require_values,
    row_of,
)
from fairlora_cls.data.text_files import read_json_list
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path

PREFIX = "mimic-cxr-2.0.0-"
ANNOTATIONS = {
    split: f"chat_{split}_MIMIC_CXR_all_gpt4extract_rulebased_v1.json"
    for split in ("train", "dev", "test")
}
ATTRIBUTES = ("sex", "race", "age_group")
FRONTAL = ("PA", "AP")
ROW = (  # of an annotation, as text
    *("dicom_id", "subject_id", "study_id", "image", "ViewPosition", "finding", "text"),
    *("reason", "gender", "anchor_age", "race_major"),
)
RULE_BASED = "rule-based"  # how findings of the test split must have been cut out of the report


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
    chat_{train,dev,test}_….json, which then say which images there are, their labels, their findings
    (the examples' text) and the question that LLaVA-Rad asks for them; demographics that FairLLaVA
    wrote into them are used. Raises InputError naming file, row and value.
    """
    if finding not in FINDINGS:
        raise InputError(f"data.options.finding is '{finding}'{nearest(finding, FINDINGS)}")
    rule = Rule(finding, uncertain, blank)
    if annotations is not None:
        frame = _read_annotations(user_path(annotations), rule)
    else:
        frame = _read_tables(path, rule)
    kept = frame["label"].notna()
    if views:
        seen = frame["ViewPosition"].fillna("").str.strip().str.upper()
        kept &= seen.isin([view.upper() for view in views])
    frame = frame[kept].reset_index(drop=True)
    if frame.empty:
        raise InputError(f"No image of '{path}' has one of the views {list(views)} and a label.")
    columns = _attributes(frame, path, mimic_iv, age_cuts)
    images = resolve_images(path / "files", frame["image"], folder=path)
    rows = zip(
        frame["dicom_id"], images, frame["label"], frame["subject_id"], frame["text"],
        frame["reason"], *columns.values(), strict=True,
    )  # fmt: skip
    examples = [
        Example(
            name,
            image,
            int(label),
            dict(zip(columns, values, strict=True)),
            f"p{subject}",
            text,
            findings_conversation(reason, text) if text else (),
        )
        for name, image, label, subject, text, reason, *values in rows
    ]
    return gather_splits(str(path), ("no", "yes"), ATTRIBUTES, examples, list(frame["home"]))


@dataclass(frozen=True)
class Rule:
    """How one of CheXpert's columns becomes a label."""

    finding: str
    uncertain: str
    blank: str

    def label(self, frame: pd.DataFrame, file: Path) -> pd.Series:
        found = label_finding(frame[self.finding], file, uncertain=self.uncertain, blank=self.blank)
        return pd.Series(found, index=frame.index, dtype=object)


def _read_tables(path: Path, rule: Rule) -> pd.DataFrame:
    """Metadata, labels and split of MIMIC-CXR-JPG as one row per image, with the image's path.

    An image whose study was never labelled, or that is in no split, has no row there.
    """
    metadata, _ = _read(path, "metadata", ["dicom_id", "subject_id", "study_id", "ViewPosition"])
    chexpert, file = _read(path, "chexpert", ["study_id", rule.finding])
    labels = chexpert[["study_id"]].assign(label=rule.label(chexpert, file))
    split, file = _read(path, "split", ["dicom_id", "split"])
    homes = split[["dicom_id"]].assign(home=read_split_names(split["split"], file))
    frame = metadata.merge(labels.drop_duplicates("study_id"), on="study_id")
    frame = frame.merge(homes.drop_duplicates("dicom_id"), on="dicom_id")
    if frame.empty:
        raise InputError(f"No image of '{path}' is in both the -chexpert and the -split table.")
    subject, study = frame["subject_id"], frame["study_id"]
    folder = "files/p" + subject.str[:2] + "/p" + subject + "/s" + study
    return frame.assign(image=folder + "/" + frame["dicom_id"] + ".jpg", text=None, reason=None)


def _read(path: Path, part: str, columns: list[str]) -> tuple[pd.DataFrame, Path]:
    file = find_table(path, [f"{PREFIX}{part}.csv"])
    frame = read_table(file, columns=columns)
    require_columns(frame, columns, file)
    if "dicom_id" in frame:
        require_values(frame, ["dicom_id"], file)
        frame["dicom_id"] = frame["dicom_id"].str.strip()
    for key in ("subject_id", "study_id"):  # numbers, which some tool may have written as 1.0
        if key in frame:
            frame[key] = decode_required(frame[key], file)
    if part == "metadata":
        require_unique(frame["dicom_id"], file)
    return frame, file


def _read_annotations(folder: Path, rule: Rule) -> pd.DataFrame:
    """LLaVA-Rad's files as one row per image, decoded. They hold bare NaN, as Python writes it.

    As LLaVA-Rad itself does: no entry without findings, and of the test split only those whose
    findings were cut out of the report by rules, not rewritten by a language model.
    """
    frames = []
    for split, name in ANNOTATIONS.items():
        file = first_file(folder, [name])
        if file is None:
            raise InputError(
                f"'{folder}' holds no {name}; point data.options.annotations at the folder that does."
            )
        entries = read_json_list(file)
        rows = [_annotation_row(entry, rule.finding, file, i) for i, entry in enumerate(entries)]
        kept = [
            row["text"] is not None
            and (split != "test" or entry.get("generate_method", RULE_BASED) == RULE_BASED)
            for entry, row in zip(entries, rows, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=ROW, dtype=object)
        decoded = frame.assign(
            home=SPLIT_ALIASES[split],
            label=rule.label(frame.rename(columns={"finding": rule.finding}), file),
            sex=decode_column(frame["gender"], SEX, file),
            race=decode_races(frame["race_major"], file),
            age=read_ages(frame["anchor_age"], file),
        )
        frames.append(decoded[kept])
    return pd.concat(frames, ignore_index=True)


def _annotation_row(
    entry: dict[str, Any], finding: str, file: Path, place: int
) -> dict[str, str | None]:
    try:
        subject, study = str(entry["id"]).split("_")[:2]
        image = str(entry["image"])
        answer = entry["conversations"][-1]["value"]
        label = entry["chexpert_labels"].get(finding)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{row_of(file, place)} lacks the id, image, chexpert_labels or conversations of "
            f"LLaVA-Rad's annotations ({type(error).__name__}: {error})."
        ) from error
    return {
        "dicom_id": Path(image).stem,
        "subject_id": subject,
        "study_id": study,
        "image": f"files/{image.removeprefix('mimic/').removeprefix('files/')}",
        "ViewPosition": read_text(entry.get("view")),
        "finding": read_text(label),
        "text": read_text(str(answer or "").replace("<image>", "")),
        **{
            key: read_text(entry.get(key))
            for key in ("reason", "gender", "anchor_age", "race_major")
        },
    }


def _attributes(
    frame: pd.DataFrame, path: Path, mimic_iv: str | None, age_cuts: Sequence[float]
) -> dict[str, list[str | None]]:
    """Sex, race and age group of each row: as the annotations say, or else from MIMIC-IV."""
    if "sex" in frame and frame["sex"].notna().any():
        sex, race, ages = (list(frame[column]) for column in ("sex", "race", "age"))
    else:
        people = load_mimic_iv(path, mimic_iv)
        sex, race, ages = (
            [people[column].get(subject) for subject in frame["subject_id"]]
            for column in ("sex", "race", "age")
        )
    return dict(zip(ATTRIBUTES, (sex, race, age_bands(ages, age_cuts)), strict=True))
