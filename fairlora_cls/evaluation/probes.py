"""What does a logistic regression read from a few numbers, or from hidden states, of held-out patients?

N examples, F features, K values that are told apart, R resamples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairlora_cls.evaluation.vectorised import (
    ScoredRows,
    mean_over_classes,
    rank_scores,
    ranking_by_class,
)
from fairlora_cls.statistics.intervals import interval
from fairlora_cls.statistics.resampling import chunks

FOLDS = 5
STRENGTHS = (1e-3, 1e-1)  # C of the penalised regression; the better one in an inner validation
MOST_WORDS = 20_000  # different words and pairs that are counted: the most frequent
HELD = 1 << 24  # weights of examples held at once


@dataclass(frozen=True)
class ProbeResult:
    """AUROC of one probe; for K > 2 the mean over values, one against the rest."""

    auroc: float | None  # None where nothing can be told
    interval: tuple[float, float] | None  # 95 %, bootstrap over units
    n: int  # examples that it was judged on, or could have been


def logistic_regression(**settings: Any) -> Any:
    """scikit-learn's, on standardised features; `settings` are its own."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(**{"max_iter": 1000} | settings))


def word_regression() -> Any:
    """scikit-learn's, on texts: how often which word or pair of words, rare ones counting more
    (TF-IDF)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(
        token_pattern=r"\w+", ngram_range=(1, 2), max_features=MOST_WORDS, sublinear_tf=True
    )
    return make_pipeline(words, LogisticRegression(max_iter=1000))


def predict_held_out(
    model: Any, features: np.ndarray, labels: np.ndarray, fit: np.ndarray, held_out: np.ndarray
) -> np.ndarray:
    """The chances (H, K) of the rows `held_out` (H,) by a model of the rows `fit`; values that no
    row of `fit` has get 0. `features` (N, F), or (N,) texts, `labels` (N,) in 0 … K − 1."""
    from sklearn.base import clone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that did not suffice: near enough for a probe
        fitted = clone(model).fit(features[fit], labels[fit])
    chances = np.zeros((len(held_out), labels.max() + 1))
    chances[:, fitted.classes_] = fitted.predict_proba(features[held_out])
    return chances


def cross_fit(
    model: Any, features: np.ndarray, labels: np.ndarray, units: np.ndarray, seed: int
) -> np.ndarray:
    """The chances (N, K) of every row by a model that saw none of its unit: 5 folds.

    `features` (N, F), `labels` (N,) in 0 … K − 1, `units` (N,) patients or lesions. NaN in a fold
    without which some value would not be seen.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    values = len(np.unique(labels))
    chances = np.full((len(labels), labels.max() + 1), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fit, held_out in folds.split(labels, labels, units):
        # One unit can have more examples than a fold: another fold is empty then.
        if len(held_out) and len(np.unique(labels[fit])) == values:
            chances[held_out] = predict_held_out(model, features, labels, fit, held_out)
    return chances


def judge_probe(
    chances: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    resamples: int,
    generator: np.random.Generator,
) -> ProbeResult:
    """The AUROC of held-out chances (N, K) and its interval over units drawn anew R times, the
    probe being fixed. Undefined where the labels (N,) have one value."""
    if len(np.unique(labels)) < 2:
        return ProbeResult(None, None, len(labels))
    codes = [1] if chances.shape[1] == 2 else range(chances.shape[1])
    rankings = tuple(rank_scores(chances[:, code], labels == code) for code in codes)
    scored = ScoredRows(rankings, np.zeros((len(labels), 0)))

    def auroc(weights: np.ndarray) -> np.ndarray:
        return mean_over_classes(ranking_by_class(weights, scored)["auroc"])

    names, members = np.unique(units, return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    draws = [
        auroc(generator.multinomial(len(names), shares, size=count).astype(np.int32)[:, members])
        for count in chunks(resamples, len(labels), HELD)
    ]
    once = np.ones((1, len(labels)), dtype=np.int32)
    return ProbeResult(
        float(auroc(once)[0]), interval(np.concatenate(draws)) if draws else None, len(labels)
    )


def log_loss(chances: np.ndarray, labels: np.ndarray) -> float:
    """Mean −ln of the chance (N, K) of each example's own label (N,), nats; a chance of 0 counts as
    the smallest number."""
    own = chances[np.arange(len(labels)), labels]
    return -float(np.log(np.maximum(own, np.finfo(own.dtype).tiny)).mean())


def probe_attribute(
    states: np.ndarray,
    codes: np.ndarray,
    units: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> ProbeResult:
    """How well a fresh probe reads an attribute from hidden states that training never saw.

    `states` (N, D), `codes` (N,) with −1 where not recorded (left out), `units` (N,) patients or
    lesions: none is in two of the 5 folds. A value with fewer than 5 examples takes no part. The
    penalty is chosen inside the fitted part. AUROC is undefined, with the count, where fewer than
    two values remain.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    values = values[counts >= FOLDS]
    kept = np.flatnonzero(np.isin(codes, values))
    own_units = np.asarray(units)[kept]
    if len(values) < 2 or len(np.unique(own_units)) < FOLDS:
        return ProbeResult(None, None, len(kept))
    chosen = GridSearchCV(
        logistic_regression(max_iter=300, tol=1e-3),
        {"logisticregression__C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(2, shuffle=True, random_state=seed),
    )
    labels = np.searchsorted(values, codes[kept])
    chances = cross_fit(chosen, states[kept].astype(np.float64), labels, own_units, seed)
    guessed = ~np.isnan(chances[:, 0])
    result = judge_probe(
        chances[guessed],
        labels[guessed],
        own_units[guessed],
        resamples,
        np.random.default_rng([seed, 1]),
    )
    return replace(result, n=len(kept))
