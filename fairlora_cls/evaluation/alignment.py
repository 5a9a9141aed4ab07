"""Are these predictions of the same examples? Brings tables into one order, or says what differs.

N examples, K classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions


def align_predictions(tables: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """The tables with examples and classes in the first one's order, matched by id and name.

    Raises InputError, naming how many and the first, where ids, labels or classes differ, or an
    example has no label.
    """
    if len(tables) < 2:
        raise InputError("A comparison needs two or more runs or prediction tables.")
    (first, reference), *others = tables.items()
    unlabelled = int((reference.labels == UNLABELLED).sum())
    if unlabelled:
        raise InputError(
            f"{unlabelled} of {len(reference.ids)} examples of '{first}' have no label; a "
            "comparison needs the true class of each."
        )
    return {first: reference} | {
        name: _aligned(first, reference, name, table) for name, table in others
    }


def _aligned(first: str, reference: Predictions, name: str, table: Predictions) -> Predictions:
    if set(table.classes) != set(reference.classes):
        raise InputError(
            f"'{first}' has the classes {', '.join(reference.classes)} and '{name}' has "
            f"{', '.join(table.classes)}; only runs of the same task can be compared."
        )
    _require_same_ids(first, reference.ids, name, table.ids)
    row_of = {identity: row for row, identity in enumerate(table.ids)}
    rows = np.array([row_of[identity] for identity in reference.ids])
    # A class's code here -> its code in the reference; -1 (no label) stays.
    codes = np.array([*(reference.classes.index(c) for c in table.classes), UNLABELLED])
    columns = [table.classes.index(c) for c in reference.classes]
    labels = codes[table.labels[rows]]
    differing = np.flatnonzero(labels != reference.labels)
    if len(differing):
        raise InputError(
            f"The labels of {len(differing)} of {len(rows)} examples differ between '{first}' and "
            f"'{name}', the first for the id '{reference.ids[differing[0]]}'; only predictions of "
            "the same labels can be compared."
        )
    return replace(
        table,
        ids=reference.ids,
        labels=labels,
        predictions=codes[table.predictions[rows]],
        probabilities=table.probabilities[np.ix_(rows, columns)],
        classes=reference.classes,
        attributes={name: np.asarray(values)[rows] for name, values in table.attributes.items()},
        positive=reference.positive,
        units=reference.units,
    )


def _require_same_ids(first: str, ids: Iterable[str], name: str, other_ids: Iterable[str]) -> None:
    ids, other_ids = tuple(ids), tuple(other_ids)
    for here, there, have, lack in (
        (ids, set(other_ids), first, name),
        (other_ids, set(ids), name, first),
    ):
        missing = [identity for identity in here if identity not in there]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(here)} examples of '{have}' are not in '{lack}', the first "
                f"is the id '{missing[0]}'; runs are compared on the same test examples only."
            )


def require_same_groups(tables: Mapping[str, Predictions], attribute: str) -> None:
    """Raises InputError where an aligned table puts an example into another group than the first
    table does. Tables without the attribute take the first one's groups."""
    (first, reference), *others = tables.items()
    wanted = reference.group_names(attribute)
    for name, table in others:
        if not set(attribute.split(INTERSECTION)) <= set(table.attributes):
            continue
        differing = np.flatnonzero(table.group_names(attribute) != wanted)
        if len(differing):
            row = differing[0]
            raise InputError(
                f"The '{attribute}' of {len(differing)} of {len(wanted)} examples differs between "
                f"'{first}' and '{name}', the first for the id '{reference.ids[row]}' "
                f"('{wanted[row]}' and '{table.group_names(attribute)[row]}')."
            )
