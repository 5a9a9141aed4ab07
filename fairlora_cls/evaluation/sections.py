"""A part that joins a fairness report: sentences, tables, and the same as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fairlora_cls.evaluation.tables import Table

Report = TypeVar("Report")  # of classes or of texts


@dataclass(frozen=True)
class Excerpt:
    """Texts to be read side by side, each under a label."""

    heading: str
    texts: tuple[tuple[str, str], ...]  # (label, text)


@dataclass(frozen=True)
class Section:
    """What report.json holds under `key`, and report.md and report.html under `title`."""

    key: str
    title: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def add_sections(report: Report, sections: Iterable[Section]) -> Report:
    """The report with more parts, shown after its own figures in the order given."""
    return replace(report, sections=(*report.sections, *sections))
