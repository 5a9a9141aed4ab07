"""recipe → what a run is made of: splits, groups, model, objective.

N examples of a split, G groups of an attribute, S tapped states, D hidden size, K values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fairlora_cls.data.batching import ImageFeatures
from fairlora_cls.data.datasets import load_splits, permitted_options
from fairlora_cls.data.examples import SPLIT_NAMES, Splits, fingerprint, limit_splits
from fairlora_cls.data.groups import (
    Groups,
    apply_missing_policy,
    cross_groups,
    encode_groups,
    encode_recorded,
    merge_rare_groups,
    require_attributes,
    single_attributes,
)
from fairlora_cls.data.prompts import keep_words, question_of
from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import LoraSettings, attach_lora, require_targets
from fairlora_cls.models.backbones import (
    DTYPES,
    Backbone,
    build_shapes,
    load_backbone,
    read_configuration,
)
from fairlora_cls.models.classifier import Classifier, ClassifierSettings
from fairlora_cls.models.generator import Generator, GeneratorSettings
from fairlora_cls.models.taps import TapSettings, tap_layers
from fairlora_cls.models.zero_shot import LabelWordClassifier, load_label_word_classifier
from fairlora_cls.objectives.mutual_information import (
    ATTRIBUTE_CLASSIFIERS,
    PUNISHMENTS,
    AttributeDependence,
    value_frequencies,
)
from fairlora_cls.objectives.objectives import OBJECTIVES, Objective, build_objective
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.compared import site_columns
from fairlora_cls.runs.folder import read_state
from fairlora_cls.runs.missing_groups import fill_missing_groups, mean_visual_tokens
from fairlora_cls.runs.shared_parts import SharedParts


def load_data(recipe: Recipe, shared: SharedParts, allow_urls: bool = False) -> Splits:
    """The splits that a recipe names, as they are."""
    source, place = recipe.data.source, recipe.data.place
    options = permitted_options(source, recipe.data.options, allow_urls)
    return shared.once(
        ("splits", source, place, repr(options)), lambda: load_splits(source, place, options)
    )


def treat_splits(
    recipe: Recipe, loaded: Splits, only: str | None = None
) -> tuple[Splits, tuple[str, ...]]:
    """Loaded splits, limited, with rare and missing groups and the prompt's words treated, and what a
    reader must know.

    only: the one split whose examples are kept; rare are still those that are rare in training
    """
    splits, merged = limit_splits(loaded, recipe.data.limit), ()
    sensitive = single_attributes(recipe.data.sensitive)
    if splits.train:
        splits, merged = merge_rare_groups(splits, sensitive, recipe.data.merge_groups_below)
    if only is not None:
        merged = ()
        splits = replace(splits, **{name: () for name in SPLIT_NAMES if name != only})
    require_attributes(splits, site_columns(recipe))
    splits, touched = apply_missing_policy(splits, sensitive, recipe.data.missing_groups)
    data = recipe.data
    question = question_of(data.prompt, splits)
    splits, silent = keep_words(splits, question, data.missing_words, data.taken_out())
    notes = (*merged, *silent)
    if not touched:
        return splits, notes
    treated = "left out" if data.missing_groups == "drop" else "kept as the group Unknown"
    note = (
        f"{touched} examples lack a sensitive attribute and were {treated} (data.missing_groups)."
    )
    return splits, (note, *notes)


def require_same_data(run: Path, recipe: Recipe, loaded: Splits) -> None:
    """Raises InputError where the data that a run's own recipe names are no longer those of the run."""
    state = read_state(run)
    known = state.get("loaded_fingerprint", state.get("data_fingerprint"))
    if fingerprint(treat_splits(recipe, loaded)[0]) != known:
        change = "have changed since it was trained"
        if "loaded_fingerprint" not in state:
            change = "have changed, or an earlier version, which trained it, read them otherwise"
        raise InputError(
            f"The data of '{run}' ({recipe.data.source}, {recipe.data.place or 'drawn'}) {change}; name "
            "the data to use with --data SOURCE:PATH."
        )


def predict_missing_groups(
    recipe: Recipe, splits: Splits, features: ImageFeatures
) -> tuple[Splits, tuple[str, ...]]:
    """The splits with the training groups that a probe is sure of filled in, and notes."""
    return fill_missing_groups(
        splits,
        single_attributes(recipe.data.sensitive),
        mean_visual_tokens(features, len(splits.train)),
        recipe.data.predict_confidence,
        recipe.seed,
    )


@dataclass(frozen=True)
class RunGroups:
    """Every attribute that the objective reads."""

    # Those whose groups enter base loss and penalties, and those whose dependence is measured.
    protected: Mapping[str, Groups] = field(default_factory=dict)
    recorded: Mapping[str, Groups] = field(default_factory=dict)

    def protected_codes(self, split: str) -> dict[str, np.ndarray]:
        """Attribute → (N,) codes of a split."""
        return {name: groups.codes[split] for name, groups in self.protected.items()}

    def recorded_codes(self, split: str) -> dict[str, np.ndarray]:
        """Attribute → (N,) codes of a split, −1 where not recorded."""
        return {name: groups.codes[split] for name, groups in self.recorded.items()}

    def crossed(self, split: str, count: int) -> np.ndarray:
        """Codes (N,) of the cells of all protected attributes: what samplers balance."""
        return cross_groups(self.protected.values(), split, count)


