"""Do probabilities say how often a class is there? Changed so that they do on the examples fitted on.

N examples, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairlora_cls.errors import InputError

SMALLEST = 1e-12  # stands for a probability of 0, which has no logarithm
TEMPERATURES = (0.01, 100.0)  # the sharpest and the softest looked at
LARGEST_SHIFT = 60.0  # of log-odds; beyond twice what SMALLEST allows


@dataclass(frozen=True)
class Recalibration:
    """A fitted change of probabilities."""

    number: float | None  # the temperature, or the shift of the log-odds; None: a curve
    apply: Callable[[np.ndarray], np.ndarray]  # (N, K) → (N, K), rows sum to 1


Fit = Callable[[np.ndarray, np.ndarray, int, str], Recalibration]


def fit_temperature(
    probabilities: np.ndarray, labels: np.ndarray, positive: int, of_whom: str
) -> Recalibration:
    """softmax(log p / T) with the temperature T of the largest likelihood (Guo et al. 2017).

    probabilities, labels: (N, K) and (N,) codes; positive: not looked at; of_whom: names the examples
    The likelihood is concave in 1/T, so its slope has one root. Raises InputError where it lies
    outside TEMPERATURES: all answers are right, or the probabilities tell nothing of the label.
    """
    from scipy.optimize import brentq
    from scipy.special import softmax

    logs = _logarithms(probabilities)
    of_label = logs[np.arange(len(labels)), labels]

    def slope(log_temperature: float) -> float:
        softened = softmax(logs / np.exp(log_temperature), axis=1)
        return float((of_label - (softened * logs).sum(axis=1)).mean())

    sharpest, softest = np.log(TEMPERATURES)
    if slope(softest) <= 0 or slope(sharpest) >= 0:
        why = (
            "their probabilities tell nothing of the label"
            if slope(softest) <= 0
            else "every answer to them is right, and sharper always fits better"
        )
        raise InputError(f"no temperature fits {of_whom}: {why}")
    temperature = float(np.exp(brentq(slope, sharpest, softest, xtol=1e-12)))
    return Recalibration(
        temperature, lambda given: softmax(_logarithms(given) / temperature, axis=1)
    )


def fit_intercept(
    probabilities: np.ndarray, labels: np.ndarray, positive: int, of_whom: str
) -> Recalibration:
    """The positive class's log-odds shifted until its mean probability is its share (calibration in
    the large); of two classes, both of which must be there. Arguments as `fit_temperature`."""
    from scipy.optimize import brentq
    from scipy.special import expit

    log_odds, share = _log_odds(probabilities, positive), (labels == positive).mean()
    shift = float(
        brentq(lambda a: expit(log_odds + a).mean() - share, -LARGEST_SHIFT, LARGEST_SHIFT)
    )
    return Recalibration(
        shift, lambda given: _of_two(expit(_log_odds(given, positive) + shift), positive)
    )


def fit_isotonic(
    probabilities: np.ndarray, labels: np.ndarray, positive: int, of_whom: str
) -> Recalibration:
    """The rising curve of the positive class's probability whose squared error is least (Zadrozny and
    Elkan 2002), straight between its points; of two classes. Arguments as `fit_temperature`."""
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    curve.fit(probabilities[:, positive], labels == positive)
    return Recalibration(None, lambda given: _of_two(curve.predict(given[:, positive]), positive))


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, SMALLEST))


def _log_odds(probabilities: np.ndarray, positive: int) -> np.ndarray:
    """Of the positive class, (N,), of (N, 2)."""
    logs = _logarithms(probabilities)
    return logs[:, positive] - logs[:, 1 - positive]


def _of_two(of_positive: np.ndarray, positive: int) -> np.ndarray:
    """(N,) → (N, 2)."""
    return np.column_stack(
        [1 - of_positive, of_positive] if positive == 1 else [of_positive, 1 - of_positive]
    )
