"""How far could each number lie from the truth, and what gap would equal groups show by chance?

N examples, K classes, G groups, R resamples. Intervals are percentile bootstrap intervals,
resampled within groups so that no group vanishes. The null of a gap deals the group names out
anew among examples that may be exchanged if the groups are equal: all examples (accuracy,
selection rate, errors of probabilities), those of one label (sensitivity, AUROC ...), or those of
one prediction (predictive values); each metric's row in METRICS says which.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.vectorised import (
    COUNTED,
    SCORED,
    counted_metrics,
    error_metrics,
    prepare_scores,
    ranking_metrics,
)

CONFIDENCE = 0.95
COUNTED_NULL_DRAWS = 20_000  # counts are drawn directly, so the null mean can be had exactly
FEWEST_DRAWS = 200  # what a large table is still given
CHUNK = 1 << 16  # numbers held at once: small enough to stay in cache
COUNT_CHUNK = 1 << 20  # counts held at once: large enough that each call draws many
COUNT_WORK = 1_000_000  # counts drawn per null at most, beyond what `resamples` asks for
SCORE_WORK = 400_000_000  # example weights drawn per bootstrap or null at most


@dataclass(frozen=True)
class Resamples:
    """Values of every metric in R bootstrap resamples; R may differ between metrics."""

    overall: dict[str, np.ndarray]  # metric -> (R,), of the pooled groups
    by_group: dict[str, np.ndarray]  # metric -> (R, G), NaN where a resample leaves it undefined


def confusion_by_group(predictions: Predictions, codes: np.ndarray, groups: int) -> np.ndarray:
    """(G, K label, K prediction) counts."""
    classes = len(predictions.classes)
    cells = (codes * classes + predictions.labels) * classes + predictions.predictions
    counts = np.bincount(cells, minlength=groups * classes**2)
    return counts.reshape(groups, classes, classes)


def bootstrap_metrics(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> Resamples:
    """Draws each group's examples anew, with replacement, as many as the group has.

    codes: (N,) group of each example, 0 .. groups-1, none empty
    resamples: how many; tables beyond SCORE_WORK / resamples rows get fewer, at least FEWEST_DRAWS,
    for the metrics that read probabilities
    """
    if resamples == 0:
        nothing, no_groups = np.empty(0), np.empty((0, groups))
        return Resamples(dict.fromkeys(METRICS, nothing), dict.fromkeys(METRICS, no_groups))
    overall, by_group = _bootstrap_counted(predictions, codes, groups, resamples, generator)
    draws = _affordable(resamples, SCORE_WORK // len(codes))
    scored_overall, scored = _bootstrap_scored(predictions, codes, groups, draws, generator)
    return Resamples(overall | scored_overall, by_group | scored)


def null_gaps(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Each gap of GAPS with the group names dealt out anew, (R,) values each.

    Gaps that counts decide get COUNTED_NULL_DRAWS draws, the others `resamples`; fewer, but no
    fewer than `resamples` or FEWEST_DRAWS, where groups × classes or groups × examples are many.
    """
    counted = _null_counted(predictions, codes, groups, resamples, generator)
    draws = _affordable(resamples, SCORE_WORK // (len(codes) * groups))
    values = counted | _null_scored(predictions, codes, groups, draws, generator)
    return {name: gap.values(values) for name, gap in GAPS.items()}


def interval(draws: np.ndarray) -> tuple[float, float] | None:
    """The middle 95 % of the draws that are defined; None where fewer than half are."""
    defined = draws[~np.isnan(draws)]
    if len(defined) == 0 or 2 * len(defined) < len(draws):
        return None
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)


def p_value(observed: float, null: np.ndarray, smaller_is_worse: bool = False) -> float:
    """(1 + #{null at least as bad as observed}) / (1 + R), so never 0 (Phipson and Smyth 2010)."""
    rounding = 1e-9  # equal gaps reached by different sums must count as equal
    as_bad = null <= observed + rounding if smaller_is_worse else null >= observed - rounding
    return float((1 + as_bad.sum()) / (1 + len(null)))


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


