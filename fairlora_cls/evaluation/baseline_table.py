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
from fairlora_cls.files import read_json
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


@dataclass(frozen=True)
class SplitCount:
    """Everyone of a split, and its groups by attribute; no group: the split has not the attribute."""

    everyone: Count
    groups: Mapping[str, Mapping[str, Count]]

    def to_dict(self) -> dict[str, Any]:
        """Its part of report.json."""
        attributes = {
            name: {
                "missing": sum(count.n for group, count in own.items() if _is_missing(group)),
                "groups": {group: asdict(count) for group, count in own.items()},
            }
            for name, own in self.groups.items()
        }
        return {"everyone": asdict(self.everyone), "attributes": attributes}


def people_of(table: Predictions | Generations) -> People:
    """Of a table of predictions, or of texts, whose images are counted once."""
    if isinstance(table, Predictions):
        names = np.array([*table.classes, None], dtype=object)  # code -1 is the last
        return People(names[table.labels].tolist(), table.units or table.ids, table.attributes)
    images = image_ids(table)
    once = sorted(dict(zip(images, range(len(images)), strict=True)).values())  # a row of each
    return People(
        [table.labels[row] for row in once],
        [table.units[row] for row in once],
        {name: [own[row] for row in once] for name, own in table.attributes.items()},
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


def read_development(run: Path) -> dict[str, SplitCount]:
    """What a run's report says of the splits that it was developed on; nothing where it says that in
    no such form."""
    try:
        known = read_json(run / "report" / "report.json")[KEY]
        return {
            split: SplitCount(
                Count(**known[split]["everyone"]),
                {
                    name: {group: Count(**count) for group, count in own["groups"].items()}
                    for name, own in known[split]["attributes"].items()
                },
            )
            for split in SPLIT_NAMES[:2]
        }
    except (
        InputError,
        LookupError,
        TypeError,
        AttributeError,
    ):  # of an earlier version, or damaged
        return {}


def add_baseline_table(
    report: AnyReport,
    splits: Mapping[str, People],
    development: Mapping[str, SplitCount] | None = None,
) -> AnyReport:
    """The report with the table of its attributes in every split. development: splits of other data,
    already counted, that stand before these."""
    if report.suppressed_below is not None:
        text = "Left out: from these counts and those of the report small ones could be had back."
        return add_sections(report, [Section(TITLE, (text,), is_folded=True, key=KEY)])
    own = {split: _count_split(people, report.attributes) for split, people in splits.items()}
    return add_sections(report, [_section(report, {**(development or {}), **own})])


def _section(report: Report, splits: Mapping[str, SplitCount]) -> Section:
    shown = _shown_classes(report, splits)
    sentences = [_tell_sizes(splits, shown, nouns_of(report).sized)]
    if len(splits) > 1:
        sentences.append(_tell_differences(report, splits, shown))
    return Section(
        key=KEY,
        title=TITLE,
        is_folded=True,
        sentences=tuple(sentences),
        tables=(_table(report, splits, shown),),
        values={split: counted.to_dict() for split, counted in splits.items()},
    )


def _count_split(people: People, attributes: Iterable[str]) -> SplitCount:
    everyone = _count(people, np.arange(len(people.labels)))
    return SplitCount(everyone, {name: _count_groups(people, name) for name in attributes})


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


def _shown_classes(report: Report, splits: Mapping[str, SplitCount]) -> list[str]:
    """The positive class of two, else all, if they are not too many."""
    if isinstance(report, FairnessReport) and len(report.classes) == 2:
        return [report.positive]
    classes = sorted({label for own in splits.values() for label in own.everyone.classes})
    return classes if 1 < len(classes) <= MOST_CLASSES else []


def _tell_sizes(splits: Mapping[str, SplitCount], shown: Sequence[str], counted: str) -> str:
    """'train: 2,000 examples of 1,900 patients or lesions, 943 'yes' (47.2%)', for each split."""
    told = []
    for split, own in splits.items():
        text = f"{split}: {own.everyone.n:,} {counted}"
        if own.everyone.units < own.everyone.n:
            text += f" of {own.everyone.units:,} patients or lesions"
        told.append(", ".join([text, *_tell_classes(own.everyone, shown)]))
    return f"{'; '.join(told)}."


def _tell_classes(count: Count, shown: Sequence[str]) -> list[str]:
    labelled = sum(count.classes.values())
    return [
        f"{count.classes.get(name, 0):,} '{name}' ({RATE.show(count.classes.get(name, 0) / labelled)})"
        for name in (shown if labelled else ())
    ]


def _tell_differences(
    report: Report, splits: Mapping[str, SplitCount], shown: Sequence[str]
) -> str:
    """Which class's share, and which group's, differs most between the first split and the last."""
    ends = next(iter(splits)), list(splits)[-1]
    first, last = (splits[split] for split in ends)
    of_class = {
        f"'{label}'": [
            own.everyone.classes.get(label, 0) / max(1, sum(own.everyone.classes.values()))
            for own in (first, last)
        ]
        for label in shown
    }
    of_group = {}
    for name in report.attributes:
        both = [own.groups.get(name, {}) for own in (first, last)]
        for group in {**both[0], **both[1]} if all(both) else ():
            of_group[f"{group} ({name})"] = [
                groups[group].n / own.everyone.n if group in groups else 0.0
                for groups, own in zip(both, (first, last), strict=True)
            ]
    told = []
    for shares in filter(None, (of_class, of_group)):
        name = max(shares, key=lambda name: abs(shares[name][0] - shares[name][1]))
        before, after = map(RATE.show, shares[name])
        told.append(f"{name} is {before} of {ends[0]} and {after} of {ends[1]}")
    if not told:
        return f"No group is known in both {ends[0]} and {ends[1]}."
    return f"What differs most between {ends[0]} and {ends[1]}: {enumerate_names(told)}."


def _table(report: Report, splits: Mapping[str, SplitCount], shown: Sequence[str]) -> Table:
    rows = [(Cell("all"), *(_cell(own.everyone, None, shown) for own in splits.values()))]
    for name, result in report.attributes.items():
        by_split = {split: own.groups.get(name, {}) for split, own in splits.items()}
        known = {group for groups in by_split.values() for group in groups}
        named = [group for group in result.groups if group in known]
        for group in (*named, *sorted(known - set(named))):
            cells = (
                _cell(groups.get(group), splits[split].everyone.n, shown)
                if groups
                else Cell(UNDEFINED)
                for split, groups in by_split.items()
            )
            rows.append((Cell(group, name), *cells))
    return Table(
        f"{capitalised(nouns_of(report).sized)} of each group, and their labels, in every split",
        ("Group", *splits),
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
