"""Which items of TRIPOD+AI, STARD-AI and CHAI does a report answer, with which number, and where?

Nothing is said here that the report does not hold: what it does not answer is the author's to write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION, UNKNOWN
from fairlora_cls.evaluation.document import VERDICTS, everyone_title, numbers_title
from fairlora_cls.evaluation.overview import WORDS
from fairlora_cls.evaluation.results import FairnessReport, Report, TextReport
from fairlora_cls.evaluation.summary import attribute_verdict, describe_verdict, endpoint_title
from fairlora_cls.evaluation.wording import enumerate_names, nouns_of
from fairlora_cls.presentation.document import METHOD, NOTES, Document, Fact, Part, text_table
from fairlora_cls.presentation.numbers import RATE, SCORE
from fairlora_cls.presentation.rendering import render_markdown

FIRST_LINES = "the first lines"
TO_WRITE = "you must write this"


@dataclass(frozen=True)
class Answer:
    """What a report says to an item."""

    text: str
    place: str  # the heading below which it stands


@dataclass(frozen=True)
class Item:
    """What guidelines ask for. STARD has the numbers of 2015, which STARD-AI extends."""

    numbers: str
    asks: str
    answer: Callable[[Report], Answer | None]
    rest: str = ""  # what the author adds to the answer


def render_checklist(report: Report) -> str:
    """The checklist as Markdown."""
    answers = [item.answer(report) for item in ITEMS]
    rows = [
        (
            item.numbers,
            item.asks,
            answer.text if answer else "",
            answer.place if answer else "",
            item.rest if answer else TO_WRITE,
        )
        for item, answer in zip(ITEMS, answers, strict=True)
    ]
    answered = sum(answer is not None for answer in answers)
    header = ("Item", "Asks for", "This report", "Where in report.html", "You must write")
    return render_markdown(
        Document(
            title="Checklist: TRIPOD+AI, STARD-AI, CHAI",
            facts=(Fact(f"{answered} of {len(rows)} items are answered here, some in part"),),
            summary=(
                "Items that data can answer, in short words of our own; all others are not listed. "
                "Read the guidelines themselves: TRIPOD+AI (Collins et al., BMJ 2024), STARD-AI "
                "(Sounderajah et al., Nature Medicine 2025; numbers are those of STARD 2015), CHAI's "
                "Responsible AI checklist, checkpoint 1.",
            ),
            verdicts=(),
            parts=(Part("", tables=(text_table("Items", header, rows),)),),
        )
    )


def _part(key: str, sentence: int = 0) -> Callable[[Report], Answer | None]:
    """What a part that joined the report says in its sentence at a place, if it has that many."""

    def answer(report: Report) -> Answer | None:
        for section in report.sections:
            if section.key == key and len(section.sentences) > sentence:
                return Answer(section.sentences[sentence], section.title)
        return None

    return answer


def _nothing(report: Report) -> None:
    """Of what no data tell."""


def _participants(report: Report) -> Answer | None:
    if report.n is None:
        return None
    text = f"{report.n:,} {nouns_of(report).counted}"
    positives = _positives(report)
    if positives is not None:
        text += f", {positives:,} of them '{report.positive}' ({RATE.show(positives / report.n)})"
    return Answer(f"{text}.", FIRST_LINES)


def _clusters(report: Report) -> Answer | None:
    if report.units is None:
        return None
    whole = f"{report.units:,} patients, lesions or images are drawn and compared as a whole."
    return Answer(whole, METHOD)


def _classes(report: Report) -> Answer | None:
    """How many examples each class has."""
    if not isinstance(report, FairnessReport) or report.n is None:
        return None
    positives = _positives(report)
    counts = {
        label: own["sensitivity"].count for label, own in report.overall_classes.classes.items()
    }
    if not counts and positives is not None:
        other = next(label for label in report.classes if label != report.positive)
        counts = {report.positive: positives, other: report.n - positives}
    if not counts or None in counts.values():
        return None
    shares = [
        f"'{name}' {RATE.show(count / report.n)} ({count:,})" for name, count in counts.items()
    ]
    return Answer(f"{', '.join(shares)}.", everyone_title(report))


def _positives(report: Report) -> int | None:
    estimate = report.overall.get("sensitivity")
    return estimate.count if isinstance(report, FairnessReport) and estimate else None


def _missing(report: Report) -> Answer | None:
    if not report.attributes:
        return None
    told = []
    for name, result in report.attributes.items():
        lacking = [
            group.n
            for label, group in result.groups.items()
            if {MISSING, UNKNOWN} & set(label.split(INTERSECTION))
        ]
        if lacking:
            told.append(f"{name} {'some' if None in lacking else f'{sum(lacking):,}'}")
    text = "No group is that of missing values."
    if told:
        text = (
            f"In groups of missing or unknown values: {enumerate_names(told, 'more attributes')}."
        )
    return Answer(text, numbers_title(next(iter(report.attributes))))


def _precision(report: Report) -> Answer | None:
    """What the size can show: the widest difference that could hide."""
    hidden = [v for v in report.verdicts if v.verdict == "undecided" and v.hidden_up_to is not None]
    if not hidden:
        return None
    widest = max(hidden, key=lambda verdict: verdict.hidden_up_to)
    return Answer(describe_verdict(report, widest, names_attribute=True), VERDICTS)


def _endpoints(report: Report) -> Answer | None:
    if not report.verdicts:
        return None
    names = [endpoint_title(report, name) for name in report.endpoints.names]
    by = {"default": "by default, not chosen for this use"}
    declared = by.get(report.endpoints.declared, f"in the {report.endpoints.declared}")
    text = f"Judged between groups: {enumerate_names(names, 'more')}; declared {declared}."
    return Answer(text, METHOD)


def _planned(report: Report) -> Answer | None:
    if not report.verdicts:
        return None
    return Answer(
        f"{len(report.verdicts)} verdicts are one family, corrected by Holm's method; all else is "
        "marked exploratory.",
        METHOD,
    )


def _threshold(report: Report) -> Answer | None:
    chosen = _part("operating_point")(report)
    if chosen or not isinstance(report, FairnessReport) or report.decision is None:
        return chosen
    rule, limits = report.decision.rule, report.decision.threshold
    if limits is None or rule == "given":
        return None
    return Answer(f"A threshold of {limits[0]:.3g} on '{report.positive}'.", METHOD)


def _compared(report: Report) -> Answer | None:
    if not report.attributes:
        return None
    told = [f"{name} ({len(own.groups)} groups)" for name, own in report.attributes.items()]
    return Answer(f"Groups are compared by {enumerate_names(told, 'more')}.", VERDICTS)


def _performance(report: Report) -> Answer | None:
    names = [report.headline] if isinstance(report, TextReport) else ["accuracy", "auroc"]
    told = []
    for name in names:
        estimate, measure = report.overall[name], report.measures[name]
        if estimate.value is not None and estimate.interval is not None:
            limits = measure.show_range(estimate.interval)
            told.append(f"{measure.title} {measure.show(estimate.value)} (95% interval {limits})")
    return Answer(f"{'; '.join(told)}.", everyone_title(report)) if told else None


def _subgroups(report: Report) -> Answer | None:
    if not report.verdicts:
        return None
    worst = [f"{name}: {WORDS[attribute_verdict(report, name)]}" for name in report.attributes]
    evidence = [v for v in report.verdicts if v.verdict == "evidence"]
    first = min(evidence, key=lambda v: (v.p_value_family, -v.gap), default=None)
    told = "" if first is None else f" {describe_verdict(report, first, names_attribute=True)}"
    return Answer(f"{'; '.join(worst)}.{told}", VERDICTS)


def _cross_table(report: Report) -> Answer | None:
    if not isinstance(report, FairnessReport) or len(report.classes) != 2:
        return None
    found, cleared = report.overall["sensitivity"], report.overall["specificity"]
    if found.value is None or cleared.value is None or not found.count or not cleared.count:
        return None
    return Answer(
        f"Of {found.count:,} '{report.positive}' {round(found.value * found.count):,} are found; of "
        f"{cleared.count:,} others {round(cleared.value * cleared.count):,} are not called so.",
        FIRST_LINES,
    )


def _calibration(report: Report) -> Answer | None:
    joined = _part("calibration", 1)(report)
    if joined or not isinstance(report, FairnessReport) or report.overall["ece"].value is None:
        return joined
    errors = {name: SCORE.show(report.overall[name].value) for name in ("ece", "brier")}
    text = f"Calibration error {errors['ece']}, Brier score {errors['brier']}, of all and by group."
    return Answer(text, everyone_title(report))


def _beside_baselines(report: Report) -> Answer | None:
    for section in report.sections:
        if section.key == "baselines" and "model" in section.values:
            told = [
                f"{name} {SCORE.show(own['auroc']['value'])}"
                for name, own in section.values["baselines"].items()
            ]
            model = SCORE.show(section.values["model"]["value"])
            return Answer(f"AUROC of {'; '.join(told)}; of the model {model}.", section.title)
    return None


def _limits(report: Report) -> Answer | None:
    if not report.warnings:
        return None
    count = len(report.warnings)
    text = f"{count} warning{'s' if count > 1 else ''}, the first: {report.warnings[0]}"
    return Answer(text, NOTES)


ITEMS = (
    Item(
        "TRIPOD+AI 5b, 6a; STARD 8",
        "when and where the data were collected, in how many centres",
        _part("sites"),
        "dates and places, and how the centres were chosen",
    ),
    Item("TRIPOD+AI 7", "how the data were prepared, and whether alike for all groups", _nothing),
    Item(
        "TRIPOD+AI 10; STARD 18",
        "how the size of the study came about, and what it can show",
        _precision,
        "how the size was planned",
    ),
    Item(
        "TRIPOD+AI 11; STARD 16",
        "what is missing, and how that was handled",
        _missing,
        "why it is missing; images and labels that are missing",
    ),
    Item(
        "TRIPOD+AI 12d (patients)",
        "several examples of one patient: how that was taken into account",
        _clusters,
    ),
    Item(
        "TRIPOD+AI 12d, 23b (centres)",
        "differences between centres",
        _part("sites", 1),
    ),
    Item(
        "TRIPOD+AI 12e; CHAI CR93",
        "which measures are judged, named in advance, and why these",
        _endpoints,
        "why these fit the use",
    ),
    Item(
        "STARD 17 (STARD-AI)",
        "which analyses were planned and which are exploratory",
        _planned,
        "where the plan was registered",
    ),
    Item(
        "TRIPOD+AI 12e (utility)",
        "clinical utility: net benefit, decision curves",
        _part("net_benefit", 1),
        "which thresholds patients and clinicians would choose",
    ),
    Item("TRIPOD+AI 12f, 24", "updating: recalibration, of all and by group", _nothing),
    Item(
        "TRIPOD+AI 13",
        "how rare the classes are, and what was done about it",
        _classes,
        "what training did about it",
    ),
    Item(
        "TRIPOD+AI 14",
        "how fairness was approached, for which groups",
        _compared,
        "why these groups; which inequalities are known",
    ),
    Item(
        "TRIPOD+AI 15; STARD 12a; CHAI CR79",
        "how a prediction becomes a decision: the threshold",
        _threshold,
        "what is done with the patients on either side",
    ),
    Item(
        "TRIPOD+AI 16, 20c; STARD-AI (external set)",
        "how the data of development and of evaluation differ",
        _part("baseline_table", 1),
        "differences in setting, eligibility and outcome",
    ),
    Item(
        "TRIPOD+AI 20a; STARD 19",
        "flow of participants, and how many have the outcome",
        _participants,
        "who was left out before, and why",
    ),
    Item(
        "TRIPOD+AI 20b, 21; STARD 20",
        "characteristics and events of every group and part of the data",
        _part("baseline_table"),
        "what else describes these patients",
    ),
    Item("STARD 21a (STARD-AI)", "how severe the disease is in those who have it", _nothing),
    Item("TRIPOD+AI 23a; STARD 24; CHAI CR83", "performance with its intervals", _performance),
    Item(
        "TRIPOD+AI 23a; CHAI CR92, CR95",
        "performance in every group, and differences between groups",
        _subgroups,
    ),
    Item("STARD 23; CHAI CR85", "labels beside answers: who is found, who is not", _cross_table),
    Item("CHAI CR88", "calibration, of all and by group", _calibration),
    Item(
        "CHAI CR90",
        "would the answer change if only the group were another: counterfactuals",
        _part("counterfactual"),
        "what the matching cannot see",
    ),
    Item(
        "TRIPOD+AI 26",
        "limitations: what the answer may rest on beside the disease",
        _beside_baselines,
    ),
    Item("TRIPOD+AI 26; STARD 26", "limitations", _limits, "what the data cannot tell"),
)
