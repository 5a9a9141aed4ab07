"""Backbone + pooling + linear head: Batch → logits, and the hidden states that were asked for.

B examples, T tokens, D hidden size, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fairlora_cls.data.batching import Batch
from fairlora_cls.errors import InputError
from fairlora_cls.models.adapted import (
    AdaptedModel,
    SavedSettings,
    load_saved_backbone,
    read_saved_settings,
    save_model,
)
from fairlora_cls.models.adapters import load_adapter, read_tensors
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.taps import (
    TapSettings,
    pool_tokens_first,
    pool_tokens_last,
    pool_tokens_mean,
    real_tokens,
)
from fairlora_cls.models.zero_shot import LabelWordClassifier

SETTINGS_FILE = "classifier.json"
HEAD_FILE = "head.safetensors"


# Which of an example's real tokens the head reads. The last has seen image and question (glaucoma
# paper § 3.2); the first sees only itself under causal attention, so that all images look alike.
POOLINGS: dict[str, Callable[..., torch.Tensor]] = {
    "last": pool_tokens_last,
    "mean": pool_tokens_mean,
    "first": pool_tokens_first,
}


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(SavedSettings):
    """All that turns saved weights back into the same classifier."""

    labels: tuple[str, ...]  # K class names; the last is the positive class of a binary task
    pooling: str  # of POOLINGS
    label_words: tuple[str, ...] | None = None  # zero-shot by likelihood: no adapter, no head


class Classifier(AdaptedModel):
    """A vision-language model with a linear head in float32 on one pooled hidden state."""

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        class_count: int,
        pooling: str,
        taps: Sequence[TapSettings] = (),
    ):
        super().__init__(backbone, network, taps)
        self.head = nn.Linear(backbone.hidden_size, class_count, dtype=torch.float32)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.pool = POOLINGS[pooling]

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """What an objective may read of one example, and its shape."""
        return {"logits": (self.head.out_features,), "hidden": self.tapped_shape}

    def forward(self, batch: Batch) -> Outputs:
        """Logits, pooled and tapped states of one micro-batch."""
        with self.taps.listening():
            hidden = self.backbone.hidden_states(
                batch.input_ids, batch.image_features, batch.position_ids, batch.attention_mask
            )
        if batch.attention_mask is None:
            first = torch.zeros_like(batch.lengths)
        else:
            first = batch.attention_mask.argmax(dim=1)
        is_real = real_tokens(hidden, first, first + batch.lengths - 1)
        # Autocast would run the head in bf16, where few of its weights ever move at small rates.
        with torch.autocast(hidden.device.type, enabled=False):
            pooled = self.pool(hidden, is_real).float()
            tapped = self.taps.read(batch, is_real)
            return Outputs(self.head(pooled), pooled=pooled, hidden=tapped)


def save_classifier(classifier: nn.Module, settings: ClassifierSettings, folder: Path) -> None:
    """Write adapter (PEFT layout), head, settings and processor; the folder is whole or absent."""
    trained = settings.label_words is None
    tensors = {HEAD_FILE: classifier.head.state_dict()} if trained else {}
    save_model(classifier, settings, folder, SETTINGS_FILE, trained=trained, tensors=tensors)


def read_classifier_settings(folder: Path) -> ClassifierSettings:
    """The settings saved with a classifier. Raises InputError when `folder` holds none."""
    values = read_saved_settings(folder, SETTINGS_FILE, "classifier", ClassifierSettings)
    labels, words = values["labels"], values.get("label_words")
    for names in (labels, words if words is not None else labels):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _unfit(folder)
    if len(set(labels)) < max(2, len(labels)) or values["pooling"] not in list(POOLINGS):
        raise _unfit(folder)
    if words is not None and len(words) != len(labels):
        raise _unfit(folder)
    values |= {"labels": tuple(labels), "label_words": tuple(words) if words else None}
    return ClassifierSettings(**values)


def _unfit(folder: Path) -> InputError:
    return InputError(
        f"'{folder / SETTINGS_FILE}' does not hold the classes of a trained classifier; copy the "
        "run again."
    )


def load_classifier(settings: ClassifierSettings, folder: Path, dtype: torch.dtype) -> nn.Module:
    """The classifier saved in `folder`, ready to predict. Raises InputError where its files, or the
    backbone's weights, are not those that were saved."""
    words = settings.label_words
    backbone = load_saved_backbone(settings, folder, dtype, language_head=words is not None)
    if words is not None:
        return LabelWordClassifier(backbone, words).eval()
    network = load_adapter(backbone, folder)
    classifier = Classifier(backbone, network, len(settings.labels), settings.pooling)
    expected = classifier.head.state_dict()
    classifier.head.load_state_dict(read_tensors(folder / HEAD_FILE, expected))
    return classifier.eval()
