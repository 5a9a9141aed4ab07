"""Tables of cells as text, the ways to break them, and what a plain reader makes of the bytes."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tests.fuzzing.cases import EITHER, REFUSED, SANE, Mutation, one

# Names that real tables hold, each of which has broken a reader, a page or a figure somewhere.
STRANGE_NAMES = (
    *("[bold]", "income [/month]", "[/]", "$x^$", "a_b$c", "<b>F</b>", "&amp;", "%s {0}", "\\n"),
    *(
        "=1+1",
        "+1",
        "-1",
        "@sum",
        "'F",
        '"F"',
        "a,b",
        "a;b",
        "a\tb",
        "a\nb",
        "a|b",
        "race/ethnicity",
    ),
    *(
        "Größe",
        "女",
        "مرحبا",
        "e\u0301",
        "\u200bF",
        "\ufefftext",
        "🙂",
        "\u202egnp",
        "none",
        "None",
    ),
    *(
        "True",
        "1e5",
        "007",
        "5-9",
        "10-14",
        "everyone",
        "missing",
        "overall",
        "sex×race",
        "λ",
        "..",
    ),
    *("../../x", "C:\\x", "a" * 300, "²", "１", "--output", "#", "con", "\x1b[31mred"),
)
NOT_RECORDED = ("", "nan", "NaN", "NA", "n/a", "N/A", "null", "NULL", "<NA>", "#N/A", " ")
NOT_PROBABILITIES = (
    *(
        "nan",
        "NA",
        "",
        "inf",
        "-inf",
        "1e400",
        "-0.2",
        "1.7",
        "2",
        "0.5.5",
        "0,5",
        "high",
        "½",
        "1e9",
    ),
    *("0x1p-1", "0.1_2", "[0.5]", "50%", "--", "0.5 0.5", "=0.5", "None", "1" * 400),
)


@dataclass(frozen=True)
class Sheet:
    """A table before it is written, every cell as text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    separator: str = ","
    ending: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    encoding: str = "utf-8"

    def written(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=self.separator, lineterminator=self.ending, quoting=self.quoting
        )
        writer.writerows([self.header, *self.rows])
        return text.getvalue().encode(self.encoding, errors="replace")

    def column(self, name: str) -> list[str]:
        place = self.header.index(name)
        return [row[place] if place < len(row) else "" for row in self.rows]

    def with_column(self, name: str, values: Sequence[str]) -> Sheet:
        """The sheet with other values in a column, or with the column at its end."""
        place = self.header.index(name) if name in self.header else len(self.header)
        header = self.header if name in self.header else (*self.header, name)
        rows = tuple(
            (*row[:place], value, *row[place + 1 :])
            for row, value in zip(self.rows, values, strict=True)
        )
        return replace(self, header=header, rows=rows)

    def with_header(self, header: Sequence[str]) -> Sheet:
        return replace(self, header=tuple(header))

    def reordered(self, places: Sequence[int]) -> Sheet:
        """The same columns in another order."""
        return replace(
            self,
            header=tuple(self.header[p] for p in places),
            rows=tuple(tuple(row[p] for p in places if p < len(row)) for row in self.rows),
        )


Change = Callable[[np.random.Generator, Sheet], Sheet]


def in_one_column(
    columns: Sequence[str], change: Callable[[np.random.Generator, list[str]], list[str]]
) -> Change:
    """Change the cells of one of those of `columns` that there are."""

    def apply(generator: np.random.Generator, sheet: Sheet) -> Sheet:
        there = [name for name in columns if name in sheet.header]
        if not there:
            return sheet
        name = one(generator, there)
        return sheet.with_column(name, change(generator, sheet.column(name)))

    return apply


def in_cells(columns: Sequence[str], values: Sequence[str], share: float = 0.0) -> Change:
    """Put one of `values` into one cell of one of `columns`, or into a share of its cells."""

    def change(generator: np.random.Generator, cells: list[str]) -> list[str]:
        value = one(generator, values)
        chosen = set(np.flatnonzero(generator.random(len(cells)) < share).tolist())
        chosen |= {int(generator.integers(len(cells)))} if cells else set()
        return [value if i in chosen else cell for i, cell in enumerate(cells)]

    return in_one_column(columns, change)


def rewritten(columns: Sequence[str], rewrite: Callable[[str], str], share: float = 1.0) -> Change:
    """Write a share of the cells of one of `columns` in another way."""

    def change(generator: np.random.Generator, cells: list[str]) -> list[str]:
        return [rewrite(cell) if generator.random() < share else cell for cell in cells]

    return in_one_column(columns, change)


def renamed(columns: Sequence[str], names: Sequence[str]) -> Change:
    def change(generator: np.random.Generator, sheet: Sheet) -> Sheet:
        there = [i for i, name in enumerate(sheet.header) if name in columns]
        if not there:
            return sheet
        place = one(generator, there)
        return sheet.with_header(
            [one(generator, names) if i == place else n for i, n in enumerate(sheet.header)]
        )

    return change


