"""The simulated cohorts as data sources: drawn once into the cache, then read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.prompts import findings_conversation
from fairlora_cls.data.simulated.chest import CHEST, TASKS
from fairlora_cls.data.simulated.cohorts import Cohort, write_cohort
from fairlora_cls.data.simulated.dermoscopy import DERMOSCOPY
from fairlora_cls.data.simulated.fundus import FUNDUS
from fairlora_cls.data.simulated.notes import NoteMechanism, write_note
from fairlora_cls.data.sources.table import load_table
from fairlora_cls.data.table_splits import TableOptions
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import OTHER_CACHE, cache_folder, require_writable

WORDS = ("age",)  # columns of a cohort that a prompt may name
COHORT_VERSION = 1  # of the drawing code: a new number draws cached cohorts anew


@dataclass(frozen=True)
class CohortOptions:
    """How many images each split has, and the seed: another one draws another cohort."""

    train: int = 2000
    validation: int = 500
    test: int = 2000
    seed: int = 42


def load_simulated_fundus(
    path: Path | None,
    options: CohortOptions = CohortOptions(),
    *,
    notes: bool = False,
    demographic_share: float = NoteMechanism.demographic_share,
    leak: float = NoteMechanism.leak,
) -> Splits:
    """The simulated fundus cohort, drawn into `path` or the cache if new.

    `notes`: with a short clinical note on each eye (`note`), of which the share `demographic_share`
    says sex, race and ethnicity, and the share `leak` the diagnosis itself. Raises InputError for a
    share beyond 0 to 1.
    """
    for name, share in (("demographic_share", demographic_share), ("leak", leak)):
        if not 0 <= share <= 1:
            raise InputError(f"data.options.{name} is {share:g}; it must be a share from 0 to 1.")
    splits = _load(FUNDUS, path, options)
    if not notes:
        return splits
    mechanism = NoteMechanism(demographic_share=demographic_share, leak=leak)

    def with_note(example: Example) -> Example:
        seed, stream, index = map(int, example.id.split("-")[1:])
        person = {**example.attributes, "age": example.words["age"]}
        note = write_note(seed, stream, index, example.label, person, mechanism)
        return replace(example, words={**example.words, "note": note.text})

    return replace(splits.changed(with_note), words=(*splits.words, "note"))


def load_simulated_dermoscopy(
    path: Path | None,
    options: CohortOptions = CohortOptions(),
) -> Splits:
    """The simulated dermoscopy cohort, drawn into `path` or the cache if new."""
    return _load(DERMOSCOPY, path, options)


def load_simulated_chest(
    path: Path | None,
    options: CohortOptions = CohortOptions(),
    *,
    task: str = "abnormal",
) -> Splits:
    """The simulated chest cohort, drawn into `path` or the cache if new; its findings are the text.

    They also answer the question that the real data sets bring (`findings_conversation`). `task`:
    `abnormal` (any finding), `cardiomegaly`, `effusion` or `pneumothorax`, each no or yes. Raises
    InputError for another task.
    """
    if task not in TASKS:
        raise InputError(f"data.options.task is '{task}'{nearest(task, TASKS)}")
    splits = _load(CHEST, path, options, label_column=task, text_column="findings")
    return splits.changed(lambda e: replace(e, conversation=findings_conversation(None, e.text)))


def _load(cohort: Cohort, path: Path | None, options: CohortOptions, **columns: Any) -> Splits:
    """A cohort's folder, `path` or one in the cache, read; drawn there unless it is."""
    kept = cache_folder() / "cohorts"
    size = "-".join(map(str, vars(options).values()))
    folder = path or kept / f"{cohort.name}-{COHORT_VERSION}-{size}"
    if not (folder / "table.csv").is_file():
        if path is None:
            require_writable(kept, OTHER_CACHE)
        write_cohort(cohort, folder, **vars(options))
    named = {"attributes": cohort.attributes, "classes": cohort.classes, **columns}
    splits = load_table(folder, TableOptions(**named))
    # The truth behind each image, which the table also has, is no word for a prompt.
    words = tuple(name for name in WORDS if name in splits.words)
    splits = splits.changed(lambda e: replace(e, words={name: e.words[name] for name in words}))
    return replace(splits, words=words)
