"""Rows of a table whose columns are named → Splits; what the sources `table` and `datasets` share.

N rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fairlora_cls.data.codes import (
    age_bands,
    decode_free,
    decode_required,
    plain,
    read_ages,
    read_texts,
)
from fairlora_cls.data.examples import UNLABELLED, Example, Splits
from fairlora_cls.data.labels import code_labels, name_classes, note_combined, sort_classes
from fairlora_cls.data.splitting import gather_splits, read_split_names, split_examples
from fairlora_cls.data.tables import require_columns, require_unique, require_values, row_of
from fairlora_cls.data.units import choose_unit_column, find_candidates
from fairlora_cls.errors import InputError

AGE_GROUP = "age_group"  # the attribute that `age_column` becomes


@dataclass(frozen=True)
class Columns:
    """What each column is called; those of `id`, `split` and `unit` may be absent from a table."""

    image: str
    label: str | None  # None: no labels, for texts
    id: str
    split: str
    unit: str | None  # None: no column of patients or lesions
    text: str | None
    age: str | None
    question: str | None = None
    answer: str | None = None

    @property
    def all(self) -> set[str]:
        return {name for name in vars(self).values() if name}


@dataclass(frozen=True)
class Part:
    """One table, and the split that its place on disk says, if it says one."""

    file: Path
    home: str | None
    frame: pd.DataFrame


@dataclass(frozen=True)
class Uses:
    """What each column of the tables is used for, and what there is to say of the choice."""

    columns: Columns
    attributes: tuple[str, ...]
    notes: tuple[str, ...]


def choose_uses(parts: Sequence[Part], columns: Columns, attributes: Sequence[str] | None) -> Uses:
    """Find the column of patients and the attributes: by default all that have no other use.

    Raises InputError for a needed column that is not there, and for an image without a name.
    """
    for part in parts:
        for use in ("image", "label", "text", "age", "question", "answer"):
            named = [name for name in [getattr(columns, use)] if name]
            require_columns(part.frame, named, part.file, f"{use}_column")
        require_columns(part.frame, attributes or (), part.file, "attributes")
        require_values(part.frame, [columns.image], part.file)
    frames = [part.frame for part in parts]
    candidates = find_candidates(frames, columns.all)
    unit, notes = choose_unit_column(frames, columns.unit, candidates)
    if attributes is None:
        others = [c for c in frames[0] if c not in columns.all and c not in candidates]
        lacking = [c for c in others if any(c not in frame for frame in frames)]
        attributes = [c for c in others if c not in lacking]
        notes += tuple(
            f"The column '{c}' is not in every table, so it is no attribute." for c in lacking
        )
    if columns.age and AGE_GROUP in attributes:
        raise InputError(
            f"'{parts[0].file}' has a column '{AGE_GROUP}', which data.options.age_column makes "
            "too; leave that option away, or name data.options.attributes without it."
        )
    return Uses(replace(columns, unit=unit), tuple(dict.fromkeys(attributes)), notes)


def build_splits(
    parts: Sequence[Part],
    images: Sequence[Sequence[Path]],
    uses: Uses,
    *,
    age_cuts: Sequence[float],
    missing_values: Sequence[str],
    classes: Sequence[str],
    stratify: Sequence[str],
    seed: int,
    known_classes: Sequence[str] = (),
) -> Splits:
    """Splits of all parts' rows, `images` the file of each.

    `classes`: those that the user names, each with a label; else `known_classes`, those that the
    data declares; else the labels, sorted. Raises InputError naming row and value.
    """
    columns, attributes, notes = uses.columns, uses.attributes, uses.notes
    names: tuple[str, ...] = (UNLABELLED,)
    coded = [[0] * len(part.frame) for part in parts]
    if columns.label:
        labels = [decode_required(part.frame[columns.label], part.file) for part in parts]
        counts = Counter(label for own in labels for label in own)
        files = [part.file for part in parts]
        if classes:
            names = name_classes(classes, counts)
        else:
            names = tuple(known_classes) or sort_classes(labels, files)
            notes += note_combined(counts)
        coded = [code_labels(own, names, file) for own, file in zip(labels, files, strict=True)]
    words = tuple(plain(word) for word in missing_values)
    examples: list[Example] = []
    homes: list[str] = []
    for part, files, codes in zip(parts, images, coded, strict=True):
        frame, file = part.frame, part.file
        ids = _read_ids(part, columns)
        units = _read_units(frame, columns.unit, ids, words)
        known = {a: decode_free(frame[a], words) for a in attributes}
        if columns.age:
            ages = read_ages(frame[columns.age], file, ("unknown", *words))
            known[AGE_GROUP] = age_bands(ages, age_cuts)
        texts = read_texts(frame[columns.text]) if columns.text else [None] * len(frame)
        pairs = _read_pairs(part, columns)
        examples += [
            Example(name, image, label, dict(zip(known, values, strict=True)), unit, text, own)
            for name, image, label, unit, text, own, *values in zip(
                ids, files, codes, units, texts, pairs, *known.values(), strict=True
            )
        ]
        if part.home:
            homes += [part.home] * len(frame)
        elif columns.split in frame:
            homes += read_split_names(frame[columns.split], file)
    _refuse_one_unit(examples, columns.unit, parts[0].file)
    homes = homes or split_examples(examples, names, stratify, seed)
    shown = (*attributes, AGE_GROUP) if columns.age else attributes
    splits = gather_splits(str(parts[0].file), names, shown, examples, homes)
    return replace(splits, notes=notes)


def _read_units(
    frame: pd.DataFrame, column: str | None, ids: Sequence[str], missing: Sequence[str]
) -> list[str]:
    """Patient or lesion of each row; a row without one is its own, and shares it with no patient."""
    if column is None or column not in frame:
        return list(ids)
    units = decode_free(frame[column], missing)
    return [unit or f"id {own}" for unit, own in zip(units, ids, strict=True)]


def _read_pairs(part: Part, columns: Columns) -> list[tuple[tuple[str, str], ...]]:
    """Each row's question and answer, () where both are blank. Raises InputError for a half pair."""
    if not columns.question or not columns.answer:
        if columns.question or columns.answer:
            raise InputError(
                "data.options.question_column and answer_column belong together; name both or none."
            )
        return [()] * len(part.frame)
    asked = read_texts(part.frame[columns.question])
    answered = read_texts(part.frame[columns.answer])
    pairs = []
    for row, pair in enumerate(zip(asked, answered, strict=True)):
        if (pair[0] is None) != (pair[1] is None):
            there, lacks = (columns.question, columns.answer)[:: 1 if pair[0] else -1]
            raise InputError(f"{row_of(part.file, row)} has '{there}' but no '{lacks}'.")
        pairs.append((pair,) if pair[0] else ())
    return pairs


def _read_ids(part: Part, columns: Columns) -> pd.Series:
    """The ids; where no column has them, the image paths, below their split's folder."""
    if columns.id in part.frame:
        require_values(part.frame, [columns.id], part.file)
        ids = part.frame[columns.id].str.strip()
    else:
        prefix = f"{part.home}/" if part.home else ""
        ids = prefix + part.frame[columns.image].str.strip()
    require_unique(ids, part.file)
    return ids


def _refuse_one_unit(examples: Sequence[Example], column: str | None, file: Path) -> None:
    if len(examples) > 1 and len({e.unit for e in examples}) == 1:
        raise InputError(
            f"'{file}' has '{examples[0].unit}' as '{column}' in every row, so no split is possible; "
            "name the right column with data.options.unit_column (null: none)."
        )
