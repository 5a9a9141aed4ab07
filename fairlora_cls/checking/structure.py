"""Whether splits, ids, units, labels and groups make an honest run, told without opening an image.

N examples of a split, G groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from fairlora_cls.checking.findings import Finding, name_some
from fairlora_cls.data.examples import SPLIT_NAMES, Example, Splits, find_faults
from fairlora_cls.data.groups import UNKNOWN
from fairlora_cls.errors import nearest

MANY_GROUPS = 20  # an attribute with more values than this is not a set of groups


def find_loader_notes(splits: Splits) -> list[Finding]:
    """What the loader took for granted, and its user should look at."""
    return [Finding("warning", "loader", note) for note in splits.notes]


def find_structure(splits: Splits, *, classifies: bool = True) -> list[Finding]:
    """What no run would accept, classes that a split lacks, and units with several images."""
    faults = find_faults(splits, classifies=classifies)
    return [
        *(Finding("error", fault.code, fault.message, fault.examples) for fault in faults),
        *_units(splits),
        *(_absent_classes(splits) if classifies else []),
        *_look_alikes("label", "class", "classes", splits.classes),
    ]


def _units(splits: Splits) -> list[Finding]:
    sizes = Counter(e.unit for e in splits.everything())
    several = [unit for unit, n in sizes.items() if n > 1]
    if not several or len(sizes) == 1:
        return []
    return [
        Finding(
            "note",
            "units-with-several-images",
            f"{len(several):,} of {len(sizes):,} patients or lesions have several images (up to "
            f"{max(sizes.values())}); each stays within one split.",
            tuple(several),
        )
    ]


def _absent_classes(splits: Splits) -> list[Finding]:
    """Classes that validation or test lack; training may lack none."""
    findings = []
    for name in SPLIT_NAMES[1:]:
        present = {e.label for e in splits.split(name)}
        absent = [c for k, c in enumerate(splits.classes) if k not in present]
        if present and absent:
            findings.append(
                Finding(
                    "warning",
                    "absent-class",
                    f"No {name} example has the class {name_some(absent)}; its sensitivity and AUROC "
                    "are undefined there.",
                    tuple(absent),
                )
            )
    return findings


def _look_alikes(what: str, noun: str, plural: str, values: Iterable[str]) -> list[Finding]:
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
    findings = []
    everyone = list(splits.everything())
    for name in sensitive:
        if name not in splits.attributes:
            findings.append(
                Finding(
                    "error",
                    "unknown-attribute",
                    f"data.sensitive: the data has no attribute '{name}'"
                    f"{nearest(name, splits.attributes)}",
                )
            )
            continue
        values = [e.attributes.get(name) for e in everyone]
        findings += _missing(name, everyone, values, policy)
        findings += _values(name, Counter(v for v in values if v is not None))
    return findings


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
    findings = _look_alikes(f"attribute {name}", "group", "groups", values)
    numbers = [number for number in map(_as_number, values) if number is not None]
    endless = [v for v in values if (n := _as_number(v)) is not None and not np.isfinite(n)]
    if endless:
        findings.append(
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
        findings.append(
            Finding(
                "warning",
                "many-groups",
                f"The attribute {name} has {len(values):,} different values, the most frequent "
                f"'{values.most_common(1)[0][0]}'; groups that small say nothing: {advice}.",
            )
        )
    if len(values) == 1:
        only, count = values.most_common(1)[0]
        findings.append(
            Finding(
                "warning",
                "one-group",
                f"The attribute {name} has one group only, '{only}' ({count:,} examples); there is "
                "nothing to compare.",
            )
        )
    return findings


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
