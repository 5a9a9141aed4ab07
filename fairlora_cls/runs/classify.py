"""The task `classify`: probabilities of classes, and the report on them.

N examples of a split, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from fairlora_cls.data.batching import Batch, ImageFeatures, pad
from fairlora_cls.data.conversations import PromptEncoder
from fairlora_cls.data.examples import Example, Splits, validate_splits
from fairlora_cls.data.prompts import fill_prompt, question_of, tokenise
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.baselines import FILE, add_baselines
from fairlora_cls.evaluation.groupings import grouping_of
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    require_storable,
    write_predictions,
)
from fairlora_cls.evaluation.report import fairness_report
from fairlora_cls.evaluation.results import FairnessReport
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.evaluation.selection import largest_gap, selection_score, selection_values
from fairlora_cls.evaluation.thresholds import judge_by_rule, parse_threshold, require_two_classes
from fairlora_cls.evaluation.verdicts import class_endpoints
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.classifier import (
    ClassifierSettings,
    load_classifier,
    read_classifier_settings,
    save_classifier,
)
from fairlora_cls.recipe import Recipe, changed
from fairlora_cls.runs.assembly import build_classifier
from fairlora_cls.runs.baselines import keep_baselines
from fairlora_cls.runs.compared import declared_endpoints, report_attributes, written_columns
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.engine import BatchMaker, Engine, predict_split, require_finite
from fairlora_cls.runs.folder import split_predictions
from fairlora_cls.runs.task import Task

FIRST_POOLING = (
    "model.pooling is first: under causal attention the first token sees neither image nor question, "
    "so every image gets the same prediction. Use last."
)


class Classify(Task[ClassifierSettings, Predictions]):
    """Every image of a run is asked its question; the head's logits are the answer."""

    predicted = ("validation", "test")
    build = staticmethod(build_classifier)
    save = staticmethod(save_classifier)
    read_settings = staticmethod(read_classifier_settings)
    load = staticmethod(load_classifier)

    def check(self, recipe: Recipe, splits: Splits) -> tuple[str, ...]:
        validate_splits(splits)
        require_two_classes(parse_threshold(recipe.report.threshold), splits.classes)
        return (FIRST_POOLING,) if recipe.model.pooling == "first" else ()

    def require_reportable(self, recipe: Recipe, splits: Splits, split: str) -> None:
        """Makes the table that the split's predictions will be, with equal probabilities."""
        logits = np.zeros((len(splits.split(split)), len(splits.classes)))
        table = _collect(recipe, splits.split(split), logits, splits.classes)
        require_storable(table)
        class_endpoints(splits.classes, recipe.report.endpoints or ())
        for name in report_attributes(recipe):
            grouping_of(table, name)

    def fit(self, recipe: Recipe, settings: ClassifierSettings, splits: Splits) -> Recipe:
        """The model's own question; the classes must be those that it was trained on."""
        if splits.classes != settings.labels:
            raise InputError(
                f"The data has the classes {', '.join(splits.classes)}; the model was trained on "
                f"{', '.join(settings.labels)}. Name them with data.options.classes."
            )
        return changed(recipe, {"data": {"prompt": settings.prompt}})

    def batch_maker(self, context: RunContext, split: str) -> BatchMaker:
        backbone = context.engine.model.backbone
        return ask_about_images(backbone, _ask(context, split), context.features[split])

    def word_counts(self, context: RunContext, split: str) -> np.ndarray:
        tokenizer = context.engine.model.backbone.processor.tokenizer
        asked = _ask(context, split)
        counts = {text: len(tokenise(tokenizer, text)) for text in dict.fromkeys(asked)}
        return np.array([counts[text] for text in asked], dtype=np.int64)

    def validate(self, context: RunContext, make_batch: BatchMaker) -> dict[str, float]:
        examples, training = context.splits.validation, context.recipe.training
        names, class_count = [e.id for e in examples], len(context.splits.classes)
        logits = predict_logits(context.engine, make_batch, names, class_count)
        labels = np.array([e.label for e in examples], dtype=np.int64)
        groups = {
            attribute: np.array(own.names)[own.codes["validation"]]
            for attribute, own in context.groups.protected.items()
        }
        return validation_metrics(logits, labels, groups, training.select_by, training.gap_bound)

    def predict(self, context: RunContext, split: str) -> Predictions:
        examples, classes = context.splits.split(split), context.splits.classes
        context.display.stage("Predicting", len(examples))
        logits = predict_logits(
            context.engine,
            self.batch_maker(context, split),
            [e.id for e in examples],
            len(classes),
            context.display.advance,
        )
        return _collect(context.recipe, examples, logits, classes)

    def write(self, predictions: Predictions, stem: Path) -> None:
        write_predictions(predictions, stem.with_suffix(".csv"))

    def keep_baselines(self, context: RunContext, folder: Path) -> None:
        keep_baselines(context, folder / FILE)

    def read_validation(self, run: Path, recipe: Recipe, splits: Splits) -> Predictions | None:
        """The run's own, where its threshold is chosen on them."""
        rule = parse_threshold(recipe.report.threshold)
        require_two_classes(rule, splits.classes)
        if not rule.needs_validation:
            return None
        return read_predictions(split_predictions(run, "validation"))

    def report(
        self,
        recipe: Recipe,
        predicted: Mapping[str, Predictions],
        split: str,
        notes: Sequence[str],
        trained_sites: Collection[str] | None = None,
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
            site=recipe.report.site,
            trained_sites=trained_sites,
            **declared_endpoints(recipe),
        )
        return add_sections(report, [operating_point])

    def beside_baselines(
        self, report: FairnessReport, predictions: Predictions, folder: Path
    ) -> FairnessReport:
        return add_baselines(report, predictions, folder)


