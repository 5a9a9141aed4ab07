"""`--quick`: any recipe as a trial of a minute on a CPU, without data of one's own.

The trial shows that a recipe runs and what its report looks like. It answers no question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora_cls.recipe import BACKBONE_DEFAULTS, DataSection, merge

EXAMPLES = 256  # of training and test; half as many of validation
SEEDS = 3  # of an ablation's seeds: the first ones
# Real source → the simulated cohort that stands in for it where no path is given.
COUNTERPARTS: Mapping[str, str] = {
    "fairvlmed": "simulated-fundus",
    "ham10000": "simulated-dermoscopy",
    "mimic-cxr": "simulated-chest",
    "padchest": "simulated-chest",
}
# Over the file's values; what the command line names goes over these.
OVERRIDES: Mapping[str, Any] = {
    "data": {"limit": EXAMPLES},
    "model": {"backbone": "miniature", **BACKBONE_DEFAULTS["miniature"]["model"]},
    "training": {"epochs": 1, "warmup_steps": 5, **BACKBONE_DEFAULTS["miniature"]["training"]},
    "report": {"bootstrap": 200},
}


def quick_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's nested values with those of a quick trial over them.

    A source without a path becomes its simulated counterpart, which takes the options that it
    knows, and is drawn small.
    """
    from fairlora_cls.data.datasets import dataset_options

    found = merge(values, OVERRIDES)
    data = dict(found["data"])
    if data.get("path") is None:
        source = data.get("source", DataSection().source)
        source = data["source"] = COUNTERPARTS.get(source, source)
        small = {"train": EXAMPLES, "validation": EXAMPLES // 2, "test": EXAMPLES}
        own = data.get("options", {})
        if source.startswith("simulated-"):
            known = dataset_options(source)
            data["options"] = {k: v for k, v in own.items() if k in known} | small
    training = found["training"]
    micro = min(training["micro_batch_size"], training.get("batch_size", EXAMPLES))
    return {**found, "data": data, "training": {**training, "micro_batch_size": micro}}
