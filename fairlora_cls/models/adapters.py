"""Puts LoRA on a backbone; saves and restores all that was trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import write_atomically
from fairlora_cls.models.backbones import Backbone

PROJECTOR_FILE = "projector.safetensors"


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adaptation of the language layers (Hu et al. 2021): W + (alpha / rank)·B·A."""

    rank: int = 32
    alpha: int = 64
    dropout: float = 0.05  # probability, on the adapter's input
    targets: Sequence[str] = ("q_proj", "k_proj", "v_proj", "o_proj")


def attach_lora(backbone: Backbone, settings: LoraSettings) -> Any:
    """Give the backbone's language layers trainable LoRA matrices, in place; all else is frozen.

    Returns the PeftModel around `backbone.model`, which saves and counts them. Matrices are
    float32 whatever the backbone's type. Raises InputError when a target names no layer.
    """
    from peft import LoraConfig, get_peft_model

    names = {
        n.rsplit(".", 1)[-1] for n, m in backbone.model.named_modules() if isinstance(m, nn.Linear)
    }
    for target in settings.targets:
        if target not in names:
            raise InputError(f"model.lora.targets has '{target}'{nearest(target, sorted(names))}")
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=backbone.lora_pattern.format(targets="|".join(settings.targets)),
    )
    return get_peft_model(backbone.model, config)


def save_adapter(backbone: Backbone, network: Any, name: str, folder: Path) -> None:
    """Write LoRA matrices (PEFT layout, `name` as the base model), a trained projector and the
    processor into `folder`."""
    network.peft_config["default"].base_model_name_or_path = name
    network.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card; the run has its own
    if backbone.train_projector:
        save_tensors(backbone.projector.state_dict(), folder / PROJECTOR_FILE)
    backbone.processor.save_pretrained(str(folder))


def load_adapter(backbone: Backbone, folder: Path) -> Any:
    """The PeftModel with the LoRA matrices saved in `folder`, for inference; a projector that was
    trained with them is put into the backbone."""
    from peft import PeftModel

    if backbone.train_projector:
        backbone.projector.load_state_dict(load_file(folder / PROJECTOR_FILE))
    return PeftModel.from_pretrained(backbone.model, str(folder))


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write named tensors as safetensors, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda temporary: save_file(plain, str(temporary)))


@contextmanager
def untrained(
    backbone: Backbone, network: Any, projector: Mapping[str, torch.Tensor]
) -> Iterator[None]:
    """Inside, the backbone is as it was before training; `projector` holds its initial tensors."""
    trained = projector_tensors(backbone)
    backbone.projector.load_state_dict(projector, strict=backbone.train_projector)
    try:
        with network.disable_adapter():
            yield
    finally:
        backbone.projector.load_state_dict(trained, strict=backbone.train_projector)


def projector_tensors(backbone: Backbone) -> dict[str, torch.Tensor]:
    """A copy of the projector's tensors where training changes them, else nothing."""
    if not backbone.train_projector:
        return {}
    return {n: t.detach().clone() for n, t in backbone.projector.state_dict().items()}


def trainable_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Name → a copy of every trainable parameter, detached, on the CPU."""
    return {n: p.detach().cpu().clone() for n, p in model.named_parameters() if p.requires_grad}


def restore_trainable_state(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Copy saved tensors into the trainable parameters; names and shapes must match exactly."""
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())
        raise InputError(
            f"The checkpoint holds other parameters than this model (first: {odd[0]})."
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])
