"""The task `classify`: probabilities of classes, and the report on them.

N examples of a split, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlora_cls.data.batching import Batch, ImageFeatures, PromptEncoder, collate
from fairlora_cls.data.examples import Splits, validate_splits
from fairlora_cls.data.groups import single_attributes
from fairlora_cls.data.prompts import render_prompt
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    require_storable,
    write_predictions,
)
from fairlora_cls.evaluation.report import FairnessReport, fairness_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.thresholds import judge_by_rule, parse_threshold, require_two_classes
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.classifier import (
    ClassifierSettings,
    load_classifier,
    read_classifier_settings,
    save_classifier,
)
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.assembly import RunGroups, build_classifier
from fairlora_cls.runs.compared import report_attributes
from fairlora_cls.runs.engine import BatchMaker, Engine, predict_split
from fairlora_cls.runs.folder import split_predictions
from fairlora_cls.runs.prediction import (
    collect_predictions,
    read_logits,
    require_finite,
    validation_metrics,
)
from fairlora_cls.runs.task import Task
from fairlora_cls.training.loop import Display

FIRST_POOLING = (
    "model.pooling is first: under causal attention the first token sees neither image nor question, "
    "so every image gets the same prediction. Use last."
)


def prompt_encoder(backbone: Backbone, prompt: str) -> PromptEncoder:
    """The question that every image of a run is asked."""
    return PromptEncoder(
        render_prompt(backbone.processor, prompt),
        backbone.encode_text,
        backbone.positions,
    )


def batch_maker(encoder: PromptEncoder, features: ImageFeatures) -> BatchMaker:
    """Places in a split → the batch of its images, each with the question."""

    def make(indices: Sequence[int]) -> Batch:
        return collate(indices, features(indices), encoder)

    return make


def predict_logits(
    engine: Engine, make_batch: BatchMaker, names: Sequence[str], class_count: int, **progress: Any
) -> np.ndarray:
    """Logits (N, K) float32 of a whole split, whose N `names` are told in errors. Raises RunError for
    logits that are not finite."""
    logits = predict_split(engine, make_batch, read_logits, len(names), (class_count,), **progress)
    require_finite(logits, names, "logits")
    return logits


def _check(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    validate_splits(splits)
    require_two_classes(parse_threshold(recipe.report.threshold), splits.classes)
    return (FIRST_POOLING,) if recipe.model.pooling == "first" else ()


def _require_reportable(recipe: Recipe, splits: Splits, split: str) -> None:
    """Makes the table that the split's predictions will be, with equal probabilities."""
    examples, classes = splits.split(split), splits.classes
    logits = np.zeros((len(examples), len(classes)))
    table = collect_predictions(examples, logits, classes, single_attributes(recipe.data.sensitive))
    require_storable(table)
    for name in report_attributes(recipe):
        grouping_of(table, name)


def _fit(recipe: Recipe, settings: ClassifierSettings, splits: Splits) -> Recipe:
    if splits.classes != settings.labels:
        raise InputError(
            f"The data has the classes {', '.join(splits.classes)}; the model was trained on "
            f"{', '.join(settings.labels)}. Name them with data.options.classes."
        )
    data = recipe.data.model_copy(update={"prompt": settings.prompt})
    return recipe.model_copy(update={"data": data})


def _batch_makers(
    recipe: Recipe, engine: Engine, splits: Splits, features: Mapping[str, ImageFeatures]
) -> dict[str, BatchMaker]:
    encoder = prompt_encoder(engine.model.backbone, recipe.data.prompt)
    return {name: batch_maker(encoder, found) for name, found in features.items()}


def _validate(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    batch_makers: Mapping[str, BatchMaker],
    groups: RunGroups,
) -> dict[str, float]:
    examples = splits.validation
    names = [e.id for e in examples]
    logits = predict_logits(engine, batch_makers["validation"], names, len(splits.classes))
    labels = np.array([e.label for e in examples], dtype=np.int64)
    codes = groups.protected_codes("validation")
    training = recipe.training
    return validation_metrics(logits, labels, codes, training.select_by, training.gap_bound)


def _predict(
    recipe: Recipe,
    engine: Engine,
    splits: Splits,
    split: str,
    features: ImageFeatures,
    folder: Path,
    display: Display,
) -> Predictions:
    examples = splits.split(split)
    display.stage("Predicting", len(examples))
    encoder = prompt_encoder(engine.model.backbone, recipe.data.prompt)
    logits = predict_logits(
        engine,
        batch_maker(encoder, features),
        [e.id for e in examples],
        len(splits.classes),
        advance=display.advance,
    )
    named = single_attributes(recipe.data.sensitive)  # other columns are the patients' own
    return collect_predictions(examples, logits, splits.classes, named)


def _read_validation(run: Path, recipe: Recipe, splits: Splits) -> Predictions | None:
    """The run's validation predictions, where its threshold is chosen on them."""
    rule = parse_threshold(recipe.report.threshold)
    require_two_classes(rule, splits.classes)
    if not rule.needs_validation:
        return None
    return read_predictions(split_predictions(run, "validation"))


def _report(
    recipe: Recipe, predicted: Mapping[str, Predictions], split: str, notes: Sequence[str]
) -> FairnessReport:
    judged, operating_point = judge_by_rule(
        predicted[split], recipe.report.threshold, predicted.get("validation")
    )
    report = fairness_report(
        judged,
        report_attributes(recipe),
        bootstrap=recipe.report.bootstrap,
        minimum_group_size=recipe.report.minimum_group_size,
        seed=recipe.seed,
        notes=notes,
    )
    return add_sections(report, [operating_point])


CLASSIFY = Task(
    check=_check,
    require_reportable=_require_reportable,
    build=build_classifier,
    save=save_classifier,
    read_settings=read_classifier_settings,
    load=load_classifier,
    fit=_fit,
    batch_makers=_batch_makers,
    validate=_validate,
    predict=_predict,
    write=lambda predictions, stem: write_predictions(predictions, stem.with_suffix(".csv")),
    read_validation=_read_validation,
    report=_report,
    predicted=("validation", "test"),
)
