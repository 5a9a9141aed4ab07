"""Recalibration by hand: data whose best temperature, shift and staircase are known."""

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.recalibration import (
    fit_intercept,
    fit_isotonic,
    fit_temperature,
)

WHOM = "the images"


def of_two(scores):
    scores = np.array(scores, dtype=float)
    return np.column_stack([1 - scores, scores])


def sure_of_nine_tenths(right, wrong):
    """Answers of probability 0.9 for either class, so many of each right and wrong."""
    scores = [0.9] * (right + wrong) + [0.1] * (right + wrong)
    return of_two(scores), np.array([1] * right + [0] * wrong + [0] * right + [1] * wrong)


def test_temperature_where_the_best_is_known():
    # 3 of 4 answers are right, so 0.9 should be 0.75: log-odds of log 9 should be log 3, which is
    # half of that.
    fit = fit_temperature(*sure_of_nine_tenths(3, 1), 1, WHOM)
    assert fit.number == pytest.approx(2)
    assert fit.apply(of_two([0.9, 0.5, 0.1])) == pytest.approx(of_two([0.75, 0.5, 0.25]))


def test_temperature_of_three_classes():
    # Odds of 4 to 1 for the first class over each other one, and it is right in 2 of 4: odds of 2
    # to 1, which is the root.
    given = np.tile([4 / 6, 1 / 6, 1 / 6], (4, 1))
    fit = fit_temperature(given, np.array([0, 0, 1, 2]), 2, WHOM)
    assert fit.number == pytest.approx(2)
    assert fit.apply(given[:1]) == pytest.approx(np.array([[0.5, 0.25, 0.25]]))


@pytest.mark.parametrize(
    ("given", "labels", "why"),
    [
        (*sure_of_nine_tenths(4, 0), "every answer"),
        (of_two([0.5, 0.5, 0.5]), np.array([0, 1, 1]), "tell nothing"),
        (*sure_of_nine_tenths(1, 3), "tell nothing"),
    ],
)
def test_no_temperature_fits(given, labels, why):
    with pytest.raises(InputError, match=f"the images: .*{why}"):
        fit_temperature(given, labels, 1, WHOM)


@pytest.mark.parametrize("positive", [0, 1])
def test_intercept_makes_the_mean_the_share(positive):
    # All have odds of 1, and 3 of 4 are positive: odds of 3.
    labels = np.array([positive, positive, positive, 1 - positive])
    fit = fit_intercept(of_two([0.5] * 4), labels, positive, WHOM)
    assert fit.number == pytest.approx(np.log(3))
    # Odds of 1/3 become 1.
    given = np.empty((1, 2))
    given[0, positive], given[0, 1 - positive] = 0.25, 0.75
    assert fit.apply(given) == pytest.approx(np.array([[0.5, 0.5]]))


def test_intercept_of_certain_answers_that_are_wrong():
    fit = fit_intercept(of_two([0, 0, 0, 1]), np.array([1, 1, 1, 0]), 1, WHOM)
    mean = fit.apply(of_two([0, 0, 0, 1]))[:, 1].mean()
    assert mean == pytest.approx(0.75)


@pytest.mark.parametrize("positive", [0, 1])
def test_isotonic_pools_what_falls(positive):
    # Labels 0 1 0 1 along the scores: the middle two are pooled to 1/2.
    scores, is_positive = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 0, 1])
    labels = is_positive if positive == 1 else 1 - is_positive
    given = of_two(scores)[:, :: 1 if positive == 1 else -1]
    fit = fit_isotonic(given, labels, positive, WHOM)
    assert fit.apply(given)[:, positive] == pytest.approx([0, 0.5, 0.5, 1])


def test_isotonic_rises_and_stays_a_probability():
    generator = np.random.default_rng(1)
    scores = generator.random(200)
    labels = (generator.random(200) < scores**2).astype(int)
    fit = fit_isotonic(of_two(scores), labels, 1, WHOM)
    changed = fit.apply(of_two(np.linspace(0, 1, 300)))
    assert (np.diff(changed[:, 1]) >= 0).all()
    assert len(np.unique(changed[:, 1])) > 3
    assert changed.min() >= 0
    assert changed.sum(axis=1) == pytest.approx(np.ones(300))
