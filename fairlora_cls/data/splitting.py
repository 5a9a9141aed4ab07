"""Rows → train, validation and test: the data set's own split, or one by patient or lesion.

N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fairlora_cls.data.columns import required_name
from fairlora_cls.data.examples import SPLIT_NAMES, BadRowsError, Example, Splits
from fairlora_cls.data.tables import Table
from fairlora_cls.errors import InputError, nearest

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "validate": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
GOLDEN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, fill every stretch evenly


def read_split_names(table: Table, column: str) -> list[str | None]:
    """Split names of a column, in any of the usual spellings; a row with another is refused."""

    def home(cell: str) -> str:
        name = required_name(cell, column)
        if name.lower() not in SPLIT_ALIASES:
            raise ValueError(f"has the split '{name}'{nearest(name, SPLIT_ALIASES)}")
        return SPLIT_ALIASES[name.lower()]

    return table.read(column, home)


def split_by_unit(
    units: Sequence[str],
    labels: Sequence[str],
    seed: int,
    fractions: Mapping[str, float] | None = None,
) -> list[str]:
    """Assign whole units (patients, lesions) to splits, stratified by the unit's first label.

    Returns a split name per row. `fractions` maps split names to shares that sum to 1 (default
    .8/.1/.1). So few units that a split would stay empty give it one from training. Deterministic
    in `seed`, whatever the order of the rows.
    """
    members = _members(units, labels)
    home: dict[str, str] = {}
    shares = fractions or FRACTIONS
    bounds = np.cumsum([shares[name] for name in SPLIT_NAMES])
    for stratum, own in enumerate(members):
        order = np.random.default_rng([seed, stratum]).permutation(len(own))
        places = (np.arange(len(own)) + 0.5) / len(own)
        for rank, place in zip(order, places, strict=True):
            home[own[rank]] = SPLIT_NAMES[int(np.searchsorted(bounds, place))]
    for name in SPLIT_NAMES[1:]:
        if shares[name] > 0 and name not in home.values():
            spare = max(
                ([u for u in own if home[u] == "train"] for own in members), key=len, default=[]
            )
            if len(spare) > 1:
                home[spare[-1]] = name
    return [home[unit] for unit in units]


def split_by_strata(units: Sequence[str], strata: Sequence[str], seed: int) -> list[str]:
    """Like `split_by_unit`, for many small strata such as label × sex × race.

    Units stand in one line, stratum after stratum, each shuffled, and take places k·φ modulo 1
    from a random start: every stratum, and any run of strata, is shared .8/.1/.1 to within about
    one unit, where rounding each stratum by itself would send all the small ones to training.
    """
    rng = np.random.default_rng([seed, len(set(units))])
    line = [own[i] for own in _members(units, strata) for i in rng.permutation(len(own))]
    places = (rng.random() + GOLDEN * np.arange(len(line))) % 1.0
    bounds = np.cumsum([FRACTIONS[name] for name in SPLIT_NAMES])
    bounds[-1] = 1.0
    chosen = np.searchsorted(bounds, places, side="right")
    home = {unit: SPLIT_NAMES[int(k)] for unit, k in zip(line, chosen, strict=True)}
    return [home[unit] for unit in units]


def _members(units: Sequence[str], strata: Sequence[str]) -> list[list[str]]:
    """The units of each stratum, sorted; a unit of several strata belongs to the first by name."""
    own: dict[str, str] = {}
    for unit, stratum in zip(units, strata, strict=True):
        own[unit] = min(stratum, own.get(unit, stratum))
    members: dict[str, list[str]] = {stratum: [] for stratum in sorted(set(own.values()))}
    for unit in sorted(own):
        members[own[unit]].append(unit)
    return list(members.values())


def split_examples(
    examples: Sequence[Example], classes: Sequence[str], stratify: Sequence[str], seed: int
) -> list[str]:
    """A split name per example, by unit, stratified by label and by the attributes `stratify`."""
    units = [e.unit for e in examples]
    if not stratify:
        return split_by_unit(units, [classes[e.label] for e in examples], seed)
    for name in stratify:
        if name not in examples[0].attributes:
            raise InputError(
                f"data.options.stratify names '{name}', which is no attribute{nearest(name, examples[0].attributes)}"
            )
    strata = [
        "×".join([classes[e.label], *(e.attributes[a] or "" for a in stratify)]) for e in examples
    ]
    return split_by_strata(units, strata, seed)


def gather_splits(
    source: str,
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
    examples: Sequence[Example],
    homes: Sequence[str],
    problems: Sequence[str] = (),
    notes: tuple[str, ...] = (),
    *,
    words: tuple[str, ...] = (),
    question: str = "",
) -> Splits:
    """Sort examples into Splits by their split's name; `words` and `question` are those of Splits.

    Raises BadRowsError where there are problems with other rows, the splits being the rest.
    """
    chosen: dict[str, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for example, home in zip(examples, homes, strict=True):
        chosen[home].append(example)
    parts = {name: tuple(own) for name, own in chosen.items()}
    splits = Splits(
        source, classes, attributes, **parts, notes=notes, words=words, question=question
    )
    if problems:
        raise BadRowsError(problems, splits)
    return splits
