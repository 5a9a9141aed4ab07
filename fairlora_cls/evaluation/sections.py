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


def withheld(key: str, title: str) -> Section:
    """In the place of a part from which a suppressed report's small counts could be read."""
    reason = "Left out, because small counts could be read from it (--suppress-below)."
    return Section(title, (reason,), is_folded=True, key=key)
