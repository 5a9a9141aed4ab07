"""`--quick`: any recipe as a trial of a minute on a CPU, without data of one's own.

The trial shows that a recipe runs and what its report looks like. It answers no question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora_cls.errors import InputError
from fairlora_cls.recipe import BACKBONE_DEFAULTS, DataSection, TrainingSection, merge

EXAMPLES = 256  # of training and test; half as many of validation
SEEDS = 3  # of an ablation's seeds: the first ones
# Real source → the simulated cohort that stands in for it where no path is given.
COUNTERPARTS: Mapping[str, str] = {
    "fairvlmed": "simulated-fundus",
    "ham10000": "simulated-dermoscopy",
    "mimic-cxr": "simulated-chest",
    "padchest": "simulated-chest",
}
NOTE_FIELDS = ("gpt4_summary",)  # of a real source, for which the simulated notes stand in
# Over the file's values; what the command line names goes over these.
OVERRIDES: Mapping[str, Any] = {
    "data": {"limit": EXAMPLES},
    "model": {"backbone": "miniature", **BACKBONE_DEFAULTS["miniature"]["model"]},
    "training": {"epochs": 1, "warmup_steps": 5, **BACKBONE_DEFAULTS["miniature"]["training"]},
    "report": {"bootstrap": 200},
}
# Further ones of `task: generate`: the rate at which the miniature learns to write.
TEXT_OVERRIDES: Mapping[str, Any] = {
    "training": {"learning_rate": 2e-3},
    "generation": {"max_new_tokens": 40},
}
LARGEST_BATCH = 16  # examples of a step: larger ones would leave a trial too few steps


def quick_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's nested values with those of a quick trial over them.

    A source without a path becomes its simulated counterpart, which takes the options that it
    knows, and is drawn small; reports of its own stand in for conversations. Raises InputError
    where a section, or what a trial reads of it, is of another kind than a recipe's.
    """
    _require_kinds(values)
    trial = merge(values, OVERRIDES)
    if values.get("task") == "generate":
        trial = merge(trial, TEXT_OVERRIDES)
    training = trial["training"]
    batch = min(training.get("batch_size", TrainingSection().batch_size), LARGEST_BATCH)
    micro = min(training["micro_batch_size"], batch)
    trial["training"] = {**training, "batch_size": batch, "micro_batch_size": micro}
    if trial["data"].get("path") is None:
        trial["data"] = _simulated(trial["data"])
    return trial


def _require_kinds(values: Mapping[str, Any]) -> None:
    """The trial replaces keys of these sections; it must not replace a mistake with a right value."""
    problems = [
        f"{name}: keys with values are needed (got {values[name]!r})"
        for name in OVERRIDES
        if not isinstance(values.get(name, {}), Mapping)
    ]
    if not problems:
        batch = values.get("training", {}).get("batch_size", 1)
        data = values.get("data", {})
        problems += [f"training.batch_size: {batch!r} is no whole number"] * (
            type(batch) is not int
        )
        problems += [
            f"data.{key}: {data[key]!r} is no {word}"
            for key, kind, word in (("source", str, "name"), ("options", dict, "set of keys"))
            if not isinstance(data.get(key, kind()), kind)
        ]
    if problems:
        raise InputError(problems, "The recipe")


def _simulated(data: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's data section with a simulated source, drawn small, in place of a real one."""
    from fairlora_cls.data.datasets import dataset_options

    source = data.get("source", DataSection().source)
    source = COUNTERPARTS.get(source, source)
    section = {**data, "source": source}
    if section.get("questions") == "own":
        section["questions"] = "report"
    if source.startswith("simulated-"):
        known = dataset_options(source)
        own = {k: v for k, v in data.get("options", {}).items() if k in known}
        small = {"train": EXAMPLES, "validation": EXAMPLES // 2, "test": EXAMPLES}
        section["options"] = own | small
        prompt = section.get("prompt")
        if "notes" in known and isinstance(prompt, str):
            for field in NOTE_FIELDS:
                prompt = prompt.replace(f"{{{field}}}", "{note}")
            if "{note}" in prompt:
                section |= {"prompt": prompt, "options": {**section["options"], "notes": True}}
    return section
