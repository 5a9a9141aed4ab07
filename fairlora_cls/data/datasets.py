"""One plain function per source, folder → Splits, and the table DATASETS."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fairlora_cls.data.examples import LARGEST_SEED, Splits
from fairlora_cls.data.simulated.sources import (
    load_simulated_chest,
    load_simulated_dermoscopy,
    load_simulated_fundus,
)
from fairlora_cls.data.sources.fairvlmed import load_fairvlmed
from fairlora_cls.data.sources.ham10000 import load_ham10000
from fairlora_cls.data.sources.mimic_cxr import load_mimic_cxr
from fairlora_cls.data.sources.padchest import load_padchest
from fairlora_cls.data.sources.saved_datasets import load_saved_dataset
from fairlora_cls.data.sources.table import load_table
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import user_path
from fairlora_cls.plain_yaml import stands_for_a_number

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


@dataclass(frozen=True)
class Dataset:
    """A source: how to load it, and the recipe values that suit it unless the user says others."""

    load: Callable[..., Splits]
    needs_path: bool
    defaults: Mapping[str, Any]  # of the recipe's `data` section
    protect: Sequence[str] | None = (
        None  # what the loss protects unless the user names data.sensitive
    )
    generate: Mapping[str, Any] = field(default_factory=dict)  # of the recipe, for task: generate


CHEST_REPORTS = {
    "data": {"prompt": "Describe the findings of this chest radiograph."},
    "report": {"text_metrics": ["bleu_1", "bleu_4", "rouge_l", "exact_match", "findings"]},
}

DATASETS: dict[str, Dataset] = {
    "simulated-fundus": Dataset(
        load_simulated_fundus,
        needs_path=False,
        defaults={
            "sensitive": ["ethnicity", "sex", "race", "age_group"],
            "prompt": "Does the patient have glaucoma?",
        },
        protect=["ethnicity"],  # the attribute whose bias is planted
    ),
    "fairvlmed": Dataset(
        load_fairvlmed,
        needs_path=True,
        defaults={
            "sensitive": ["ethnicity", "race", "sex"],
            "prompt": "Does the patient have glaucoma?",
        },
    ),
    "simulated-dermoscopy": Dataset(
        load_simulated_dermoscopy,
        needs_path=False,
        defaults={
            "sensitive": ["skin_tone", "sex", "age_group"],
            "prompt": "Is this lesion malignant?",
        },
        protect=["skin_tone"],
    ),
    "simulated-chest": Dataset(
        load_simulated_chest,
        needs_path=False,
        defaults={
            "sensitive": ["sex", "race", "age_group"],
            "prompt": "Is this chest radiograph abnormal?",
        },
        protect=["sex"],
        generate=CHEST_REPORTS,
    ),
    "ham10000": Dataset(
        load_ham10000,
        needs_path=True,
        defaults={"sensitive": ["sex", "age_group"], "prompt": "Is this lesion malignant?"},
        generate={
            "data": {"questions": "ham10000"},
            "report": {"text_metrics": ["diagnosis", "exact_match", "bleu_1", "rouge_l"]},
        },
    ),
    "mimic-cxr": Dataset(
        load_mimic_cxr,
        needs_path=True,
        defaults={
            "sensitive": ["race", "sex", "age_group"],
            "prompt": "Does the chest X-ray show a pleural effusion?",
        },
        generate=CHEST_REPORTS,
    ),
    "padchest": Dataset(
        load_padchest,
        needs_path=True,
        defaults={
            "sensitive": ["sex", "age_group"],
            "prompt": "Does the chest X-ray show a pleural effusion?",
        },
        generate=CHEST_REPORTS,
    ),
    "table": Dataset(load_table, needs_path=True, defaults={}),
    "datasets": Dataset(load_saved_dataset, needs_path=True, defaults={}),
}


def dataset_options(source: str) -> dict[str, Any]:
    """Names and types of the options that a source's loader takes, by keyword or in a record."""
    load = DATASETS[source].load
    types = get_type_hints(load)
    record = get_type_hints(types["options"]) if "options" in types else {}
    return record | {name: types[name] for name in inspect.getfullargspec(load).kwonlyargs}


def check_options(source: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A source's options as its loader wants them, and what is wrong: unknown names, other types."""
    known = dataset_options(source)
    values, problems = {}, []
    for name, value in options.items():
        if name not in known:
            problems.append(
                f"data.options.{name}: '{source}' has no option '{name}'{nearest(name, known)}"
            )
            continue
        kind = Seed if name == "seed" else known[name]
        if stands_for_a_number(value, kind):
            problems.append(f"data.options.{name}: true and false are no numbers (got {value!r})")
            continue
        config = ConfigDict(coerce_numbers_to_str=True, allow_inf_nan=False)
        try:
            values[name] = TypeAdapter(kind, config=config).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            wants_list = first["type"] in ("sequence_str", "is_instance_of")
            reason = "Write a list, such as [a, b]" if wants_list else first["msg"]
            problems.append(
                f"data.options.{name}: {reason[:1].lower()}{reason[1:]} (got {value!r})"
            )
    return values, problems


def permitted_options(source: str, options: Mapping[str, Any], allow_urls: bool) -> dict[str, Any]:
    """A recipe's options, which may come from a stranger: whether images are fetched the user alone
    says, by --allow-urls. Raises InputError where the source fetches none."""
    if source in DATASETS and "allow_urls" in dataset_options(source):
        return {**options, "allow_urls": allow_urls}
    if allow_urls:
        raise InputError(
            f"The source '{source}' has no option 'allow_urls'; leave out --allow-urls."
        )
    return dict(options)


def load_splits(source: str, path: Path | None, options: Mapping[str, Any]) -> Splits:
    """Load a source by name.

    Raises BadRowsError listing what is wrong with which row, and InputError for an unknown source or
    option, or data that cannot be read.
    """
    if source not in DATASETS:
        raise InputError(f"There is no data source '{source}'{nearest(source, DATASETS)}")
    values, problems = check_options(source, options)
    if problems:
        raise InputError(problems)
    if path is None and DATASETS[source].needs_path:
        raise InputError(f"'{source}' needs its folder or file: --data {source}:PATH (data.path).")
    load = DATASETS[source].load
    own = inspect.getfullargspec(load).kwonlyargs
    given = {name: values.pop(name) for name in own if name in values}
    if values:
        given["options"] = get_type_hints(load)["options"](**values)
    return load(None if path is None else user_path(path), **given)
