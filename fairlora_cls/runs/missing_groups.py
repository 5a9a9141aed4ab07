"""Missing groups of training rows, predicted from frozen image features (FairLLaVA, appendix D).

N training examples, D size of a feature, C groups of an attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairlora_cls.data.examples import Example, Splits
from fairlora_cls.data.groups import UNKNOWN
from fairlora_cls.evaluation.probes import (
    FOLDS,
    cross_fit,
    judge_probe,
    log_loss,
    logistic_regression,
    predict_held_out,
)

FEWEST = 2 * FOLDS  # patients that a group needs before a probe may predict it
MOST = 20_000  # labelled rows that a probe is trained on; more would only take longer
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # of the regression, inverse penalty; cross-validation chooses
AT_ONCE = 64  # examples whose visual tokens are in memory while they are averaged


@dataclass(frozen=True)
class Probe:
    """A probe's predictions for the rows without a label, and what cross-validation says of it."""

    groups: tuple[str, ...]  # (C,), those with enough patients
    probabilities: np.ndarray  # (rows without a label, C)
    auroc: float  # over labelled rows, in folds by patient; one against the rest, macro
    confident_accuracy: float | None  # of labelled rows at or above the threshold; None: no such
    confident_share: float  # of labelled rows at or above the threshold


def mean_visual_tokens(
    features: Callable[[Sequence[int]], Sequence[tuple[Any, Any]]], count: int
) -> np.ndarray:
    """(N, D) float32: each example's mean visual token.

    `features` gives (tokens (V, D), grid) of the indices asked for, a few hundred at a time.
    """
    means = []
    for start in range(0, count, AT_ONCE):
        for tokens, _ in features(range(start, min(start + AT_ONCE, count))):
            means.append(tokens.float().mean(dim=0).numpy())
    return np.stack(means)


def fill_missing_groups(
    splits: Splits,
    attributes: Sequence[str],
    features: np.ndarray,
    threshold: float,
    seed: int,
) -> tuple[Splits, tuple[str, ...]]:
    """Fill "Unknown" training values that a probe is confident of; returns a sentence per attribute.

    `features` (N, D) belong to `splits.train`. A logistic regression on standardised features is
    trained on the labelled training rows alone; a value is filled where its probability reaches
    `threshold` (a fraction). Groups with fewer than 10 patients are never predicted, and with fewer
    than two predictable groups nothing is filled. Validation and test rows are never touched:
    what the report measures must not rest on guesses.
    """
    notes = []
    filled = list(splits.train)
    for name in attributes:
        values = np.array([e.attributes[name] for e in splits.train], dtype=object)
        missing = np.flatnonzero(values == UNKNOWN)
        if not len(missing):
            continue
        groups = _predictable(splits.train, name)
        if len(groups) < 2:
            notes.append(
                f"{name}: {len(missing)} training rows stay Unknown; a probe needs two groups of at "
                f"least {FEWEST} patients each (data.missing_groups: predict)."
            )
            continue
        probe = _train_probe(splits.train, name, groups, features, threshold, seed)
        best = probe.probabilities.argmax(axis=1)
        confident = np.flatnonzero(probe.probabilities.max(axis=1) >= threshold)
        for place in confident:
            row, group = missing[place], groups[best[place]]
            filled[row] = filled[row].with_groups({name: group})
        notes.append(_sentence(name, probe, len(confident), len(missing), threshold))
    return replace(splits, train=tuple(filled)), tuple(notes)


def _predictable(examples: Sequence[Example], name: str) -> tuple[str, ...]:
    patients: dict[str, set[str]] = {}
    for e in examples:
        patients.setdefault(e.attributes[name], set()).add(e.unit)
    return tuple(sorted(g for g, own in patients.items() if g != UNKNOWN and len(own) >= FEWEST))


def _train_probe(
    examples: Sequence[Example],
    name: str,
    groups: tuple[str, ...],
    features: np.ndarray,
    threshold: float,
    seed: int,
) -> Probe:
    values = [e.attributes[name] for e in examples]
    labelled = np.array([i for i, value in enumerate(values) if value in groups])
    if len(labelled) > MOST:
        labelled = np.sort(np.random.default_rng(seed).choice(labelled, MOST, replace=False))
    missing = np.array([i for i, value in enumerate(values) if value == UNKNOWN])
    codes = np.zeros(len(values), dtype=int)
    codes[labelled] = [groups.index(values[i]) for i in labelled]
    patients = np.array([examples[i].unit for i in labelled])
    models = {strength: logistic_regression(C=strength) for strength in STRENGTHS}
    held_out = {
        strength: cross_fit(model, features[labelled], codes[labelled], patients, seed)
        for strength, model in models.items()
    }
    guessed = ~np.isnan(held_out[STRENGTHS[0]][:, 0])
    truth = codes[labelled][guessed]
    held_out = {strength: chances[guessed] for strength, chances in held_out.items()}
    # Log loss, because a threshold on probabilities needs them calibrated, not only ranked.
    best = min(STRENGTHS, key=lambda strength: log_loss(held_out[strength], truth))
    chances = held_out[best]
    sure = chances.max(axis=1) >= threshold
    right = chances.argmax(axis=1) == truth
    return Probe(
        groups,
        predict_held_out(models[best], features, codes, labelled, missing),
        judge_probe(chances, truth, patients[guessed], 0, np.random.default_rng(seed)).auroc,
        float(right[sure].mean()) if sure.any() else None,
        float(sure.mean()),
    )


def _sentence(name: str, probe: Probe, filled: int, missing: int, threshold: float) -> str:
    reached = f"it reaches {threshold:g} in {probe.confident_share:.0%} of labelled rows"
    if probe.confident_accuracy is not None:
        reached += f" and is right in {probe.confident_accuracy:.0%} of those"
    return (
        f"{name}: {filled} of {missing} missing training values were filled by a probe on frozen image "
        f"features, at a probability of {threshold:g} or more; its cross-validated AUROC is "
        f"{probe.auroc:.3f}, {reached}. Validation and test groups are as recorded."
    )
