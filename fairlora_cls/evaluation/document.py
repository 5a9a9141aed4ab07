"""What report.md and report.html both say, in reading order, whatever kind of report it is."""

from dataclasses import dataclass

from fairlora_cls.evaluation.plotting import ReportFigure
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.sections import Section
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.evaluation.tables import Table, attribute_tables, overall_tables
from fairlora_cls.evaluation.wording import describe_gap, describe_method, judge_attribute


@dataclass(frozen=True)
class Fact:
    """A few words below the title, and the names that follow them."""

    words: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What one attribute's gap says."""

    attribute: str
    kind: str  # untested | chance | lead | evidence
    text: str


@dataclass(frozen=True)
class Document:
    """A report in words, tables and figures; figures and tables by attribute."""

    title: str
    facts: tuple[Fact, ...]
    summary: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...]
    figures: tuple[ReportFigure, ...]
    sections: tuple[Section, ...]
    overall_title: str
    overall: tuple[Table, ...]
    attributes: dict[str, tuple[Table, ...]]
    method: tuple[str, ...]


def classification_document(report: FairnessReport, figures: list[ReportFigure]) -> Document:
    """The report on predictions of classes."""
    return Document(
        title="Fairness report",
        facts=_facts(report),
        summary=tuple(describe_in_short(report)),
        verdicts=tuple(
            Verdict(name, judge_attribute(result), describe_gap(name, result))
            for name, result in report.attributes.items()
        ),
        warnings=report.warnings,
        figures=tuple(figures),
        sections=report.sections,
        overall_title="All examples",
        overall=tuple(overall_tables(report)),
        attributes={name: tuple(attribute_tables(report, name)) for name in report.attributes},
        method=tuple(describe_method(report)),
    )


def _facts(report: FairnessReport) -> tuple[Fact, ...]:
    facts = [] if report.n is None else [Fact(f"{report.n:,} test examples")]
    if report.units is not None:
        facts.append(Fact(f"{report.units:,} patients or lesions"))
    facts += [Fact("classes", report.classes), Fact("positive class", (report.positive,))]
    rule = _rule(report)
    return (*facts, Fact(rule)) if rule else tuple(facts)


def _rule(report: FairnessReport) -> str:
    decision = report.decision
    if decision is None or decision.rule == "given":
        return ""
    if decision.threshold is None:
        return "most probable class" if decision.rule == "argmax" else "one threshold"
    low, high = (f"{limit:.3g}" for limit in decision.threshold)
    return f"threshold {low if low == high else f'{low} to {high}'}"
