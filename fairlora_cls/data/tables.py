"""A CSV beside images (the imagefolder convention) → Splits, columns named by options.

N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairlora_cls.data.examples import SPLIT_NAMES, Example, Splits
from fairlora_cls.errors import InputError, nearest

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or TSV as text columns, blanks as NaN. Raises InputError when there is none or no row."""
    if not path.is_file():
        raise InputError(f"There is no table '{path}'.")
    try:
        separator = "\t" if path.suffix == ".tsv" else ","
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a readable CSV table in UTF-8 ({error}).") from error
    if frame.empty:
        raise InputError(f"'{path}' has no rows.")
    return frame.rename(columns=str.strip)


def require_columns(frame: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise InputError naming the first column that `path` lacks and the nearest that it has."""
    for name in names:
        if name not in frame.columns:
            raise InputError(f"'{path}' has no column '{name}'{nearest(name, frame.columns)}")


def resolve_image(folder: Path, name: str, row: int) -> Path:
    """The path of an image named in a table, which must lie inside the table's folder."""
    if "://" in name:
        raise InputError(f"Row {row} names the image '{name}'; only local files are read.")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"Row {row} names the image '{name}', which lies outside the data folder.")
    return path


def load_table(
    path: Path,
    *,
    table: str | None = None,
    image_column: str = "image",
    label_column: str = "label",
    id_column: str = "id",
    split_column: str = "split",
    unit_column: str = "patient",
    attributes: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 42,
) -> Splits:
    """Read `path`, a CSV/TSV file or a folder that holds one, with image paths relative to it.

    Without `id_column` in the table the image path is the id; without `unit_column` every example
    is its own unit; without `split_column` units are split 80/10/10 by `seed`, stratified by
    label. `attributes` defaults to every column that is none of these; `classes` to the sorted
    labels (the last is positive). Raises InputError naming file, column, row and value.
    """
    file = _find_table(Path(path), table)
    frame = read_table(file)
    folder = file.parent
    require_columns(frame, [image_column, label_column], file)
    for column in (image_column, label_column):
        blank = frame[column].isna()
        if blank.any():
            raise InputError(
                f"'{file}' row {int(np.argmax(blank)) + 2} has no value for '{column}'."
            )
    reserved = {image_column, label_column, id_column, split_column, unit_column}
    if attributes is None:
        attributes = [c for c in frame.columns if c not in reserved]
    require_columns(frame, attributes, file)
    labels = frame[label_column].str.strip()
    names = tuple(str(c) for c in classes) if classes else tuple(sorted(labels.unique()))
    unknown = ~labels.isin(names)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise InputError(
            f"'{file}' row {row + 2} has the label '{labels[row]}'{nearest(labels[row], names)}"
        )
    ids = frame[id_column] if id_column in frame else frame[image_column]
    units = frame[unit_column].fillna(ids) if unit_column in frame else ids
    if split_column in frame:
        homes = _read_splits(frame[split_column], file)
    else:
        homes = split_by_unit(list(units), list(labels), seed)
    columns = {a: [None if pd.isna(v) else v.strip() for v in frame[a]] for a in attributes}
    examples = [
        Example(
            id=str(ids[i]),
            image=resolve_image(folder, frame[image_column][i], i + 2),
            label=names.index(labels[i]),
            attributes={a: values[i] for a, values in columns.items()},
            unit=str(units[i]),
        )
        for i in range(len(frame))
    ]
    return gather_splits(str(file), names, tuple(attributes), examples, homes)


def _find_table(path: Path, table: str | None) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"There is no file or folder '{path}'.")
    if table is not None:
        return path / table
    found = [
        path / name
        for name in ("table.csv", "metadata.csv", "table.tsv")
        if (path / name).is_file()
    ]
    if not found:
        raise InputError(
            f"'{path}' holds no table.csv or metadata.csv; name the file with data.options.table."
        )
    return found[0]


def _read_splits(column: pd.Series, file: Path) -> list[str]:
    homes = []
    for i, value in enumerate(column):
        home = SPLIT_ALIASES.get(str(value).strip().lower())
        if home is None:
            raise InputError(
                f"'{file}' row {i + 2} has the split '{value}'{nearest(str(value), SPLIT_ALIASES)}"
            )
        homes.append(home)
    return homes


def split_by_unit(
    units: Sequence[str],
    labels: Sequence[str],
    seed: int,
    fractions: Mapping[str, float] | None = None,
) -> list[str]:
    """Assign whole units (patients, lesions) to splits, stratified by the unit's first label.

    Returns a split name per row. `fractions` maps split names to shares that sum to 1 (default
    .8/.1/.1). Deterministic in `seed`, whatever the order of the rows.
    """
    fractions = fractions or {"train": 0.8, "validation": 0.1, "test": 0.1}
    label_of: dict[str, str] = {}
    for unit, label in zip(units, labels, strict=True):
        label_of[unit] = min(label, label_of.get(unit, label))
    home: dict[str, str] = {}
    bounds = np.cumsum([fractions[name] for name in SPLIT_NAMES])
    for stratum, label in enumerate(sorted(set(label_of.values()))):
        members = sorted(unit for unit, own in label_of.items() if own == label)
        order = np.random.default_rng([seed, stratum]).permutation(len(members))
        places = (np.arange(len(members)) + 0.5) / len(members)
        for rank, place in zip(order, places, strict=True):
            home[members[rank]] = SPLIT_NAMES[int(np.searchsorted(bounds, place))]
    return [home[unit] for unit in units]


def gather_splits(
    source: str,
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
    examples: Sequence[Example],
    homes: Sequence[str],
) -> Splits:
    """Sort examples into Splits by their split's name."""
    chosen = {
        name: tuple(e for e, home in zip(examples, homes, strict=True) if home == name)
        for name in SPLIT_NAMES
    }
    return Splits(source, classes, attributes, **chosen)
