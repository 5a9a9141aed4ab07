"""A report on predictions of classes as a document: sentences, figures and tables in order."""

from collections.abc import Mapping, Sequence

from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.summary import describe_in_short
from fairlora_cls.evaluation.tables import attribute_tables, overall_tables
from fairlora_cls.evaluation.wording import describe_gap, describe_method, judge_attribute
from fairlora_cls.presentation.document import (
    Document,
    Fact,
    Part,
    ReportFigure,
    Section,
    Table,
    Verdict,
    explain_method,
    list_notes,
)

BADGES = {
    "untested": "not tested",
    "chance": "within chance",
    "lead": "a lead, not evidence",
    "evidence": "evidence",
}
VERDICTS = "Attribute by attribute"


def classification_document(report: FairnessReport, figures: Sequence[ReportFigure]) -> Document:
    """The report on predictions of classes."""
    return Document(
        title="Fairness report",
        facts=_facts(report),
        summary=(" ".join(describe_in_short(report)),),
        verdicts_title=VERDICTS if report.attributes else "",
        verdicts=tuple(
            verdict(name, judge_attribute(result), describe_gap(name, result))
            for name, result in report.attributes.items()
        ),
        parts=report_parts(
            report.warnings,
            figures,
            report.sections,
            ("All examples", overall_tables(report)),
            {name: attribute_tables(report, name) for name in report.attributes},
            describe_method(report),
        ),
    )


def verdict(title: str, kind: str, text: str) -> Verdict:
    """A verdict with the words of its badge."""
    return Verdict(title, kind, BADGES[kind], text)


def report_parts(
    warnings: Sequence[str],
    figures: Sequence[ReportFigure],
    sections: Sequence[Section],
    overall: tuple[str, Sequence[Table]],
    attributes: Mapping[str, Sequence[Table]],
    method: Sequence[str],
) -> tuple[Part, ...]:
    """What stands below the verdicts of every report: warnings, figures by attribute, the parts
    that joined, all numbers, how they are made."""
    drawn = {
        name: tuple(figure for figure in figures if figure.attribute == name) for name in attributes
    }
    title, tables = overall
    return (
        *([list_notes(tuple(warnings))] if warnings else []),
        *(Part(name, figures=group) for name, group in drawn.items() if group),
        *sections,
        Part(f"{title}: all numbers", tables=tuple(tables)),
        *(
            Part(f"{name}: all numbers", tables=tuple(tables))
            for name, tables in attributes.items()
        ),
        explain_method(tuple(method)),
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
