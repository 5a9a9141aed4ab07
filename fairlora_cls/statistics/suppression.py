"""Which groups must a published report leave out, so that no small cell can be recovered?

G groups, C cells of a group: its size, its labels, or its table of labels and answers.
A cell of 1 to `below` - 1 examples is small. A group with a small cell is hidden; and because what
is hidden could be had back as a total minus the groups shown, further groups are hidden until, in
every total that is shown, the hidden ones are two or more, none of their summed cells is small, and
one of them could hold as many as are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hidden:
    """Which groups of one grouping lose what, (G,) masks; each is part of the next."""

    sizes: np.ndarray  # how many examples
    labels: np.ndarray  # how many of each class
    tables: np.ndarray  # every metric


def nothing_hidden(groups: int) -> Hidden:
    """Of a report that publishes everything."""
    mask = np.zeros(groups, dtype=bool)
    return Hidden(mask, mask, mask)


def hide_small_cells(
    codes: Sequence[np.ndarray],
    sizes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    tables: Sequence[np.ndarray],
    *,
    below: int | None,
) -> list[Hidden]:
    """What to hide in each grouping, all of which are published together.

    codes: (N,) groups of each example, per grouping; the first grouping should be one group of all
    sizes: (G,) per grouping; labels, tables: (G, cells) per grouping; below: None hides nothing
    """
    masks = [np.zeros(len(size), dtype=bool) for size in sizes]
    if below is None:
        return [nothing_hidden(len(size)) for size in sizes]
    parents = _nesting(codes)
    levels = []
    # A group that is there has one example at least, though perhaps none of some label.
    for least, cells in ((1, [size[:, None] for size in sizes]), (0, labels), (0, tables)):
        masks = [
            mask | _is_small(own, below).any(axis=1) for mask, own in zip(masks, cells, strict=True)
        ]
        _protect(masks, cells, sizes, parents, below, least)
        levels.append([mask.copy() for mask in masks])
    return [Hidden(*each) for each in zip(*levels, strict=True)]


def _is_small(cells: np.ndarray, below: int) -> np.ndarray:
    return (cells > 0) & (cells < below)


def _nesting(codes: Sequence[np.ndarray]) -> list[tuple[int, int, np.ndarray]]:
    """(finer, coarser, the coarser group of each finer one) for every pair that is nested."""
    pairs = []
    for finer, own in enumerate(codes):
        for coarser, other in enumerate(codes):
            if finer == coarser:
                continue
            of_group = np.zeros(int(own.max()) + 1, dtype=int)
            of_group[own] = other
            if (of_group[own] == other).all():
                pairs.append((finer, coarser, of_group))
    return pairs


def _protect(masks, cells, sizes, parents, below, least) -> None:
    """Extends the masks in place until every shown total is safe."""
    changed = True
    while changed:
        changed = False
        for finer, coarser, of_group in parents:
            for row in range(len(masks[coarser])):
                members = np.flatnonzero(of_group == row)
                hidden, shown = members[masks[finer][members]], members[~masks[finer][members]]
                pooled = cells[finer][hidden].sum(axis=0)
                most = pooled - least * max(len(hidden) - 1, 0)  # that one of them can hold
                if masks[coarser][row]:
                    exposed = len(hidden) == 0  # the parts would add up to it
                else:
                    exposed = len(hidden) == 1 or bool(
                        (_is_small(most, below) & (pooled > 0)).any()
                    )
                if not exposed:
                    continue
                if len(shown):
                    masks[finer][shown[np.argmin(sizes[finer][shown])]] = True
                else:
                    masks[coarser][row] = True
                changed = True
