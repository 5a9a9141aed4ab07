"""The source `datasets`: a folder that the Hugging Face library `datasets` saved to disk → Splits.

N rows.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

from fairlora_cls.data.examples import Splits
from fairlora_cls.data.splitting import SPLIT_ALIASES
from fairlora_cls.data.table_files import text_table
from fairlora_cls.data.table_splits import TableOptions, build_splits
from fairlora_cls.data.tables import Table
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import OTHER_CACHE, cache_folder, require_writable, write_atomically

MARKS = ("dataset_dict.json", "state.json")  # of a DatasetDict, of a single Dataset
ROWS_AT_ONCE = 256  # embedded images in memory


def load_saved_dataset(path: Path, options: TableOptions = TableOptions()) -> Splits:  # noqa: B008
    """A `Dataset` or `DatasetDict` that `save_to_disk` wrote, with the options of `table`.

    A DatasetDict's keys are the splits. Class names and their order come from a ClassLabel where
    there is one. Images embedded in the data set are written once to the cache, named by their
    content, and decoded like any other file; nothing of the data set is executed. Raises
    InputError without the library, for a folder that is none of its, and as `table` does.
    """
    library = _import_library(path)
    image, label = options.image_column, options.label_column
    tables, embedded, declared = [], [], ()
    for key, rows in _load(path, library).items():
        file = path / key if key else path
        for name in filter(None, (image, label)):
            if name not in rows.column_names:
                raise InputError(
                    f"'{file}' has no column '{name}'{nearest(name, rows.column_names)}"
                )
        table, own = _read_rows(rows, image, file, key and _split_name(key, path), library)
        tables.append(table)
        embedded.append(own)
        if label and isinstance(rows.features[label], library.ClassLabel):
            declared = rows.features[label].names
    return build_splits(tables, options, embedded=embedded, folder=path, known_classes=declared)


def _import_library(path: Path) -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"'{path}' needs the library datasets: pip install 'fairlora-cls[datasets]'."
        ) from error
    return datasets


def _load(path: Path, library: ModuleType) -> dict[str | None, Any]:
    """Split name (None for a single Dataset) → rows."""
    if not path.is_dir() or not any((path / mark).is_file() for mark in MARKS):
        raise InputError(
            f"'{path}' is no data set that `datasets` saved to disk (it holds neither "
            f"{' nor '.join(MARKS)}); for a table beside images use --data table:PATH."
        )
    try:
        loaded = library.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's errors are ValueErrors
        raise InputError(f"'{path}' is not a whole saved data set ({error}).") from error
    return dict(loaded) if isinstance(loaded, library.DatasetDict) else {None: loaded}


def _split_name(key: str, path: Path) -> str:
    if key.lower() not in SPLIT_ALIASES:
        raise InputError(f"'{path}' has the split '{key}'{nearest(key, SPLIT_ALIASES)}")
    return SPLIT_ALIASES[key.lower()]


def _read_rows(
    rows: Any, image_column: str, file: Path, home: str | None, library: ModuleType
) -> tuple[Table, list[Path | None]]:
    """The rows as text, class codes as names; and the file of each image that was embedded."""
    kinds = rows.features
    names = [  # not a mask or another view, which is no attribute
        name
        for name in rows.column_names
        if name == image_column or not isinstance(kinds[name], library.Image)
    ]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    embedded: list[Path | None] = []
    faults: dict[int, str] = {}
    # Arrow's own values: the images stay bytes, nothing is decoded here.
    for batch in rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
        for name in names:
            values = batch.column(name).to_pylist()
            if name == image_column:
                start = len(embedded)
                faults |= {
                    start + i: "has an image of zero bytes."
                    for i, value in enumerate(values)
                    if isinstance(value, dict) and value.get("bytes") == b""
                }
                embedded += [_embedded_image(value) for value in values]
                values = [_image_name(v, start + i) for i, v in enumerate(values)]
            elif isinstance(kinds[name], library.ClassLabel):
                values = [_class_name(kinds[name], v, file, name) for v in values]
            columns[name] += values
    table = Table(file, text_table(names, list(columns.values()), file), home)
    table.refuse(faults)
    return table, embedded


def _embedded_image(value: Any) -> Path | None:
    """The cached file of an image whose bytes are in the data set; None where it has a path only."""
    if not isinstance(value, dict) or not value.get("bytes"):
        return None
    content = value["bytes"]
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = cache_folder() / "embedded" / digest[:2] / f"{digest}.image"
    if not path.is_file():
        require_writable(path.parent, OTHER_CACHE)
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


def _image_name(value: Any, row: int) -> str | None:
    """The path of a local file; the row's number for an embedded one, whose path is a bare name."""
    if not isinstance(value, dict):
        return value
    return value.get("path") if value.get("bytes") is None else str(row)


def _class_name(feature: Any, value: int | None, file: Path, column: str) -> str | None:
    if value is None or value == -1:  # -1: datasets' own code for an unlabelled row
        return None
    if not 0 <= value < feature.num_classes:
        raise InputError(f"'{file}' has {column} {value}; it names {feature.num_classes} classes.")
    return feature.int2str(value)
