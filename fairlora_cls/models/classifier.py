"""Backbone + pooling + linear head: Batch → logits, and the hidden states that were asked for.

B examples, T tokens, D hidden size, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from fairlora_cls.data.batching import Batch
from fairlora_cls.data.images import Rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.files import whole_folder, write_json
from fairlora_cls.models.adapted import AdaptedModel, read_saved_settings
from fairlora_cls.models.adapters import load_adapter, read_tensors, save_adapter, save_tensors
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.manifest import require_same_backbone, write_manifest
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.taps import TapSettings, real_tokens
from fairlora_cls.models.zero_shot import load_label_word_classifier


def pool_last(hidden: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The last real token, which has seen image and question (glaucoma paper § 3.2)."""
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


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
        last = first + batch.lengths - 1
        # Autocast would run the head in bf16, where few of its weights ever move at small rates.
        with torch.autocast(hidden.device.type, enabled=False):
            pooled = self.pool(hidden, first, last).float()
            tapped = self.taps.read(batch, real_tokens(hidden, first, last))
            return Outputs(self.head(pooled), pooled=pooled, hidden=tapped)


def save_classifier(classifier: nn.Module, settings: ClassifierSettings, folder: Path) -> None:
    """Write adapter (PEFT layout), head, settings and processor; the folder is whole or absent."""

    with whole_folder(folder, replaces=True) as draft:
        if settings.label_words is None:
            save_adapter(classifier.backbone, classifier.network, settings.backbone, draft)
            save_tensors(classifier.head.state_dict(), draft / "head.safetensors")
        else:
            classifier.backbone.processor.save_pretrained(str(draft))
        write_json(draft / "classifier.json", asdict(settings))
        write_manifest(draft, classifier.backbone.weights_digest())


def read_classifier_settings(folder: Path) -> ClassifierSettings:
    """The settings saved with a classifier. Raises InputError when `folder` holds none."""
    values = read_saved_settings(folder, "classifier.json", "classifier", ClassifierSettings)
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
        f"'{folder / 'classifier.json'}' does not hold the classes of a trained classifier; copy the "
        "run again."
    )


def load_classifier(settings: ClassifierSettings, folder: Path, dtype: torch.dtype) -> nn.Module:
    """The classifier saved in `folder`, ready to predict. Raises InputError where its files, or the
    backbone's weights, are not those that were saved."""
    if settings.label_words is not None:
        zero_shot = load_label_word_classifier(
            settings.backbone,
            dtype,
            settings.maximum_pixels,
            settings.label_words,
            rescaling=settings.rescaling,
        )
        require_same_backbone(folder, settings.backbone, zero_shot.backbone.weights_digest())
        return zero_shot
    backbone = load_backbone(
        settings.backbone,
        dtype,
        settings.maximum_pixels,
        rescaling=settings.rescaling,
        train_projector=settings.train_projector,
    )
    require_same_backbone(folder, settings.backbone, backbone.weights_digest())
    network = load_adapter(backbone, folder)
    classifier = Classifier(backbone, network, len(settings.labels), settings.pooling)
    expected = classifier.head.state_dict()
    classifier.head.load_state_dict(read_tensors(folder / "head.safetensors", expected))
    return classifier.eval()
