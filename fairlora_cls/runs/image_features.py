"""What the frozen vision tower of a run sees in each image, as one vector per id.

N images, V visual tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.features import Features
from fairlora_cls.models.backbones import DTYPES, load_backbone
from fairlora_cls.runs.engine import prepare_features, start_accelerator
from fairlora_cls.runs.folder import recipe_of
from fairlora_cls.runs.missing_groups import mean_visual_tokens
from fairlora_cls.runs.run_data import require_same_data
from fairlora_cls.training.loop import Display


def visual_features(run: Path, ids: Collection[str], display: Display) -> Features:
    """The mean over an image's V visual tokens, for the images of the run's data that have these
    ids: (N, D). Tokens come from the vision cache; images that are not in it pass the tower once.

    The tower is frozen, so the features are those of the backbone: training changed only what is
    made of them. Raises InputError where `run` is no run folder or none of the ids is in its data.
    """
    recipe = recipe_of(run)
    options = permitted_options(recipe.data.source, recipe.data.options, allow_urls=False)
    splits = load_splits(recipe.data.source, recipe.data.place, options)
    require_same_data(run, recipe, splits)
    wanted = set(ids)
    examples = tuple(e for e in splits.everything() if e.id in wanted)
    if not examples:
        raise InputError(
            f"None of the {len(wanted)} ids is in the data of '{run}' ({recipe.data.source}); name "
            "the run that made these predictions, or a file of features."
        )
    accelerator = start_accelerator(recipe.training.precision, [], run)
    backbone = load_backbone(
        recipe.model.backbone,
        DTYPES[recipe.training.precision],
        recipe.model.max_pixels,
        rescaling=recipe.model.rescaling,
    )
    backbone.model.to(accelerator.device)
    only = replace(splits, train=(), validation=(), test=examples)
    _, _, features = prepare_features(only, backbone, True, False, accelerator, display)
    means = mean_visual_tokens(features["test"], len(examples))
    source = f"mean visual tokens of {recipe.model.backbone}"
    return Features(tuple(e.id for e in examples), means, source)
