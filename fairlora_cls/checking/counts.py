"""How many examples of each label every group has in each split, and the smallest of these cells.

G groups, K classes.
"""

from __future__ import annotations

from collections import Counter

from fairlora_cls.checking.findings import Finding, list_some
from fairlora_cls.data.examples import SPLIT_NAMES, Splits
from fairlora_cls.data.groups import encode_groups
from fairlora_cls.presentation.document import Table, text_table

Cells = dict[str, Counter[tuple[str, str]]]  # split → (group, class) → examples


def count_cells(splits: Splits, attribute: str) -> Cells:
    """Examples of each (group, class) of one attribute, every combination listed."""
    groups = encode_groups(splits, attribute)
    cells: Cells = {}
    for split in SPLIT_NAMES:
        counts = Counter({(g, c): 0 for g in groups.names for c in splits.classes})
        for example, code in zip(splits.split(split), groups.codes[split], strict=True):
            counts[groups.names[code], splits.classes[example.label]] += 1
        cells[split] = counts
    return cells


def tabulate_cells(attribute: str, cells: Cells) -> Table:
    """One row per group and class, one column per split."""
    rows = tuple(
        (group, label, *(f"{cells[split][group, label]:,}" for split in SPLIT_NAMES))
        for group, label in cells["train"]
    )
    return text_table(
        f"Examples by {attribute} and label", (attribute, "label", *SPLIT_NAMES), rows
    )


def find_small_cells(attribute: str, cells: Cells, minimum: int) -> list[Finding]:
    """Empty cells, groups with fewer than `minimum` examples to train or test on, the smallest cell."""
    there = [split for split in SPLIT_NAMES if cells[split].total()]
    findings = []
    for splits, effect in (
        (["train"], "the objective never sees them"),
        (
            ["validation", "test"],
            "what depends on them there (AUROC, sensitivity, specificity) is undefined",
        ),
    ):
        empty = [
            f"{group} × {label} ({split})"
            for group, label in cells["train"]
            for split in splits
            if split in there and not cells[split][group, label]
        ]
        if empty:
            findings.append(
                Finding(
                    "warning",
                    "empty-cell",
                    f"No example of {attribute} {list_some(empty)}; {effect}.",
                    tuple(empty),
                )
            )
    small = [
        f"{group} ({n} in {split})"
        for split in ("train", "test")
        for group, n in _sizes(cells[split]).items()
        if split in there and n < minimum
    ]
    if small:
        findings.append(
            Finding(
                "warning",
                "small-group",
                f"Groups of {attribute} with fewer than {minimum} examples: {list_some(small)}; "
                "their numbers are mostly chance (report.minimum_group_size).",
                tuple(small),
            )
        )
    n, split, group, label = min(
        ((n, split, *cell) for split in there for cell, n in cells[split].items()),
        key=lambda cell: cell[0],
    )
    findings.append(
        Finding(
            "note",
            "smallest-cell",
            f"The smallest cell of {attribute} × label is {group} × {label} in {split}: {n:,}.",
        )
    )
    return findings


def _sizes(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Examples of each group, over all classes."""
    sizes: Counter[str] = Counter()
    for (group, _), n in counts.items():
        sizes[group] += n
    return sizes
