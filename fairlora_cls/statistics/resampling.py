"""Which examples does a resample hold, and which group names does a shuffled one deal out?

N examples, G groups, R resamples, U blocks (patients, lesions) that are drawn or dealt whole.
Without units every example is a block of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Blocks:
    """Examples that stay together, and which blocks may stand for each other."""

    of_example: np.ndarray | None  # (N,) block of each example; None: each is its own
    strata: tuple[np.ndarray, ...]  # the blocks of each stratum: drawn or dealt among themselves
    count: int

    def to_examples(self, values: np.ndarray) -> np.ndarray:
        """(R, U) -> (R, N)."""
        return values if self.of_example is None else values.take(self.of_example, axis=1)


def bootstrap_blocks(units: Sequence[str] | None, codes: np.ndarray, groups: int) -> Blocks:
    """What a bootstrap draws: examples within their group, or whole units among the units that
    touch the same groups. No group can vanish, for each stratum draws as many as it has."""
    if units is None:
        rows = tuple(np.flatnonzero(codes == code) for code in range(groups))
        return Blocks(None, rows, len(codes))
    numbers = _numbered(units)
    return Blocks(numbers, _strata_by_contents(numbers, codes), int(numbers.max()) + 1)


def null_blocks(
    units: Sequence[str] | None, codes: np.ndarray, kinds: np.ndarray
) -> tuple[Blocks, np.ndarray]:
    """What a shuffle deals group names to, and each block's own group, (U,).

    kinds: (N,) ints; names are dealt among the blocks that hold the same kinds. A unit whose
        examples are of several groups is one block for each.
    """
    if units is None:
        rows = tuple(np.flatnonzero(kinds == kind) for kind in np.unique(kinds))
        return Blocks(None, rows, len(codes)), codes
    units = _numbered(units) * (int(codes.max()) + 1) + codes
    _, first, blocks = np.unique(units, return_index=True, return_inverse=True)
    return Blocks(blocks, _strata_by_contents(blocks, kinds), len(first)), codes[first]


def drawn_weights(
    blocks: Blocks, resamples: int, generator: np.random.Generator, dtype: type = np.int32
) -> np.ndarray:
    """(R, U): how often each block is drawn, as many draws in each stratum as it has blocks."""
    weights = np.empty((resamples, blocks.count), dtype=dtype)
    for members in blocks.strata:
        weights[:, members] = drawn_counts(len(members), resamples, generator)
    return weights


def dealt_codes(
    blocks: Blocks, codes: np.ndarray, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """(R, U): the blocks' own group codes (U,), shuffled within each stratum."""
    dealt = np.empty((draws, blocks.count), dtype=codes.dtype)
    for members in blocks.strata:
        dealt[:, members] = generator.permuted(np.tile(codes[members], (draws, 1)), axis=1)
    return dealt


def drawn_counts(count: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(R, count) int32: how often each of `count` examples is drawn in `count` draws."""
    drawn = generator.integers(0, count, (resamples, count))
    drawn += count * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * count)
    return counts.reshape(resamples, count).astype(np.int32)


def permuted_tables(table: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Random tables with the margins of `table`, as if its rows' names had been shuffled.

    (G, C) counts -> (draws, G, C), each row multivariate hypergeometric given those before it.
    """
    rows, columns = table.shape
    drawn = np.empty((draws, rows, columns), dtype=np.int64)
    remaining = np.tile(table.sum(axis=0), (draws, 1))
    for row in range(rows - 1):
        wanted = np.full(draws, table[row].sum())
        pool = remaining.sum(axis=1)
        for column in range(columns - 1):
            pool -= remaining[:, column]
            taken = generator.hypergeometric(remaining[:, column], pool, wanted)
            drawn[:, row, column] = taken
            wanted -= taken
        drawn[:, row, -1] = wanted
        remaining -= drawn[:, row]
    drawn[:, -1] = remaining
    return drawn


def chunks(total: int, width: int, held: int) -> Iterator[int]:
    """Sizes that sum to `total`, each of about `held` numbers at `width` numbers a draw."""
    size = max(1, held // width)
    for start in range(0, total, size):
        yield min(size, total - start)


def _numbered(units: Sequence[str]) -> np.ndarray:
    return np.unique(np.array(units, dtype=str), return_inverse=True)[1]


def _strata_by_contents(blocks: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, ...]:
    """Blocks that hold the same set of kinds, together. Both (N,)."""
    _, kinds = np.unique(kinds, return_inverse=True)
    pairs = np.unique(np.column_stack([blocks, kinds]), axis=0)
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    members: dict[tuple[int, ...], list[int]] = {}
    for block, contents in enumerate(np.split(pairs[:, 1], starts[1:])):
        members.setdefault(tuple(contents), []).append(block)
    return tuple(np.array(found) for found in members.values())
