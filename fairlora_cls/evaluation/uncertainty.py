"""How far could each number lie from the truth, and what gap would equal groups show by chance?

N examples, K classes, G groups, R resamples. The bootstrap draws within groups, so that no group
vanishes, and whole units (patients, lesions) where they are known. The null of a gap deals the
group names out anew among examples that may be exchanged if the groups are equal: all examples
(accuracy, selection rate, errors of probabilities), those of one label (sensitivity, AUROC ...), or
those of one prediction (predictive values); each metric's row in METRICS says which. Units get
their name as a whole.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from fairlora_cls.evaluation.counted_draws import (
    confusion_by_group,
    dealt_tables,
    drawn_tables,
)
from fairlora_cls.evaluation.metrics import METRICS, ONE_VS_REST
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.resampling import (
    bootstrap_blocks,
    chunks,
    dealt_codes,
    drawn_weights,
    exchangeable_kinds,
    joined,
    null_blocks,
)
from fairlora_cls.evaluation.vectorised import (
    COUNTED,
    ScoredRows,
    counted_metrics,
    error_by_group,
    error_metrics,
    mean_over_classes,
    prepare_scores,
    ranking_by_class,
    ranking_by_group,
)

CONFIDENCE = 0.95
COUNTED_NULL_DRAWS = 20_000  # counts are drawn directly, so the null mean can be had exactly
FEWEST_DRAWS = 200  # what a large table is still given
COUNT_WORK = 1_000_000  # counts drawn per null at most, beyond what `resamples` asks for
SCORE_WORK = 200_000_000  # example weights drawn per bootstrap or null at most
BY_CLASS = "by class: "  # marks, among draws, the arrays of one class against the rest
SHIFT = "shift"  # among them: predicted minus reference share


@dataclass(frozen=True)
class Resamples:
    """Values of every metric in R bootstrap resamples; R may differ between metrics.

    `classes` holds the prevalence shift (SHIFT: predicted minus reference share) of each class and,
    if K > 2, each class against the rest for the metrics of ONE_VS_REST.
    """

    overall: dict[str, np.ndarray]  # metric -> (R,), of the pooled groups
    by_group: dict[str, np.ndarray]  # metric -> (R, G), NaN where a resample leaves it undefined
    overall_classes: dict[str, np.ndarray] = field(default_factory=dict)  # metric -> (R, K)
    classes: dict[str, np.ndarray] = field(default_factory=dict)  # metric -> (R, G, K)

    def masked(self, hidden: np.ndarray) -> "Resamples":
        """Without the groups of the (G,) mask: theirs are NaN, so that gaps leave them out."""
        return replace(
            self, by_group=_masked(self.by_group, hidden), classes=_masked(self.classes, hidden)
        )


@dataclass(frozen=True)
class NullDraws:
    """Values of every metric in R shuffles of the group names; R may differ between metrics."""

    by_group: dict[str, np.ndarray]  # metric -> (R, G)
    classes: dict[str, np.ndarray]  # metric -> (R, G, K)

    def masked(self, hidden: np.ndarray) -> "NullDraws":
        """Without the groups of the (G,) mask."""
        return NullDraws(_masked(self.by_group, hidden), _masked(self.classes, hidden))


def bootstrap_metrics(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> Resamples:
    """Draws each group's examples anew, with replacement, as many as the group has; or whole units.

    codes: (N,) group of each example, 0 .. groups-1, none empty
    resamples: how many; tables beyond SCORE_WORK / resamples rows get fewer, at least FEWEST_DRAWS,
    for the metrics that read probabilities
    """
    if resamples == 0:
        classes = len(predictions.classes)
        by_class = [SHIFT, *(ONE_VS_REST if classes > 2 else ())]
        several = dict.fromkeys(by_class, np.empty((0, classes)))
        return Resamples(
            dict.fromkeys(METRICS, np.empty(0)),
            dict.fromkeys(METRICS, np.empty((0, groups))),
            several,
            {name: np.empty((0, groups, classes)) for name in several},
        )
    counted = _bootstrap_counted(predictions, codes, groups, resamples, generator)
    draws = affordable_draws(resamples, len(codes))
    scored = _bootstrap_scored(predictions, codes, groups, draws, generator)
    overall, overall_classes = _by_class_apart(counted[0] | scored[0])
    by_group, classes = _by_class_apart(counted[1] | scored[1])
    return Resamples(overall, by_group, overall_classes, classes)


def null_draws(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
) -> NullDraws:
    """Every metric of groups whose names were dealt out anew.

    Metrics that counts decide get COUNTED_NULL_DRAWS draws, the others `resamples`, and so do all
    where units are known; fewer, but no fewer than `resamples` or FEWEST_DRAWS, where groups ×
    classes or groups × examples are many.
    """
    cells = confusion_by_group(predictions, codes, groups).size
    exact = max(resamples, min(COUNTED_NULL_DRAWS, COUNT_WORK // cells))
    counted_draws = resamples if predictions.units else exact
    counted = counted_null_draws(predictions, codes, groups, counted_draws, generator)
    draws = affordable_draws(resamples, len(codes) * groups)
    scored = _null_scored(predictions, codes, groups, draws, generator)
    return NullDraws(*_by_class_apart(counted | scored))


def counted_null_draws(
    predictions: Predictions,
    codes: np.ndarray,
    groups: int,
    draws: int,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The metrics of COUNTED under `null_draws`: metric -> (draws, G)."""
    values = {}
    for scheme in ("all", "label", "prediction"):
        tables = dealt_tables(predictions, codes, groups, scheme, draws, generator)
        parts = [_of_scheme(_counted(part, predictions.positive), scheme) for part in tables]
        values |= joined(parts)
    return values


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


