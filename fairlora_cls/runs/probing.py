"""What fresh probes read of each attribute from a run's hidden states, before and after training.

N held-out examples (validation and test), S tapped states, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlora_cls.data.groups import encode_recorded
from fairlora_cls.evaluation.probes import probe_attribute
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.engine import BatchMaker, predict_states

HELD_OUT = ("validation", "test")


def probe_run(context: RunContext, batch_makers: Mapping[str, BatchMaker]) -> dict[str, Any]:
    """Attribute → state → {"before", "after"} → AUROC, interval and count.

    The states are `head_input` (what the head reads, so what decides the prediction; of a generator
    the state that decides an answer's first word) and each tapped state under the name of its
    dependence. "Before" is the model without its adapter and with its first projector.
    """
    recipe, splits, engine = context.recipe, context.splits, context.engine
    engine.model.eval()
    with engine.model.untrained():
        before = _held_out_states(context, batch_makers)
    after = _held_out_states(context, batch_makers)
    if not engine.accelerator.is_main_process:
        return {}
    units = [e.unit for name in HELD_OUT for e in splits.split(name)]
    sections = recipe.objective.dependences
    attributes = [*recipe.data.sensitive, *(a for s in sections.values() for a in s.weights)]
    states = ["head_input", *sections]
    context.display.stage("Probes", 2 * len(states) * len(set(attributes)))
    probes: dict[str, Any] = {}
    for attribute in dict.fromkeys(attributes):
        groups = encode_recorded(splits, attribute)
        codes = np.concatenate([groups.codes[name] for name in HELD_OUT])
        probes[attribute] = {name: {} for name in states}
        for place, name in enumerate(states):
            for moment, hidden in (("before", before), ("after", after)):
                result = probe_attribute(
                    hidden[:, place],
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
                context.display.advance(1)
    return probes


def _held_out_states(context: RunContext, batch_makers: Mapping[str, BatchMaker]) -> np.ndarray:
    """(N, 1 + S, D) float32."""
    counts = {name: len(context.splits.split(name)) for name in HELD_OUT}
    return np.concatenate(
        [
            predict_states(context.engine, batch_makers[name], count, context.display)
            for name, count in counts.items()
        ]
    )
