"""One plain function per source, folder → Splits, and the table DATASETS."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import age_band
from fairlora_cls.data.simulated_sources import (
    load_simulated_chest,
    load_simulated_dermoscopy,
)
from fairlora_cls.data.simulation import write_fundus_cohort
from fairlora_cls.data.tables import (
    gather_splits,
    load_table,
    read_table,
    require_columns,
    split_by_unit,
)
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import cache_folder

COHORT_VERSION = 1  # of the drawing code: a new number draws cached cohorts anew

HAM10000_DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
HAM10000_MALIGNANT = ("mel", "bcc", "akiec")
HAM10000_METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata")
HAM10000_FOLDERS = (
    "HAM10000_images",
    "HAM10000_images_part_1",
    "HAM10000_images_part_2",
    "ISIC2018_Task3_Training_Input",
)


def load_simulated_fundus(
    path: Path | None,
    *,
    train: int = 2000,
    validation: int = 500,
    test: int = 2000,
    seed: int = 42,
) -> Splits:
    """The simulated fundus cohort (data/simulation.py), drawn into `path` or the cache if new.

    `train`, `validation` and `test` are numbers of eyes; `seed` draws another cohort of the same
    mechanism.
    """
    size = f"{train}-{validation}-{test}-{seed}"
    folder = path or cache_folder() / "cohorts" / f"fundus-{COHORT_VERSION}-{size}"
    if not (folder / "table.csv").is_file():
        write_fundus_cohort(folder, train=train, validation=validation, test=test, seed=seed)
    return load_table(
        folder,
        attributes=("ethnicity", "sex", "race", "age_group"),
        classes=("no", "yes"),
    )


def load_ham10000(path: Path, *, task: str = "malignant", seed: int = 42) -> Splits:
    """HAM10000 dermoscopy (Tschandl et al. 2018) in its own layout, split 80/10/10 by lesion.

    `task`: `malignant` (mel, bcc, akiec against the rest) or `diagnosis` (7 classes). Attributes:
    sex, age_group (FairLLaVA's bands). Raises InputError for a missing folder or image, an
    unknown diagnosis or sex.
    """
    if task not in ("malignant", "diagnosis"):
        raise InputError(f"data.options.task is '{task}'; choose malignant or diagnosis.")
    if not path.is_dir():
        raise InputError(f"There is no folder '{path}'.")
    file = next((path / n for n in HAM10000_METADATA if (path / n).is_file()), None)
    if file is None:
        raise InputError(f"'{path}' holds no HAM10000_metadata.csv; point at the folder that does.")
    frame = read_table(file)
    require_columns(frame, ["lesion_id", "image_id", "dx", "age", "sex"], file)
    images = {p.stem: p for f in HAM10000_FOLDERS for p in sorted((path / f).glob("*.jpg"))}
    classes = HAM10000_DIAGNOSES if task == "diagnosis" else ("benign", "malignant")
    examples = []
    for i, row in enumerate(frame.itertuples(index=False)):
        diagnosis = str(row.dx).strip().lower()
        if diagnosis not in HAM10000_DIAGNOSES:
            raise InputError(
                f"'{file}' row {i + 2} has dx '{row.dx}'{nearest(diagnosis, HAM10000_DIAGNOSES)}"
            )
        if row.image_id not in images:
            raise InputError(
                f"'{file}' row {i + 2} names image '{row.image_id}', which is in none of its image folders."
            )
        label = (
            HAM10000_DIAGNOSES.index(diagnosis)
            if task == "diagnosis"
            else int(diagnosis in HAM10000_MALIGNANT)
        )
        attributes = {"sex": _ham_sex(row.sex, file, i), "age_group": _ham_age(row.age, file, i)}
        examples.append(
            Example(row.image_id, images[row.image_id], label, attributes, row.lesion_id)
        )
    homes = split_by_unit([e.unit for e in examples], [classes[e.label] for e in examples], seed)
    return gather_splits(str(path), classes, ("sex", "age_group"), examples, homes)


def _ham_sex(value: Any, file: Path, row: int) -> str | None:
    text = "unknown" if value != value else str(value).strip().lower()
    if text in ("male", "female"):
        return text
    if text in ("unknown", ""):
        return None
    raise InputError(f"'{file}' row {row + 2} has sex '{value}'; expected male, female or unknown.")


def _ham_age(value: Any, file: Path, row: int) -> str | None:
    if value != value or str(value).strip().lower() in ("", "unknown"):
        return None
    try:
        return age_band(float(value))
    except ValueError as error:
        raise InputError(
            f"'{file}' row {row + 2} has age '{value}', which is not a number."
        ) from error


@dataclass(frozen=True)
class Dataset:
    """A source: how to load it, and the recipe values that suit it unless the user says others."""

    load: Callable[..., Splits]
    needs_path: bool
    defaults: Mapping[str, Any]  # of the recipe's `data` section


DATASETS: dict[str, Dataset] = {
    "simulated-fundus": Dataset(
        load_simulated_fundus,
        needs_path=False,
        defaults={
            "sensitive": ["ethnicity", "sex", "race", "age_group"],
            "prompt": "Does the patient have glaucoma?",
        },
    ),
    "simulated-dermoscopy": Dataset(
        load_simulated_dermoscopy,
        needs_path=False,
        defaults={
            "sensitive": ["skin_tone", "sex", "age_group"],
            "prompt": "Is this lesion malignant?",
        },
    ),
    "simulated-chest": Dataset(
        load_simulated_chest,
        needs_path=False,
        defaults={
            "sensitive": ["sex", "race", "age_group"],
            "prompt": "Is this chest radiograph abnormal?",
        },
    ),
    "ham10000": Dataset(
        load_ham10000,
        needs_path=True,
        defaults={"sensitive": ["sex", "age_group"], "prompt": "Is this lesion malignant?"},
    ),
    "table": Dataset(load_table, needs_path=True, defaults={}),
}


def dataset_options(source: str) -> tuple[str, ...]:
    """Names of the options that a source's loader takes."""
    parameters = inspect.signature(DATASETS[source].load).parameters.values()
    return tuple(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)


def load_splits(source: str, path: Path | None, options: Mapping[str, Any]) -> Splits:
    """Load a source by name. Raises InputError for an unknown source, option or bad data."""
    if source not in DATASETS:
        raise InputError(f"There is no data source '{source}'{nearest(source, DATASETS)}")
    for name in options:
        if name not in dataset_options(source):
            raise InputError(
                f"'{source}' has no option '{name}'{nearest(name, dataset_options(source))}"
            )
    if path is None and DATASETS[source].needs_path:
        raise InputError(f"'{source}' needs its folder or file: --data {source}:PATH (data.path).")
    return DATASETS[source].load(path, **options)
