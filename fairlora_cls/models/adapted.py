"""What classifier and generator have in common: a backbone with an adapter, and taps on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from torch import nn

from fairlora_cls.data.images import check_rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json
from fairlora_cls.models.adapters import projector_tensors, untrained
from fairlora_cls.models.backbones import DTYPES, Backbone
from fairlora_cls.models.manifest import require_unchanged
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


def read_saved_settings(folder: Path, file: str, kind: str, settings: type) -> dict[str, Any]:
    """The values of the dataclass `settings` that were saved with a model.

    Raises InputError when there are none, when they do not fit, and when any file of the saved
    model was lost or changed.
    """
    path = folder / file
    if not path.is_file():
        raise InputError(f"'{folder}' holds no trained {kind} (no {file}).")
    require_unchanged(folder)
    values = read_json(path, "copy the run again")
    known = {field.name: field for field in fields(settings)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    if odd := sorted((values.keys() - known.keys()) | (needed - values.keys())):
        which = "lacks" if odd[0] in known else "has the unknown"
        raise InputError(f"'{path}' {which} key '{odd[0]}'; copy the run again.")
    pixels = values["maximum_pixels"]
    right = (
        all(isinstance(values[key], str) for key in ("backbone", "prompt", "precision"))
        and isinstance(pixels, int)
        and pixels > 0
        and values["precision"] in DTYPES
        and isinstance(values.get("train_projector", False), bool)
    )
    if not right:
        raise InputError(
            f"'{path}' does not hold the values of a trained {kind}; copy the run again."
        )
    if "rescaling" in values:
        values["rescaling"] = check_rescaling(values["rescaling"])
    return values
