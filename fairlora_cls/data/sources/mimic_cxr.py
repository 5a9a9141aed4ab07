"""The source `mimic-cxr`: MIMIC-CXR-JPG with MIMIC-IV demographics, or LLaVA-Rad's annotations.

N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairlora_cls.data.columns import (
    age_bands,
    age_in_words,
    read_ages,
    read_codes,
    read_required,
    read_text,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.sources.chexpert import FINDINGS, label_finding
from fairlora_cls.data.sources.demographics import SEX, load_mimic_iv, read_races
from fairlora_cls.data.splitting import SPLIT_ALIASES, gather_splits, read_split_names
from fairlora_cls.data.tables import (
    Table,
    find_table,
    first_file,
    open_table,
    refuse_repeated_ids,
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
WORDS = ("indication", "view", "age")  # that a prompt may name besides the attributes
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
    wrote into them are used. Raises BadRowsError naming every bad row.
    """
    if finding not in FINDINGS:
        raise InputError(f"data.options.finding is '{finding}'{nearest(finding, FINDINGS)}")
    rule = Rule(finding, uncertain, blank)
    if annotations is not None:
        frame, problems = _read_annotations(user_path(annotations), rule)
    else:
        frame, problems = _read_tables(path, rule)
    kept = frame["label"].notna() & frame["home"].notna()
    if views:
        seen = frame["ViewPosition"].fillna("").str.strip().str.upper()
        kept &= seen.isin([view.upper() for view in views])
    frame = frame[kept].reset_index(drop=True)
    if frame.empty:
        unseen = f"No image of '{path}' has one of the views {list(views)} and a label."
        raise InputError(problems or unseen)
    columns, ages, own = _attributes(frame, path, mimic_iv, age_cuts)
    images = Table(path / "files", frame)
    files = resolve_images(images, list(frame["image"]), folder=path)
    problems += [*own, *images.problems]
    known = frame.to_dict("records")
    examples = []
    for row in images.good:
        name, text = known[row]["dicom_id"], known[row]["text"]
        label, unit = int(known[row]["label"]), f"p{known[row]['subject_id']}"
        asked = findings_conversation(known[row]["reason"], text) if text else ()
        attributes = {attribute: values[row] for attribute, values in columns.items()}
        words = {
            "indication": known[row]["reason"],
            "view": read_text(known[row]["ViewPosition"]),
            "age": age_in_words(ages[row]),
        }
        examples.append(Example(name, files[row], label, attributes, unit, text, asked, words))
    homes = [known[row]["home"] for row in images.good]
    return gather_splits(
        str(path), ("no", "yes"), ATTRIBUTES, examples, homes, problems, words=WORDS
    )


@dataclass(frozen=True)
class Rule:
    """How one of CheXpert's columns becomes a label."""

    finding: str
    uncertain: str
    blank: str

    def labels(self, table: Table, column: str) -> list[int | None]:
        return label_finding(table, column, uncertain=self.uncertain, blank=self.blank)


def _read_tables(path: Path, rule: Rule) -> tuple[pd.DataFrame, list[str]]:
    """Metadata, labels and split of MIMIC-CXR-JPG as one row per image, and what is wrong with which.

    An image whose study was never labelled, or that is in no split, has no row there.
    """
    metadata = _open(path, "metadata", ["dicom_id", "subject_id", "study_id", "ViewPosition"])
    refuse_repeated_ids([metadata], [metadata.frame["dicom_id"]])
    chexpert = _open(path, "chexpert", ["study_id", rule.finding])
    labels = chexpert.frame[["study_id"]].assign(label=rule.labels(chexpert, rule.finding))
    split = _open(path, "split", ["dicom_id", "split"])
    homes = split.frame[["dicom_id"]].assign(home=read_split_names(split, "split"))
    images = metadata.frame.iloc[metadata.good]
    frame = images.merge(labels.drop_duplicates("study_id"), on="study_id")
    frame = frame.merge(homes.drop_duplicates("dicom_id"), on="dicom_id")
    problems = [*metadata.problems, *chexpert.problems, *split.problems]
    if frame.empty:
        nowhere = f"No image of '{path}' is in both the -chexpert and the -split table."
        raise InputError(problems or nowhere)
    subject, study = frame["subject_id"], frame["study_id"]
    folder = "files/p" + subject.str[:2] + "/p" + subject + "/s" + study
    image = folder + "/" + frame["dicom_id"] + ".jpg"
    return frame.assign(image=image, text=None, reason=None), problems


