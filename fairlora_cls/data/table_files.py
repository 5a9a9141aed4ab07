"""Tables on disk (CSV, TSV, Parquet, JSON lines) → text columns, blanks as NaN.

N rows.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairlora_cls.data.text_files import column_name, read_json_lines, reading_text
from fairlora_cls.errors import InputError, first_few
from fairlora_cls.files import user_path
from fairlora_cls.plain_yaml import is_whole

# The first row of these, and of a data set's folder, is number 1.
HEADLESS = (".parquet", ".jsonl", ".ndjson", ".json")
# A column that pandas wrote as a table's index, or that a separator at the end of a line makes.
NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)?(_level_\d+)?|__index_level_\d+__)?")
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_rows(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    has_options: bool = False,
) -> tuple[pd.DataFrame, Sequence[int]]:
    """A table as text columns, blanks as NaN, and of JSON lines the number of each row's line.

    `.parquet` (needs pyarrow) and `.jsonl` (one object a line); `.tsv` and `.tab` are separated by
    tabs, everything else by commas unless `separator` says otherwise; `.gz` is opened on the way.
    `columns` reads only those of them that there are. `has_options`: the user may give separator
    and encoding as data.options, which errors then say. A column without a name, such as the index
    that pandas writes, is not read. Raises InputError for a missing, unreadable or empty table, a
    column that stands twice, and rows with more or fewer cells than the first line has names.
    """
    path = user_path(path)
    if not path.is_file():
        raise InputError(f"There is no table '{path}'.")
    name = path.name.lower().removesuffix(".gz")
    lines: Sequence[int] = ()
    if name.endswith(".parquet"):
        frame = _read_parquet(path)
    elif name.endswith((".jsonl", ".ndjson")):
        rows = read_json_lines(path)
        lines, names = list(rows), list(dict.fromkeys(key for row in rows.values() for key in row))
        values = [[row.get(name) for row in rows.values()] for name in names]
        frame = text_table(names, values, path)
    else:
        separator = separator or ("\t" if name.endswith((".tsv", ".tab")) else ",")
        frame = _read_separated(path, columns, separator, encoding, has_options)
    if not len(frame):
        raise InputError(f"'{path}' has no rows.")
    return frame, lines


def _read_separated(
    path: Path,
    columns: Sequence[str] | None,
    separator: str,
    encoding: str,
    has_options: bool,
) -> pd.DataFrame:
    """A CSV table. A column may lack a name, and blank lines are passed over.

    Raises InputError for a column that stands twice, for rows that are not as long as the first line
    or repeat it, for a NUL, for a quote that is not closed or not doubled, and for a file that is not
    in `encoding` (where that is UTF-8, a byte order mark decides).
    """
    csv.field_size_limit(2**31 - 1)  # a report may be longer than the 131,072 letters of old
    separator = _one_character(separator)
    option = ", or say what it is in with data.options.encoding, such as cp1252 or utf-16"
    wrong = []
    with reading_text(path, encoding, way_out=option if has_options else "") as lines:
        rows = _rows_of(lines, separator, path)
        header = [column_name(name) for name in next(rows, [])]
        if not header:
            raise InputError(f"'{path}' is not a readable CSV table (it is empty).")
        refuse_doubled(header, path)
        read = {
            name: place
            for place, name in enumerate(header)
            if not NAMELESS.fullmatch(name) and (columns is None or name in columns)
        }
        if not read and columns is not None:
            raise InputError(f"'{path}' has none of the columns {', '.join(columns)}.")
        cells = []
        for number, row in enumerate(rows):
            if len(row) != len(header):
                if other := other_separator(header, path, has_options):
                    raise InputError(other)
                wrong.append(
                    f"{row_of(path, number)} has {len(row)} cells where the first line names "
                    f"{len(header)} columns; a separator or a quote is missing or too many there."
                )
                continue
            if row[0].strip() == header[0] and [column_name(cell) for cell in row] == header:
                wrong.append(
                    f"{row_of(path, number)} repeats the first line, as where tables were put "
                    "together; take it out."
                )
            cells.append(row)
    if wrong:
        raise InputError(first_few(wrong))
    texts = {name: [row[place] or np.nan for row in cells] for name, place in read.items()}
    return pd.DataFrame(texts, dtype=object)


def _one_character(separator: str) -> str:
    separator = separator.replace("\\t", "\t")  # as a shell hands it on
    if len(separator) != 1 or separator in '"\r\n':
        raise InputError(
            f"A separator is one character, such as ';' or a tab, and not {separator!r}."
        )
    return separator


def refuse_doubled(names: Sequence[str], path: Path) -> None:
    """Raise InputError naming a column that stands twice; one without a name may."""
    counts = Counter(name for name in names if not NAMELESS.fullmatch(name))
    doubled = [name for name, count in counts.items() if count > 1]
    if doubled:
        raise InputError(
            f"'{path}' has the column '{doubled[0]}' more than once; keep one, or give each a name "
            "of its own."
        )


def other_separator(header: Sequence[str], path: Path, has_options: bool) -> str | None:
    """What to say of a first line that is one name only because other separators part it."""
    for separator, word in OTHER_SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            option = f", or set data.options.separator='{separator}'" if has_options else ""
            return f"'{path}' looks separated by {word}, not commas; save it with commas{option}."
    return None


def _rows_of(lines: Iterable[str], separator: str, path: Path) -> Iterator[list[str]]:
    """The rows that are not blank. Raises InputError for quotes that do not fit, and for a NUL."""
    reader = csv.reader(_without_nul(lines, path), delimiter=separator, strict=True)
    try:
        yield from (row for row in reader if len(row) > 1 or "".join(row).strip())
    except csv.Error as error:
        raise InputError(f"'{path}' is not a readable CSV table ({error}).") from error


def _without_nul(lines: Iterable[str], path: Path) -> Iterator[str]:
    """The lines as they are. Raises InputError naming one that holds a NUL."""
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise InputError(
                f"'{path}' line {number} holds a NUL, which no text has; the file is damaged, or "
                "in another encoding: save it as UTF-8."
            )
        yield line


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"'{path}' is a Parquet table, which needs pyarrow: pip install 'fairlora-cls[parquet]'."
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read()
        columns = [column.to_pylist() for column in table.columns]
        return text_table(table.column_names, columns, path)
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"'{path}' is not a readable Parquet table ({reason}).") from error


def text_table(names: Sequence[str], columns: Sequence[Sequence[Any]], path: Path) -> pd.DataFrame:
    """Columns of values, N each, as text columns, blanks as NaN; those without a name left out.

    Raises InputError for a name that stands twice, and for a text that no file can hold.
    """
    names = [column_name(name) for name in names]
    refuse_doubled(names, path)
    texts = {}
    for name, values in zip(names, columns, strict=True):
        if NAMELESS.fullmatch(name):
            continue
        own = [_text(value) for value in values]
        for row, text in enumerate(own):
            if isinstance(text, str) and not is_whole(text):
                raise InputError(
                    f"{row_of(path, row)} has {text!r} for '{name}', which holds a NUL or half a "
                    "character."
                )
        texts[name] = own
    return pd.DataFrame(texts, index=range(len(columns[0]) if columns else 0), dtype=object)


def _text(value: Any) -> str | float:
    """A value as a CSV would hold it: blank as NaN, nested values as JSON."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return np.nan
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    if isinstance(value, bytes):  # texts that were written without saying that they are texts
        return value.decode("utf-8", "backslashreplace") or np.nan
    return str(value) or np.nan


def row_of(path: Path | Sequence[Path], row: int) -> str:
    """How a message names a row: as a reader of the file counts, a header line included.

    A sequence of files has one row in each, and the file alone names it.
    """
    if not isinstance(path, Path):
        return f"'{path[row]}'"
    headed = not (path.is_dir() or path.name.lower().removesuffix(".gz").endswith(HEADLESS))
    return f"'{path}' row {row + 1 + headed}"
