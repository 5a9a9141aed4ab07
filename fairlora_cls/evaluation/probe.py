"""How well does a fresh probe read an attribute from hidden states that training never saw?

N held-out examples, D hidden size, K values of the attribute, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.vectorised import prepare_scores, ranking_metrics
from fairlora_cls.statistics.intervals import interval

FOLDS = 5
STRENGTHS = (1e-3, 1e-1)  # C of the penalised regression; the better one in an inner validation


@dataclass(frozen=True)
class ProbeResult:
    """AUROC of one probe; for K > 2 the mean over values, one against the rest."""

    auroc: float | None  # None where the attribute cannot be probed
    interval: tuple[float, float] | None  # 95 %, bootstrap over units
    n: int  # examples whose attribute is recorded


def probe_attribute(
    states: np.ndarray,
    codes: np.ndarray,
    units: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> ProbeResult:
    """Logistic regression on standardised states, cross-fitted; the AUROC of its held-out guesses.

    `states` (N, D), `codes` (N,) with −1 where not recorded (left out), `units` (N,) patients or
    lesions: none is in two of the 5 folds. A value with fewer than 5 examples takes no part. The
    interval draws units anew R times, the probe being fixed. AUROC is undefined, with the count,
    where fewer than two values remain.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    values = values[counts >= FOLDS]
    kept = np.flatnonzero(np.isin(codes, values))
    own_units = np.asarray(units)[kept]
    if len(values) < 2 or len(np.unique(own_units)) < FOLDS:
        return ProbeResult(None, None, len(kept))
    labels = np.searchsorted(values, codes[kept])
    guesses = np.full((len(kept), len(values)), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fit, held_out in folds.split(kept, labels, own_units):
        if len(held_out) and len(np.unique(labels[fit])) == len(values):
            probe = _fit(states[kept[fit]], labels[fit], seed)
            guesses[held_out] = probe.predict_proba(states[kept[held_out]])
    guessed = ~np.isnan(guesses[:, 0])
    names = tuple(map(str, values))
    if len(np.unique(labels[guessed])) < 2:
        return ProbeResult(None, None, len(kept))
    table = Predictions(
        ids=tuple(map(str, np.flatnonzero(guessed))),
        labels=labels[guessed],
        predictions=guesses[guessed].argmax(axis=1),
        probabilities=guesses[guessed],
        classes=names,
        attributes={},
        positive=len(names) - 1,
    )
    scored = prepare_scores(table, np.arange(len(table.ids)))
    once = np.ones((1, len(table.ids)), dtype=np.int32)
    draws = _unit_weights(own_units[guessed], resamples, np.random.default_rng([seed, 1]))
    return ProbeResult(
        float(ranking_metrics(once, scored)["auroc"][0]),
        interval(ranking_metrics(draws, scored)["auroc"]) if resamples else None,
        len(kept),
    )


def _fit(states: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """A pipeline that standardises and regresses, its penalty chosen inside the fitted part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(max_iter=300, tol=1e-3)
    chosen = GridSearchCV(
        make_pipeline(StandardScaler(), regression),
        {"logisticregression__C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(2, shuffle=True, random_state=seed),
    )
    return chosen.fit(states.astype(np.float64), labels)


def _unit_weights(units: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """(R, N) int32: how often each example is drawn when whole units are drawn with replacement."""
    names, codes = np.unique(units, return_inverse=True)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return drawn.astype(np.int32)[:, codes]