def _open(path: Path, part: str, columns: list[str]) -> Table:
    file = find_table(path, [f"{PREFIX}{part}.csv"])
    table = open_table(file, columns=columns, needed=columns)
    if "dicom_id" in columns:
        table.frame["dicom_id"] = table.read_names("dicom_id")
    for key in ("subject_id", "study_id"):  # numbers, which some tool may have written as 1.0
        if key in columns:
            table.frame[key] = read_required(table, key)
    return table


def _read_annotations(folder: Path, rule: Rule) -> tuple[pd.DataFrame, list[str]]:
    """LLaVA-Rad's files as one row per image, decoded, and what is wrong with which entry.

    They hold bare NaN, as Python writes it. As LLaVA-Rad itself does: no entry without findings, and
    of the test split only those whose findings were cut out of the report by rules, not rewritten by
    a language model.
    """
    frames, problems = [], []
    for split, name in ANNOTATIONS.items():
        file = first_file(folder, [name])
        if file is None:
            raise InputError(
                f"'{folder}' holds no {name}; point data.options.annotations at the folder that does."
            )
        entries = read_json_list(file)
        rows, faults = [], {}
        for place, entry in enumerate(entries):
            try:
                rows.append(_annotation_row(entry, rule.finding))
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
                rows.append(dict.fromkeys(ROW))
                faults[place] = (
                    "lacks the id, image, chexpert_labels or conversations of LLaVA-Rad's "
                    f"annotations ({type(error).__name__}: {error})."
                )
        frame = pd.DataFrame(rows, columns=ROW, dtype=object)
        table = Table(file, frame.rename(columns={"finding": rule.finding}))
        table.refuse(faults)
        decoded = frame.assign(
            home=SPLIT_ALIASES[split],
            label=pd.Series(rule.labels(table, rule.finding), dtype=object),
            sex=read_codes(table, "gender", SEX),
            race=read_races(table, "race_major"),
            age=read_ages(table, "anchor_age"),
        )
        kept = [
            row
            for row in table.good
            if rows[row]["text"] is not None
            and (split != "test" or entries[row].get("generate_method", RULE_BASED) == RULE_BASED)
        ]
        frames.append(decoded.iloc[kept])
        problems += table.problems
    return pd.concat(frames, ignore_index=True), problems


def _annotation_row(entry: dict[str, Any], finding: str) -> dict[str, str | None]:
    subject, study = str(entry["id"]).split("_")[:2]
    image = str(entry["image"])
    answer = entry["conversations"][-1]["value"]
    label = entry["chexpert_labels"].get(finding)
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
) -> tuple[dict[str, list[str | None]], list[float], list[str]]:
    """Sex, race and age group of each row, and its age in years, as the annotations say or else
    MIMIC-IV, and what is wrong there."""
    if "sex" in frame and frame["sex"].notna().any():
        problems: list[str] = []
        known = {name: list(frame[name]) for name in ("sex", "race", "age")}
    else:
        people, problems = load_mimic_iv(path, mimic_iv)
        known = {name: list(map(own.get, frame["subject_id"])) for name, own in people.items()}
    groups = (known["sex"], known["race"], age_bands(known["age"], age_cuts))
    return dict(zip(ATTRIBUTES, groups, strict=True)), known["age"], problems
