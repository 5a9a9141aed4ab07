"""What needs no model, asked about the examples that a run's model predicts: kept beside its tables.

N examples, H of validation and test, D size of a feature, K classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.checking.image_facts import gather_image_facts
from fairlora_cls.checking.shortcuts import Cohort, shortcut_features
from fairlora_cls.data.groups import single_attributes
from fairlora_cls.data.vision_cache import CachedFeatures
from fairlora_cls.evaluation.baselines import PROBE, write_baselines
from fairlora_cls.evaluation.probes import (
    STRENGTHS,
    log_loss,
    logistic_regression,
    predict_held_out,
    word_regression,
)
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.missing_groups import mean_visual_tokens

MOST = 5_000  # training examples that a baseline is fitted to; more would only take longer
STREAM = 1605  # of random numbers


def keep_baselines(context: RunContext, path: Path) -> None:
    """Fit every baseline to the training split and write what it says of validation and test.

    Only the attributes that the recipe names are read: others could be told from a probability. A
    linear probe is among them where the vision cache holds the image features. Images that can no
    longer be read are left out, and so is what is the same for all training examples.
    """
    splits, recipe = context.splits, context.recipe
    kept = _drawn(len(splits.train), recipe.seed)
    examples = [*(splits.train[row] for row in kept), *splits.validation, *splits.test]
    context.display.stage("Baselines", len(examples))
    facts = gather_image_facts([e.image for e in examples], context.display.advance)
    train = np.arange(len(examples)) < len(kept)
    cohort = Cohort(examples, train, splits.classes, recipe.seed)
    labels = cohort.labels()
    fit, asked = (np.flatnonzero(facts.readable & part) for part in (train, ~train))
    if len(np.unique(labels[fit])) < 2 or not len(asked):
        return

    def answers(columns: np.ndarray, model: Any) -> np.ndarray:
        """(H, K) chances of a model on columns (N, F), or texts (N,)."""
        chances = predict_held_out(model, columns, labels, fit, asked)
        return np.pad(chances, ((0, 0), (0, len(splits.classes) - chances.shape[1])))

    people = single_attributes(recipe.data.sensitive)
    columns = shortcut_features(cohort, facts, people)
    if people:
        blank = [[value is None for value in cohort.values(name)] for name in people]
        columns[f"what is not recorded ({', '.join(people)})"] = np.array(blank, dtype=float).T
    chances = {
        name: answers(own, logistic_regression())
        for name, own in columns.items()
        if np.ptp(own[fit], axis=0).any()
    }
    texts = np.array([" ".join(word or "" for word in e.words.values()) for e in examples], object)
    if any(character.isalnum() for text in texts[fit] for character in text):
        chances[f"words ({', '.join(examples[0].words)})"] = answers(texts, word_regression())
    states = _image_features(context, kept)
    if states is not None:
        chosen_on = asked < len(kept) + len(splits.validation)
        models = [logistic_regression(C=c, max_iter=300, tol=1e-3) for c in STRENGTHS]
        probes = [answers(states, model) for model in models]
        known = labels[asked][chosen_on]
        chances[PROBE] = min(probes, key=lambda own: log_loss(own[chosen_on], known))
    write_baselines(path, [examples[row].id for row in asked], splits.classes, chances)


def _drawn(count: int, seed: int) -> np.ndarray:
    """The places of the training examples that are taken: all, or MOST drawn at random."""
    if count <= MOST:
        return np.arange(count)
    generator = np.random.default_rng([seed, STREAM])
    return np.sort(generator.choice(count, MOST, replace=False))


def _image_features(context: RunContext, kept: np.ndarray) -> np.ndarray | None:
    """Mean visual tokens (N, D) of the training examples at `kept`, of validation and of test; None
    without a cache of them."""
    features, splits = context.features, context.splits
    if not all(isinstance(own, CachedFeatures) for own in features.values()):
        return None
    parts = [mean_visual_tokens(lambda places: features["train"](kept[list(places)]), len(kept))]
    parts += [
        mean_visual_tokens(features[name], len(splits.split(name)))
        for name in ("validation", "test")
    ]
    return np.concatenate(parts).astype(np.float64)
