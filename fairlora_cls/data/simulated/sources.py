"""The simulated cohorts as data sources: drawn once into the cache, then read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fairlora_cls.data.examples import SPLIT_NAMES, Splits
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.rows import TableOptions
from fairlora_cls.data.simulated import chest, dermoscopy
from fairlora_cls.data.simulated.fundus import write_fundus_cohort
from fairlora_cls.data.sources.table import load_table
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import OTHER_CACHE, cache_folder, require_writable

COHORT_VERSION = 1  # of the drawing code: a new number draws cached cohorts anew


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
    folder = _drawn("fundus", write_fundus_cohort, path, (train, validation, test), seed)
    attributes = ("ethnicity", "sex", "race", "age_group")
    return load_table(folder, TableOptions(attributes=attributes, classes=("no", "yes")))


def load_simulated_dermoscopy(
    path: Path | None,
    *,
    train: int = 2000,
    validation: int = 500,
    test: int = 2000,
    seed: int = 42,
) -> Splits:
    """The simulated dermoscopy cohort, drawn into `path` or the cache if new.

    `train`, `validation` and `test` are numbers of lesions; `seed` draws another cohort of the
    same mechanism (simulated_dermoscopy.py).
    """
    write = dermoscopy.write_dermoscopy_cohort
    folder = _drawn("dermoscopy", write, path, (train, validation, test), seed)
    options = TableOptions(attributes=dermoscopy.ATTRIBUTES, classes=dermoscopy.CLASSES)
    return load_table(folder, options)


def load_simulated_chest(
    path: Path | None,
    *,
    task: str = "abnormal",
    train: int = 2000,
    validation: int = 500,
    test: int = 2000,
    seed: int = 42,
) -> Splits:
    """The simulated chest cohort, drawn into `path` or the cache if new; its findings are the text.

    They also answer the question that the real data sets bring (`findings_conversation`). `task`:
    `abnormal` (any finding), `cardiomegaly`, `effusion` or `pneumothorax`, each no or yes.
    `train`, `validation` and `test` are numbers of radiographs; `seed` draws another cohort of the
    same mechanism (simulated_chest.py). Raises InputError for another task.
    """
    if task not in chest.TASKS:
        raise InputError(f"data.options.task is '{task}'{nearest(task, chest.TASKS)}")
    folder = _drawn("chest", chest.write_chest_cohort, path, (train, validation, test), seed)
    options = TableOptions(
        label_column=task,
        text_column="findings",
        attributes=chest.ATTRIBUTES,
        classes=chest.CLASSES,
    )
    splits = load_table(folder, options)
    asked = {
        name: tuple(
            replace(e, conversation=findings_conversation(None, e.text)) for e in splits.split(name)
        )
        for name in SPLIT_NAMES
    }
    return replace(splits, **asked)


def _drawn(
    cohort: str,
    write: Callable[..., Path],
    path: Path | None,
    counts: tuple[int, int, int],
    seed: int,
) -> Path:
    """The folder of a cohort, `path` or one in the cache; drawn there unless it is."""
    size = "-".join(map(str, (*counts, seed)))
    kept = cache_folder() / "cohorts"
    folder = path or kept / f"{cohort}-{COHORT_VERSION}-{size}"
    if not (folder / "table.csv").is_file():
        if path is None:
            require_writable(kept, OTHER_CACHE)
        train, validation, test = counts
        write(folder, train=train, validation=validation, test=test, seed=seed)
    return folder
