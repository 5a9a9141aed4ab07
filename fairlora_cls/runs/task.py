"""What the two tasks, classifying and generating, do each in their own way.

N examples of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairlora_cls.data.batching import ImageFeatures
from fairlora_cls.data.examples import Splits
from fairlora_cls.evaluation.report import FairnessReport
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import RunGroups
from fairlora_cls.runs.engine import BatchMaker, Engine
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.training.loop import Display


@dataclass(frozen=True)
class Outcome:
    """What a finished run or evaluation gives its caller."""

    folder: Path
    method: str
    report: FairnessReport
    state: Mapping[str, Any]  # of run.json


@dataclass(frozen=True)
class Task:
    """The parts of a run that depend on whether it classifies or writes; all else is shared."""

    # (recipe, splits) → notes for the report. Raises InputError for data that the task cannot use.
    check: Callable[[Recipe, Splits], tuple[str, ...]]
    # (recipe, splits, split): raises InputError where the split's predictions could not be written, or
    # not be reported.
    require_reportable: Callable[[Recipe, Splits, str], None]
    # (recipe, splits, shared parts) → the untrained model and the settings that are saved with it.
    build: Callable[[Recipe, Splits, SharedParts], tuple[torch.nn.Module, Any]]
    # (model, settings, folder): writes the trained model, whole or not at all.
    save: Callable[[Any, Any, Path], None]
    # (folder) → the settings saved there. Raises InputError where there are none.
    read_settings: Callable[[Path], Any]
    # (settings, folder, numeric type) → the saved model, ready to predict.
    load: Callable[[Any, Path, torch.dtype], torch.nn.Module]
    # (recipe, settings, splits) → the recipe under which a saved model predicts other data. Raises
    # InputError where it does not fit them.
    fit: Callable[[Recipe, Any, Splits], Recipe]
    # (recipe, engine, splits, features) → split → how its examples become the batches of training.
    batch_makers: Callable[
        [Recipe, Engine, Splits, Mapping[str, ImageFeatures]], Mapping[str, BatchMaker]
    ]
    # (recipe, engine, splits, batch makers, groups) → validation metrics, with `score`.
    validate: Callable[
        [Recipe, Engine, Splits, Mapping[str, BatchMaker], RunGroups], Mapping[str, float]
    ]
    # (recipe, engine, splits, split, features, folder, display) → the split's predictions.
    predict: Callable[[Recipe, Engine, Splits, str, ImageFeatures, Path, Display], Any]
    # (predictions, path without suffix): writes them.
    write: Callable[[Any, Path], None]
    # (run folder, recipe, splits) → the validation predictions that its report needs, or None.
    read_validation: Callable[[Path, Recipe, Splits], Any]
    # (recipe, split → predictions, split to report on, notes) → the report.
    report: Callable[[Recipe, Mapping[str, Any], str, Sequence[str]], FairnessReport]
    # The splits that a finished run has predictions of.
    predicted: Sequence[str]