def affordable_draws(wanted: int, width: int) -> int:
    """How many draws of `width` example weights are made where `wanted` are asked for."""
    return min(wanted, max(FEWEST_DRAWS, SCORE_WORK // width))


def _bootstrap_counted(predictions, codes, groups, resamples, generator):
    """Metric -> (R,) pooled, and metric -> (R, G), for the metrics of COUNTED."""
    overall, by_group = [], []
    for tables in drawn_tables(predictions, codes, groups, resamples, generator):
        overall.append(_counted(tables.sum(axis=1), predictions.positive))
        by_group.append(_counted(tables, predictions.positive) | _shift(tables))
    return joined(overall), joined(by_group)


def _bootstrap_scored(predictions, codes, groups, resamples, generator):
    """Metric -> (R,) pooled, and metric -> (R, G), for the metrics of SCORED."""
    predictions, codes = _in_order_of_score(predictions, codes)
    blocks = bootstrap_blocks(predictions.units, codes, groups)
    rows = [np.flatnonzero(codes == code) for code in range(groups)]
    pooled = prepare_scores(predictions, np.arange(len(codes)))
    scored = [pooled] if groups == 1 else [prepare_scores(predictions, members) for members in rows]
    overall, by_group = [], []
    for size in chunks(resamples, len(codes)):
        weights = blocks.to_examples(drawn_weights(blocks, size, generator))
        overall.append(_scored(weights, pooled))
        if groups == 1:
            by_group.append(_stacked(overall[-1:]))
            continue
        values = [
            _scored(weights.take(members, axis=1), group)
            for members, group in zip(rows, scored, strict=True)
        ]
        by_group.append(_stacked(values))
    return joined(overall), joined(by_group)


def _in_order_of_score(
    predictions: Predictions, codes: np.ndarray
) -> tuple[Predictions, np.ndarray]:
    """The same examples, sorted by the positive class's probability: no resample sorts again."""
    order = np.argsort(predictions.probabilities[:, predictions.positive], kind="stable")
    return predictions.rows(order), codes[order]


def _null_scored(predictions, codes, groups, draws, generator) -> dict[str, np.ndarray]:
    """Metric -> (R, G), for the metrics of SCORED."""
    predictions, codes = _in_order_of_score(predictions, codes)
    codes = codes.astype(np.min_scalar_type(groups))  # of one byte they are sorted the fastest
    scored = prepare_scores(predictions, np.arange(len(codes)))
    (by_label, own), (among_all, owner) = (
        null_blocks(predictions.units, codes, exchangeable_kinds(predictions, scheme))
        for scheme in ("label", "all")
    )
    sizes = np.bincount(codes, minlength=groups)
    parts = []
    for size in chunks(draws, len(codes)):
        ranked = by_label.to_examples(dealt_codes(by_label, own, size, generator))
        erring = among_all.to_examples(dealt_codes(among_all, owner, size, generator))
        if predictions.units is None:
            by_class = ranking_by_group(ranked, sizes, scored)
            parts.append(_with_means(by_class) | error_by_group(erring, sizes, scored))
            continue
        values = [
            _with_means(ranking_by_class((ranked == code).astype(np.int32), scored))
            | error_metrics((erring == code).astype(float), scored)
            for code in range(groups)
        ]
        parts.append(_stacked(values))
    return joined(parts)


def _counted(confusion: np.ndarray, positive: int) -> dict[str, np.ndarray]:
    """The metrics of COUNTED and, of K > 2 classes, each class against the rest."""
    values = counted_metrics(confusion, positive)
    classes = confusion.shape[-1]
    if classes > 2:
        each = [counted_metrics(confusion, code) for code in range(classes)]
        for name in set(ONE_VS_REST) & set(COUNTED):
            values[BY_CLASS + name] = np.stack([v[name] for v in each], axis=-1)
    return values


def _shift(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """(..., K, K) -> (..., K)."""
    total = np.maximum(confusion.sum(axis=(-2, -1)), 1)[..., None]
    return {BY_CLASS + SHIFT: (confusion.sum(axis=-2) - confusion.sum(axis=-1)) / total}


def _with_means(by_class: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(..., rankings) -> the means over them, and if they are several, these beside them."""
    values = {name: mean_over_classes(each) for name, each in by_class.items()}
    if next(iter(by_class.values())).shape[-1] > 1:
        values |= {BY_CLASS + name: each for name, each in by_class.items()}
    return values


def _scored(weights: np.ndarray, scored: ScoredRows) -> dict[str, np.ndarray]:
    return _with_means(ranking_by_class(weights, scored)) | error_metrics(weights, scored)


def _stacked(values: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([group[name] for group in values], axis=1) for name in values[0]}


def _of_scheme(values: dict[str, np.ndarray], scheme: str) -> dict[str, np.ndarray]:
    return {
        name: value
        for name, value in values.items()
        if METRICS[name.removeprefix(BY_CLASS)].permuted_within == scheme
    }


def _by_class_apart(
    values: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    plain = {name: value for name, value in values.items() if not name.startswith(BY_CLASS)}
    classes = {n.removeprefix(BY_CLASS): value for n, value in values.items() if n not in plain}
    return plain, classes


def _masked(values: dict[str, np.ndarray], hidden: np.ndarray) -> dict[str, np.ndarray]:
    masked = {}
    for name, value in values.items():
        masked[name] = value.copy()
        masked[name][:, hidden] = np.nan
    return masked
