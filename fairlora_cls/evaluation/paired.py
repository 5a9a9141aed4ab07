"""How far may two models' numbers differ on the same examples, by resampling them or by chance?

N examples, K classes, G groups, R resamples. Both models see the same draws. The bootstrap
resamples examples within groups; the swap test exchanges, for each example with probability 1/2,
the two models' answers, as is allowed if neither model answers differently from the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.stats import rankdata

from fairlora_cls.evaluation.metrics import METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.resampling import bootstrap_blocks, chunks, drawn_weights
from fairlora_cls.evaluation.vectorised import (
    ScoredRows,
    counted_metrics,
    error_metrics,
    prepare_scores,
    rank_scores,
    ranking_metrics,
)

CHUNK = 1 << 20  # numbers held at once
ROUNDING = 1e-9  # equal differences reached by different sums must count as equal


@dataclass(frozen=True)
class PairedDraws:
    """One model's metrics in R draws that other models share."""

    overall: dict[str, np.ndarray]  # metric -> (R,)
    by_group: dict[str, np.ndarray]  # metric -> (R, G), NaN where undefined


@dataclass(frozen=True)
class Rows:
    """Some examples' answers of one model, ready to be measured under many weightings."""

    cells: csr_array  # (K*K, rows): 1 where the example's label and prediction meet
    scored: ScoredRows
    classes: int
    positive: int


def paired_bootstrap(
    models: Sequence[Predictions],
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> list[PairedDraws]:
    """Draws each group's examples anew, with replacement, the same for all models; or whole units.

    models: on the same examples in the same order
    codes: (N,) group of each example, 0 .. groups-1, none empty
    """
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    prepared = [[prepare_rows(model, rows) for rows in members] for model in models]
    pooled = [prepare_rows(model, np.arange(len(codes))) for model in models]
    blocks = bootstrap_blocks(models[0].units, codes, groups)
    found = [[] for _ in models]
    for size in chunks(resamples, len(codes), CHUNK):
        weights = blocks.to_examples(drawn_weights(blocks, size, generator))
        for place, parts in enumerate(prepared):
            whole = measure_rows(weights, pooled[place])
            of_groups = [whole]  # of one group, which holds everyone
            if groups > 1:
                of_groups = [
                    measure_rows(weights.take(rows, axis=1), part)
                    for rows, part in zip(members, parts, strict=True)
                ]
            found[place].append((whole, of_groups))
    return [_joined(parts) for parts in found]


def swapped(
    first: Predictions,
    second: Predictions,
    codes: np.ndarray,
    groups: int,
    draws: int,
    generator: np.random.Generator,
) -> tuple[PairedDraws, PairedDraws]:
    """What the two models' numbers become when each example's answers are exchanged at random.

    All examples of a unit are exchanged together. Answers are the predicted class and the
    probabilities. For AUROC and average precision an example's rank among all of its model's
    probabilities is exchanged (Venkatraman and Begg 1996), because two models may use the scale
    differently.
    """
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    ranks = [rankdata(model.probabilities, axis=0) for model in (first, second)]
    prepared = [prepare_both(first, second, ranks, rows) for rows in members]
    pooled = prepare_both(first, second, ranks, np.arange(len(codes)))
    blocks = bootstrap_blocks(first.units, codes, groups)
    found = ([], [])
    for size in chunks(draws, 2 * len(codes), CHUNK):
        coins = generator.integers(0, 2, (size, blocks.count), dtype=np.int32)
        masks = blocks.to_examples(coins)
        for place, parts in enumerate(found):
            whole = measure_rows(_sides(masks, place), pooled)
            of_groups = [whole]
            if groups > 1:
                of_groups = [
                    measure_rows(_sides(masks.take(rows, axis=1), place), part)
                    for rows, part in zip(members, prepared, strict=True)
                ]
            parts.append((whole, of_groups))
    return _joined(found[0]), _joined(found[1])


def swap_p_value(observed: float, chance: np.ndarray) -> float | None:
    """Two-sided: (1 + #{|chance| >= |observed|}) / (1 + R), over the draws that are defined; None
    where fewer than half are."""
    defined = chance[~np.isnan(chance)]
    if len(defined) == 0 or 2 * len(defined) < len(chance):
        return None
    as_large = np.abs(defined) >= abs(observed) - ROUNDING
    return float((1 + as_large.sum()) / (1 + len(defined)))


def prepare_rows(model: Predictions, rows: np.ndarray) -> Rows:
    """Prepares one model's answers on the examples `rows`; weights follow that order."""
    classes = len(model.classes)
    return Rows(_cells(model, rows), prepare_scores(model, rows), classes, model.positive)


def prepare_both(
    first: Predictions, second: Predictions, ranks: Sequence[np.ndarray], rows: np.ndarray
) -> Rows:
    """Prepares both models' answers on the examples `rows`, the first's before the second's.

    ranks: of each model, (N, K): every example's rank by the probability of every class
    """
    classes, labels = len(first.classes), first.labels[rows]
    present = [first.positive] if classes == 2 else np.unique(labels)
    rankings = []
    for code in present:
        scores = np.concatenate([of_model[rows, code] for of_model in ranks])
        rankings.append(rank_scores(scores, np.tile(labels == code, 2)))
    errors = [prepare_scores(model, rows).error_columns for model in (first, second)]
    cells = [_cells(model, rows) for model in (first, second)]
    return Rows(
        hstack(cells, format="csr"),
        ScoredRows(tuple(rankings), np.vstack(errors)),
        classes,
        first.positive,
    )


def measure_rows(weights: np.ndarray, rows: Rows) -> dict[str, np.ndarray]:
    """Every metric of METRICS under each weighting: (R, rows) int32 -> (R,) each."""
    tables = (rows.cells @ weights.T).T.reshape(-1, rows.classes, rows.classes)
    counted = counted_metrics(tables, rows.positive)
    return counted | ranking_metrics(weights, rows.scored) | error_metrics(weights, rows.scored)


def _cells(model: Predictions, rows: np.ndarray) -> csr_array:
    classes, count = len(model.classes), len(rows)
    cell = model.labels[rows] * classes + model.predictions[rows]
    ones = np.ones(count, dtype=np.int32)
    return csr_array((ones, (cell, np.arange(count))), shape=(classes**2, count))


def _sides(mask: np.ndarray, place: int) -> np.ndarray:
    """(R, rows) 0 or 1: swapped -> (R, 2 rows) weights of the answers that model `place` is given."""
    own, others = (1 - mask, mask)
    return np.concatenate([own, others] if place == 0 else [others, own], axis=1)


def _joined(parts: list[tuple[dict, list[dict]]]) -> PairedDraws:
    overall = {name: np.concatenate([whole[name] for whole, _ in parts]) for name in METRICS}
    by_group = {
        name: np.concatenate(
            [np.stack([values[name] for values in groups], axis=1) for _, groups in parts]
        )
        for name in METRICS
    }
    return PairedDraws(overall, by_group)
