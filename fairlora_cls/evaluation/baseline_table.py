"""Who is in which part of the data? Table 1 of a paper: split × group × label, with what is missing.

N examples of a split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.answers import MISSING, group_names
from fairlora_cls.data.examples import SPLIT_NAMES, UNLABELLED, Splits
from fairlora_cls.data.groups import INTERSECTION, UNKNOWN, single_attributes
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import Predictions, read_predictions
from fairlora_cls.evaluation.results import FairnessReport, Report
from fairlora_cls.evaluation.sections import AnyReport, add_sections
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import enumerate_names, nouns_of
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import RATE, UNDEFINED
from fairlora_cls.texts.generations import Generations, image_ids, read_generations

KEY, TITLE = "baseline_table", "Who is in the data: splits, groups and labels"
THIS = "this table"  # the name of a table that is not called after a split
MOST_CLASSES = 8  # whose shares are shown; report.json has all


@dataclass(frozen=True)
class People:
    """The examples, or images, of one split."""

    labels: Sequence[str | None]  # (N,) class names; None where not known
    units: Sequence[str]  # (N,) patients or lesions
    attributes: Mapping[str, Sequence[Any]]  # (N,) each


@dataclass(frozen=True)
class Count:
    """How many examples, of how many units, of which classes."""

    n: int
    units: int
    classes: dict[str, int]


def people_of(table: Predictions | Generations) -> People:
    """Of a table of predictions, or of texts, whose images are counted once."""
    if isinstance(table, Predictions):
        names = np.array([*table.classes, None], dtype=object)  # code -1 is the last
        return People(names[table.labels].tolist(), table.units or table.ids, table.attributes)
    images = image_ids(table)
    first = sorted(dict(zip(reversed(images), reversed(range(len(images))), strict=True)).values())
    return People(
        [table.labels[row] for row in first],
        [table.units[row] for row in first],
        {name: [own[row] for row in first] for name, own in table.attributes.items()},
    )


def people_of_splits(splits: Splits, attributes: Iterable[str]) -> dict[str, People]:
    """Split → its examples, of a run's data; empty splits are left out."""
    names = single_attributes(attributes)
    labelled = splits.classes != (UNLABELLED,)
    return {
        split: People(
            [splits.classes[e.label] if labelled else None for e in examples],
            [e.unit for e in examples],
            {name: [e.attributes.get(name) for e in examples] for name in names},
        )
        for split in SPLIT_NAMES
        if (examples := splits.split(split))
    }


def people_beside(
    path: Path, table: Predictions | Generations, unit: str | None
) -> dict[str, People]:
    """The splits whose tables lie beside this one, if it is called after a split, and its own, in the
    order of SPLIT_NAMES. One that cannot be read is left out."""
    if path.stem not in SPLIT_NAMES:
        return {THIS: people_of(table)}
    found = {}
    for split in SPLIT_NAMES:
        other = path.with_name(f"{split}{path.suffix}")
        if split == path.stem:
            found[split] = people_of(table)
        elif other.is_file():
            try:
                of_texts = isinstance(table, Generations)
                known = read_generations(other) if of_texts else read_predictions(other, unit=unit)
            except InputError:
                continue  # `other_splits` says so
            found[split] = people_of(known)
    return found


def add_baseline_table(report: AnyReport, splits: Mapping[str, People]) -> AnyReport:
    """The report with the table of its attributes in every split."""
    if report.suppressed_below is not None:
        text = "Left out: from these counts and those of the report small ones could be had back."
        return add_sections(report, [Section(TITLE, (text,), is_folded=True, key=KEY)])
    return add_sections(report, [_section(report, splits)])


def _section(report: Report, splits: Mapping[str, People]) -> Section:
    everyone = {
        split: _count(people, np.arange(len(people.labels))) for split, people in splits.items()
    }
    groups = {
        name: {split: _count_groups(people, name) for split, people in splits.items()}
        for name in report.attributes
    }
    shown = _shown_classes(report, everyone)
    sentences = [_tell_sizes(everyone, shown, nouns_of(report).grouped)]
    if len(splits) > 1:
        sentences.append(_tell_differences(everyone, groups, shown))
    return Section(
        key=KEY,
        title=TITLE,
        is_folded=True,
        sentences=tuple(sentences),
        tables=(_table(report, everyone, groups, shown),),
        values={
            split: {
                "everyone": asdict(everyone[split]),
                "attributes": {
                    name: {
                        "missing": sum(
                            c.n for group, c in own[split].items() if _is_missing(group)
                        ),
                        "groups": {group: asdict(count) for group, count in own[split].items()},
                    }
                    for name, own in groups.items()
                },
            }
            for split in splits
        },
    )


