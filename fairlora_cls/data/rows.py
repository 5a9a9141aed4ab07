"""Rows of a table whose columns are named → Splits; what the sources `table` and `datasets` share.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairlora_cls.data.codes import age_bands, decode_free, read_ages
from fairlora_cls.data.examples import UNLABELLED, Example, Splits
from fairlora_cls.data.splitting import gather_splits, read_split_names, split_examples
from fairlora_cls.data.tables import require_columns, require_unique, require_values, row_of
from fairlora_cls.errors import InputError, nearest


@dataclass(frozen=True)
class Columns:
    """What each column is called; those of `id`, `split` and `unit` may be absent from a table."""

    image: str
    label: str | None  # None: no labels, for texts
    id: str
    split: str
    unit: str
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


def name_attributes(
    parts: Sequence[Part], columns: Columns, attributes: Sequence[str] | None
) -> tuple[str, ...]:
    """The attribute columns, all that have no other use by default; needed columns are checked."""
    if attributes is None:
        attributes = [c for c in parts[0].frame.columns if c not in columns.all]
    for part in parts:
        for use in ("image", "label", "text", "age", "question", "answer"):
            named = [name for name in [getattr(columns, use)] if name]
            require_columns(part.frame, named, part.file, f"{use}_column")
        require_columns(part.frame, attributes, part.file, "attributes")
        filled = [columns.image, *([columns.label] if columns.label else [])]
        require_values(part.frame, filled, part.file)
    return tuple(attributes)


def build_splits(
    parts: Sequence[Part],
    images: Sequence[Sequence[Path]],
    columns: Columns,
    attributes: Sequence[str],
    *,
    age_cuts: Sequence[float],
    missing_values: Sequence[str],
    classes: Sequence[str],
    stratify: Sequence[str],
    seed: int,
) -> Splits:
    """Splits of all parts' rows, `images` the file of each. Raises InputError naming row and value."""
    names: tuple[str, ...] = (UNLABELLED,)
    if columns.label:
        names = tuple(str(c) for c in classes) or _class_names(parts, columns.label)
    examples: list[Example] = []
    homes: list[str] = []
    for part, files in zip(parts, images, strict=True):
        frame, file = part.frame, part.file
        labels = [0] * len(frame)
        if columns.label:
            labels = _read_labels(frame[columns.label], names, file)
        ids = _read_ids(part, columns)
        units = frame[columns.unit].fillna(ids).str.strip() if columns.unit in frame else ids
        known = {a: decode_free(frame[a], missing_values) for a in attributes}
        if columns.age:
            words = ("unknown", *(word.lower() for word in missing_values))
            known["age_group"] = age_bands(read_ages(frame[columns.age], file, words), age_cuts)
        texts = decode_free(frame[columns.text]) if columns.text else [None] * len(frame)
        pairs = _read_pairs(part, columns)
        examples += [
            Example(name, image, label, dict(zip(known, values, strict=True)), unit, text, own)
            for name, image, label, unit, text, own, *values in zip(
                ids, files, labels, units, texts, pairs, *known.values(), strict=True
            )
        ]
        if part.home:
            homes += [part.home] * len(frame)
        elif columns.split in frame:
            homes += read_split_names(frame[columns.split], file)
    _refuse_one_unit(examples, columns.unit, parts[0].file)
    homes = homes or split_examples(examples, names, stratify, seed)
    shown = (*attributes, "age_group") if columns.age else tuple(attributes)
    return gather_splits(str(parts[0].file), names, shown, examples, homes)


def _class_names(parts: Sequence[Part], column: str) -> tuple[str, ...]:
    """The sorted labels. Raises InputError where two differ in nothing but case."""
    first: dict[str, str] = {}
    for part in parts:
        labels = part.frame[column].str.strip()
        for label in labels.unique():
            known = first.setdefault(label.casefold(), label)
            if known != label:
                row = int((labels == label).argmax())
                raise InputError(
                    f"{row_of(part.file, row)} has the label '{label}', and others have '{known}'; "
                    "write them alike, or name the classes with data.options.classes."
                )
    return tuple(sorted(first.values()))


def _read_labels(column: pd.Series, classes: tuple[str, ...], file: Path) -> list[int]:
    labels = column.str.strip()
    unknown = ~labels.isin(classes)
    if unknown.any():
        row = int(unknown.argmax())
        raise InputError(
            f"{row_of(file, row)} has the label '{labels[row]}'{nearest(labels[row], classes)}"
        )
    index = {name: k for k, name in enumerate(classes)}
    return [index[label] for label in labels]


def _read_pairs(part: Part, columns: Columns) -> list[tuple[tuple[str, str], ...]]:
    """Each row's question and answer, () where both are blank. Raises InputError for a half pair."""
    if not columns.question or not columns.answer:
        if columns.question or columns.answer:
            raise InputError(
                "data.options.question_column and answer_column belong together; name both or none."
            )
        return [()] * len(part.frame)
    asked = decode_free(part.frame[columns.question])
    answered = decode_free(part.frame[columns.answer])
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


def _refuse_one_unit(examples: Sequence[Example], column: str, file: Path) -> None:
    if len(examples) > 1 and len({e.unit for e in examples}) == 1:
        raise InputError(
            f"'{file}' has '{examples[0].unit}' as '{column}' in every row, so no split is possible; "
            "name the right column with data.options.unit_column (a name that no column has: none)."
        )
