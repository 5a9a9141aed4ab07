"""A comparison of two cohorts in words and on disk: comparison.json, comparison.md, comparison.html."""

from __future__ import annotations

from pathlib import Path

from fairlora_cls.evaluation.cohorts import (
    ANOTHER_GROUP,
    CARRIES_OVER,
    IN_NEITHER,
    ONLY_FIRST,
    ONLY_SECOND,
    REVERSED,
    UNKNOWN,
    WORDS,
    Change,
    Cohorts,
    GapInBoth,
)
from fairlora_cls.evaluation.overview import WORDS as VERDICT_WORDS
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.summary import capitalised, metric_title, quantity_of
from fairlora_cls.evaluation.wording import enumerate_names, nouns_of
from fairlora_cls.presentation.document import (
    Cell,
    Document,
    Fact,
    Part,
    Table,
    Verdict,
    explain_method,
    list_notes,
)
from fairlora_cls.presentation.numbers import RATE, Quantity, show_count, show_p
from fairlora_cls.presentation.writing import write_document

MARKS = {  # how a page marks what becomes of a gap
    CARRIES_OVER: "evidence",
    REVERSED: "evidence",
    ANOTHER_GROUP: "evidence",
    ONLY_FIRST: "undecided",
    ONLY_SECOND: "undecided",
    IN_NEITHER: "chance",
    UNKNOWN: "unknown",
}


def write_cohorts(cohorts: Cohorts, folder: str | Path) -> None:
    """Writes comparison.json, .md and .html into `folder`, as `write_document`."""
    write_document(cohorts_document(cohorts), cohorts.to_dict(), folder, "comparison")


def cohorts_document(cohorts: Cohorts) -> Document:
    """The whole page."""
    report = cohorts.reports[0]
    facts = [
        Fact("cohorts", cohorts.names),
        Fact(f"{_sizes(cohorts)} {nouns_of(report).counted}, none in common"),
    ]
    if isinstance(report, FairnessReport):
        facts.append(Fact("positive class", (report.positive,)))
    return Document(
        title="Two cohorts compared",
        facts=tuple(facts),
        summary=tuple(describe_cohorts(cohorts)),
        verdicts_title="Which gaps carry over" if cohorts.gaps else "",
        verdicts=tuple(_verdict(cohorts, name) for name in report.attributes),
        parts=(
            *([list_notes(cohorts.notes)] if cohorts.notes else []),
            Part("Who is in them", tables=(_mix_table(cohorts),)),
            Part("All numbers", tables=tuple(_tables(cohorts)), is_folded=True),
            explain_method(_METHOD),
        ),
    )


def describe_cohorts(cohorts: Cohorts) -> list[str]:
    """How the whole changes, then what becomes of each gap, the surest first."""
    first, second = cohorts.names
    whole = [
        f"{metric_title(cohorts.reports[0], name)} {_tell_change(quantity_of(cohorts.reports[0], name), change)}"
        for name, change in cohorts.overall.items()
        if change.change.value is not None
    ]
    told = [f"From {first} to {second} ({_sizes(cohorts)}): {'; '.join(whole)}."] if whole else []
    for word in WORDS:
        gaps = [gap for gap in cohorts.gaps if gap.word == word]
        if gaps:
            parts = [_name_gap(cohorts, gap) for gap in gaps]
            told.append(
                f"{capitalised(_shown(cohorts, word))}: {enumerate_names(parts, 'more', 12)}."
            )
    for name, groups in cohorts.only_in.items():
        told += [
            f"By {name}, {enumerate_names(own)} {'is' if len(own) == 1 else 'are'} in {cohort} only."
            for cohort, own in zip(cohorts.names, groups, strict=True)
            if own
        ]
    return told


_METHOD = (
    "The tables share no example, so that nothing is paired: they are two independent samples. Each "
    "cohort's verdicts are those of its own report, corrected for its own endpoints and attributes. "
    "Whether both are predictions of the same model is for you to say.",
    "Carries over: evidence in both, and the same group is served worst. Reversed: evidence in both, "
    "and of the two groups the other one is worse. Another group: evidence in both, and a third one is "
    "worst. Only in one: evidence there and none in the other, which is not evidence that the cohorts "
    "differ: the change of the gap says that. Cannot be said: a group is missing or too small, or "
    "nothing was tested.",
    "A gap is followed between the two groups that lie furthest apart in the first cohort (in the "
    "second, where only that one has evidence), with its sign. Intervals of differences are made of "
    "both sides' own 95% intervals (Newcombe 1998, method 10; Zou and Donner 2008). Changes of groups, "
    "sizes and labels are exploratory: not corrected for their number.",
)


def _verdict(cohorts: Cohorts, attribute: str) -> Verdict:
    own = [gap for gap in cohorts.gaps if gap.attribute == attribute]
    word = next(word for word in WORDS if any(gap.word == word for gap in own))
    points = tuple(_describe_gap(cohorts, gap) for gap in own)
    return Verdict(attribute, MARKS[word], _shown(cohorts, word), points=points)


