"""The source `ham10000`: dermoscopy in the layouts of Dataverse, Kaggle and the ISIC archive.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlora_cls.data.codes import (
    age_bands,
    decode_column,
    decode_free,
    decode_required,
    read_ages,
    read_text,
    require_recorded,
)
from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
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

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
MALIGNANT = ("mel", "bcc", "akiec")
BINARY = ("benign", "malignant")
ATTRIBUTES = ("sex", "age_group", "age", "localization")
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
    answers; only its images are kept. Raises InputError for a missing folder or image, an unknown
    diagnosis or sex.
    """
    if task not in ("malignant", "diagnosis"):
        raise InputError(f"data.options.task is '{task}'; choose malignant or diagnosis.")
    file = find_table(path, METADATA)
    frame = read_table(file)
    require_columns(frame, ["lesion_id", "image_id", "dx", "age", "sex"], file)
    require_values(frame, ["image_id"], file)
    names = frame["image_id"].str.strip()
    require_unique(names, file)
    lesions = decode_required(frame["lesion_id"], file)
    diagnoses = decode_column(frame["dx"], {d: d for d in DIAGNOSES} | LONG_NAMES, file)
    diagnoses = require_recorded(diagnoses, frame["dx"], file)
    sexes = decode_column(frame["sex"], SEXES, file)
    years = read_ages(frame["age"], file)
    bands = age_bands(years, age_cuts)
    images = _images(path)
    sites = decode_free(frame["localization"], ("unknown",)) if "localization" in frame else None
    pairs = _read_questions(user_path(questions)) if questions else None
    classes = DIAGNOSES if task == "diagnosis" else BINARY
    examples = []
    rows = zip(names, lesions, diagnoses, sexes, years, bands, strict=True)
    for row, (image, lesion, diagnosis, sex, age, band) in enumerate(rows):
        if pairs is not None and image not in pairs:
            continue
        if image not in images:
            raise InputError(
                f"{row_of(file, row)} names image '{image}', which is in none of its image folders "
                f"({', '.join(FOLDERS)}){nearest(image, images)}"
            )
        name = diagnosis if task == "diagnosis" else classes[diagnosis in MALIGNANT]
        attributes = {"sex": sex, "age_group": band, "age": None if age != age else f"{age:g}"}
        if sites is not None:
            attributes["localization"] = sites[row]
        examples.append(
            Example(
                image,
                images[image],
                classes.index(name),
                attributes,
                lesion,
                conversation=pairs[image] if pairs else (),
            )
        )
    if not examples:
        raise InputError(f"'{questions}' (data.options.questions) has no image of '{file}'.")
    homes = split_examples(examples, classes, stratify, seed)
    shown = ATTRIBUTES if sites is not None else ATTRIBUTES[:-1]
    return gather_splits(str(path), classes, shown, examples, homes)


def _read_questions(file: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Image id → its questions and answers, in the file's order; an image may be there repeatedly."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for place, entry in enumerate(read_json_list(file), 1):
        try:
            pairs = tuple((read_text(qa["Q"]), read_text(qa["A"])) for qa in entry["new_QA"])
            image = str(entry["image_id"])
        except (KeyError, TypeError) as error:
            raise InputError(
                f"'{file}' entry {place} lacks the image_id or new_QA of FairLLaVA's questions."
            ) from error
        if any(None in pair for pair in pairs):
            raise InputError(f"'{file}' entry {place} has a question or an answer that is blank.")
        found[image] = found.get(image, ()) + pairs
    return {image: pairs for image, pairs in found.items() if pairs}


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
