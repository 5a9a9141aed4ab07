"""Whether splits, ids, units, labels and groups make an honest run, told without opening an image.

N examples of a split, G groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from fairlora_cls.checking.findings import Finding, counted, name_some
from fairlora_cls.data.examples import SPLIT_NAMES, Example, Splits
from fairlora_cls.data.groups import UNKNOWN
from fairlora_cls.errors import nearest

MANY_GROUPS = 20  # an attribute with more values than this is not a set of groups


def find_loader_notes(splits: Splits) -> list[Finding]:
    """What the loader took for granted, and its user should look at."""
    return [Finding("warning", "loader", note) for note in splits.notes]


def find_structure(splits: Splits, *, classifies: bool = True) -> list[Finding]:
    """Everything that `validate_splits` refuses, all of it at once, and the units as a note."""
    found = []
    if classifies and len(splits.classes) < 2:
        found.append(
            Finding(
                "error",
                "one-class",
                f"The data has {counted(len(splits.classes), 'class', 'classes')} "
                f"({', '.join(splits.classes) or 'none'}); a classifier needs at least two. "
                "Check the label column.",
            )
        )
    found += _empty_splits(splits)
    found += _doubled_ids(splits)
    found += _units(splits)
    found += _absent_classes(splits) if classifies else []
    found += _look_alikes("label", "class", "classes", Counter(splits.classes))
    return found


def _empty_splits(splits: Splits) -> list[Finding]:
    return [
        Finding(
            "error",
            "empty-split",
            f"The {name} split is empty; a run needs all of train, validation and test: name the "
            "column that says the split, or bring more patients.",
        )
        for name in SPLIT_NAMES
        if not splits.split(name)
    ]


def _doubled_ids(splits: Splits) -> list[Finding]:
    doubled = [i for i, n in Counter(e.id for e in splits.everything()).items() if n > 1]
    if not doubled:
        return []
    return [
        Finding(
            "error",
            "doubled-id",
            f"{counted(len(doubled), 'id')} stand more than once: {name_some(doubled)}; "
            "give every example an id of its own.",
            tuple(doubled),
        )
    ]


def _units(splits: Splits) -> list[Finding]:
    homes: dict[str, set[str]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    for name in SPLIT_NAMES:
        for example in splits.split(name):
            homes[example.unit].add(name)
            sizes[example.unit] += 1
    found = []
    torn = [unit for unit, where in homes.items() if len(where) > 1]
    if torn:
        both = " and ".join(n for n in SPLIT_NAMES if n in homes[torn[0]])
        found.append(
            Finding(
                "error",
                "unit-in-two-splits",
                f"{counted(len(torn), 'patient or lesion', 'patients or lesions')} have images in "
                f"more than one split, the first '{torn[0]}' in {both}; put all images of one into "
                "one split.",
                tuple(torn),
            )
        )
    if len(sizes) == 1 and sum(sizes.values()) > 1:
        found.append(
            Finding(
                "error",
                "one-unit",
                f"All {sum(sizes.values()):,} examples belong to '{next(iter(sizes))}'; the patient "
                "column says nothing, name the right one (data.options.unit_column).",
            )
        )
    several = [unit for unit, n in sizes.items() if n > 1]
    if several and len(sizes) > 1:
        found.append(
            Finding(
                "note",
                "units-with-several-images",
                f"{len(several):,} of {len(sizes):,} patients or lesions have several images (up to "
                f"{max(sizes.values())}); each stays within one split.",
                tuple(several),
            )
        )
    return found


def _absent_classes(splits: Splits) -> list[Finding]:
    found = []
    for name in SPLIT_NAMES:
        examples = splits.split(name)
        counts = Counter(e.label for e in examples)
        absent = [c for k, c in enumerate(splits.classes) if not counts[k]]
        if examples and absent:
            found.append(
                Finding(
                    "error" if name == "train" else "warning",
                    "absent-class",
                    f"No {name} example has the class {name_some(absent)}; "
                    + (
                        "a class absent from training cannot be learned."
                        if name == "train"
                        else "its sensitivity and AUROC are undefined there."
                    ),
                    tuple(absent),
                )
            )
    return found


def _look_alikes(what: str, noun: str, plural: str, values: Counter[str]) -> list[Finding]:
    """Names that differ only in case or surrounding space, and so split one group in two."""
    alike: dict[str, list[str]] = defaultdict(list)
    for value in values:
        alike[" ".join(value.split()).casefold()].append(value)
    return [
        Finding(
            "error",
            f"look-alike-{noun}",
            f"The {what} has {name_some(sorted(names))} as different {plural}; write them alike.",
            tuple(sorted(names)),
        )
        for names in alike.values()
        if len(names) > 1
    ]


def find_attributes(splits: Splits, sensitive: Sequence[str], policy: str) -> list[Finding]:
    """Sensitive attributes that are not there, not recorded, not groups, or one group only."""
    found = []
    everyone = list(splits.everything())
    for name in sensitive:
        if name not in splits.attributes:
            found.append(
                Finding(
                    "error",
                    "unknown-attribute",
                    f"data.sensitive: the data has no attribute '{name}'"
                    f"{nearest(name, splits.attributes)}",
                )
            )
            continue
        values = [e.attributes.get(name) for e in everyone]
        found += _missing(name, everyone, values, policy)
        found += _values(name, Counter(v for v in values if v is not None))
    return found


def groupable(splits: Splits, attributes: Sequence[str]) -> list[str]:
    """Those of the attributes that the data has and whose values are few enough to be groups."""
    return [
        name
        for name in attributes
        if name in splits.attributes
        and len({e.attributes.get(name) for e in splits.everything()}) <= MANY_GROUPS + 1
    ]


def _missing(
    name: str, everyone: Sequence[Example], values: Sequence[str | None], policy: str
) -> list[Finding]:
    lacking = [e.id for e, v in zip(everyone, values, strict=True) if v is None]
    if not lacking:
        return []
    treated = {
        "keep": f"they are kept as the group {UNKNOWN}; data.missing_groups=drop leaves them out",
        "drop": "they are left out; data.missing_groups=keep makes them a group",
        "error": "data.missing_groups is error; set it to keep or drop",
    }.get(policy, f"data.missing_groups is {policy}")
    share = len(lacking) / len(everyone)
    return [
        Finding(
            "error" if policy == "error" else "warning" if share > 0.2 else "note",
            "missing-group",
            f"{name} is unknown in {len(lacking):,} of {len(everyone):,} examples "
            f"({share:.1%}): {treated}.",
            tuple(lacking),
        )
    ]


def _values(name: str, values: Counter[str]) -> list[Finding]:
    found = _look_alikes(f"attribute {name}", "group", "groups", values)
    numbers = [number for number in map(_as_number, values) if number is not None]
    endless = [v for v in values if (n := _as_number(v)) is not None and not np.isfinite(n)]
    if endless:
        found.append(
            Finding(
                "error",
                "not-finite",
                f"The attribute {name} has the value {name_some(endless)}; leave it blank where "
                "it is not known.",
                tuple(endless),
            )
        )
    if len(values) > MANY_GROUPS:
        advice = (
            "cut it into bands" if len(numbers) > len(values) / 2 else "name another or merge some"
        )
        found.append(
            Finding(
                "warning",
                "many-groups",
                f"The attribute {name} has {len(values):,} different values, the most frequent "
                f"'{values.most_common(1)[0][0]}'; groups that small say nothing: {advice}.",
            )
        )
    if len(values) == 1:
        only, count = values.most_common(1)[0]
        found.append(
            Finding(
                "warning",
                "one-group",
                f"The attribute {name} has one group only, '{only}' ({count:,} examples); there is "
                "nothing to compare.",
            )
        )
    return found


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
