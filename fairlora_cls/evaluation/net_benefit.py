"""Is acting on the model worth its false alarms? Net benefit and decision curves, overall and by group.

Vickers and Elkin 2006: who acts from a probability t on accepts (1 - t) / t false alarms for one case
found, so that NB(t) = TP/N - FP/N · t / (1 - t): cases found, per example, after the false alarms are
paid for. Without a model one may treat all (NB = cases/N - others/N · t / (1 - t)) or nobody (0).

Of the positive class against the rest. N examples, G groups, R resamples, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.measuring import Measured, gap_result
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import Decision, Estimate, GapResult, Limits
from fairlora_cls.statistics.draws import drawn_tables, table_by_group
from fairlora_cls.statistics.gaps import Gap, Values
from fairlora_cls.statistics.intervals import LEAST_DRAWS, interval, is_small, wilson_interval
from fairlora_cls.statistics.sample import Cells

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.5)  # stated in every report
CURVE = tuple(round(0.02 * step, 2) for step in range(1, 50))  # drawn
WIDEST = 0.05  # a report's own threshold is stated where it is known as well as this
GAP = Gap("Net benefit gap", ("net_benefit",), "points", "label")


@dataclass(frozen=True)
class NetBenefit:
    """What acting from a threshold on brings, per example."""

    threshold: float
    n: int
    cases: int
    found: int  # cases among those acted on
    false_alarms: int
    model: Estimate
    treat_all: float
    without_model: str  # all | nobody: whom to treat without a model, the better of both
    gain: Estimate  # of the model over that


@dataclass(frozen=True)
class Acting:
    """Counts of any shape (…, T): who is acted on from each threshold on."""

    found: np.ndarray
    alarms: np.ndarray
    cases: np.ndarray
    others: np.ndarray
    odds: np.ndarray  # (T,) of the thresholds: what a false alarm costs, in cases found

    @property
    def total(self) -> np.ndarray:
        return self.cases + self.others

    @property
    def model(self) -> np.ndarray:
        """(…, T) net benefit of the model."""
        return (self.found - self.odds * self.alarms) / self.total

    @property
    def treat_all(self) -> np.ndarray:
        """(…, T) net benefit of treating all."""
        return (self.cases - self.odds * self.others) / self.total


def odds_of(threshold: float | np.ndarray) -> float | np.ndarray:
    """Of a probability below 1."""
    return threshold / (1 - threshold)


def own_threshold(decision: Decision | None) -> float | None:
    """The threshold of a report's predictions, with the fewest digits that give the same ones; None
    where none strictly between 0 and 1 is known well enough."""
    if decision is None or decision.threshold is None:
        return None
    low, high = decision.threshold
    if high - low > WIDEST or not 0 < high < 1:
        return None
    rounded = (round((low + high) / 2, digits) for digits in range(1, 7))
    return next((each for each in rounded if low < each <= high), high)


def decision_curve(truth: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    """(threshold, net benefit of the model, and of treating all) at every threshold of CURVE, from
    (N,) bool and (N,) probabilities."""
    thresholds = np.array(CURVE)
    selected = score[:, None] >= thresholds
    found, acted_on = selected[truth].sum(axis=0), selected.sum(axis=0)
    cases = int(truth.sum())
    acting = Acting(found, acted_on - found, cases, len(truth) - cases, odds_of(thresholds))
    columns = (thresholds, acting.model, acting.treat_all)
    return tuple(zip(*(column.tolist() for column in columns), strict=True))


def net_benefits(
    predictions: Predictions,
    measured: Measured,
    own: float | None,
    resamples: int,
    generator: np.random.Generator,
) -> list[tuple[NetBenefit, ...]]:
    """Of every group of `measured`, at THRESHOLDS and at the report's own, in order.

    own: where to act follows the table's predictions
    """
    thresholds = sorted({*THRESHOLDS, *([] if own is None else [own])})
    codes, groups = measured.grouping.codes, len(measured.grouping.names)
    truth = predictions.labels == predictions.positive
    selected = predictions.probabilities[:, [predictions.positive]] >= np.array(thresholds)
    if own is not None:
        selected[:, thresholds.index(own)] = predictions.predictions == predictions.positive
    # Who is acted on from one threshold on is so from all lower ones: their number tells which.
    width = len(thresholds) + 1
    cells = Cells(truth * width + selected.sum(axis=1), 2 * width, {}, dict, str, None, codes)
    odds = odds_of(np.array(thresholds))
    seen = _acting(table_by_group(cells, codes, groups), odds)
    model, treat_all = np.empty((2, 0, groups, len(odds)))
    if resamples:
        tables = drawn_tables(measured.sample, cells, codes, groups, resamples, generator)
        drawn = _acting(np.concatenate(list(tables)), odds)
        model, treat_all = drawn.model, drawn.treat_all
    independent = measured.independent_sizes

    def at(group: int, place: int) -> NetBenefit:
        found, alarms = int(seen.found[group, place]), int(seen.alarms[group, place])
        cases, others = int(seen.cases[group, 0]), int(seen.others[group, 0])
        without, own_draws = float(seen.treat_all[group, place]), model[:, group, place]
        total = cases + others
        rests_on = (total, int(independent[group]), float(odds[place]))
        gain = own_benefit = _difference(found, alarms, *rests_on, own_draws)
        if without > 0:  # then a case missed is lost, and a false alarm spared is gained
            more = treat_all[:, group, place] - own_draws
            gain = _negative(_difference(cases - found, others - alarms, *rests_on, more))
        better = "all" if without > 0 else "nobody"
        return NetBenefit(
            thresholds[place], total, cases, found, alarms, own_benefit, without, better, gain
        )

    return [tuple(at(group, place) for place in range(len(odds))) for group in range(groups)]


def with_equal_prevalence(values: Values, prevalence: float, threshold: float) -> np.ndarray:
    """(…, G) net benefit if every group had the same share of cases."""
    price = (1 - prevalence) * odds_of(threshold)
    return prevalence * values["sensitivity"] - price * values["fpr"]


def net_benefit_gap(
    measured: Measured, prevalence: float, threshold: float, minimum: int
) -> GapResult:
    """How far the groups' net benefits at the report's own threshold lie apart with everyone's
    prevalence, beside names dealt out anew within labels, among groups that are large enough.

    With their own prevalences groups differ whatever the model does: who has more cases gains more.
    """
    large = measured.independent_sizes >= minimum
    left_out = ~large if large.sum() > 1 else np.zeros_like(large)

    def of(values: Values) -> Values:
        own = with_equal_prevalence(values, prevalence, threshold)
        return {"net_benefit": np.where(left_out, np.nan, own)}

    return gap_result(
        GAP,
        measured.grouping.names,
        of(measured.values),
        of(measured.draws.by_group),
        None if measured.null is None else of(measured.null),
        {"net_benefit": "higher"},
    )


def _acting(tables: np.ndarray, odds: np.ndarray) -> Acting:
    """(…, 2 · (T + 1)): others, then cases, by the number of thresholds that they reach."""
    by_label = tables.reshape(*tables.shape[:-1], 2, len(odds) + 1)
    reaching = by_label[..., ::-1].cumsum(axis=-1)[..., -2::-1]  # threshold t: more than t reached
    alarms, found = reaching[..., 0, :], reaching[..., 1, :]
    others, cases = np.moveaxis(by_label.sum(axis=-1), -1, 0)[..., None]
    return Acting(found, alarms, cases, others, odds)


def _difference(
    first: int, second: int, total: int, independent: int, odds: float, draws: np.ndarray
) -> Estimate:
    """(first - odds · second) / total, with the bootstrap's interval; of few examples the one made of
    Wilson's intervals of both shares (MOVER: Zou and Donner 2008).

    independent: examples, or units, that it may rest on
    """
    value = (first - odds * second) / total
    if not len(draws):
        return Estimate(value, None, count=total)
    shares = first / total, second / total
    if any(is_small(share, independent) for share in shares):
        return Estimate(value, _mover(*shares, odds, independent), "mover", count=total)
    limits = interval(draws)
    method = "percentile" if limits else f"none: fewer than {LEAST_DRAWS} resamples"
    return Estimate(value, limits, method, count=total)


def _mover(first: float, second: float, odds: float, count: int) -> Limits:
    """Of first - odds · second, two shares of the same `count` that exclude each other."""
    (low, high), (second_low, second_high) = (
        wilson_interval(share, count) for share in (first, second)
    )
    correlation = 0.0
    if first * second > 0:
        correlation = -np.sqrt(first * second / ((1 - first) * (1 - second)))
    below, above = (
        (first - low, odds * (second_high - second)),
        (high - first, odds * (second - second_low)),
    )
    lower, upper = (np.sqrt(a**2 + b**2 - 2 * correlation * a * b) for a, b in (below, above))
    value = first - odds * second
    return max(-odds, float(value - lower)), min(1.0, float(value + upper))


def _negative(estimate: Estimate) -> Estimate:
    limits = estimate.interval and (-estimate.interval[1], -estimate.interval[0])
    return Estimate(-estimate.value, limits, estimate.interval_method, None, estimate.count)
