"""Scores that another tool gave to each text, read from a table of ids, metrics and values.

N texts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.tables import open_table
from fairlora_cls.errors import InputError, nearest

COLUMNS = ("id", "metric", "value")
UNSCORED = ("none",)  # a value that says "no score", beside those of `data.cells`


def read_scores(path: Path, ids: Collection[str]) -> Mapping[str, Mapping[str, float]]:
    """Metric → id → score of a table in long form: the columns id, metric and value, a row each.

    `ids` are those of the texts. A text may lack a score, by a missing row or a blank value; every
    metric must have one at least. Raises InputError listing the rows with an id that no text has,
    the id and metric of an earlier row, or a value that is no finite number.
    """
    table, known = open_table(Path(path), needed=COLUMNS), set(ids)
    columns = (
        table.read_names("id"),
        table.read_names("metric"),
        table.read("value", _read_score),
    )
    scores: dict[str, dict[str, float]] = {}
    first: dict[tuple[str, str], str] = {}
    unknown: dict[int, str] = {}
    again: dict[int, str] = {}
    for row, (identity, metric, value) in enumerate(zip(*columns, strict=True)):
        if row in table.bad:
            continue
        here = table.where(row).removeprefix(f"'{path}' ")
        if identity not in known:
            hint = "." if unknown else _nearest_id(identity, known)  # it takes long for thousands
            unknown[row] = f"has the id '{identity}', which is none of the {len(known)} texts{hint}"
        elif (earlier := first.setdefault((identity, metric), here)) != here:
            again[row] = (
                f"scores '{metric}' of the id '{identity}' again (first in {earlier}); give each "
                "text one value per metric."
            )
        of_metric = scores.setdefault(metric, {})
        if value is not None:
            of_metric[identity] = value
    table.refuse(unknown)
    table.refuse(again)
    if table.problems:
        raise InputError(table.problems)
    empty = [metric for metric, values in scores.items() if not values]
    if empty:
        raise InputError(f"'{path}' has rows of the metric '{empty[0]}', but no value in them.")
    return scores


def _read_score(cell: str) -> float | None:
    value = recorded(cell, UNSCORED)
    try:
        number = None if value is None else float(value)
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise ValueError(f"has the value '{cell}', which is not a number.")
    return number


def _nearest_id(identity: str, known: Collection[str]) -> str:
    """A hint; where the id is that of an example, one of its texts'."""
    of_example = [other for other in known if other.startswith(f"{identity}#")]
    return nearest(identity, sorted(of_example or known))
