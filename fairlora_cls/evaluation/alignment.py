"""Are these answers to the same examples? Brings tables into one order, or says what differs.

N examples, K classes. One way for both kinds of table: predictions of classes, generated texts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions
from fairlora_cls.texts.generations import Generations

Table = TypeVar("Table", Predictions, Generations)


def align(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables with examples (and classes) in the first one's order, matched by id (and name).

    Units are the first one's. Raises InputError for fewer than two, and, naming how many and the
    first, where ids, classes, labels or references differ, or an example of classes has no label.
    """
    if len(tables) < 2:
        raise InputError(
            "A comparison needs two or more runs, prediction tables or files of texts."
        )
    (first, reference), *others = tables.items()
    if isinstance(reference, Predictions) and (reference.labels == UNLABELLED).any():
        unlabelled = int((reference.labels == UNLABELLED).sum())
        raise InputError(
            f"{unlabelled} of {len(reference.ids)} examples of '{first}' have no label; a "
            "comparison needs the true class of each."
        )
    return {first: reference} | {
        name: _aligned(first, reference, name, table) for name, table in others
    }


def are_two_cohorts(tables: Mapping[str, Table]) -> bool:
    """Whether these are two tables without an example in common, of the same classes: answers about
    other people, which cannot be paired."""
    if len(tables) != 2:
        return False
    first, second = tables.values()
    if isinstance(first, Predictions) and set(first.classes) != set(second.classes):
        return False
    return not set(first.ids) & set(second.ids)


def require_same_groups(tables: Mapping[str, Table], attribute: str) -> None:
    """Raises InputError where an aligned table puts an example into another group than the first
    table does. Tables without the attribute take the first one's groups."""
    (first, reference), *others = tables.items()
    wanted = reference.group_names(attribute)
    for name, table in others:
        if not set(attribute.split(INTERSECTION)) <= set(table.attributes):
            continue
        own = table.group_names(attribute)
        differing = np.flatnonzero(own != wanted)
        if len(differing):
            row = differing[0]
            raise InputError(
                f"The '{attribute}' of {len(differing)} of {len(wanted)} examples differs between "
                f"'{first}' and '{name}', the first for the id '{reference.ids[row]}' "
                f"('{wanted[row]}' and '{own[row]}')."
            )


def _aligned(first: str, reference: Table, name: str, table: Table) -> Table:
    is_classes = isinstance(reference, Predictions)
    if is_classes and set(table.classes) != set(reference.classes):
        raise InputError(
            f"'{first}' has the classes {', '.join(reference.classes)} and '{name}' has "
            f"{', '.join(table.classes)}; only runs of the same task can be compared."
        )
    _require_same_ids(first, reference, name, table)
    row_of = {identity: row for row, identity in enumerate(table.ids)}
    rows = np.array([row_of[identity] for identity in reference.ids])
    truth = "labels" if is_classes else "references"
    if is_classes:
        table = _reordered(table, rows, reference)
    else:
        table = replace(table.rows(rows), units=reference.units)
    wanted, own = (np.array(getattr(each, truth), dtype=object) for each in (reference, table))
    differing = np.flatnonzero(wanted != own)
    if len(differing):
        raise InputError(
            f"The {truth} of {len(differing)} of {len(rows)} examples differ between '{first}' and "
            f"'{name}', the first for the id '{reference.ids[differing[0]]}'; only answers to the "
            f"same examples, with the same {truth}, can be compared."
        )
    return table


def in_class_order(table: Predictions, reference: Predictions) -> Predictions:
    """The same predictions with the classes in the order of a table that has the same ones."""
    # A class's code here -> its code in the reference; -1 (no label) stays.
    codes = np.array([*(reference.classes.index(c) for c in table.classes), UNLABELLED])
    columns = [table.classes.index(c) for c in reference.classes]
    return replace(
        table,
        labels=codes[table.labels],
        predictions=codes[table.predictions],
        probabilities=table.probabilities[:, columns],
        classes=reference.classes,
        positive=reference.positive,
    )


def _reordered(table: Predictions, rows: np.ndarray, reference: Predictions) -> Predictions:
    """The examples at `rows` with their attributes, and the classes in the reference's order."""
    table = in_class_order(table, reference)
    return replace(
        table,
        ids=reference.ids,
        labels=table.labels[rows],
        predictions=table.predictions[rows],
        probabilities=table.probabilities[rows],
        attributes={name: np.asarray(values)[rows] for name, values in table.attributes.items()},
        units=reference.units,
    )


def _require_same_ids(first: str, reference: Table, name: str, table: Table) -> None:
    for here, there, have, lack in (
        (reference.ids, set(table.ids), first, name),
        (table.ids, set(reference.ids), name, first),
    ):
        missing = [identity for identity in here if identity not in there]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(here)} examples of '{have}' are not in '{lack}', the first "
                f"is the id '{missing[0]}'; runs are compared on the same test examples only."
            )
