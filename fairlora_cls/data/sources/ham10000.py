"""The source `ham10000`: dermoscopy in the layouts of Dataverse, Kaggle and the ISIC archive.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.columns import (
    age_bands,
    age_in_words,
    read_ages,
    read_codes,
    read_groups,
    read_required,
    read_text,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.splitting import gather_splits, split_examples
from fairlora_cls.data.tables import find_table, open_table
from fairlora_cls.data.text_files import read_json_list
from fairlora_cls.errors import InputError, first_few
from fairlora_cls.files import user_path

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
MALIGNANT = ("mel", "bcc", "akiec")
BINARY = ("benign", "malignant")
SEXES = {"male": "male", "female": "female", "unknown": None}
METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
FOLDERS = (
    "HAM10000_images",
    "HAM10000_images_part_1",
    "HAM10000_images_part_2",
    "ISIC2018_Task3_Training_Input",
)
# Some copies write dx out; one replaced "mel" by "Melanoma" inside "melanocytic nevi".
LONG_NAMES = {
    "actinic keratoses": "akiec",
    "actinic keratoses and intraepithelial carcinoma": "akiec",
    "basal cell carcinoma": "bcc",
    "benign keratosis-like lesions": "bkl",
    "benign keratosis": "bkl",
    "dermatofibroma": "df",
    "melanoma": "mel",
    "melanocytic nevi": "nv",
    "melanomaanocytic nevi": "nv",
    "vascular lesions": "vasc",
}


def load_ham10000(
    path: Path,
    *,
    task: str = "malignant",
    questions: str | None = None,
    age_cuts: Sequence[float] = AGE_CUTS,
    stratify: Sequence[str] = (),
    seed: int = 42,
) -> Splits:
    """HAM10000 dermoscopy (Tschandl et al. 2018) in its own layout, split 80/10/10 by lesion.

    `task`: `malignant` (mel, bcc, akiec against the rest) or `diagnosis` (7 classes). Attributes:
    sex, age_group (FairLLaVA's bands unless `age_cuts`, in years, says otherwise), age (years),
    localization where the table has it. The split keeps the classes, and the groups of the
    attributes `stratify`, in proportion. `questions`: FairLLaVA's JSON file of questions and
    answers; only its images are kept. Raises BadRowsError naming every bad row.
    """
    if task not in ("malignant", "diagnosis"):
        raise InputError(f"data.options.task is '{task}'; choose malignant or diagnosis.")
    file = find_table(path, METADATA)
    table = open_table(file, needed=["lesion_id", "image_id", "dx", "age", "sex"])
    names = table.read_ids("image_id")
    lesions = read_required(table, "lesion_id")
    diagnoses = read_codes(table, "dx", {d: d for d in DIAGNOSES} | LONG_NAMES, required=True)
    years = read_ages(table, "age")
    columns = {
        "sex": read_codes(table, "sex", SEXES),
        "age_group": age_bands(years, age_cuts),
        "age": [age_in_words(age) for age in years],
    }
    if "localization" in table.frame:
        columns["localization"] = read_groups(table, "localization", ("unknown",))
    images = _images(path)
    pairs = _read_questions(user_path(questions)) if questions else None
    table.refuse(
        {
            row: f"names image '{name}', which is in none of its image folders "
            f"({', '.join(FOLDERS)})."
            for row, name in enumerate(names)
            if name and name not in images and (pairs is None or name in pairs)
        }
    )
    classes = DIAGNOSES if task == "diagnosis" else BINARY
    examples = []
    for row in table.good:
        image, diagnosis = names[row], diagnoses[row]
        if pairs is not None and image not in pairs:
            continue
        name = diagnosis if task == "diagnosis" else classes[diagnosis in MALIGNANT]
        examples.append(
            Example(
                image,
                images[image],
                classes.index(name),
                {attribute: values[row] for attribute, values in columns.items()},
                lesions[row],
                conversation=pairs[image] if pairs else (),
            )
        )
    if not examples:
        unasked = f"'{questions}' (data.options.questions) has no image of '{file}'."
        raise InputError(table.problems or unasked)
    homes = split_examples(examples, classes, stratify, seed)
    return gather_splits(str(path), classes, tuple(columns), examples, homes, table.problems)


def _read_questions(file: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Image id → its questions and answers, in the file's order; an image may be there repeatedly."""
    asked: dict[str, tuple[tuple[str, str], ...]] = {}
    problems = []
    for place, entry in enumerate(read_json_list(file), 1):
        try:
            pairs = tuple((read_text(qa["Q"]), read_text(qa["A"])) for qa in entry["new_QA"])
            image = str(entry["image_id"])
        except (KeyError, TypeError):
            lacking = "lacks the image_id or new_QA of FairLLaVA's questions"
            problems.append(f"'{file}' entry {place} {lacking}.")
            continue
        if any(None in pair for pair in pairs):
            problems.append(f"'{file}' entry {place} has a question or an answer that is blank.")
        asked[image] = asked.get(image, ()) + pairs
    if problems:
        raise InputError(first_few(problems))
    return {image: pairs for image, pairs in asked.items() if pairs}


def _images(path: Path) -> dict[str, Path]:
    """Image id → file, over the image folders in any case (Kaggle has them in lower case too)."""
    wanted = [name.lower() for name in FOLDERS]
    folders = sorted(p for p in path.iterdir() if p.name.lower() in wanted and p.is_dir())
    return {
        image.stem: image
        for folder in folders
        for image in sorted(folder.iterdir())
        if image.suffix.lower() in (".jpg", ".jpeg", ".png")
    }
