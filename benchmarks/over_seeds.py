"""Rows of a benchmark in a CSV, one per setting and seed, and the Markdown table over seeds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fairlora_cls.statistics.intervals import CONFIDENCE, holm, seed_interval

Row = Mapping[str, object]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Add rows below those of `path`; a new file gets its head first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


def known_runs(path: Path) -> set[tuple[str, str]]:
    """(setting, seed) of each row."""
    return {(row["setting"], row["seed"]) for row in read_rows(path)}


def seeds_table(
    rows: Iterable[Mapping[str, str]],
    reference: str,
    shown: Sequence[str],
    compared: Sequence[str],
) -> str:
    """Mean ± half of the 95 % t-interval over seeds, two seeds as their values, as Markdown;
    settings in the rows' order.

    `shown` are columns of the rows; `compared` those whose difference from the reference's is shown
    too, seed by seed, with the p-value of a paired t-test. Below the table stands what Holm's
    correction over the settings leaves.
    """
    by_setting: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in rows:
        by_setting.setdefault(row["setting"], {})[row["seed"]] = row
    base = by_setting[reference]
    differences = {
        (name, column): np.array(
            [float(row[column]) - float(base[s][column]) for s, row in found.items() if s in base]
        )
        for name, found in by_setting.items()
        for column in compared
        if name != reference
    }
    head = ["setting", "seeds", *shown, *(f"{column} − {reference}'s" for column in compared)]
    lines = [head, ["---"] * len(head)]
    for name, found in by_setting.items():
        cells = [name.replace(" |", ","), str(len(found))]
        for column in shown:
            cells.append(
                _plus_minus(np.array([float(r[column]) for r in found.values() if r[column]]))
            )
        for column in compared:
            cells.append(_difference(differences[name, column]) if name != reference else "")
        lines.append(cells)
    told = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([*told, "", *(_left_by_holm(differences, column) for column in compared)])


def _plus_minus(values: np.ndarray, sign: str = "") -> str:
    """`0.146 ± 0.031`; two seeds stand as their values, one has no interval, none is nothing."""
    if not len(values):
        return ""
    if len(values) == 2:
        return ", ".join(f"{value:{sign}.3f}" for value in values)
    interval = seed_interval(values)
    half = f" ± {(interval[1] - interval[0]) / 2:.3f}" if interval else ""
    return f"{values.mean():{sign}.3f}{half}"


def _difference(values: np.ndarray) -> str:
    p = _p_value(values)
    return _plus_minus(values, "+") + (f" (p {p:.2g})" if p is not None else "")


def _p_value(values: np.ndarray) -> float | None:
    """Of a mean of zero, by the t-test; None where it cannot be computed."""
    from scipy.stats import ttest_1samp

    if len(values) < 2 or np.ptp(values) == 0:
        return None
    return float(ttest_1samp(values, 0).pvalue)


def _left_by_holm(differences: Mapping[tuple[str, str], np.ndarray], column: str) -> str:
    found = {name: _p_value(v) for (name, of), v in differences.items() if of == column}
    tested = {name: p for name, p in found.items() if p is not None}
    left = [f"{n} ({p:.2g})" for n, p in holm(tested).items() if p < 1 - CONFIDENCE]
    return f"{column}, Holm's correction over {len(tested)}: {', '.join(left) or 'none left'}."
