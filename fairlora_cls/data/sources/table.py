"""The source `table`: any table beside images (the imagefolder convention) → Splits.

N rows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairlora_cls.data.examples import SPLIT_NAMES, Splits
from fairlora_cls.data.splitting import SPLIT_ALIASES
from fairlora_cls.data.table_splits import TableOptions, build_splits
from fairlora_cls.data.tables import Table, open_table, point_at
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path

TABLE_NAMES = tuple(
    f"{stem}.{suffix}"
    for suffix in ("csv", "tsv", "parquet", "jsonl", "csv.gz")
    for stem in ("table", "metadata")
)
IMAGEFOLDER_COLUMN = "file_name"  # what the imagefolder convention calls the image's path


def load_table(
    path: Path,
    options: TableOptions = TableOptions(),  # noqa: B008
    *,
    table: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Splits:
    """Read `path`, a table (CSV, TSV, Parquet, JSON lines) or a folder that holds one.

    Image paths are relative to the table. A folder may instead hold train, validation and test
    folders with a table each. Without `id_column` in the table the image path is the id. Rows of
    one `unit_column` stay together; where no column is called `patient`, one of another usual name
    whose values repeat is taken, and null takes none. Without `split_column` units are split
    80/10/10 by `seed`, stratified by label and the attributes `stratify`. `attributes` defaults to
    every column that has none of these uses and is in every table; `age_column` becomes the
    attribute age_group, banded at `age_cuts` (years); `missing_values` are further words that mean
    "not recorded"; `classes` defaults to the sorted labels (the last is positive). Without
    `label_column` (null) there are no classes: for texts. Raises BadRowsError naming every row that
    cannot be used, and InputError for anything else.
    """
    reading = {"separator": separator, "encoding": encoding, "has_options": True}
    tables = [
        open_table(file, home=home, **reading) for file, home in find_tables(Path(path), table)
    ]
    if options.image_column == "image" and all(_is_imagefolder(t) for t in tables):
        options = replace(options, image_column=IMAGEFOLDER_COLUMN)
    return build_splits(tables, options)


def _is_imagefolder(table: Table) -> bool:
    """Whether the table names its images as the imagefolder convention does."""
    return "image" not in table.frame and IMAGEFOLDER_COLUMN in table.frame


def find_tables(path: Path, table: str | None) -> list[tuple[Path, str | None]]:
    """The tables at `path`, each with the split that its folder's name says."""
    if path.is_file():
        return [(path, None)]
    if not path.is_dir():
        raise InputError(f"There is no file or folder '{path}'.")
    if table is not None:
        if not user_path(path / table).is_file():
            raise InputError(
                f"'{path}' holds no '{table}'{nearest(table, [p.name for p in path.iterdir()])}"
            )
        return [(path / table, None)]
    if own := _table_in(path):
        return [(own, None)]
    below = [(p, _table_in(p)) for p in sorted(path.iterdir()) if p.is_dir()]
    tables = [
        (file, SPLIT_ALIASES[folder.name.lower()])
        for folder, file in below
        if file and folder.name.lower() in SPLIT_ALIASES
    ]
    if tables:
        return sorted(tables, key=lambda part: SPLIT_NAMES.index(part[1]))
    hint = point_at(path, lambda near: _table_in(near) is not None)
    raise InputError(
        f"'{path}' holds no table.csv or metadata.csv; {hint}, or name the file with data.options.table."
    )


def _table_in(folder: Path) -> Path | None:
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)
