"""What the parts of a run work with, and what a run gives its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairlora_cls.data.batching import ImageFeatures
from fairlora_cls.data.examples import Splits
from fairlora_cls.data.prompts import cut_words
from fairlora_cls.evaluation.results import Report
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import RunGroups
from fairlora_cls.runs.engine import Engine, prepare_features
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.training.loop import Display


@dataclass(frozen=True)
class RunContext:
    """A run, or an evaluation of one, once its data and its model are there."""

    recipe: Recipe
    splits: Splits
    engine: Engine
    folder: Path  # where it writes
    display: Display
    notes: tuple[str, ...]  # what a reader of its report must know
    groups: RunGroups = field(default_factory=RunGroups)  # an evaluation has none
    features: Mapping[str, ImageFeatures] = field(default_factory=dict)  # split → its images'


@dataclass(frozen=True)
class Outcome:
    """What a finished run or evaluation gives its caller."""

    folder: Path
    method: str
    report: Report | None  # None: of another process than the first
    state: Mapping[str, Any]  # of run.json


def cut_long_words(context: RunContext) -> RunContext:
    """The same with the words of its prompts as long as the recipe allows."""
    tokenizer = context.engine.model.backbone.processor.tokenizer
    splits, notes = cut_words(context.splits, context.recipe.data.max_words_tokens, tokenizer)
    return replace(context, splits=splits, notes=(*context.notes, *notes))


def read_images(
    context: RunContext,
    use_vision_cache: bool,
    skip_unreadable: bool,
    shared: SharedParts | None = None,
) -> RunContext:
    """The same with the visual features of its splits, which lose the images that were skipped.

    Raises InputError for images that cannot be read and are not to be skipped.
    """
    splits, dropped, features = prepare_features(
        context.splits,
        context.engine.model.backbone,
        use_vision_cache,
        skip_unreadable,
        context.engine.accelerator,
        context.display,
        shared,
    )
    notes = context.notes
    if dropped:
        first = dropped[0].name
        notes += (f"{len(dropped)} unreadable images were skipped, the first: {first}.",)
    return replace(context, splits=splits, features=features, notes=notes)
