"""Confusion tables of resamples: where counts decide a metric, only counts are drawn.

N examples, K classes, G groups, R resamples, U blocks (patients, lesions) drawn or dealt whole.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.resampling import (
    Blocks,
    bootstrap_blocks,
    chunks,
    dealt_codes,
    drawn_weights,
    exchangeable_kinds,
    null_blocks,
    permuted_tables,
)

COUNT_CHUNK = 1 << 20  # counts held at once: large enough that each call draws many


def confusion_by_group(predictions: Predictions, codes: np.ndarray, groups: int) -> np.ndarray:
    """(G, K label, K prediction) counts."""
    classes = len(predictions.classes)
    counts = np.bincount(_cells(predictions, codes), minlength=groups * classes**2)
    return counts.reshape(groups, classes, classes)


def drawn_tables(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Bootstrap resamples within groups, or of whole units: (R, G, K, K) in chunks."""
    draw = _drawn_tables if predictions.units is None else _drawn_unit_tables
    for size in chunks(resamples, groups * len(predictions.classes) ** 2, COUNT_CHUNK):
        yield draw(predictions, codes, groups, size, generator)


def dealt_tables(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    scheme: str,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Group names dealt out anew within the scheme (see `null_blocks`): (R, G, K, K) in chunks."""
    classes = len(predictions.classes)
    if predictions.units is None:
        confusion = confusion_by_group(predictions, codes, groups)
        for size in chunks(draws, confusion.size, COUNT_CHUNK):
            yield _permuted_confusion(confusion, scheme, size, generator)
        return
    blocks, own = null_blocks(predictions.units, codes, exchangeable_kinds(predictions, scheme))
    cells = _cells_of_blocks(blocks, _cells(predictions, np.zeros_like(codes)), classes**2)
    for size in chunks(draws, blocks.count, COUNT_CHUNK):
        dealt = dealt_codes(blocks, own, size, generator)
        tables = [(cells.T @ (dealt == code).T.astype(float)).T for code in range(groups)]
        yield np.stack(tables, axis=1).reshape(size, groups, classes, classes)


def _drawn_tables(predictions, codes, groups, size, generator) -> np.ndarray:
    """Resampling examples draws their confusion cells from a multinomial: only counts are drawn.
    (size, G, K, K)."""
    confusion = confusion_by_group(predictions, codes, groups)
    drawn = [
        generator.multinomial(cells.sum(), cells / cells.sum(), size)
        for cells in confusion.reshape(groups, -1)
    ]
    return np.stack(drawn, axis=1).reshape(size, *confusion.shape)


def _drawn_unit_tables(predictions, codes, groups, size, generator) -> np.ndarray:
    blocks = bootstrap_blocks(predictions.units, codes, groups)
    classes = len(predictions.classes)
    cells = _cells_of_blocks(blocks, _cells(predictions, codes), groups * classes**2)
    drawn = cells.T @ drawn_weights(blocks, size, generator, float).T
    return drawn.T.reshape(size, groups, classes, classes)


def _permuted_confusion(confusion, scheme, draws, generator) -> np.ndarray:
    """(G, K, K) -> (draws, G, K, K) with examples swapped between groups within the scheme."""
    groups, classes = confusion.shape[:2]
    if scheme == "all":
        tables = permuted_tables(confusion.reshape(groups, -1), draws, generator)
        return tables.reshape(draws, groups, classes, classes)
    axis = 1 if scheme == "label" else 2
    strata = [
        permuted_tables(confusion.take(stratum, axis), draws, generator)
        for stratum in range(classes)
    ]
    return np.stack(strata, axis=axis + 1)


def _cells(predictions: Predictions, codes: np.ndarray) -> np.ndarray:
    """(N,) each example's cell of a (G, K, K) table, flattened."""
    classes = len(predictions.classes)
    return (codes * classes + predictions.labels) * classes + predictions.predictions


def _cells_of_blocks(blocks: Blocks, cells: np.ndarray, width: int) -> sparse.csr_matrix:
    """(U, width) how many examples of each block fall into each cell."""
    ones = np.ones(len(cells))
    return sparse.csr_matrix((ones, (blocks.of_example, cells)), shape=(blocks.count, width))
