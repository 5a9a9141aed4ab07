"""What the two tasks, classifying and generating, do each in their own way; all else is shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from fairlora_cls.data.examples import Splits
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import Report
from fairlora_cls.models.classifier import ClassifierSettings
from fairlora_cls.models.generator import GeneratorSettings
from fairlora_cls.recipe import Recipe
from fairlora_cls.runs.context import RunContext
from fairlora_cls.runs.engine import BatchMaker, Model
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.texts.generations import Generations

SavedSettings = ClassifierSettings | GeneratorSettings  # beside the model of a run of either task
Settings = TypeVar("Settings", ClassifierSettings, GeneratorSettings)
Predicted = TypeVar("Predicted", Predictions, Generations)


class Task(ABC, Generic[Settings, Predicted]):
    """Keeps nothing: what a method needs it is given.

    predicted: the splits that a finished run has predictions of
    """

    predicted: Sequence[str]

    @abstractmethod
    def check(self, recipe: Recipe, splits: Splits) -> tuple[str, ...]:
        """Notes for the report. Raises InputError for data that the task cannot use."""

    @abstractmethod
    def require_reportable(self, recipe: Recipe, splits: Splits, split: str) -> None:
        """Raises InputError where a split's predictions could not be written, or not be reported."""

    @abstractmethod
    def build(self, recipe: Recipe, splits: Splits, shared: SharedParts) -> tuple[Model, Settings]:
        """The untrained model, and the settings that are saved with it."""

    @abstractmethod
    def save(self, model: Model, settings: Settings, folder: Path) -> None:
        """Write the trained model, whole or not at all."""

    @abstractmethod
    def read_settings(self, folder: Path) -> Settings:
        """The settings that were saved in a folder. Raises InputError where there are none."""

    @abstractmethod
    def load(self, settings: Settings, folder: Path, dtype: torch.dtype) -> Model:
        """The saved model, ready to predict."""

    @abstractmethod
    def fit(self, recipe: Recipe, settings: Settings, splits: Splits) -> Recipe:
        """The recipe under which a saved model predicts other data. Raises InputError where it does
        not fit them."""

    @abstractmethod
    def batch_maker(self, context: RunContext, split: str) -> BatchMaker:
        """How examples of a split become a batch of training."""

    @abstractmethod
    def word_counts(self, context: RunContext, split: str) -> np.ndarray:
        """Tokens of the words about each image of a split, (N,): the length that batches are made of
        where `training.group_by_length` asks for it."""

    @abstractmethod
    def validate(self, context: RunContext, make_batch: BatchMaker) -> dict[str, float]:
        """Metrics of the validation split, with `score`, which decides the best epoch."""

    @abstractmethod
    def predict(self, context: RunContext, split: str) -> Predicted:
        """Predictions of a whole split."""

    @abstractmethod
    def write(self, predictions: Predicted, stem: Path) -> None:
        """Write predictions to a path, given without its ending."""

    @abstractmethod
    def read_validation(self, run: Path, recipe: Recipe, splits: Splits) -> Predicted | None:
        """The validation predictions of a run that a report on its model needs, or None."""

    @abstractmethod
    def report(
        self,
        recipe: Recipe,
        predicted: Mapping[str, Predicted],
        split: str,
        notes: Sequence[str],
        trained_sites: Collection[str] | None = None,
    ) -> Report:
        """The report on a split, of the predictions of each split that there are. trained_sites: those
        of the training examples; None: not known, or not asked."""

    def keep_baselines(self, context: RunContext, folder: Path) -> None:
        """Write what needs no model into the folder of a run's tables, where the task has such."""

    def beside_baselines(self, report: Report, predictions: Predicted, folder: Path) -> Report:
        """The report with the model beside what needs none, if the folder of tables holds such."""
        return report
