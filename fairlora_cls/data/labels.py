"""Labels of tables → classes: named by the user or as they are, and what combines several.

N rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from fairlora_cls.data.cells import recorded
from fairlora_cls.data.tables import Table
from fairlora_cls.errors import InputError, nearest

COMBINING = re.compile(r"\s*[|;,/+&]\s*|\s+and\s+")  # between the labels of one cell


def name_classes(named: Sequence[str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """The classes that the user names (data.options.classes), where `counts` has all labels.

    A class without a row is kept: a cohort to evaluate on may lack the disease, and training refuses
    it by itself. Raises InputError for one that is blank or stands twice, and where neither all
    classes nor all labels have a partner: the two are written in different ways.
    """
    names = tuple(recorded(name) or "" for name in named)
    if "" in names or len(set(names)) < len(names):
        raise InputError(
            f"data.options.classes is {list(named)}; name each class once, and none that says "
            "'not known'."
        )
    unseen = [name for name in names if name not in counts]
    if unseen and set(counts) - set(names):
        seen = sorted(counts)
        shown = ", ".join(seen[:20]) + (", …" if len(seen) > 20 else "")
        raise InputError(
            f"No row has the class {', '.join(unseen)} of data.options.classes; the labels are "
            f"{shown}."
        )
    return names


def sort_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels, each once; of those that differ only in case, the first."""
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(label.casefold(), label)
    return tuple(sorted(first.values()))


def code_labels(
    table: Table, labels: Sequence[str | None], classes: Sequence[str], *, named: bool
) -> list[int | None]:
    """Each label's place in `classes`; a row with another label is refused.

    `named`: the user or the data say what the classes are, and another case is another class.
    """
    index = {name: k for k, name in enumerate(classes)}
    alike = {} if named else {name.casefold(): name for name in classes}
    faults = {}
    for label in dict.fromkeys(labels):
        if label is None or label in index:
            continue
        faults[label] = f"has the label '{label}'{nearest(label, classes)}"
        if known := alike.get(label.casefold()):
            faults[label] = (
                f"has the label '{label}', and others have '{known}'; write them alike, or name the "
                "classes with data.options.classes."
            )
    table.refuse({row: faults[label] for row, label in enumerate(labels) if label in faults})
    return [index.get(label) for label in labels]


def note_combined(counts: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence for each label, such as "a|b", whose every part is another label of the data."""
    alone = {label.strip("[](){}'\" ") for label in counts}
    notes = []
    for label, count in sorted(counts.items()):
        parts = [part.strip("'\" ") for part in COMBINING.split(label.strip("[](){} "))]
        if len(parts) > 1 and all(part in alone for part in parts):
            listed = " and ".join(f"'{part}'" for part in parts)
            notes.append(
                f"The label '{label}' ({count} rows) combines {listed} and is a class of its own: an "
                "image has one class here, so give such rows one of them, or leave them out."
            )
    return tuple(notes)
