"""Rows of tables whose columns are named → Splits; what the sources `table` and `datasets` share.

N rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from fairlora_cls.data.columns import (
    age_bands,
    plain,
    read_ages,
    read_groups,
    read_required,
    read_texts,
)
from fairlora_cls.data.examples import UNLABELLED, Example, Splits
from fairlora_cls.data.groups import AGE_CUTS
from fairlora_cls.data.labels import code_labels, name_classes, note_combined, sort_classes
from fairlora_cls.data.paths import resolve_images
from fairlora_cls.data.prompts import default_question
from fairlora_cls.data.splitting import gather_splits, read_split_names, split_examples
from fairlora_cls.data.tables import Table, find_missing_columns, refuse_repeated_ids
from fairlora_cls.data.units import USUAL, choose_unit_column, find_candidates
from fairlora_cls.errors import InputError

AGE_GROUP = "age_group"  # the attribute that `age_column` becomes


@dataclass(frozen=True)
class TableOptions:
    """What the user says of tables: what columns are called, and what is made of them."""

    image_column: str = "image"
    label_column: str | None = "label"  # None: no labels, for texts
    id_column: str = "id"  # where no column is called so, the image's name is the id
    split_column: str = "split"  # where no column is called so, units are split 80/10/10
    unit_column: str | None = USUAL  # of patients or lesions; None: every image is its own
    text_column: str | None = None
    question_column: str | None = None
    answer_column: str | None = None
    age_column: str | None = None  # in years; becomes the attribute age_group
    age_cuts: Sequence[float] = AGE_CUTS  # years
    attributes: Sequence[str] | None = None  # None: all columns without another use
    missing_values: Sequence[str] = ()  # further words for "not recorded"
    classes: Sequence[str] | None = None  # None: the labels, sorted; the last one is positive
    stratify: Sequence[
        str
    ] = ()  # attributes that a split, where none is given, keeps in proportion
    allow_outside: bool = False  # images may lie outside the data folder
    allow_urls: bool = False  # images may be fetched
    seed: int = 42  # of a split

    @property
    def columns(self) -> set[str]:
        """All columns that are named here."""
        named = {getattr(self, f.name) for f in fields(self) if f.name.endswith("_column")}
        return named - {None}


def settle_options(
    tables: Sequence[Table], options: TableOptions
) -> tuple[TableOptions, tuple[str, ...]]:
    """The options with the column of patients and the attributes found, and what there is to say.

    Raises InputError listing needed columns that are not there.
    """
    problems = []
    for table in tables:
        for use in ("image", "label", "text", "age", "question", "answer"):
            option = f"{use}_column"
            named = [name for name in [getattr(options, option)] if name]
            problems += find_missing_columns(table.frame, named, table.file, option)
        named = options.attributes or ()
        problems += find_missing_columns(table.frame, named, table.file, "attributes")
    if (options.question_column is None) != (options.answer_column is None):
        problems.append(
            "data.options.question_column and answer_column belong together; name both or none."
        )
    if problems:
        raise InputError(dict.fromkeys(problems))
    candidates = find_candidates(tables, options.columns)
    unit, notes = choose_unit_column(tables, options.unit_column, candidates)
    attributes = options.attributes
    if attributes is None:
        others = [c for c in tables[0].frame if c not in options.columns and c not in candidates]
        lacking = [c for c in others if any(c not in table.frame for table in tables)]
        attributes = [c for c in others if c not in lacking]
        notes += tuple(
            f"The column '{c}' is not in every table, so it is no attribute." for c in lacking
        )
    if options.age_column and AGE_GROUP in attributes:
        raise InputError(
            f"'{tables[0].file}' has a column '{AGE_GROUP}', which data.options.age_column makes "
            "too; leave that option away, or name data.options.attributes without it."
        )
    return replace(options, unit_column=unit, attributes=tuple(dict.fromkeys(attributes))), notes


def build_splits(
    tables: Sequence[Table],
    options: TableOptions,
    *,
    embedded: Sequence[Sequence[Path | None]] = (),
    folder: Path | None = None,
    known_classes: Sequence[str] = (),
) -> Splits:
    """Splits of all rows of all tables.

    `embedded`: of each table, the files of images that have no name in it; the others' names are
    relative to `folder` (default: the table's own). The classes are those that the user names, each
    with a label; else `known_classes`, those that the data declare; else the labels, sorted. Raises
    BadRowsError naming every row that cannot be used, and InputError where no row can.
    """
    options, notes = settle_options(tables, options)
    ids, images = [], []
    for place, table in enumerate(tables):
        names = table.read_names(options.image_column)
        own = embedded[place] if embedded else [None] * len(names)
        named = [None if file else name for name, file in zip(names, own, strict=True)]
        files = resolve_images(
            table,
            named,
            folder=folder,
            allow_outside=options.allow_outside,
            allow_urls=options.allow_urls,
        )
        images.append([file or named for file, named in zip(own, files, strict=True)])
        if options.id_column in table.frame:
            names = table.read_names(options.id_column)
        elif table.home:  # images of several splits may be called alike
            names = [name and f"{table.home}/{name}" for name in names]
        ids.append(names)
    refuse_repeated_ids(tables, ids)
    classes, labels, said = _read_classes(tables, options, known_classes)
    words = _word_columns(tables, options)
    examples: list[Example] = []
    homes: list[str] = []
    for table, *columns in zip(tables, ids, images, labels, strict=True):
        own, own_homes = _read_rows(table, options, words, *columns)
        examples += own
        homes += own_homes
    problems = [problem for table in tables for problem in table.problems]
    if len(examples) > 1 and len({e.unit for e in examples}) == 1:
        problems.append(
            f"'{tables[0].file}' has '{examples[0].unit}' as '{options.unit_column}' in every row, "
            "so no split is possible; name the right column with data.options.unit_column (null: "
            "none)."
        )
        examples = []
    if not examples:
        raise InputError(problems)
    homes = homes or split_examples(examples, classes, options.stratify, options.seed)
    shown = (*options.attributes, AGE_GROUP) if options.age_column else options.attributes
    return gather_splits(
        str(tables[0].file),
        classes,
        shown,
        examples,
        homes,
        problems,
        (*notes, *said),
        words=words,
        question=default_question(classes, options.label_column),
    )


def _word_columns(tables: Sequence[Table], options: TableOptions) -> tuple[str, ...]:
    """The columns that a prompt may name besides the attributes: all but the image and the answers."""
    unnamed = {
        options.image_column,
        options.label_column,
        options.question_column,
        options.answer_column,
        *options.attributes,
    }
    return tuple(
        column
        for column in tables[0].frame
        if column not in unnamed and all(column in table.frame for table in tables)
    )


def _read_classes(
    tables: Sequence[Table], options: TableOptions, known: Sequence[str]
) -> tuple[tuple[str, ...], list[list[int | None]], tuple[str, ...]]:
    """The classes, each table's labels as places among them, and what there is to say of them."""
    if not options.label_column:
        return (UNLABELLED,), [[0] * len(table.frame) for table in tables], ()
    labels = [read_required(table, options.label_column) for table in tables]
    counts = Counter(label for own in labels for label in own if label is not None)
    if options.classes:
        classes, said = name_classes(options.classes, counts), ()
    else:
        classes, said = tuple(known) or sort_classes(counts), note_combined(counts)
    named = bool(options.classes or known)
    pairs = zip(tables, labels, strict=True)
    return classes, [code_labels(t, own, classes, named=named) for t, own in pairs], said


def _read_rows(
    table: Table,
    options: TableOptions,
    word_columns: Sequence[str],
    ids: Sequence[str | None],
    images: Sequence[Path | None],
    labels: Sequence[int | None],
) -> tuple[list[Example], list[str]]:
    """Examples of the rows that can be used, and their splits; none of these where no one says them."""
    missing = tuple(plain(word) for word in options.missing_values)
    groups = {name: read_groups(table, name, missing) for name in options.attributes}
    if options.age_column:
        ages = read_ages(table, options.age_column, ("unknown", *missing))
        groups[AGE_GROUP] = age_bands(ages, options.age_cuts)
    units = _read_units(table, options.unit_column, ids, missing)
    texts = read_texts(table, options.text_column)
    pairs = _read_pairs(table, options)
    words = {name: read_texts(table, name) for name in word_columns}
    homes: list[str | None] = []
    if table.home:
        homes = [table.home] * len(table.frame)
    elif options.split_column in table.frame:
        homes = read_split_names(table, options.split_column)
    examples = [
        Example(
            ids[row],
            images[row],
            labels[row],
            {name: names[row] for name, names in groups.items()},
            units[row],
            texts[row],
            pairs[row],
            {name: values[row] for name, values in words.items()},
        )
        for row in table.good
    ]
    return examples, [homes[row] for row in table.good if homes]


def _read_units(
    table: Table, column: str | None, ids: Sequence[str], missing: Sequence[str]
) -> list[str]:
    """Patient or lesion of each row; a row without one is its own, and shares it with no patient."""
    if column is None or column not in table.frame:
        return list(ids)
    units = read_groups(table, column, missing)
    return [unit or f"id {own}" for unit, own in zip(units, ids, strict=True)]


def _read_pairs(table: Table, options: TableOptions) -> list[tuple[tuple[str, str], ...]]:
    """Each row's question and answer, () where both are blank; a row with half a pair is refused."""
    question, answer = options.question_column, options.answer_column
    pairs = list(zip(read_texts(table, question), read_texts(table, answer), strict=True))
    table.refuse(
        {
            row: f"has '{question if asked else answer}' but no '{answer if asked else question}'."
            for row, (asked, answered) in enumerate(pairs)
            if (asked is None) != (answered is None)
        }
    )
    return [() if None in pair else (pair,) for pair in pairs]
