"""Whether the answers depend on how patients are described: on a page, and in wording.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlora_cls.data.rewording import TAKEN_OUT
from fairlora_cls.evaluation.rewording import Effect, Mean, Moved
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import (
    Cell,
    Document,
    Fact,
    Part,
    Table,
    explain_method,
    list_notes,
    text_table,
)
from fairlora_cls.presentation.numbers import (
    POINTS,
    RATE,
    SCORE,
    UNDEFINED,
    Quantity,
    show_count,
    show_p_value,
)
from fairlora_cls.presentation.writing import write_document

SCHEMA = 1
STEM = "wording"
UNSTABLE = 0.1  # share of answers that neutral words flip, from which it is worth a note


@dataclass(frozen=True)
class Rewording:
    """All that the page says."""

    run: str
    task: str  # classify | generate
    split: str
    images: int
    answers: int
    quantity: str  # whose shift is measured
    decided: str  # when a decision flips, in a sentence; "" of texts
    effects: tuple[Effect, ...]
    neutral: Mapping[str, tuple[str, ...]]  # attribute → the neutral clauses
    in_words: bool  # whether the prompt has fields, whose words were changed
    redacted: tuple[str, ...]  # attributes that data.redact takes out
    passes: int  # questions that differ, each asked once
    notes: tuple[str, ...]
    bootstrap: int
    seed: int

    @property
    def of_texts(self) -> bool:
        return self.task == "generate"

    @property
    def shifts(self) -> Quantity:
        return SCORE if self.of_texts else POINTS

    @property
    def flipped(self) -> str:
        """What flips."""
        return "texts" if self.of_texts else "decisions"

    def of(self, attribute: str) -> list[Effect]:
        return [effect for effect in self.effects if effect.attribute == attribute]


def write_rewording(done: Rewording, folder: str | Path) -> None:
    """Writes wording.json, .md and .html into `folder`, as `write_document`."""
    write_document(rewording_document(done), to_dict(done), folder, STEM)


def to_dict(done: Rewording) -> dict[str, Any]:
    """The contents of wording.json: schema 1, null where a value is undefined."""
    return {
        "schema": SCHEMA,
        "run": done.run,
        "task": done.task,
        "split": done.split,
        "images": done.images,
        "answers": done.answers,
        "quantity": done.quantity,
        "decided": done.decided or None,
        "redacted": list(done.redacted),
        "forward_passes": done.passes,
        "bootstrap": done.bootstrap,
        "seed": done.seed,
        "notes": describe_notes(done),
        "attributes": {
            attribute: {
                "depends": _depends(done.of(attribute)),
                "verdict": describe_attribute(done, attribute),
                "neutral": list(neutral),
                "wordings": {effect.name: _effect_values(effect) for effect in done.of(attribute)},
            }
            for attribute, neutral in done.neutral.items()
        },
    }


def describe_attribute(done: Rewording, attribute: str) -> str:
    """What the words of one attribute do, in plain words."""
    effects = done.of(attribute)
    moved = [effect for effect in effects if effect.moved]
    if not moved:
        why = " (data.redact takes them out before the model reads them)"
        redacted = set(attribute.split("×")) & set(done.redacted)
        return f"Words of {attribute} change nothing that the model reads{why if redacted else ''}."
    if done.bootstrap == 0:
        return f"Words of {attribute} are not judged without resamples."
    evidence = [effect for effect in moved if effect.is_evidence]
    if not evidence:
        hidden = max(effect.hidden for effect in moved)
        of_what = "a change of" if done.of_texts else "a shift of"
        amount = f"{RATE.show(hidden)} of the texts" if done.of_texts else POINTS.show(hidden)
        return (
            f"The answers are not shown to depend on {attribute}; {of_what} {amount} could go unseen "
            f"among {show_count(max(e.moved.count for e in moved))} {_answers(done)}."
        )
    largest = max(evidence, key=lambda effect: abs(effect.beyond))
    others = [effect.name for effect in evidence if effect is not largest]
    more = f" So do, to other degrees: {enumerate_names(others)}." if others else ""
    return f"{describe_effect(done, largest)}{more}"


def describe_effect(done: Rewording, effect: Effect) -> str:
    """One wording: its shift, that of neutral ones, and what flips."""
    moved = effect.moved
    instead = "instead of what is said of the patient" if done.in_words else "before the question"
    what = (
        f"Taking out the words of {effect.attribute}"
        if effect.name == TAKEN_OUT
        else f"Writing '{_phrase(effect)}' ({effect.attribute}) {instead}"
    )
    flips = (
        f"{show_count(moved.flipped)} of {show_count(moved.count)} {done.flipped} "
        f"({RATE.show(moved.flips.value)}; {RATE.show_range(moved.flips.limits)})"
    )
    by_neutral = f"neutral rewordings {RATE.show(effect.neutral_flips)}"
    if done.of_texts:
        return f"{what} changes {flips}; {by_neutral}."
    shift = moved.shift
    return (
        f"{what} moves {done.quantity} by {POINTS.show_signed(shift.value)}"
        f"{_in_brackets(POINTS.show_signed_range(shift.limits))}; neutral rewordings move it by "
        f"{POINTS.show(effect.neutral_shift)}. It flips {flips}; {by_neutral}."
    )


def printed_table(done: Rewording) -> Table:
    """Every wording in a line, for a terminal."""
    header, rows = _rows(done, done.effects)
    caption = "What other words do"
    return text_table(
        caption,
        ("attribute: wording", *header[1:]),
        [
            (f"{effect.attribute}: {row[0].text}", *(cell.text for cell in row[1:]))
            for effect, row in zip(done.effects, rows, strict=True)
        ],
    )


def describe_notes(done: Rewording) -> list[str]:
    """What a reader must know first."""
    notes = list(done.notes)
    if done.redacted:
        notes.append(
            f"data.redact takes the words of {enumerate_names(done.redacted)} out of what the model "
            "reads, also in the wordings tried here."
        )
    unstable = max((effect.neutral_flips for effect in done.effects), default=0.0)
    if unstable >= UNSTABLE:
        notes.append(
            f"Neutral words alone flip up to {RATE.show(unstable)} of the {done.flipped}: this model "
            "answers to any change of its words, which can hide what words of an attribute do."
        )
    return notes


def rewording_document(done: Rewording) -> Document:
    notes = describe_notes(done)
    parts = [list_notes(tuple(notes))] if notes else []
    for attribute in done.neutral:
        header, rows = _rows(done, done.of(attribute))
        parts.append(Part(attribute, tables=(Table(f"Words of {attribute}", header, tuple(rows)),)))
        if by_group := _group_table(done, attribute):
            parts.append(
                Part(
                    f"{attribute}: whose answers move (exploratory)",
                    (
                        "Each cell: the mean over the patients of one group; nothing here is tested.",
                    ),
                    tables=(by_group,),
                    is_folded=True,
                )
            )
    return Document(
        title=f"Does the answer depend on how the patient is described? {done.run}",
        facts=(
            Fact(f"{done.task}, {done.split} split"),
            Fact(f"{show_count(done.images)} images"),
            Fact(f"{show_count(done.passes)} questions asked, each once"),
            Fact("words of", tuple(done.neutral)),
        ),
        summary=tuple(describe_attribute(done, attribute) for attribute in done.neutral),
        verdicts=(),
        parts=(*parts, explain_method(_method(done))),
    )


def _rows(
    done: Rewording, effects: Sequence[Effect]
) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    shift = f"Change of {done.quantity}" if done.of_texts else "Shift"
    header = (
        "Wording",
        "Changed",
        shift,
        "Neutral",
        f"{done.flipped.capitalize()} that flip",
        "Neutral",
        "Corrected p",
    )
    rows = []
    for effect in effects:
        name = Cell(effect.name, f"'{_phrase(effect)}'" if effect.phrase else "")
        if effect.moved is None:
            rows.append((name, Cell("0"), *[Cell(UNDEFINED)] * 5))
            continue
        moved = effect.moved
        rows.append(
            (
                name,
                Cell(show_count(moved.count)),
                _shift_cell(done, moved),
                Cell(done.shifts.show_gap(effect.neutral_shift)),
                _flips_cell(moved),
                Cell(RATE.show(effect.neutral_flips)),
                Cell(show_p_value(effect.p_holm)),
            )
        )
    return header, rows


def _group_table(done: Rewording, attribute: str) -> Table | None:
    effects = [effect for effect in done.of(attribute) if effect.moved]
    names = sorted({name for effect in effects for name in effect.groups})
    if not names:
        return None
    rows = []
    for name in names:
        cells = [effect.groups.get(name) for effect in effects]
        rows.append((Cell(name), *(_group_cell(done, moved) for moved in cells)))
    return Table(
        f"Patients who are recorded as, and what each wording does to their answers: {attribute}",
        ("Patients", *(effect.name for effect in effects)),
        tuple(rows),
    )


def _group_cell(done: Rewording, moved: Moved | None) -> Cell:
    if moved is None:
        return Cell(UNDEFINED)
    cell = _flips_cell(moved) if done.of_texts else _shift_cell(done, moved)
    flips = f"{show_count(moved.flipped)} of {show_count(moved.count)} {done.flipped} flip"
    return Cell(cell.text, "; ".join(filter(None, (cell.detail, flips))))


def _shift_cell(done: Rewording, moved: Moved) -> Cell:
    if moved.shift is None:
        return Cell(UNDEFINED)
    shown = done.shifts
    return Cell(shown.show_signed(moved.shift.value), shown.show_signed_range(moved.shift.limits))


def _flips_cell(moved: Moved) -> Cell:
    shares = RATE.show_range(moved.flips.limits, UNDEFINED)
    return Cell(show_count(moved.flipped), f"{RATE.show(moved.flips.value)}; {shares}")


def _method(done: Rewording) -> tuple[str, ...]:
    clauses = dict.fromkeys(text for own in done.neutral.values() for text in own)
    counted = (
        "The share of texts that change is tested: any change of a text counts."
        if done.of_texts
        else f"The mean shift of {done.quantity} is tested. {done.decided}"
    )
    return (
        "Image and question stay as they are. Where the patient's words mention an attribute, every "
        "mention becomes the group's own phrase (of an age, its number), or a blank; where they do not, "
        "a clause such as 'The patient is a woman.' is put at their beginning. Without words of a "
        "patient in the prompt the clause stands before the question. Patients whose words stay the "
        "same are left out of a line.",
        f"The yardstick: {len(next(iter(done.neutral.values()), ()))} neutral wordings per attribute, "
        "which put a word (today, here …) where a mention is, and elsewhere a clause of about the same "
        f"length: {' '.join(clauses)}",
        f"{counted} A change counts as shown where both chances are excluded: that of the patients, by "
        "random signs of their differences, and that of the phrase, by its mean as one more among those "
        "of the neutral ones (t-test); the larger p-value counts, corrected by Holm over all wordings of "
        "all attributes. Intervals (95 %) are of resampled patients.",
        f"{show_count(done.passes)} questions that differ were asked, each once; seed {done.seed}, "
        f"{show_count(done.bootstrap)} resamples.",
    )


def _effect_values(effect: Effect) -> dict[str, Any]:
    return {
        "phrase": effect.phrase or None,
        **_moved_values(effect.moved),
        "neutral_shift": effect.neutral_shift if effect.moved else None,
        "neutral_flips": effect.neutral_flips if effect.moved else None,
        "beyond_neutral": effect.beyond if effect.moved else None,
        "hidden": effect.hidden if effect.moved else None,
        "p": effect.p,
        "p_holm": effect.p_holm,
        "groups": {name: _moved_values(moved) for name, moved in effect.groups.items()},
    }


def _moved_values(moved: Moved | None) -> dict[str, Any]:
    if moved is None:
        return {"changed": 0, "shift": None, "flipped": 0, "flips": None}
    return {
        "changed": moved.count,
        "shift": _mean_values(moved.shift),
        "flipped": moved.flipped,
        "flips": _mean_values(moved.flips),
    }


def _mean_values(mean: Mean | None) -> dict[str, Any] | None:
    if mean is None:
        return None
    return {"value": mean.value, "interval": list(mean.limits) if mean.limits else None}


def _depends(effects: Sequence[Effect]) -> bool:
    return any(effect.is_evidence for effect in effects)


def _phrase(effect: Effect) -> str:
    """A phrase as a reader knows it: an age with its unit."""
    return f"{effect.phrase} years old" if effect.phrase.isdigit() else effect.phrase


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _answers(done: Rewording) -> str:
    return "texts" if done.of_texts else "images"
