"""What run.json says of a run: where it was made, on what, how fast, and how often groups were seen.

G groups.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.examples import SPLIT_NAMES
from fairlora_cls.data.prompts import question_of
from fairlora_cls.plain_yaml import parse_yaml
from fairlora_cls.recipe import TrainingSection, recipe_digest, recipe_to_yaml
from fairlora_cls.runs.assembly import RunGroups
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.folder import installed_versions
from fairlora_cls.training.checkpoints import Progress

LAST_STEPS = 20  # of a run, over which an attribute classifier's loss is judged
RUNAWAY = 2.0  # times the loss of guessing


def initial_state(context: RunContext, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """run.json as a run begins.

    fingerprints: `loaded_fingerprint` of the data as the recipe gives them, `data_fingerprint` of
        those that the run has, without unreadable images that it was told to skip
    """
    recipe, splits, engine = context.recipe, context.splits, context.engine
    parameters = list(engine.model.parameters())
    return {
        "schema": 1,
        "status": "running",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": recipe.seed,
        "device": str(engine.accelerator.device),
        "processes": engine.accelerator.num_processes,
        "python": platform.python_version(),
        "versions": installed_versions(),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "parameters": sum(p.numel() for p in parameters),
        "recipe_digest": recipe_digest(parse_yaml(recipe_to_yaml(recipe), "the recipe")),
        **fingerprints,
        "examples": {name: len(splits.split(name)) for name in SPLIT_NAMES},
        "classes": list(splits.classes),
        "question": question_of(recipe.data.prompt, splits),
        "protected": {
            attribute: dict(zip(groups.names, groups.counts, strict=True))
            for attribute, groups in context.groups.protected.items()
        },
        "selection_rule": f"{_selection_rule(recipe.training)}, earlier epoch on a tie",
        "notes": list(context.notes),
    }


def training_state(context: RunContext, progress: Progress) -> dict[str, Any]:
    """What run.json says of a training that is done."""
    bounded = context.recipe.training.select_by.startswith("bounded_")
    return {
        **({"gap_bound_met": progress.best_score >= 0} if bounded else {}),
        "steps": progress.step,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_validation_score": progress.best_score,
        "images_per_second": round(progress.images / max(progress.seconds, 1e-9), 2),
        **_summarise_steps(_read_steps(context.folder), context.groups),
    }


def _selection_rule(training: TrainingSection) -> str:
    metric = training.select_by.removeprefix("bounded_")
    if metric == training.select_by:
        return f"{'lowest' if metric == 'loss' else 'highest'} validation {metric}"
    return (
        f"among the epochs that cost no group more than {training.gap_cost} of its validation "
        f"accuracy by the most accurate epoch: highest validation {metric} of those whose largest "
        f"validation MaxAccGap is at most {training.gap_bound}, or the smallest gap where no epoch is"
    )


def runaway_notes(folder: Path, groups: RunGroups) -> tuple[str, ...]:
    """What to say of attribute classifiers that ended far worse than guessing: their dependence has
    no meaning, and its gradient may have spoilt the model."""
    steps = _read_steps(folder)
    notes = []
    for key in [k for k in (steps[-1] if steps else {}) if "_classifier_loss/" in k]:
        kind, _, attribute = key.partition("_classifier_loss/")
        guessing = float(np.log(len(groups.recorded[attribute].names)))
        loss = float(np.mean([r[key] for r in steps[-LAST_STEPS:]]))
        if loss > RUNAWAY * guessing:
            notes.append(
                f"The attribute classifier of {attribute} ended with a loss of {loss:.3g} nats, where "
                f"guessing has {guessing:.2f}: the dependence ran away. Set objective.{kind}.punish="
                "smoothed_absolute (mutual information), a smaller weight or a lower learning rate."
            )
    return tuple(notes)


def append_to_log(folder: Path, record: Mapping[str, Any]) -> None:
    """One line more in the finished log.jsonl."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def log_notes(folder: Path, steps: int) -> tuple[str, ...]:
    """What a reader must know of a log that does not hold every step."""
    count = len(_read_steps(folder))
    if count >= steps:
        return ()
    return (
        f"log.jsonl holds {count} of the {steps} steps; what is said of steps is said of these alone.",
    )


def _read_steps(folder: Path) -> list[dict[str, Any]]:
    """The log's lines of optimizer steps; lines that were cut or spoilt are passed over."""
    path = folder / "log.jsonl"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [r for r in map(_record, text.split("\n")) if "loss" in r and "group_counts" in r]


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _summarise_steps(steps: Sequence[Mapping[str, Any]], groups: RunGroups) -> dict[str, Any]:
    """How often each group was present in a step, and how often each penalty was active.

    A penalty is active where enough groups are present for it; under micro-batch statistics the
    share is over micro-batches. Empty where the log is lost.
    """
    if not steps:
        return {}
    present = {
        attribute: (np.array([r["group_counts"][attribute] for r in steps]) > 0).mean(axis=0)
        for attribute in groups.protected
    }
    active = [key for key in steps[0] if key.endswith("_active")]
    return {
        "group_present_in_steps": {
            attribute: dict(zip(encoded.names, present[attribute].round(4).tolist(), strict=True))
            for attribute, encoded in groups.protected.items()
        },
        "penalty_active": {
            key.removesuffix("_active"): round(float(np.mean([r[key] for r in steps])), 4)
            for key in active
        },
    }