def encode_run_groups(recipe: Recipe, splits: Splits) -> RunGroups:
    """Codes of all attributes that the objective reads.

    Raises InputError for an unknown attribute, and for a dependence on an attribute with fewer than
    two recorded values in training.
    """
    merge_below = recipe.objective.merge_cells_below
    protected = {a: encode_groups(splits, a, merge_below) for a in recipe.objective.protect}
    recorded = {}
    for key, section in recipe.objective.dependences.items():
        for attribute in section.weights:
            groups = recorded[attribute] = encode_recorded(splits, attribute)
            seen = [name for name, n in zip(groups.names, groups.counts, strict=True) if n]
            if len(seen) < 2:
                raise InputError(
                    f"objective.{key}: '{attribute}' has {len(seen)} recorded value(s) in training "
                    f"({', '.join(seen) or 'none'}); a dependence needs at least two. Leave it out of weights."
                )
    return RunGroups(protected, recorded)


def build_classifier(
    recipe: Recipe, splits: Splits, shared: SharedParts
) -> tuple[Classifier | LabelWordClassifier, ClassifierSettings]:
    """The classifier that a recipe describes, untrained; its initial weights follow from the seed."""
    model, objective = recipe.model, recipe.objective
    words = None
    if objective.method == "zero-shot" and objective.zero_shot == "label_words":
        words = tuple(objective.label_words or splits.classes)
        if len(words) != len(splits.classes):
            raise InputError(
                f"objective.label_words has {len(words)} entries for {len(splits.classes)} classes "
                f"({', '.join(splits.classes)})."
            )
    settings = ClassifierSettings(
        backbone=model.backbone,
        labels=splits.classes,
        prompt=question_of(recipe.data.prompt, splits),
        pooling=model.pooling,
        maximum_pixels=model.max_pixels,
        precision=recipe.training.precision,
        label_words=words,
        rescaling=model.rescaling,
        train_projector=model.train_projector,
    )
    dtype = DTYPES[recipe.training.precision]
    if words is not None:
        zero_shot = load_label_word_classifier(
            model.backbone, dtype, model.max_pixels, words, rescaling=model.rescaling
        )
        return zero_shot, settings
    backbone, network, taps = _build_network(recipe, shared, language_head=False)
    classifier = Classifier(backbone, network, len(splits.classes), model.pooling, taps)
    return classifier, settings


def build_generator(
    recipe: Recipe, splits: Splits, shared: SharedParts
) -> tuple[Generator, GeneratorSettings]:
    """The generator that a recipe describes, untrained; its initial weights follow from the seed."""
    model = recipe.model
    backbone, network, taps = _build_network(recipe, shared, language_head=True)
    settings = GeneratorSettings(
        backbone=model.backbone,
        prompt=question_of(recipe.data.prompt, splits),
        maximum_pixels=model.max_pixels,
        precision=recipe.training.precision,
        train_projector=model.train_projector,
        trained=OBJECTIVES[recipe.objective.method].trains,
        rescaling=model.rescaling,
    )
    return Generator(backbone, network, taps), settings


def _build_network(
    recipe: Recipe, shared: SharedParts, *, language_head: bool
) -> tuple[Backbone, torch.nn.Module, list[TapSettings]]:
    """The backbone with LoRA on it, and where the recipe's dependences tap it."""
    model = recipe.model
    load = partial(
        load_backbone,
        model.backbone,
        DTYPES[recipe.training.precision],
        model.max_pixels,
        rescaling=model.rescaling,
        language_head=language_head,
        train_projector=model.train_projector,
    )
    adapts = OBJECTIVES[recipe.objective.method].trains or not language_head
    if adapts:  # before gigabytes are read
        shapes = build_shapes(model.backbone, *read_configuration(model.backbone))
        require_targets(shapes.language_model, model.lora.targets)
    backbone = shared.lend_backbone((load.args, tuple(load.keywords.items())), load)
    torch.manual_seed(recipe.seed)
    network = backbone.model
    if adapts:
        network = attach_lora(backbone, LoraSettings(**model.lora.model_dump()))
    if recipe.training.gradient_checkpointing:
        backbone.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    taps = [
        TapSettings(
            tap_layers(section.tap, len(backbone.language_layers)),
            section.tokens,
            section.token_pooling,
            section.normalise,
        )
        for section in recipe.objective.dependences.values()
    ]
    return backbone, network, taps


def build_run_objective(
    recipe: Recipe, groups: RunGroups, hidden_size: int, device: torch.device
) -> Objective:
    """The recipe's objective; its attribute classifiers' initial weights follow from the seed."""
    section = recipe.objective
    torch.manual_seed(recipe.seed)
    dependences = [
        AttributeDependence(
            attribute=attribute,
            tap=tap,
            weight=dependence.scale * weight,
            kind=key,
            classifier=ATTRIBUTE_CLASSIFIERS[dependence.classifier](
                hidden_size, len(groups.recorded[attribute].names)
            ).to(device),
            punish=PUNISHMENTS[getattr(dependence, "punish", "plain")],
            class_weights=value_frequencies(groups.recorded[attribute].counts)
            if dependence.class_weighting == "frequency"
            else None,
            classifier_weight=dependence.scale * dependence.classifier_weight,
            trains=dependence.training == "joint",
            warmup_steps=dependence.warmup_steps,
        )
        for tap, (key, dependence) in enumerate(recipe.objective.dependences.items())
        for attribute, weight in dependence.weights.items()
    ]
    return build_objective(
        section.method,
        {name: encoded.counts for name, encoded in groups.protected.items()},
        weight_cap=section.weight_cap,
        gap_weight=section.gap_weight,
        weighting=section.weighting,
        penalties=section.penalties,
        dependences=dependences,
        base_weight=section.base_weight,
        statistics=section.statistics,
        decay=section.running_decay,
        dro_step_size=section.dro_step_size,
        dro_adjustment=section.dro_adjustment,
    )