def _bootstrap_counted(predictions, codes, groups, resamples, generator):
    """Resampling examples draws their confusion cells from a multinomial: only counts are drawn."""
    confusion = confusion_by_group(predictions, codes, groups)
    classes = len(predictions.classes)
    overall, by_group = [], []
    for size in _chunks(resamples, confusion.size, COUNT_CHUNK):
        tables = np.stack(
            [
                generator.multinomial(cells.sum(), cells / cells.sum(), size)
                for cells in confusion.reshape(groups, -1)
            ],
            axis=1,
        ).reshape(size, groups, classes, classes)
        overall.append(counted_metrics(tables.sum(axis=1), predictions.positive))
        by_group.append(counted_metrics(tables, predictions.positive))
    return _joined(overall), _joined(by_group)


def _bootstrap_scored(predictions, codes, groups, resamples, generator):
    rows = [np.flatnonzero(codes == code) for code in range(groups)]
    scored = [prepare_scores(predictions, members) for members in rows]
    pooled = prepare_scores(predictions, np.concatenate(rows))
    overall, by_group = [], []
    for size in _chunks(resamples, len(codes)):
        weights, values = [], []
        for members, group in zip(rows, scored, strict=True):
            drawn = _drawn_counts(len(members), size, generator)
            weights.append(drawn)
            values.append(ranking_metrics(drawn, group) | error_metrics(drawn, group))
        everyone = np.concatenate(weights, axis=1)
        overall.append(ranking_metrics(everyone, pooled) | error_metrics(everyone, pooled))
        by_group.append({name: np.stack([v[name] for v in values], axis=1) for name in SCORED})
    return _joined(overall), _joined(by_group)


def _null_counted(predictions, codes, groups, resamples, generator) -> dict[str, np.ndarray]:
    """Metric -> (R, G), for the metrics of COUNTED."""
    confusion = confusion_by_group(predictions, codes, groups)
    draws = max(resamples, min(COUNTED_NULL_DRAWS, COUNT_WORK // confusion.size))
    parts = []
    for size in _chunks(draws, confusion.size, COUNT_CHUNK):
        part = {}
        for scheme in ("all", "label", "prediction"):
            names = [name for name in COUNTED if METRICS[name].permuted_within == scheme]
            tables = _permuted_confusion(confusion, scheme, size, generator)
            values = counted_metrics(tables, predictions.positive)
            part |= {name: values[name] for name in names}
        parts.append(part)
    return _joined(parts)


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


def _null_scored(predictions, codes, groups, draws, generator) -> dict[str, np.ndarray]:
    """Metric -> (R, G), for the metrics of SCORED."""
    scored = prepare_scores(predictions, np.arange(len(codes)))
    by_label = [np.flatnonzero(predictions.labels == k) for k in np.unique(predictions.labels)]
    parts = []
    for size in _chunks(draws, len(codes)):
        within_labels = np.empty((size, len(codes)), dtype=codes.dtype)
        for rows in by_label:
            within_labels[:, rows] = _shuffled(codes[rows], size, generator)
        among_all = _shuffled(codes, size, generator)
        values = [
            ranking_metrics((within_labels == code).astype(np.int32), scored)
            | error_metrics((among_all == code).astype(float), scored)
            for code in range(groups)
        ]
        parts.append({name: np.stack([v[name] for v in values], axis=1) for name in SCORED})
    return _joined(parts)


def _drawn_counts(count: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(R, count) int32: how often each of `count` examples is drawn in `count` draws."""
    drawn = generator.integers(0, count, (resamples, count))
    drawn += count * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * count)
    return counts.reshape(resamples, count).astype(np.int32)


def _shuffled(codes: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    return generator.permuted(np.tile(codes, (draws, 1)), axis=1)


def _affordable(wanted: int, limit: int) -> int:
    return min(wanted, max(FEWEST_DRAWS, limit))


def _chunks(total: int, width: int, held: int = CHUNK) -> Iterator[int]:
    """Sizes that sum to `total`, each of about `held` numbers at `width` numbers a draw."""
    size = max(1, held // width)
    for start in range(0, total, size):
        yield min(size, total - start)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
