"""A table as its readers see it: columns of text, and what is wrong with which row.

N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from fairlora_cls.data.table_files import other_separator, read_rows, row_of
from fairlora_cls.errors import InputError, first_few, nearest

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of text. What reads a column refuses bad rows and goes on, so that all are named."""

    file: Path | Sequence[Path]  # a sequence of files has one row in each
    frame: pd.DataFrame  # blanks as NaN
    home: str | None = None  # the split that its place on disk says, if it says one
    lines: Sequence[int] = ()  # of JSON lines: the number of each row's line
    bad: set[int] = field(default_factory=set)  # rows that cannot be used
    problems: list[str] = field(default_factory=list)  # why, in sentences

    @property
    def good(self) -> list[int]:
        """The rows that can be used."""
        return [row for row in range(len(self.frame)) if row not in self.bad]

    def where(self, row: int) -> str:
        """How a message names a row: as a reader of the file counts."""
        return f"'{self.file}' line {self.lines[row]}" if self.lines else row_of(self.file, row)

    def refuse(self, faults: Mapping[int, str]) -> None:
        """Note what is wrong, in one way, with some rows: row → the rest of a sentence about it."""
        self.bad.update(faults)
        self.problems.extend(first_few([f"{self.where(row)} {why}" for row, why in faults.items()]))

    def require(self, columns: Sequence[str]) -> None:
        """Raise InputError naming the columns that the table lacks."""
        require_columns(self.frame, columns, self.file)

    def cells(self, column: str) -> list[str]:
        """A column's cells as they stand, N of them, '' where blank."""
        return self.frame[column].fillna("").astype(str).tolist()

    def read(self, column: str, reader: Callable[[str], Value]) -> list[Value | None]:
        """What `reader` makes of each cell; None where it raises ValueError, and the row is refused."""
        cells = self.cells(column)
        values: dict[str, Value | None] = {}
        faults: dict[str, str] = {}
        for cell in dict.fromkeys(cells):
            try:
                values[cell] = reader(cell)
            except ValueError as error:
                values[cell], faults[cell] = None, str(error)
        self.refuse({row: faults[cell] for row, cell in enumerate(cells) if cell in faults})
        return [values[cell] for cell in cells]

    def read_names(self, column: str) -> list[str | None]:
        """Ids and file names: as they stand but for outer spaces; a row without one is refused."""

        def name(cell: str) -> str:
            if not cell.strip():
                raise ValueError(f"has no value for '{column}'.")
            return cell.strip()

        return self.read(column, name)

    def read_ids(self, column: str) -> list[str | None]:
        """As `read_names`; a row with an id that an earlier one has is refused, too."""
        ids = self.read_names(column)
        refuse_repeated_ids([self], [ids])
        return ids


def open_table(
    path: Path, *, needed: Sequence[str] = (), home: str | None = None, **options: Any
) -> Table:
    """The table at `path`, `options` as `read_rows` takes them. Raises InputError.

    `needed`: columns that must be there.
    """
    frame, lines = read_rows(path, **options)
    table = Table(path, frame, home, lines)
    table.require(needed)
    return table


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """The columns alone of a table at `path`; see `read_rows`."""
    return read_rows(path, **options)[0]


def require_columns(frame: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise InputError where `find_missing_columns` finds some."""
    problems = find_missing_columns(frame, names, path)
    if problems:
        raise InputError(problems)


def find_missing_columns(
    frame: pd.DataFrame, names: Sequence[str], path: Path, option: str | None = None
) -> list[str]:
    """What is wrong where `path` lacks columns: each with the nearest that it has.

    `option` is the one of the source that names the column, for the way out.
    """
    lacking = [name for name in names if name not in frame.columns]
    if lacking and (other := other_separator(list(frame.columns), path, option is not None)):
        return [other]
    way_out = f" Name the right one with data.options.{option}." if option else ""
    return [
        f"'{path}' has no column '{name}'{nearest(name, frame.columns)}{way_out}"
        for name in lacking
    ]


def refuse_repeated_ids(tables: Sequence[Table], ids: Sequence[Sequence[str | None]]) -> None:
    """Refuse each row whose id an earlier row of the tables has; `ids` are those of each table."""
    first: dict[str, str] = {}
    for table, own in zip(tables, ids, strict=True):
        faults: dict[int, str] = {}
        for row, name in enumerate(own):
            here = table.where(row)
            if name is not None and (earlier := first.setdefault(name, here)) != here:
                earlier = earlier.removeprefix(f"'{table.file}' ")
                faults[row] = f"has the id '{name}' of {earlier} again; ids must be unique."
        table.refuse(faults)


def find_table(folder: Path, names: Sequence[str]) -> Path:
    """The first of `names` (each also as `.gz`) in `folder`.

    Raises InputError that says where they do lie when the folder is a level too high or too low.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.")
    if (file := first_file(folder, names)) is not None:
        return file
    hint = point_at(folder, lambda near: first_file(near, names) is not None)
    raise InputError(f"'{folder}' holds no {names[0]}; {hint}.")


def point_at(folder: Path, holds: Callable[[Path], bool]) -> str:
    """The way out of a wrong level: the folder one above or below that `holds` what is sought."""
    below = sorted(p for p in folder.iterdir() if p.is_dir())
    near = next((p for p in [folder.resolve().parent, *below] if holds(p)), None)
    return f"'{near}' does: point there" if near else "point at the folder that does"


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of `names`, plain or as `.gz`, that is a file in `folder`."""
    candidates = [folder / f"{name}{end}" for name in names for end in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)
