"""How far could each number lie from the truth, and what would equal groups or models show by chance?

N examples, G groups, R resamples. The bootstrap draws within groups, so that no group vanishes, and
whole units (patients, lesions) where they are known. The null of a gap deals the group names out
anew among examples that may be exchanged if the groups are equal; each metric says which. The swap
test exchanges, for each example or unit with probability 1/2, two models' answers, as is allowed if
neither model answers differently from the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from fairlora_cls.statistics.resampling import (
    Blocks,
    bootstrap_blocks,
    chunks,
    dealt_codes,
    drawn_weights,
    null_blocks,
    permuted_tables,
)
from fairlora_cls.statistics.sample import Cells, Measures, Sample, joined, stacked

COUNTED_NULL_DRAWS = 20_000  # counts are drawn directly, so the null mean can be had exactly
FEWEST_DRAWS = 200  # what a large table is still given
COUNT_WORK = 1_000_000  # counts drawn per null at most, beyond what is asked for
SCORE_WORK = 200_000_000  # example weights drawn per bootstrap or null at most
# Numbers held at once: few enough to stay in cache for rankings, more where each call draws little.
RANKED_HELD, HELD = 1 << 18, 1 << 20


@dataclass(frozen=True)
class Draws:
    """Every metric in R draws; R may differ between metrics. NaN where a draw leaves it undefined."""

    overall: Measures  # (R,) each, of the pooled groups
    by_group: Measures  # (R, G) each

    def masked(self, hidden: np.ndarray) -> Draws:
        """Without the groups of the (G,) mask: theirs are NaN, so that gaps leave them out."""
        return replace(self, by_group=masked(self.by_group, hidden))


def masked(by_group: Measures, hidden: np.ndarray) -> Measures:
    """(R, G) each, NaN for the groups of the (G,) mask."""
    return {key: np.where(hidden, np.nan, values) for key, values in by_group.items()}


def affordable_draws(wanted: int, width: int) -> int:
    """How many draws of `width` example weights are made where `wanted` are asked for."""
    return min(wanted, max(FEWEST_DRAWS, SCORE_WORK // width))


def bootstrap(
    sample: Sample, codes: np.ndarray, groups: int, resamples: int, generator: np.random.Generator
) -> Draws:
    """Draws each group's examples anew, with replacement, as many as the group has; or whole units.

    codes: (N,) group of each example, 0 .. groups-1, none empty
    resamples: how many; what counts do not decide gets fewer, at least FEWEST_DRAWS, in tables
        beyond SCORE_WORK / resamples rows
    """
    cells = sample.cells()
    if cells is None:
        return paired_bootstrap([sample], codes, groups, resamples, generator)[0]
    if not resamples:
        values = cells.measure(np.zeros((0, groups, cells.width)))
        counted = Draws({key: value[:, 0] for key, value in values.items()}, values)
    else:
        tables = drawn_tables(sample, cells, codes, groups, resamples, generator)
        parts = [(cells.measure(each.sum(axis=1)), cells.measure(each)) for each in tables]
        counted = Draws(*(joined(side) for side in zip(*parts, strict=True)))
    if cells.rest is None:
        return counted
    draws = affordable_draws(resamples, len(codes))
    rest = paired_bootstrap(
        [cells.rest], codes[cells.order], groups, draws, generator, RANKED_HELD
    )[0]
    return Draws(counted.overall | rest.overall, counted.by_group | rest.by_group)


def paired_bootstrap(
    samples: Sequence[Sample],
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
    held: int = HELD,
) -> list[Draws]:
    """`bootstrap` of several models on the same examples in the same order: all see the same draws."""
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    parts = [[s] if groups == 1 else [s.rows(rows) for rows in members] for s in samples]
    blocks = bootstrap_blocks(samples[0].units, codes, groups)
    drawn: list[list[tuple[Measures, Measures]]] = [[] for _ in samples]
    for size in chunks(resamples, len(codes), held) if resamples else [0]:
        weights = blocks.to_examples(drawn_weights(blocks, size, generator))
        own = [weights] if groups == 1 else [weights.take(rows, axis=1) for rows in members]
        for sample, of_groups, values in zip(samples, parts, drawn, strict=True):
            whole = sample.weighted(weights)
            each = [whole]  # of one group, which holds everyone
            if groups > 1:
                each = [part.weighted(w) for part, w in zip(of_groups, own, strict=True)]
            values.append((whole, stacked(each)))
    return [Draws(*(joined(side) for side in zip(*values, strict=True))) for values in drawn]


def null(
    sample: Sample,
    codes: np.ndarray,
    groups: int,
    draws: int,
    generator: np.random.Generator,
    *,
    exact: bool = False,
) -> Measures:
    """Every metric of groups whose names were dealt out anew: (R, G) each.

    exact: metrics that counts decide get COUNTED_NULL_DRAWS draws where no units are known; the
        others `draws`, but fewer, at least FEWEST_DRAWS, where groups × examples are many
    """
    values: Measures = {}
    cells = sample.cells()
    if cells is not None:
        counted_draws = draws
        if exact and sample.units is None:
            counted_draws = max(
                draws, min(COUNTED_NULL_DRAWS, COUNT_WORK // (groups * cells.width))
            )
        for scheme in cells.schemes:
            tables = dealt_tables(sample, cells, codes, groups, scheme, counted_draws, generator)
            parts = [_of_scheme(cells, cells.measure(each), scheme) for each in tables]
            values |= joined(parts)
        if cells.rest is None:
            return values
        sample, codes = cells.rest, codes[cells.order]
        draws = affordable_draws(draws, len(codes) * groups)
    codes = codes.astype(np.min_scalar_type(groups))  # of one byte they are sorted the fastest
    blocks = {s: null_blocks(sample.units, codes, sample.kinds(s)) for s in sample.schemes}
    sizes = np.bincount(codes, minlength=groups)
    parts = []
    for size in chunks(draws, len(codes), HELD if cells is None else RANKED_HELD):
        dealt = {
            scheme: among.to_examples(dealt_codes(among, own, size, generator))
            for scheme, (among, own) in blocks.items()
        }
        parts.append(sample.dealt(dealt, sizes))
    return values | joined(parts)


def swap(
    first: Sample,
    second: Sample,
    codes: np.ndarray,
    groups: int,
    draws: int,
    generator: np.random.Generator,
) -> tuple[Draws, Draws]:
    """What two models' numbers become when each example's answers are exchanged at random; all
    examples of a unit together."""
    both = first.paired(second)
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    parts = [both.rows(np.concatenate([rows, len(codes) + rows])) for rows in members]
    blocks = bootstrap_blocks(first.units, codes, groups)
    drawn: tuple[list, list] = ([], [])
    for size in chunks(draws, 2 * len(codes), HELD):
        coins = generator.integers(0, 2, (size, blocks.count), dtype=np.int32)
        kept = 1 - blocks.to_examples(coins)
        for sides, values in zip(((kept, 1 - kept), (1 - kept, kept)), drawn, strict=True):
            whole = both.weighted(np.concatenate(sides, axis=1))
            each = [whole]
            if groups > 1:
                each = [
                    part.weighted(np.concatenate([s.take(rows, axis=1) for s in sides], axis=1))
                    for rows, part in zip(members, parts, strict=True)
                ]
            values.append((whole, stacked(each)))
    return tuple(Draws(*(joined(side) for side in zip(*v, strict=True))) for v in drawn)


def table_by_group(cells: Cells, codes: np.ndarray, groups: int) -> np.ndarray:
    """(G, width) how many examples of each group fall into each cell."""
    counts = np.bincount(codes * cells.width + cells.of_example, minlength=groups * cells.width)
    return counts.reshape(groups, cells.width)


def _of_scheme(cells: Cells, values: Measures, scheme: str) -> Measures:
    return {key: value for key, value in values.items() if cells.scheme_of(key) == scheme}


def drawn_tables(
    sample: Sample,
    cells: Cells,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Bootstrap resamples within groups, or of whole units: (R, G, width) in chunks."""
    table = table_by_group(cells, codes, groups)
    if sample.units is not None:
        blocks = bootstrap_blocks(sample.units, codes, groups)
        contents = _contents(blocks, codes * cells.width + cells.of_example, table.size)
    for size in chunks(resamples, table.size, HELD):
        if sample.units is None:  # resampled examples fall into cells as a multinomial does
            drawn = [generator.multinomial(own.sum(), own / own.sum(), size) for own in table]
            yield np.stack(drawn, axis=1)
        else:
            counts = contents.T @ drawn_weights(blocks, size, generator, float).T
            yield counts.T.reshape(size, *table.shape)


def dealt_tables(
    sample: Sample,
    cells: Cells,
    codes: np.ndarray,
    groups: int,
    scheme: str,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Group names dealt out anew within the scheme: (R, G, width) in chunks."""
    if sample.units is None:
        table = table_by_group(cells, codes, groups)
        for size in chunks(draws, table.size, HELD):
            drawn = np.empty((size, *table.shape), dtype=np.int64)
            for kind in cells.schemes[scheme]:
                drawn[:, :, kind] = permuted_tables(table[:, kind], size, generator)
            yield drawn
        return
    blocks, own = null_blocks(sample.units, codes, sample.kinds(scheme))
    contents = _contents(blocks, cells.of_example, cells.width)
    for size in chunks(draws, blocks.count, HELD):
        dealt = dealt_codes(blocks, own, size, generator)
        tables = [(contents.T @ (dealt == code).T.astype(float)).T for code in range(groups)]
        yield np.stack(tables, axis=1)


def _contents(blocks: Blocks, cells: np.ndarray, width: int) -> sparse.csr_matrix:
    """(U, width) how many examples of each block fall into each cell."""
    ones = np.ones(len(cells))
    return sparse.csr_matrix((ones, (blocks.of_example, cells)), shape=(blocks.count, width))
