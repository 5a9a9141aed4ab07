"""A part that joins a fairness report: sentences, tables, and the same as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.tables import Table


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


def add_sections(report: FairnessReport, sections: Iterable[Section]) -> FairnessReport:
    """The report with more parts, shown after its own figures in the order given."""
    return replace(report, sections=(*report.sections, *sections))
