"""Sensitive columns → group codes, names and counts; missing values by a stated policy.

N examples, G groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fairlora_cls.data.examples import SPLIT_NAMES, Example, Splits
from fairlora_cls.errors import InputError, nearest

INTERSECTION = "×"  # joins attributes, and the groups of their cells
UNKNOWN = "Unknown"  # the group that `keep` gives to an example whose attribute is not recorded
OTHER = "Other"  # the group that rare values, or rare cells of an intersection, are merged into

AGE_CUTS = (44.0, 65.0)  # FairLLaVA's, years; its comparison in Table 3 cuts at 65 only


@dataclass(frozen=True)
class Groups:
    """Group membership of the three splits under one attribute or an intersection of several."""

    attribute: str  # e.g. "ethnicity" or "sex×race"
    names: tuple[str, ...]  # (G,), sorted, over all splits
    codes: dict[str, np.ndarray]  # split → (N,) int64 codes into names
    counts: tuple[int, ...]  # (G,), in the training split

    @property
    def absent_from_training(self) -> tuple[str, ...]:
        return tuple(n for n, count in zip(self.names, self.counts, strict=True) if count == 0)


def check_age_cuts(cuts: Sequence[float]) -> None:
    """Raise InputError for cuts (years) that do not rise from above 0, or are not finite."""
    bounds = (0.0, *cuts, np.inf)
    if not cuts or any(not low < high for low, high in pairwise(bounds)):
        raise InputError(f"The age cuts {list(cuts)} must rise from above 0, such as [44, 65].")


def age_band(age: float | None, cuts: Sequence[float] = AGE_CUTS) -> str | None:
    """The age group of an age in years: (0,44], (44,65], (65,∞) for the cuts 44 and 65.

    None where age is not recorded. Raises InputError for cuts that do not rise from above 0.
    """
    check_age_cuts(cuts)
    if age is None or not np.isfinite(age):
        return None
    bounds = (0.0, *cuts)
    for low, high in pairwise(bounds):
        if age <= high:
            return f"({low:g},{high:g}]"
    return f"({bounds[-1]:g},∞)"


def listed_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names, each once; one alone may be given as it is."""
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def single_attributes(names: str | Iterable[str]) -> list[str]:
    """The attributes behind names and intersections such as "sex×race", each once."""
    names = listed_names(names)
    return list(dict.fromkeys(part for name in names for part in name.split(INTERSECTION)))


def require_attributes(splits: Splits, attributes: Sequence[str]) -> None:
    """Raise InputError for an attribute that the data lacks."""
    for name in attributes:
        if name not in splits.attributes:
            raise InputError(
                f"The data has no attribute '{name}'{nearest(name, splits.attributes)}"
            )


def apply_missing_policy(
    splits: Splits, attributes: Sequence[str], policy: str
) -> tuple[Splits, int]:
    """Treat examples that lack one of `attributes`; returns the splits and how many it touched.

    `keep` makes "Unknown" a group of its own (the glaucoma paper), `drop` leaves the example out
    (FairCLIP), `error` refuses the data; `predict` keeps, and runs/missing_groups.py fills in
    training rows later, from image features. Raises InputError for an attribute the data lacks.
    """
    require_attributes(splits, attributes)

    def lacking(example: Example) -> list[str]:
        return [name for name in attributes if example.attributes.get(name) is None]

    touched = [e for e in splits.everything() if lacking(e)]
    if not touched:
        return splits, 0
    if policy == "error":
        raise InputError(
            f"Example '{touched[0].id}' has no value for '{lacking(touched[0])[0]}' "
            f"({len(touched)} such examples); set data.missing_groups to keep (a group of its own), "
            "drop or predict."
        )
    if policy == "drop":
        return splits.changed(lambda e: None if lacking(e) else e), len(touched)
    return splits.changed(lambda e: e.with_groups(dict.fromkeys(lacking(e), UNKNOWN))), len(touched)