def _count(people: People, rows: np.ndarray) -> Count:
    classes = Counter(label for row in rows if (label := people.labels[row]) is not None)
    return Count(len(rows), len({people.units[row] for row in rows}), dict(sorted(classes.items())))


def _count_groups(people: People, attribute: str) -> dict[str, Count]:
    """Group → its count; empty where the split has not that attribute."""
    try:
        names = group_names(people.attributes, attribute)
    except InputError:
        return {}
    return {str(name): _count(people, np.flatnonzero(names == name)) for name in np.unique(names)}


def _shown_classes(report: Report, everyone: Mapping[str, Count]) -> list[str]:
    """The positive class of two, else all, if they are not too many."""
    if isinstance(report, FairnessReport) and len(report.classes) == 2:
        return [report.positive]
    classes = sorted({label for count in everyone.values() for label in count.classes})
    return classes if 1 < len(classes) <= MOST_CLASSES else []


def _tell_sizes(everyone: Mapping[str, Count], shown: Sequence[str], counted: str) -> str:
    """'train: 2,000 examples of 1,900 patients or lesions, 943 'yes' (47.2%)', for each split."""
    told = []
    for split, count in everyone.items():
        text = f"{split}: {count.n:,} {counted}"
        if count.units < count.n:
            text += f" of {count.units:,} patients or lesions"
        told.append(", ".join([text, *_tell_classes(count, shown)]))
    return f"{'; '.join(told)}."


def _tell_classes(count: Count, shown: Sequence[str]) -> list[str]:
    labelled = sum(count.classes.values())
    return [
        f"{count.classes.get(name, 0):,} '{name}' ({RATE.show(count.classes.get(name, 0) / labelled)})"
        for name in (shown if labelled else ())
    ]


def _tell_differences(
    everyone: Mapping[str, Count],
    groups: Mapping[str, Mapping[str, Mapping[str, Count]]],
    shown: Sequence[str],
) -> str:
    """Which group's share, and which class's, differs most between the first split and the last."""
    first, last = next(iter(everyone)), list(everyone)[-1]
    shares = {}
    for name, own in groups.items():
        for group in {**own[first], **own[last]} if own[first] and own[last] else ():
            shares[f"{group} ({name})"] = [
                own[split][group].n / everyone[split].n if group in own[split] else 0.0
                for split in (first, last)
            ]
    of_class = {
        f"'{label}'": [
            everyone[split].classes.get(label, 0) / max(1, sum(everyone[split].classes.values()))
            for split in (first, last)
        ]
        for label in shown
    }
    told = [
        f"{name} is {RATE.show(before)} of {first} and {RATE.show(after)} of {last}"
        for each in (of_class, shares)
        if each
        for name, (before, after) in [
            max(each.items(), key=lambda item: abs(item[1][0] - item[1][1]))
        ]
    ]
    if not told:
        return "No group is known in both splits."
    return f"What differs most between {first} and {last}: {enumerate_names(told)}."


def _table(
    report: Report,
    everyone: Mapping[str, Count],
    groups: Mapping[str, Mapping[str, Mapping[str, Count]]],
    shown: Sequence[str],
) -> Table:
    rows = [(Cell("all"), *(_cell(count, None, shown) for count in everyone.values()))]
    for name, own in groups.items():
        known = {group for counts in own.values() for group in counts}
        named = [group for group in report.attributes[name].groups if group in known]
        for group in (*named, *sorted(known - set(named))):
            cells = (
                _cell(own[split].get(group), everyone[split].n, shown)
                if own[split]
                else Cell(UNDEFINED)
                for split in everyone
            )
            rows.append((Cell(group, name), *cells))
    return Table(
        f"{capitalised(nouns_of(report).grouped)} of each group, and their labels, in every split",
        ("Group", *everyone),
        tuple(rows),
    )


def _cell(count: Count | None, of: int | None, shown: Sequence[str]) -> Cell:
    """Examples with their share of the split, and below the classes and the units."""
    if count is None:
        return Cell("0")
    share = "" if of is None else f" ({RATE.show(count.n / of)})"
    units = [f"{count.units:,} patients or lesions"] if count.units < count.n else []
    return Cell(f"{count.n:,}{share}", "; ".join([*_tell_classes(count, shown), *units]))


def _is_missing(group: str) -> bool:
    return bool({MISSING, UNKNOWN} & set(group.split(INTERSECTION)))