CLASSIFY = Classify()


def _ask(context: RunContext, split: str) -> list[str]:
    """The question about each image of a split, N."""
    question = question_of(context.recipe.data.prompt, context.splits)
    return [fill_prompt(question, e.words) for e in context.splits.split(split)]


def ask_about_images(
    backbone: Backbone, questions: Sequence[str], features: ImageFeatures
) -> BatchMaker:
    """Places in a split → the batch of its images, each with its own of the N questions."""
    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)

    def make(indices: Sequence[int]) -> Batch:
        images = features(indices)
        prompts = [
            encoder.question(questions[i], grid)
            for i, (_, grid) in zip(indices, images, strict=True)
        ]
        return pad(indices, images, prompts)

    return make


def predict_logits(
    engine: Engine,
    make_batch: BatchMaker,
    names: Sequence[str],
    class_count: int,
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Logits (N, K) float32 of a whole split, whose N `names` are said in errors. Raises RunError for
    logits that are not finite."""
    logits = predict_split(
        engine, make_batch, lambda outputs: outputs.logits, len(names), (class_count,), advance
    )
    require_finite(logits, names, "logits")
    return logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities (N, K) in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _collect(
    recipe: Recipe, examples: Sequence[Example], logits: np.ndarray, classes: tuple[str, ...]
) -> Predictions:
    """Logits (N, K) and what is known of the examples → a table; of their attributes only those that
    the recipe names, because other columns are the patients' own."""
    return Predictions(
        ids=tuple(e.id for e in examples),
        labels=np.array([e.label for e in examples], dtype=np.int64),
        predictions=logits.argmax(axis=1),
        probabilities=softmax(logits),
        classes=classes,
        attributes={
            name: np.array([e.attributes.get(name) or "" for e in examples], dtype=object)
            for name in written_columns(recipe)
        },
        positive=len(classes) - 1,
        units=tuple(e.unit for e in examples),
    )


def validation_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, np.ndarray],
    select_by: str,
    gap_bound: float = 1.0,
) -> dict[str, float]:
    """Loss (nats) and `selection_values` of the validation split, and the `selection_score` by which
    `rank_candidates` finds the best epoch. Undefined values are left out.

    groups: attribute → (N,) names
    """
    probabilities = softmax(logits)
    predictions = logits.argmax(axis=1)
    picked = probabilities[np.arange(len(labels)), labels]
    values = {
        "loss": float(-np.log(np.maximum(picked, 1e-12)).mean()),
        **selection_values(labels, predictions, probabilities, logits.shape[1] - 1, groups),
    }
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    score = selection_score(values, largest_gap(values), select_by, gap_bound)
    return {**values, "score": score}
