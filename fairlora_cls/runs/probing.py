"""What fresh probes read of each attribute from a run's hidden states, before and after training.

N held-out examples (validation and test), S tapped states, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlora_cls.data.examples import Splits
from fairlora_cls.data.groups import encode_recorded
from fairlora_cls.evaluation.probes import probe_attribute
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.engine import BatchMaker, Engine, predict_states
from fairlora_cls.training.loop import Display

HELD_OUT = ("validation", "test")


def probe_run(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    batch_makers: Mapping[str, BatchMaker],
    display: Display,
) -> dict[str, Any]:
    """Attribute → state → {"before", "after"} → AUROC, interval and count.

    The states are `head_input` (what the head reads, so what decides the prediction; of a generator
    the state that decides an answer's first word) and each tapped state under the name of its
    dependence. "Before" is the model without its adapter and with its first projector.
    """
    engine.model.eval()
    with engine.model.untrained():
        before = _held_out_states(engine, splits, batch_makers, display)
    after = _held_out_states(engine, splits, batch_makers, display)
    if not engine.accelerator.is_main_process:
        return {}
    units = [e.unit for name in HELD_OUT for e in splits.split(name)]
    sections = recipe.objective.dependences
    attributes = [*recipe.data.sensitive, *(a for s in sections.values() for a in s.weights)]
    states = ["head_input", *sections]
    display.stage("Probes", 2 * len(states) * len(set(attributes)))
    probes: dict[str, Any] = {}
    for attribute in dict.fromkeys(attributes):
        groups = encode_recorded(splits, attribute)
        codes = np.concatenate([groups.codes[name] for name in HELD_OUT])
        probes[attribute] = {name: {} for name in states}
        for place, name in enumerate(states):
            for moment, found in (("before", before), ("after", after)):
                result = probe_attribute(
                    found[:, place],
                    codes,
                    units,
                    resamples=recipe.report.bootstrap,
                    seed=recipe.seed,
                )
                probes[attribute][name][moment] = {
                    "auroc": result.auroc,
                    "interval": list(result.interval) if result.interval else None,
                    "n": result.n,
                }
                display.advance(1)
    return probes


def _held_out_states(
    engine: Engine, splits: Splits, batch_makers: Mapping[str, BatchMaker], display: Display
) -> np.ndarray:
    """(N, 1 + S, D) float32."""
    found = [
        predict_states(engine, batch_makers[name], len(splits.split(name)), display)
        for name in HELD_OUT
    ]
    return np.concatenate(found)