def _describe_gap(cohorts: Cohorts, gap: GapInBoth) -> str:
    quantity, title = (
        quantity_of(cohorts.reports[0], gap.endpoint),
        metric_title(cohorts.reports[0], gap.endpoint),
    )
    why = f" ({gap.why})" if gap.why else ""
    sides = []
    for cohort, verdict in zip(cohorts.names, gap.verdicts, strict=True):
        text = f"{cohort}: {VERDICT_WORDS[verdict.verdict]}"
        if verdict.p_value_family is not None:
            text += f", {show_p(verdict.p_value_family)}"
        sides.append(text)
    text = f"{title}: {_shown(cohorts, gap.word)}{why}. {'; '.join(sides)}."
    if gap.gap is None or gap.gap.change.value is None:
        return text
    changed = _tell_change(quantity, gap.gap, signed=True)
    return f"{text} {gap.worse} is worse than {gap.better} by {changed}."


def _tell_change(quantity: Quantity, change: Change, signed: bool = False) -> str:
    """'81.0% (of 900), then 75.0% (of 400): −6.0 points (−10.9 to −1.2)'."""
    show = quantity.show_signed if signed else quantity.show
    sides = [
        f"{show(known.value)} (of {show_count(count)})"
        for known, count in zip((change.first, change.second), change.counts, strict=True)
    ]
    text = f"{sides[0]}, then {sides[1]}: {quantity.show_signed(change.change.value)}"
    limits = quantity.show_signed_range(change.change.interval)
    return f"{text} ({limits})" if limits else text


def _name_gap(cohorts: Cohorts, gap: GapInBoth) -> str:
    text = f"{metric_title(cohorts.reports[0], gap.endpoint)} by {gap.attribute}"
    first, second = (verdict.worse for verdict in gap.verdicts)
    whom = {
        CARRIES_OVER: f" ({first} served worst in both)",
        REVERSED: f" ({first}, then {second} served worst)",
        ANOTHER_GROUP: f" ({first}, then {second} served worst)",
        ONLY_FIRST: f" ({first} served worst)",
        ONLY_SECOND: f" ({second} served worst)",
    }
    return text + whom.get(gap.word, "")


def _mix_table(cohorts: Cohorts) -> Table:
    """Sizes, labels and groups of both: what makes them other people."""
    rows = [
        (Cell("Everyone"), *(Cell(show_count(report.n)) for report in cohorts.reports), Cell(""))
    ]
    rows += [_change_row(f"Label {name}", RATE, each) for name, each in cohorts.labels.items()]
    for attribute, groups in cohorts.shares.items():
        for group, share in groups.items():
            rows.append(_change_row(f"{attribute}: {group}", RATE, share))
            cases = cohorts.cases[attribute][group]
            if cases.first.value is not None or cases.second.value is not None:
                positive = cohorts.reports[0].positive
                rows.append(_change_row(f"{attribute}: {group}, label {positive}", RATE, cases))
    caption = "Sizes, and shares of labels and groups, with 95% intervals (exploratory)"
    return Table(caption, ("", *cohorts.names, "Change"), tuple(rows))


def _tables(cohorts: Cohorts) -> list[Table]:
    header = (*cohorts.names, "Change")
    tables = [
        Table(
            "All together",
            ("Endpoint", *header),
            tuple(
                _change_row(
                    metric_title(cohorts.reports[0], name),
                    quantity_of(cohorts.reports[0], name),
                    change,
                )
                for name, change in cohorts.overall.items()
            ),
        )
    ]
    for attribute, groups in cohorts.groups.items():
        own = [gap for gap in cohorts.gaps if gap.attribute == attribute and gap.gap is not None]
        rows = tuple(
            _change_row(
                f"{metric_title(cohorts.reports[0], gap.endpoint)}: {gap.worse} worse than {gap.better}",
                quantity_of(cohorts.reports[0], gap.endpoint),
                gap.gap,
                signed=True,
            )
            for gap in own
        )
        tables.append(Table(f"Gaps of {attribute}", ("Gap", *header), rows))
        rows = tuple(
            _change_row(
                f"{group}: {metric_title(cohorts.reports[0], name)}",
                quantity_of(cohorts.reports[0], name),
                change,
            )
            for group, endpoints in groups.items()
            for name, change in endpoints.items()
        )
        caption = f"Groups of {attribute} (exploratory)"
        tables.append(Table(caption, ("Group and endpoint", *header), rows))
    return [table for table in tables if table.rows]


def _change_row(
    name: str, quantity: Quantity, change: Change, signed: bool = False
) -> tuple[Cell, ...]:
    show, ranged = (
        (quantity.show_signed, quantity.show_signed_range)
        if signed
        else (quantity.show, quantity.show_range)
    )
    cells = []
    for known, count in zip((change.first, change.second), change.counts, strict=True):
        details = [ranged(known.interval), "" if count is None else f"of {count:,}"]
        cells.append(Cell(show(known.value), ", ".join(filter(None, details))))
    difference = change.change
    shown = quantity.show_signed(difference.value)
    return (Cell(name), *cells, Cell(shown, quantity.show_signed_range(difference.interval)))


def _shown(cohorts: Cohorts, word: str) -> str:
    """A word with the cohort's name."""
    named = {ONLY_FIRST: cohorts.names[0], ONLY_SECOND: cohorts.names[1]}
    return f"only in {named[word]}" if word in named else word


def _sizes(cohorts: Cohorts) -> str:
    return " and ".join(show_count(report.n) for report in cohorts.reports)
