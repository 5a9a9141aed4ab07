"""Scores that another tool gave to each text, read from a table of ids, metrics and values.

N texts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.tables import read_table, require_columns, require_values, row_of
from fairlora_cls.errors import InputError, nearest

COLUMNS = ("id", "metric", "value")
UNSCORED = ("none",)  # a value that says "no score", beside those of `data.cells`


def read_scores(path: Path, ids: Collection[str]) -> Mapping[str, Mapping[str, float]]:
    """Metric → id → score of a table in long form: the columns id, metric and value, a row each.

    `ids` are those of the texts. A text may lack a score, by a missing row or a blank value; every
    metric must have one at least. Raises InputError naming the row for an id that no text has, a
    second row of the same id and metric, and a value that is no finite number.
    """
    path = Path(path)
    table = read_table(path)
    require_columns(table, COLUMNS, path)
    require_values(table, ["id", "metric"], path)
    known = set(ids)
    scores: dict[str, dict[str, float]] = {}
    seen: dict[tuple[str, str], int] = {}
    values = table["value"].fillna("").astype(str)
    for row, (identity, metric, value) in enumerate(
        zip(table["id"].str.strip(), table["metric"].str.strip(), values, strict=True)
    ):
        if identity not in known:
            of_example = sorted(other for other in known if other.startswith(f"{identity}#"))
            raise InputError(
                f"{row_of(path, row)} has the id '{identity}', which is none of the {len(known)} "
                f"texts{nearest(identity, of_example or sorted(known))}"
            )
        first = seen.setdefault((identity, metric), row)
        if first != row:
            raise InputError(
                f"{row_of(path, row)} scores '{metric}' of the id '{identity}' again (first in row "
                f"{row_of(path, first).rsplit(' ', 1)[1]}); give each text one value per metric."
            )
        of_metric = scores.setdefault(metric, {})
        if (number := recorded(value, UNSCORED)) is not None:
            of_metric[identity] = _number(number, row_of(path, row))
    empty = [metric for metric, found in scores.items() if not found]
    if empty:
        raise InputError(f"'{path}' has rows of the metric '{empty[0]}', but no value in them.")
    return scores


def _number(value: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where} has the value '{value}', which is not a number.")
    return number
