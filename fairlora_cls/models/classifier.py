"""Backbone + pooling + linear head: Batch → logits, and the hidden states that were asked for.

B examples, T tokens, D hidden size, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from fairlora_cls.data.batching import Batch
from fairlora_cls.data.images import Rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json, write_folder_atomically, write_json
from fairlora_cls.models.adapters import (
    load_adapter,
    projector_tensors,
    save_adapter,
    save_tensors,
    untrained,
)
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.taps import HiddenTaps, TapSettings
from fairlora_cls.models.zero_shot import load_label_word_classifier


def pool_last(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The last real token, which has seen image and question (glaucoma paper § 3.2)."""
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def real_tokens(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """(B, T) bool: False on padding."""
    places = torch.arange(hidden.shape[1], device=hidden.device)[None]
    return (places >= first[:, None]) & (places <= last[:, None])


def pool_mean(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The mean over the real tokens."""
    real = real_tokens(hidden, first, last)
    return (hidden * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)


def pool_first(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The first real token: under causal attention it sees only itself, so all images look alike."""
    return hidden[torch.arange(len(hidden), device=hidden.device), first]


POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "last": pool_last,
    "mean": pool_mean,
    "first": pool_first,
}


@dataclass(frozen=True)
class ClassifierSettings:
    """All that turns saved weights back into the same classifier."""

    backbone: str
    labels: tuple[str, ...]  # K class names; the last is the positive class of a binary task
    prompt: str  # the question
    pooling: str
    maximum_pixels: int  # px²
    precision: str
    label_words: tuple[str, ...] | None = None  # zero-shot by likelihood: no adapter, no head
    rescaling: Rescaling = "percentile"  # of pixels deeper than 8 bits
    train_projector: bool = False  # the projector was trained, and is saved beside the adapter


class Classifier(nn.Module):
    """A vision-language model with a linear head in float32 on one pooled hidden state."""

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        class_count: int,
        pooling: str,
        taps: Sequence[TapSettings] = (),
    ):
        super().__init__()
        self.backbone = backbone
        self.network = network  # the PeftModel around backbone.model
        if backbone.train_projector:
            self.projector = backbone.projector
        self.head = nn.Linear(backbone.hidden_size, class_count, dtype=torch.float32)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.pool = POOLINGS[pooling]
        self.taps = HiddenTaps(backbone.language_layers, taps, backbone.image_token)
        self.initial_projector = projector_tensors(backbone)

    def untrained(self) -> AbstractContextManager[None]:
        """Inside, hidden states are those of the backbone before training."""
        return untrained(self.backbone, self.network, self.initial_projector)

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """What an objective may read of one example, and its shape."""
        tapped = (len(self.taps.settings), self.backbone.hidden_size)
        return {"logits": (self.head.out_features,), "hidden": tapped}

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
        last = first + batch.lengths - 1
        # Autocast would run the head in bf16, where few of its weights ever move at small rates.
        with torch.autocast(hidden.device.type, enabled=False):
            pooled = self.pool(hidden, first, last).float()
            tapped = self.taps.read(batch, real_tokens(hidden, first, last))
            return Outputs(self.head(pooled), pooled=pooled, hidden=tapped)


def save_classifier(classifier: nn.Module, settings: ClassifierSettings, folder: Path) -> None:
    """Write adapter (PEFT layout), head, settings and processor; the folder is whole or absent."""

    def fill(temporary: Path) -> None:
        if settings.label_words is None:
            backbone, network = classifier.backbone, classifier.network
            save_adapter(backbone, network, settings.backbone, temporary)
            save_tensors(classifier.head.state_dict(), temporary / "head.safetensors")
        else:
            classifier.backbone.processor.save_pretrained(str(temporary))
        write_json(temporary / "classifier.json", asdict(settings))

    write_folder_atomically(folder, fill)


def read_classifier_settings(folder: Path) -> ClassifierSettings:
    """The settings saved with a classifier. Raises InputError when `folder` holds none."""
    path = folder / "classifier.json"
    if not path.is_file():
        raise InputError(f"'{folder}' holds no trained classifier (no classifier.json).")
    values: dict[str, Any] = read_json(path)
    words = values["label_words"]
    values |= {"labels": tuple(values["labels"]), "label_words": tuple(words) if words else None}
    if isinstance(values.get("rescaling"), list):
        values["rescaling"] = tuple(values["rescaling"])
    return ClassifierSettings(**values)


def load_classifier(settings: ClassifierSettings, folder: Path, dtype: torch.dtype) -> nn.Module:
    """The classifier saved in `folder`, ready to predict."""
    if settings.label_words is not None:
        return load_label_word_classifier(
            settings.backbone,
            dtype,
            settings.maximum_pixels,
            settings.label_words,
            rescaling=settings.rescaling,
        )
    backbone = load_backbone(
        settings.backbone,
        dtype,
        settings.maximum_pixels,
        rescaling=settings.rescaling,
        train_projector=settings.train_projector,
    )
    network = load_adapter(backbone, folder)
    classifier = Classifier(backbone, network, len(settings.labels), settings.pooling)
    classifier.head.load_state_dict(load_file(folder / "head.safetensors"))
    return classifier.eval()
