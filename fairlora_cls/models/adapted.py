"""What classifier and generator have in common: a backbone with an adapter, and taps on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairlora_cls.data.images import Rescaling, check_rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json, whole_folder, write_json
from fairlora_cls.models.adapters import save_adapter, save_tensors
from fairlora_cls.models.backbones import DTYPES, Backbone, load_backbone
from fairlora_cls.models.manifest import require_same_backbone, require_unchanged, write_manifest
from fairlora_cls.models.taps import HiddenTaps, TapSettings


@dataclass(frozen=True, kw_only=True)
class SavedSettings:
    """What turns saved weights back into the same model, of classifier and generator alike."""

    backbone: str
    prompt: str  # the question; of a generator the one that `predict` asks
    maximum_pixels: int  # px²
    precision: str
    rescaling: Rescaling = "percentile"  # of pixels deeper than 8 bits
    train_projector: bool = False  # the projector was trained, and is saved beside the adapter


class AdaptedModel(nn.Module):
    """A backbone whose adapter, and projector where that is asked for, are trained."""

    def __init__(self, backbone: Backbone, network: nn.Module, taps: Sequence[TapSettings]):
        super().__init__()
        self.backbone = backbone
        self.network = network  # the PeftModel around backbone.model
        if backbone.train_projector:
            self.projector = backbone.projector
        self.taps = HiddenTaps(backbone.language_layers, taps, backbone.image_token)
        self.initial_projector = self._projector_tensors()

    @contextmanager
    def untrained(self) -> Iterator[None]:
        """Inside, hidden states are those of the backbone before training."""
        projector, strict = self.backbone.projector, self.backbone.train_projector
        trained = self._projector_tensors()
        projector.load_state_dict(self.initial_projector, strict=strict)
        try:
            with self.network.disable_adapter():
                yield
        finally:
            projector.load_state_dict(trained, strict=strict)

    def _projector_tensors(self) -> dict[str, torch.Tensor]:
        """A copy of the projector's tensors where training changes them, else nothing."""
        if not self.backbone.train_projector:
            return {}
        return {n: t.detach().clone() for n, t in self.backbone.projector.state_dict().items()}

    @property
    def tapped_shape(self) -> tuple[int, int]:
        """(S, D) of one example's tapped states."""
        return len(self.taps.settings), self.backbone.hidden_size


def save_model(
    model: Any,
    settings: SavedSettings,
    folder: Path,
    file: str,
    *,
    trained: bool,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
) -> None:
    """Write a model's adapter (PEFT layout) and projector, further `tensors` by file, its settings
    as `file`, and its processor; the folder is whole or absent. Not `trained`: no adapter."""

    with whole_folder(folder, replaces=True) as draft:
        if trained:
            save_adapter(model.backbone, model.network, settings.backbone, draft)
        else:
            model.backbone.processor.save_pretrained(str(draft))
        for name, state in tensors.items():
            save_tensors(state, draft / name)
        write_json(draft / file, asdict(settings))
        write_manifest(draft, model.backbone.weights_digest())


def load_saved_backbone(
    settings: SavedSettings, folder: Path, dtype: torch.dtype, *, language_head: bool = False
) -> Backbone:
    """The backbone that a model saved in `folder` was trained on. Raises InputError where its
    weights are not those."""
    backbone = load_backbone(
        settings.backbone,
        dtype,
        settings.maximum_pixels,
        rescaling=settings.rescaling,
        language_head=language_head,
        train_projector=settings.train_projector,
    )
    require_same_backbone(folder, settings.backbone, backbone.weights_digest())
    return backbone


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
