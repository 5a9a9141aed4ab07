"""Tables on disk (CSV, TSV, Parquet, JSON lines) → text columns, blanks as NaN.

N rows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairlora_cls.errors import InputError, nearest

HEADLESS = (".parquet", ".jsonl", ".ndjson", ".json")  # their first row is number 1
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_table(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> pd.DataFrame:
    """A table as text columns, blanks as NaN; the format by the suffix, `.gz` opened on the way.

    `.parquet` (needs pyarrow) and `.jsonl` (one object a line); `.tsv` and `.tab` are separated by
    tabs, everything else by commas unless `separator` says otherwise. `columns` reads only those
    of them that there are. Raises InputError for a missing, unreadable or empty table.
    """
    if not path.is_file():
        raise InputError(f"There is no table '{path}'.")
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        frame = _read_parquet(path)
    elif name.endswith((".jsonl", ".ndjson")):
        frame = _read_json_lines(path)
    else:
        separator = separator or ("\t" if name.endswith((".tsv", ".tab")) else ",")
        frame = _read_separated(path, columns, separator, encoding)
    if frame.empty:
        raise InputError(f"'{path}' has no rows.")
    return frame.rename(columns=lambda column: str(column).strip())


def _read_separated(
    path: Path, columns: Sequence[str] | None, separator: str, encoding: str
) -> pd.DataFrame:
    wanted = None if columns is None else lambda column: column.strip() in columns
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,  # with or without its mark
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            usecols=wanted,
        )
    except UnicodeError as error:
        raise InputError(
            f"'{path}' is not in {encoding.upper()} ({error}); save it as UTF-8, or say what it is in, "
            "such as cp1252 or utf-16 (data.options.encoding of the source 'table')."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, zlib.error) as error:
        raise InputError(f"'{path}' is not a readable CSV table ({error}).") from error
    except LookupError as error:
        raise InputError(f"There is no text encoding '{encoding}'.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"'{path}' has more fields in its rows than names in its first line.")
    return frame


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """A JSON file that holds a list of objects; bare NaN, which LLaVA-Rad writes, is read too.

    Raises InputError.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"There is no readable file '{path}'.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a readable JSON file ({error}).") from error
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"'{path}' is not a JSON list of objects.")
    return entries


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"'{path}' is a Parquet table, which needs pyarrow: pip install 'fairlora-cls[parquet]'."
        ) from error
    try:
        rows = pyarrow.parquet.read_table(path).to_pandas(types_mapper=pd.ArrowDtype)
    except pyarrow.ArrowException as error:
        raise InputError(f"'{path}' is not a readable Parquet table ({error}).") from error
    return pd.DataFrame({name: texts_of(rows[name]) for name in rows.columns})


def _read_json_lines(path: Path) -> pd.DataFrame:
    rows = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
            if line.strip():
                rows.append(json.loads(line))
                if not isinstance(rows[-1], dict):
                    raise InputError(f"'{path}' line {number} is not a JSON object.")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not in UTF-8 ({error}); save it as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"'{path}' line {number} is not JSON ({error.msg}).") from error
    columns = dict.fromkeys(key for row in rows for key in row)
    return pd.DataFrame({name: texts_of([row.get(name) for row in rows]) for name in columns})


def texts_of(values: Sequence[Any]) -> pd.Series:
    """Values as a text column, blanks as NaN."""
    return pd.Series([_text(value) for value in values], dtype=object)


def _text(value: Any) -> str | float:
    """A value as a CSV would hold it: blank as NaN, nested values as JSON."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return np.nan
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    return str(value) or np.nan


def row_of(path: Path | Sequence[Path], row: int) -> str:
    """How a message names a row: as a reader of the file counts, a header line included.

    A sequence of files has one row in each, and the file alone names it.
    """
    if not isinstance(path, Path):
        return f"'{path[row]}'"
    headed = not path.name.lower().removesuffix(".gz").endswith(HEADLESS)
    return f"'{path}' row {row + 1 + headed}"


def require_columns(
    frame: pd.DataFrame, names: Sequence[str], path: Path, option: str | None = None
) -> None:
    """Raise InputError naming the first column that `path` lacks and the nearest that it has.

    `option` is the one of the source that names the column, for the way out.
    """
    for name in names:
        if name in frame.columns:
            continue
        only = str(frame.columns[0])
        for separator, word in OTHER_SEPARATORS.items():
            if len(frame.columns) == 1 and separator in only:
                raise InputError(
                    f"'{path}' looks separated by {word}, not commas; save it with commas, or set "
                    f"data.options.separator='{separator}' (source 'table')."
                )
        way_out = f" Name the right one with data.options.{option}." if option else ""
        raise InputError(f"'{path}' has no column '{name}'{nearest(name, frame.columns)}{way_out}")


def require_values(frame: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise InputError naming the first row where one of the columns `names` is blank."""
    for name in names:
        blank = frame[name].isna() | (frame[name].str.strip() == "")
        if blank.any():
            raise InputError(f"{row_of(path, int(np.argmax(blank)))} has no value for '{name}'.")


def require_unique(ids: pd.Series, path: Path) -> None:
    """Raise InputError naming the first two rows that share an id."""
    doubled = ids.duplicated()
    if doubled.any():
        again = int(np.argmax(doubled))
        first = int(np.argmax(ids == ids.iloc[again]))
        raise InputError(
            f"{row_of(path, again)} has the id '{ids.iloc[again]}' of row "
            f"{row_of(path, first).rsplit(' ', 1)[1]} again ({int(doubled.sum())} such rows); ids must be unique."
        )


def find_table(folder: Path, names: Sequence[str]) -> Path:
    """The first of `names` (each also as `.gz`) in `folder`.

    Raises InputError that says where they do lie when the folder is a level too high or too low.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.")
    found = first_file(folder, names)
    if found is not None:
        return found
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
