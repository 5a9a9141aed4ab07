"""What a page says, apart from how it looks: sentences, figures and tables, in reading order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlora_cls.presentation.drawing import Sheet

NOTES = "Before you trust these numbers"
METHOD = "How these numbers are made"


@dataclass(frozen=True)
class Cell:
    """A value and, below it in small print, its interval or a remark."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """Text only; the first column names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def texts(self) -> list[list[str]]:
        """The rows without their small print."""
        return [[cell.text for cell in row] for row in self.rows]


@dataclass(frozen=True)
class ReportFigure:
    """One drawn figure, and the name of its file without its ending."""

    attribute: str
    title: str
    alternative_text: str
    file_name: str
    drawing: Sheet


@dataclass(frozen=True)
class Picture:
    """An image of the data, as it is; only the page shows it."""

    name: str
    source: str  # a data URI


@dataclass(frozen=True)
class Excerpt:
    """Pictures in a row, and texts to be read side by side, each under a label."""

    heading: str
    texts: tuple[tuple[str, str], ...] = ()  # (label, text)
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Part:
    """What stands under one heading; without a title, it goes on from what is above."""

    title: str
    sentences: tuple[str, ...] = ()  # a paragraph each
    points: tuple[str, ...] = ()  # of a list
    figures: tuple[ReportFigure, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    tables: tuple[Table, ...] = ()
    is_method: bool = False  # how the numbers are made: in smaller print
    is_folded: bool = False  # details, opened on demand and in print


@dataclass(frozen=True)
class Section(Part):
    """A part that joins a report: report.json holds `values` under `key`."""

    key: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """A few words below the title, and the names that follow them."""

    words: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A value and its interval on an axis from 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OverviewCell:
    """What one endpoint says of the groups of one attribute."""

    kind: str  # a verdict's
    word: str
    remark: str
    marks: tuple[Mark | None, ...]  # a group each; None: undefined


@dataclass(frozen=True)
class OverviewRow:
    """One attribute: its groups with their sizes, and a cell per column."""

    name: str
    groups: tuple[tuple[str, str], ...]
    cells: tuple[OverviewCell, ...]
    remark: str = ""  # below the groups


@dataclass(frozen=True)
class Overview:
    """The picture before the words: groups with intervals on the columns' axes."""

    columns: tuple[tuple[str, str, str, str], ...]  # title, of whom, both ends of the axis
    rows: tuple[OverviewRow, ...]


@dataclass(frozen=True)
class Verdict:
    """What one gap, or one difference, says."""

    title: str
    kind: (
        str  # how it is marked: evidence | equal | gain | undecided | undefined | chance | unknown
    )
    badge: str  # the same in words
    text: str = ""
    points: tuple[str, ...] = ()  # of a list


@dataclass(frozen=True)
class Document:
    """A whole page. `verdicts_title` may be blank."""

    title: str
    facts: tuple[Fact, ...]
    summary: tuple[str, ...]  # paragraphs
    verdicts: tuple[Verdict, ...]
    parts: tuple[Part, ...]
    verdicts_title: str = ""
    overview: Overview | None = None
    links: tuple[tuple[str, str], ...] = ()  # files beside this one, and what they are

    @property
    def figures(self) -> tuple[ReportFigure, ...]:
        return tuple(figure for part in self.parts for figure in part.figures)


def text_table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table without small print."""
    return Table(caption, tuple(header), tuple(tuple(map(Cell, row)) for row in rows))


def list_notes(notes: tuple[str, ...]) -> Part:
    """What a reader must know first; it has a fixed title, so that it is found on every page."""
    return Part(NOTES, points=notes)


def explain_method(paragraphs: tuple[str, ...]) -> Part:
    """The last part of every page."""
    return Part(METHOD, paragraphs, is_method=True, is_folded=True)
