"""Which examples and patients do the tables of the other splits hold, that lie beside this one?"""

from pathlib import Path

from fairlora_cls.data.answers import group_names
from fairlora_cls.data.cells import recorded
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import UNIT, read_cells
from fairlora_cls.texts.generations import read_generations

SPLITS = ("train", "validation", "test")
QUESTION = "question"  # the column of texts whose name ends their ids: "<example>#<question>"


def training_sites(path: str | Path, site: str) -> set[str] | None:
    """The sites in the training split's table beside `path`, if `path` is called after another split;
    None where there is no such table, or it has no such column or cannot be read."""
    path = Path(path)
    table = path.with_name(f"train{path.suffix}")
    if path.stem not in SPLITS or path == table or not table.is_file():
        return None
    try:
        if path.suffix.lower() == ".jsonl":
            return set(read_generations(table).group_names(site))
        cells = read_cells(table)
        return set(group_names({name: cells[name] for name in cells}, site))
    except InputError:
        return None


def other_splits(
    path: str | Path, unit: str | None = None
) -> tuple[dict[str, set[str]], tuple[str, ...]]:
    """Ids and units of the tables of other splits, by the split's name, if `path` is called after a
    split itself: as a run's predictions/ holds validation.csv beside test.csv, or validation.jsonl
    beside test.jsonl, where ids are those of the images; and a sentence about each such table that
    cannot be read. One without ids is passed over."""
    path, known, notes = Path(path), {}, []
    for split in SPLITS if path.stem in SPLITS else ():
        other = path.with_name(f"{split}{path.suffix}")
        if other == path or not other.is_file():
            continue
        try:
            table = read_cells(other)
        except InputError as error:
            reasons = "; ".join(problem.rstrip(".") for problem in error.problems)
            notes.append(
                f"Whether examples are also in the {split} split is not known, because the table "
                f"beside this one cannot be read: {reasons}."
            )
            continue
        if "id" not in table:
            continue
        if QUESTION in table:
            pairs = zip(table["id"], table[QUESTION], strict=True)
            table["id"] = [name.removesuffix(f"#{question}") for name, question in pairs]
        columns = [table[name] for name in ("id", unit or UNIT) if name in table]
        known[split] = {name for column in columns for name in column if recorded(name)}
    return known, tuple(notes)
