"""Do predicted probabilities mean what they say? Slope, intercept and observed / expected.

Of the positive class against the rest; the logistic recalibration is Cox's (1958): logit P(positive)
= intercept + slope · logit(score). N examples of one group, U units (patients, lesions; without them
every example is its own), C coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from fairlora_cls.evaluation.results import Estimate
from fairlora_cls.statistics.intervals import CONFIDENCE, FEW_OF_A_KIND, wilson_interval

NEAREST = 1e-6  # a probability nearer to 0 or 1 counts as this near: those have no logit
MOST_STEPS = 50
SMALL_STEP, LONGEST_STEP = 1e-6, 5.0  # of any logit
SEPARATED = "none: the scores separate the classes, or all but do"


@dataclass(frozen=True)
class Calibration:
    """One group. An estimate without a value or an interval says why in `interval_method`."""

    n: int
    positives: int
    observed: float  # share of positives
    expected: float  # mean score
    observed_expected: Estimate  # above 1: risk is understated
    slope: Estimate  # below 1: scores are too extreme
    intercept: Estimate  # of the slope 1; in logits; above 0: risk is understated


def calibration(truth: np.ndarray, score: np.ndarray, units: np.ndarray | None) -> Calibration:
    """Of at least one example.

    truth: (N,) bool, which are positive; score: (N,) the predicted probability that each is
    units: (N,) names
    """
    blocks = np.arange(len(truth)) if units is None else np.unique(units, return_inverse=True)[1]
    fewest = min(len(np.unique(blocks[kind])) for kind in (truth, ~truth))
    x = logit(score.clip(NEAREST, 1 - NEAREST))
    few = ""
    if fewest < FEW_OF_A_KIND:
        few = f"none: fewer than {FEW_OF_A_KIND} of a class ({fewest})"
    few_or_separated = few or _why_no_slope(truth, x)
    ones = np.ones((len(x), 1))
    return Calibration(
        n=len(truth),
        positives=int(truth.sum()),
        observed=float(truth.mean()),
        expected=float(score.mean()),
        observed_expected=_observed_expected(truth, score, blocks, bool(few)),
        slope=Estimate(None, None, few_or_separated)
        if few_or_separated
        else logistic_fit(
            np.hstack([ones, (x - x.mean())[:, None]]),
            np.zeros_like(x),
            truth,
            None if units is None else blocks,
        ),
        # Of the slope 1, which need not be the true one: then only the sandwich's interval holds.
        intercept=Estimate(None, None, few) if few else logistic_fit(ones, x, truth, blocks),
    )


def logistic_fit(
    design: np.ndarray, offset: np.ndarray, truth: np.ndarray, blocks: np.ndarray | None
) -> Estimate:
    """The last coefficient of logit P(truth) = offset + design · coefficients, with Wald's interval.

    design: (N, C); offset: (N,); truth: (N,) bool, not separated by the design
    blocks: (N,) unit of each, for the sandwich's standard error, which holds where examples of a unit
        depend on one another and where the model is not quite right; None: the likelihood's
    """
    coefficients = np.zeros(design.shape[1])
    likelihood = _log_likelihood(offset, truth)
    for _ in range(MOST_STEPS):
        chance = expit(offset + design @ coefficients)
        information = (design * (chance * (1 - chance))[:, None]).T @ design
        covariance = np.linalg.pinv(information, hermitian=True)
        scores = design * (truth - chance)[:, None]
        step = covariance @ scores.sum(axis=0)
        step *= min(1, LONGEST_STEP / max(np.abs(design @ step).max(), SMALL_STEP))
        for _ in range(MOST_STEPS):  # Newton's step, halved until it does not lead downhill
            reached = _log_likelihood(offset + design @ (coefficients + step), truth)
            if reached >= likelihood - SMALL_STEP:
                break
            step /= 2
        coefficients, likelihood = coefficients + step, reached
        if np.abs(design @ step).max() < SMALL_STEP:
            break
    else:
        return Estimate(None, None, SEPARATED)
    method, quantile = "wald", _quantile(np.inf)
    if blocks is not None:
        method, count = "sandwich", int(blocks.max()) + 1
        sums = np.column_stack([np.bincount(blocks, each, count) for each in scores.T])
        covariance = covariance @ (sums.T @ sums) @ covariance * count / (count - 1)
        quantile = _quantile(count - design.shape[1])
    value, half = float(coefficients[-1]), quantile * float(np.sqrt(covariance[-1, -1]))
    return Estimate(value, (value - half, value + half), method)


def _log_likelihood(logits: np.ndarray, truth: np.ndarray) -> float:
    return float(logits[truth].sum() - np.logaddexp(0, logits).sum())


def _quantile(freedom: float) -> float:
    """Of Student's distribution."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _why_no_slope(truth: np.ndarray, x: np.ndarray) -> str:
    """Blank where there is one."""
    if np.ptp(x) < SMALL_STEP:
        return "none: all scores are equal"
    positives, others = x[truth], x[~truth]
    if positives.min() >= others.max() or positives.max() <= others.min():
        return SEPARATED
    return ""


def _observed_expected(
    truth: np.ndarray, score: np.ndarray, blocks: np.ndarray, few: bool
) -> Estimate:
    """Wilson's interval of the observed share, divided by the mean score.

    It rests on as many examples as would give a share the variance that the sum of residuals
    truth - ratio · score has over units: fewer where examples of a unit are alike, more where scores
    explain who is positive. Where few are of a class, on the number of units.
    """
    observed, expected = float(truth.mean()), float(score.mean())
    if expected == 0:
        return Estimate(None, None, "none: all scores are 0")
    units, ratio = int(blocks.max()) + 1, observed / expected
    count = float(units)
    if not few:
        sums = np.bincount(blocks, truth - ratio * score)
        # Never less than one unit that is all surprise: none seen does not mean that there is none.
        variance = max(float(sums @ sums) * units / (units - 1), 1.0) / len(truth) ** 2
        wider = _quantile(units - 1) / _quantile(np.inf)
        count = observed * (1 - observed) / (variance * wider**2)
    low, high = wilson_interval(observed, count)
    return Estimate(ratio, (low / expected, high / expected), "wilson")
