"""Parts that join a report."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from fairlora_cls.evaluation.results import Report
from fairlora_cls.presentation.document import Section

AnyReport = TypeVar("AnyReport", bound=Report)


def add_sections(report: AnyReport, sections: Iterable[Section]) -> AnyReport:
    """The report with more parts, shown after its own figures in the order given."""
    return replace(report, sections=(*report.sections, *sections))
