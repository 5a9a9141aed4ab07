"""A report as a document: sentences, figures and tables in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from fairlora_cls.evaluation.method import describe_method
from fairlora_cls.evaluation.overview import WORDS, report_overview
from fairlora_cls.evaluation.results import FairnessReport, Report, TextExample, TextReport
from fairlora_cls.evaluation.summary import attribute_verdict, describe_in_short, describe_verdict
from fairlora_cls.evaluation.tables import attribute_tables, overall_tables, question_tables
from fairlora_cls.evaluation.wording import nouns_of
from fairlora_cls.presentation.document import (
    Document,
    Excerpt,
    Fact,
    Part,
    ReportFigure,
    Verdict,
    explain_method,
    list_notes,
)
from fairlora_cls.presentation.writing import CHECKLIST

VERDICTS = "Attribute by attribute"
EXPLORATORY = "exploratory"  # all that was not declared in advance
LONGEST = 1500  # characters of a text that are shown


def report_document(report: Report, figures: Sequence[ReportFigure]) -> Document:
    """The report on predictions of classes, or on generated texts."""
    of_texts = isinstance(report, TextReport)
    drawn = {
        name: tuple(figure for figure in figures if figure.attribute == name)
        for name in report.attributes
    }
    return Document(
        title="Fairness report: generated texts" if of_texts else "Fairness report",
        facts=_facts_of_texts(report) if of_texts else _facts_of_classes(report),
        summary=tuple(describe_in_short(report)),
        overview=report_overview(report),
        verdicts_title=VERDICTS if report.attributes else "",
        verdicts=tuple(_verdict(report, name) for name in report.attributes),
        parts=(
            *([list_notes(tuple(report.warnings))] if report.warnings else []),
            *(_sections_of_texts(report) if of_texts else []),
            *report.sections,
            *(
                Part(f"{name}: pictures ({EXPLORATORY})", figures=group, is_folded=True)
                for name, group in drawn.items()
                if group
            ),
            Part(
                everyone_title(report),
                tables=tuple(overall_tables(report)),
                is_folded=True,
            ),
            *(
                Part(
                    numbers_title(name),
                    tables=tuple(attribute_tables(report, name)),
                    is_folded=True,
                )
                for name in report.attributes
            ),
            explain_method(tuple(describe_method(report))),
        ),
        links=((CHECKLIST, "Checklist: what TRIPOD+AI, STARD-AI and CHAI ask"),),
    )


def everyone_title(report: Report) -> str:
    """Above all numbers of everyone."""
    return f"All {nouns_of(report).counted}: all numbers"


def numbers_title(attribute: str) -> str:
    """Above all numbers of an attribute."""
    return f"{attribute}: all numbers ({EXPLORATORY})"


def _verdict(report: Report, attribute: str) -> Verdict:
    """The worst verdict of an attribute, and a sentence on each endpoint."""
    kind = attribute_verdict(report, attribute)
    own = [v for v in report.verdicts if v.attribute == attribute]
    return Verdict(
        attribute, kind, WORDS[kind], points=tuple(describe_verdict(report, v) for v in own)
    )


def _facts_of_classes(report: FairnessReport) -> tuple[Fact, ...]:
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


def _facts_of_texts(report: TextReport) -> tuple[Fact, ...]:
    facts = [] if report.n is None else [Fact(f"{report.n:,} generated texts")]
    facts += [] if report.examples_n is None else [Fact(f"{report.examples_n:,} images")]
    facts += [] if report.units is None else [Fact(f"{report.units:,} units drawn whole")]
    facts.append(Fact("judged by", (report.metrics[report.headline].title,)))
    if report.questions:
        facts.append(Fact("questions", tuple(report.questions)))
    return tuple(facts)


def _sections_of_texts(report: TextReport) -> list[Part]:
    """Shown like the sections that join a report; their values stand in report.json already."""
    sections = []
    if report.examples:
        metric = report.metrics[report.examples[0].ranked_by].title
        sections.append(
            Part(
                title="Texts to judge for yourself",
                sentences=(
                    f"From the best, the middle and the worst by {metric}; where that is equal, by "
                    "word overlap. Scores reward likeness to the reference: read whether the texts "
                    "are right.",
                ),
                excerpts=tuple(_excerpt(report, example) for example in report.examples),
            )
        )
    if report.constant.answers:
        sections.append(
            Part(
                title="The constant answer",
                sentences=(
                    "What a model would score that says this of every image stands beside the "
                    "model's own scores below.",
                ),
                excerpts=tuple(
                    Excerpt(
                        question if report.questions else "Of every image",
                        (("Constant answer", _shortened(answer)),),
                    )
                    for question, answer in report.constant.answers.items()
                ),
            )
        )
    if report.questions:
        sections.append(
            Part(
                title="Question by question",
                sentences=("Corrected p counts the gaps of all questions shown here.",),
                tables=tuple(question_tables(report)),
            )
        )
    return sections


def _excerpt(report: TextReport, example: TextExample) -> Excerpt:
    metric = report.metrics[example.ranked_by]
    score = f"{metric.title} {metric.show(example.score)}"
    if metric.kind == "rate":
        score = f"{metric.title}, {'right' if example.score else 'wrong'}"
    return Excerpt(
        f"{example.place.capitalize()}: {score} · {example.id}",
        (
            ("Reference", _shortened(example.reference)),
            ("Generated", _shortened(example.text) or "(empty)"),
        ),
    )


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"
