"""A report on generated texts as a document: sentences, examples, tables and figures in order."""

from fairlora_cls.evaluation.document import VERDICTS, report_parts, verdict
from fairlora_cls.evaluation.text_results import TextExample, TextReport
from fairlora_cls.evaluation.text_tables import (
    overall_text_tables,
    question_tables,
    text_attribute_tables,
)
from fairlora_cls.evaluation.text_wording import (
    describe_text_method,
    describe_texts_in_short,
    headline_of,
)
from fairlora_cls.evaluation.wording import describe_gap, judge_attribute
from fairlora_cls.presentation.document import Document, Excerpt, Fact, Part, ReportFigure

LONGEST = 1500  # characters of a text that are shown


def text_document(report: TextReport, figures: list[ReportFigure]) -> Document:
    """The report on generated texts."""
    headline = headline_of(report)
    facts = [
        Fact(f"{report.n:,} generated texts"),
        Fact(f"{report.examples_n:,} images"),
        *([] if report.units is None else [Fact(f"{report.units:,} units drawn whole")]),
        Fact("judged by", (headline.noun,)),
    ]
    if report.questions:
        facts.append(Fact("questions", tuple(report.questions)))
    return Document(
        title="Fairness report: generated texts",
        facts=tuple(facts),
        summary=(" ".join(describe_texts_in_short(report)),),
        verdicts_title=VERDICTS if report.attributes else "",
        verdicts=tuple(
            verdict(
                name, judge_attribute(result, headline.gap), describe_gap(name, result, headline)
            )
            for name, result in report.attributes.items()
        ),
        parts=report_parts(
            report.warnings,
            figures,
            (*_own_sections(report), *report.sections),
            ("All texts", overall_text_tables(report)),
            {name: text_attribute_tables(report, name) for name in report.attributes},
            describe_text_method(report),
        ),
    )


def _own_sections(report: TextReport) -> list[Part]:
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
