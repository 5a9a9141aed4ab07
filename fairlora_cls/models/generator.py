"""Backbone + frozen language head: Batch → the loss of each example's answers, and hidden states.

B examples, T tokens, D hidden size, M answer tokens of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fairlora_cls.data.batching import Batch
from fairlora_cls.models.adapted import (
    AdaptedModel,
    SavedSettings,
    load_saved_backbone,
    read_saved_settings,
    save_model,
)
from fairlora_cls.models.adapters import load_adapter
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.taps import TapSettings, real_tokens

SETTINGS_FILE = "generator.json"


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(SavedSettings):
    """All that turns saved weights back into the same generator."""

    trained: bool = True  # False: the backbone as it is, no adapter


class Generator(AdaptedModel):
    """A vision-language model that is taught answers; logits are made for answer tokens only."""

    def __init__(self, backbone: Backbone, network: nn.Module, taps: Sequence[TapSettings] = ()):
        super().__init__(backbone, network, taps)
        self.language_head = backbone.language_head

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """What an objective may read of one example, and its shape."""
        return {"losses": (), "hidden": self.tapped_shape}

    def forward(self, batch: Batch) -> Outputs:
        """Loss (B,), pooled and tapped states of one right-padded micro-batch, taught by its answers.

        An example's loss is the mean over its answer tokens of −log p(token | all before it), nats
        (FairLLaVA eq. 4): every example counts alike, however long its answers. The pooled state is
        that of the last token before the first answer, which has seen image and question.
        """
        with self.taps.listening():
            hidden = self.backbone.hidden_states(
                batch.input_ids, batch.image_features, batch.position_ids
            )
        rows, places = batch.answers.nonzero(as_tuple=True)  # (M,) each
        logits = self.language_head(hidden[rows, places - 1])
        with torch.autocast(hidden.device.type, enabled=False):
            token_losses = functional.cross_entropy(
                logits.float(), batch.input_ids[rows, places], reduction="none"
            )
            # A matrix product rather than a scatter, which is not deterministic on CUDA.
            members = rows[None] == torch.arange(len(batch.lengths), device=rows.device)[:, None]
            counts = members.sum(dim=1)
            losses = members.to(token_losses.dtype) @ token_losses / counts
            before = batch.answers.to(torch.int64).argmax(dim=1) - 1
            pooled = hidden[torch.arange(len(hidden), device=hidden.device), before].float()
            first = torch.zeros_like(batch.lengths)
            tapped = self.taps.read(batch, real_tokens(hidden, first, batch.lengths - 1))
        return Outputs(losses=losses, pooled=pooled, hidden=tapped)


def save_generator(generator: Generator, settings: GeneratorSettings, folder: Path) -> None:
    """Write adapter (PEFT layout), projector, settings and processor; whole or absent."""
    save_model(generator, settings, folder, SETTINGS_FILE, trained=settings.trained, tensors={})


def read_generator_settings(folder: Path) -> GeneratorSettings:
    """The settings saved with a generator. Raises InputError when `folder` holds none."""
    values = read_saved_settings(folder, SETTINGS_FILE, "generator", GeneratorSettings)
    return GeneratorSettings(**values)


def load_generator(settings: GeneratorSettings, folder: Path, dtype: torch.dtype) -> Generator:
    """The generator saved in `folder`, ready to write. Raises InputError where its files, or the
    backbone's weights, are not those that were saved."""
    backbone = load_saved_backbone(settings, folder, dtype, language_head=True)
    network = load_adapter(backbone, folder) if settings.trained else backbone.model
    return Generator(backbone, network).eval()