def merge_rare_groups(
    splits: Splits, attributes: Sequence[str], minimum: int
) -> tuple[Splits, tuple[str, ...]]:
    """Merge an attribute's values with fewer than `minimum` training examples into "Other".

    Counted in the training split, applied to all; "Unknown" and missing values stay as they are.
    An attribute with a single rare value and no "Other" to join keeps it: renaming merges nothing.
    Returns the splits and a sentence per attribute that changed. Raises InputError for an
    attribute the data lacks.
    """
    require_attributes(splits, attributes)
    notes = []
    for name in attributes:
        counts = Counter(e.attributes[name] for e in splits.train)
        values = {e.attributes[name] for e in splits.everything()} - {None, UNKNOWN}
        rare = {v for v in values if counts[v] < minimum}
        if len(rare | ({OTHER} & values)) < 2:
            continue
        splits = splits.changed(
            lambda e, name=name, rare=rare: (
                e.with_groups({name: OTHER}) if e.attributes[name] in rare else e
            )
        )
        listed = ", ".join(sorted(rare - {OTHER}))
        notes.append(
            f"{name}: {listed}, each with fewer than {minimum} training examples, are merged into "
            f"{OTHER} ({sum(counts[v] for v in rare | {OTHER})} in training; data.merge_groups_below)."
        )
    return splits, tuple(notes)


def encode_groups(splits: Splits, attribute: str, merge_below: int = 0) -> Groups:
    """Code the groups of an attribute, or of an intersection of several such as "sex×race".

    Cells of an intersection with fewer than `merge_below` training examples become one cell,
    "Other"; single attributes keep their groups. Raises InputError for an unknown attribute.
    """
    names_of = {s: [n or UNKNOWN for n in own] for s, own in _cells(splits, attribute).items()}
    if INTERSECTION in attribute and merge_below > 0:
        sizes = Counter(names_of["train"])
        for split, names in names_of.items():
            names_of[split] = [n if sizes[n] >= merge_below else OTHER for n in names]
    return _encode(attribute, names_of)


def encode_recorded(splits: Splits, attribute: str) -> Groups:
    """As `encode_groups`, but an example whose group is not recorded gets the code −1."""
    names_of = {
        split: [None if n is None or UNKNOWN in n.split(INTERSECTION) else n for n in names]
        for split, names in _cells(splits, attribute).items()
    }
    return _encode(attribute, names_of)


def _encode(attribute: str, names_of: Mapping[str, Sequence[str | None]]) -> Groups:
    """Groups of the names of each split's examples; None gets the code −1."""
    names = tuple(sorted({name for own in names_of.values() for name in own} - {None}))
    index = {name: code for code, name in enumerate(names)}
    codes = {
        split: np.array([index.get(name, -1) for name in own], dtype=np.int64)
        for split, own in names_of.items()
    }
    known = codes["train"][codes["train"] >= 0]
    counts = tuple(int(count) for count in np.bincount(known, minlength=len(names)))
    return Groups(attribute, names, codes, counts)


def cross_groups(attributes: Iterable[Groups], split: str, count: int) -> np.ndarray:
    """Codes (N,) of the cells of several attributes in a split of `count` examples, 0 upwards."""
    cells = np.zeros(count, dtype=np.int64)
    for groups in attributes:
        cells = cells * len(groups.names) + groups.codes[split]
    return np.unique(cells, return_inverse=True)[1]


def _cells(splits: Splits, attribute: str) -> dict[str, list[str | None]]:
    """The group of every example, by split; None where a part of it is not recorded."""
    parts = attribute.split(INTERSECTION)
    require_attributes(splits, parts)

    def name_of(example: Example) -> str | None:
        values = [example.attributes.get(part) for part in parts]
        return None if any(v is None for v in values) else INTERSECTION.join(map(str, values))

    return {split: [name_of(e) for e in splits.split(split)] for split in SPLIT_NAMES}