def dropped(columns: Sequence[str]) -> Change:
    def change(generator: np.random.Generator, sheet: Sheet) -> Sheet:
        there = [name for name in columns if name in sheet.header]
        if not there:
            return sheet
        gone = sheet.header.index(one(generator, there))
        return sheet.reordered([i for i in range(len(sheet.header)) if i != gone])

    return change


def doubled(columns: Sequence[str], suffix: str = "") -> Change:
    """A column stands twice, the second time with other cells."""

    def change(generator: np.random.Generator, sheet: Sheet) -> Sheet:
        there = [name for name in columns if name in sheet.header]
        if not there:
            return sheet
        name = one(generator, there)
        cells = generator.permutation(np.array(sheet.column(name), dtype=object)).tolist()
        rows = tuple((*row, cell) for row, cell in zip(sheet.rows, cells, strict=True))
        return replace(sheet, header=(*sheet.header, name + suffix), rows=rows)

    return change


def other_order_of_columns(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    """Any order but that of the classes, which has a meaning."""
    places = list(generator.permutation(len(sheet.header)))
    classes = sorted(p for p in places if sheet.header[p].startswith("prob_"))
    return sheet.reordered(
        [classes.pop(0) if sheet.header[p].startswith("prob_") else int(p) for p in places]
    )


def other_order_of_rows(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    return replace(sheet, rows=tuple(sheet.rows[i] for i in generator.permutation(len(sheet.rows))))


def index_column(generator: np.random.Generator, sheet: Sheet) -> Sheet:
    """The column of row numbers that pandas writes unasked."""
    name = one(generator, ["", "Unnamed: 0"])
    rows = tuple((str(i), *row) for i, row in enumerate(sheet.rows))
    return replace(sheet, header=(name, *sheet.header), rows=rows)


def numbers_as_names(columns: Sequence[str]) -> Change:
    """A column whose names are 0, 1 …, here and there written 0.0, 1.0 …, as pandas does."""

    def change(generator: np.random.Generator, cells: list[str]) -> list[str]:
        code = {cell: str(i) for i, cell in enumerate(sorted(set(cells)))}
        ends = generator.choice(["", ".0"], len(cells))
        return [code[cell] + end for cell, end in zip(cells, ends, strict=True)]

    return in_one_column(columns, change)


def row_changed(rewrite: Callable[[tuple[str, ...]], list[tuple[str, ...]]]) -> Change:
    """One row becomes others."""

    def change(generator: np.random.Generator, sheet: Sheet) -> Sheet:
        if not sheet.rows:
            return sheet
        place = int(generator.integers(len(sheet.rows)))
        rows = (*sheet.rows[:place], *rewrite(sheet.rows[place]), *sheet.rows[place + 1 :])
        return replace(sheet, rows=rows)

    return change


def as_written(**how: object) -> Change:
    return lambda generator, sheet: replace(sheet, **how)


def broken_sheets(names: Sequence[str], needed: Sequence[str]) -> tuple[Mutation, ...]:
    """Mutations that any table can suffer; `names` are columns of names, `needed` must be there."""
    return (
        Mutation("a needed column doubled", doubled(needed), REFUSED),
        Mutation("a column of names doubled", doubled(names), REFUSED),
        Mutation("a column doubled but for a space", doubled(names, " "), REFUSED),
        Mutation("a strange column", lambda g, s: s.with_column(one(g, STRANGE_NAMES), [one(g, "xy") for _ in s.rows]), SANE),
        Mutation("a column renamed strangely", renamed(names, STRANGE_NAMES), SANE),
        Mutation("a column without a name", renamed(names, [""]), SANE),
        Mutation("a column with spaces around", renamed(names, [f" {n} " for n in names]), SANE),
        Mutation("a column dropped", dropped((*names, *needed)), SANE),
        Mutation("a row dropped", row_changed(lambda row: []), SANE),
        Mutation("a row doubled", row_changed(lambda row: [row, row]), REFUSED),
        Mutation("a short row", row_changed(lambda row: [row[: len(row) // 2]]), REFUSED),
        Mutation("a row one cell short", row_changed(lambda row: [row[:-1]]), REFUSED),
        Mutation("a long row", row_changed(lambda row: [(*row, "more")]), REFUSED),
        Mutation("a row of one cell", row_changed(lambda row: [("total",), row]), REFUSED),
        Mutation("a row of blanks", row_changed(lambda row: [row, ("",) * len(row)]), SANE),
        Mutation("every row one cell longer", lambda g, s: replace(s, rows=tuple((*r, "x") for r in s.rows)), REFUSED),
        Mutation("the header repeated", lambda g, s: replace(s, rows=(*s.rows, s.header)), REFUSED),
        Mutation("no rows", lambda g, s: replace(s, rows=()), REFUSED),
        Mutation("one row", lambda g, s: replace(s, rows=s.rows[:1]), SANE),
        Mutation("strange names", in_cells(names, STRANGE_NAMES, 0.4), SANE),
        Mutation("one strange name", in_cells(names, STRANGE_NAMES), SANE),
        Mutation("nothing recorded", in_cells(names, NOT_RECORDED, 0.4), SANE),
        Mutation("one cell not recorded", in_cells(names, NOT_RECORDED), SANE),
        Mutation("1 and 1.0", numbers_as_names(names), SANE),
        Mutation("all one name", in_cells(names, ["same"], 1.1), SANE),
        Mutation("all different names", lambda g, s: s.with_column(names[0], [f"g{i}" for i in range(len(s.rows))]) if names[0] in s.header else s, SANE),
    )  # fmt: skip


def at(generator: np.random.Generator, data: bytes) -> int:
    return int(generator.integers(max(1, len(data))))


def _cut(generator: np.random.Generator, data: bytes) -> bytes:
    return data[: at(generator, data)]


def _flip(generator: np.random.Generator, data: bytes) -> bytes:
    flipped, place = bytearray(data), at(generator, data)
    flipped[place : place + 1] = [
        byte ^ (1 << int(generator.integers(8))) for byte in data[place : place + 1]
    ]
    return bytes(flipped)


def inserted(*pieces: bytes) -> Callable[[np.random.Generator, bytes], bytes]:
    def change(generator: np.random.Generator, data: bytes) -> bytes:
        place = at(generator, data)
        return data[:place] + one(generator, pieces) + data[place:]

    return change


def _lost(generator: np.random.Generator, data: bytes) -> bytes:
    start, length = at(generator, data), int(generator.integers(1, 200))
    return data[:start] + data[start + length :]


# Of bytes; the reading of a table says what they still mean.
BROKEN_BYTES = (
    Mutation("cut", _cut, SANE),
    Mutation("empty", lambda g, d: b"", REFUSED),
    Mutation("blank", lambda g, d: b"\n\n  \n", REFUSED),
    Mutation("a bit flipped", _flip, SANE),
    Mutation("bytes lost", _lost, SANE),
    Mutation("a NUL", inserted(b"\0", b"\0" * 40), REFUSED),
    Mutation("a tail of NULs", lambda g, d: d + b"\0" * 512, REFUSED),
    Mutation("bytes that are no UTF-8", inserted(b"\xff", b"\xe9", b"\xc3", b"\xed\xa0\x80"), REFUSED),
    Mutation("a quote", inserted(b'"'), SANE),
    Mutation("a carriage return", inserted(b"\r"), SANE),
    Mutation("a line separator", inserted("\u2028".encode(), b"\x0b", b"\x0c", b"\x85"), SANE),
    Mutation("compressed", lambda g, d: b"\x1f\x8b\x08\0" + d[:50], REFUSED),
    Mutation("a page of a web server", lambda g, d: b"<!DOCTYPE html><html><body>404</body></html>\n", REFUSED),
    Mutation("UTF-16", lambda g, d: d.decode("utf-8", "replace").encode("utf-16"), EITHER),
    Mutation("UTF-16 without its mark", lambda g, d: d.decode("utf-8", "replace").encode("utf-16-le"), REFUSED),
)  # fmt: skip


class UnclearError(Exception):
    """A table of which no one can say what it means: to be refused."""


def read_plainly(data: bytes, separators: str = ",;\t") -> tuple[list[str], list[list[str]]]:
    """Header and rows, by the csv module. Raises UnclearError for what is no table."""
    try:
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeError as error:
        raise UnclearError(f"not a text ({error})") from error
    if "\0" in text:
        raise UnclearError("a NUL")
    first = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    separator = max(separators, key=first.count)
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    try:  # strictly only here: to learn whether every quote that opens a cell closes it
        list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UnclearError("a quote that closes no cell") from error
    lines = [line for line in lines if len(line) > 1 or (line and line[0].strip())]
    if len(lines) < 2:
        raise UnclearError("no rows")
    header = [name.strip() for name in lines[0]]
    if len(set(header)) < len(header):
        raise UnclearError("a column that stands twice")
    if any(len(line) != len(header) for line in lines[1:]):
        raise UnclearError("rows of other lengths than the header")
    return header, lines[1:]


def recorded(cell: str) -> str | None:
    """The name in a cell, None where nothing is recorded; 1.0 is 1."""
    text = cell.strip()
    if text.lower() in ("", "nan", "na", "n/a", "#n/a", "null", "<na>"):
        return None
    whole = re.fullmatch(r"([+-]?[0-9]+)\.0*", text)
    return whole[1] if whole else text
