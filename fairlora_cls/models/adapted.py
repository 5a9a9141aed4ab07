"""What classifier and generator have in common: a backbone with an adapter, and taps on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import nn

from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json
from fairlora_cls.models.adapters import projector_tensors, untrained
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.taps import HiddenTaps, TapSettings


class AdaptedModel(nn.Module):
    """A backbone whose adapter, and projector where that is asked for, are trained."""

    def __init__(self, backbone: Backbone, network: nn.Module, taps: Sequence[TapSettings]):
        super().__init__()
        self.backbone = backbone
        self.network = network  # the PeftModel around backbone.model
        if backbone.train_projector:
            self.projector = backbone.projector
        self.taps = HiddenTaps(backbone.language_layers, taps, backbone.image_token)
        self.initial_projector = projector_tensors(backbone)

    def untrained(self) -> AbstractContextManager[None]:
        """Inside, hidden states are those of the backbone before training."""
        return untrained(self.backbone, self.network, self.initial_projector)

    @property
    def tapped_shape(self) -> tuple[int, int]:
        """(S, D) of one example's tapped states."""
        return len(self.taps.settings), self.backbone.hidden_size


def read_saved_settings(folder: Path, file: str, kind: str) -> dict[str, Any]:
    """The settings saved with a model, as plain values. Raises InputError when there are none."""
    path = folder / file
    if not path.is_file():
        raise InputError(f"'{folder}' holds no trained {kind} (no {file}).")
    values = read_json(path)
    if isinstance(values.get("rescaling"), list):
        values["rescaling"] = tuple(values["rescaling"])
    return values
