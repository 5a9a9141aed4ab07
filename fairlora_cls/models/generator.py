"""Backbone + frozen language head: Batch → the loss of each example's answers, and hidden states.

B examples, T tokens, D hidden size, M answer tokens of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fairlora_cls.data.batching import Batch
from fairlora_cls.data.images import Rescaling
from fairlora_cls.files import whole_folder, write_json
from fairlora_cls.models.adapted import AdaptedModel, read_saved_settings
from fairlora_cls.models.adapters import load_adapter, save_adapter
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.manifest import require_same_backbone, write_manifest
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.taps import TapSettings, real_tokens


@dataclass(frozen=True)
class GeneratorSettings:
    """All that turns saved weights back into the same generator."""

    backbone: str
    prompt: str  # the question that `predict` asks
    maximum_pixels: int  # px²
    precision: str
    train_projector: bool  # the projector was trained, and is saved beside the adapter
    trained: bool = True  # False: the backbone as it is, no adapter
    rescaling: Rescaling = "percentile"  # of pixels deeper than 8 bits


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

    with whole_folder(folder, replaces=True) as draft:
        if settings.trained:
            save_adapter(generator.backbone, generator.network, settings.backbone, draft)
        else:
            generator.backbone.processor.save_pretrained(str(draft))
        write_json(draft / "generator.json", asdict(settings))
        write_manifest(draft, generator.backbone.weights_digest())


def read_generator_settings(folder: Path) -> GeneratorSettings:
    """The settings saved with a generator. Raises InputError when `folder` holds none."""
    return GeneratorSettings(
        **read_saved_settings(folder, "generator.json", "generator", GeneratorSettings)
    )


def load_generator(settings: GeneratorSettings, folder: Path, dtype: torch.dtype) -> Generator:
    """The generator saved in `folder`, ready to write. Raises InputError where its files, or the
    backbone's weights, are not those that were saved."""
    backbone = load_backbone(
        settings.backbone,
        dtype,
        settings.maximum_pixels,
        rescaling=settings.rescaling,
        language_head=True,
        train_projector=settings.train_projector,
    )
    require_same_backbone(folder, settings.backbone, backbone.weights_digest())
    network = load_adapter(backbone, folder) if settings.trained else backbone.model
    return Generator(backbone, network).eval()
