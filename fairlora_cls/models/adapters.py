"""Puts LoRA on a backbone; saves and restores all that was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.models.backbones import Backbone


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


def load_adapter(backbone: Backbone, folder: Path) -> Any:
    """The PeftModel with the LoRA matrices saved in `folder` (PEFT layout), for inference."""
    from peft import PeftModel

    return PeftModel.from_pretrained(backbone.model, str(folder))


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
