"""Parts that join a report."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from fairlora_cls.presentation.document import Section

Report = TypeVar("Report")  # of classes or of texts


def add_sections(report: Report, sections: Iterable[Section]) -> Report:
    """The report with more parts, shown after its own figures in the order given."""
    return replace(report, sections=(*report.sections, *sections))
