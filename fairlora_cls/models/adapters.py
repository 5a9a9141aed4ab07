"""Puts LoRA on a backbone; saves and restores all that was trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import read_json, write_atomically
from fairlora_cls.models.backbones import Backbone

PROJECTOR_FILE = "projector.safetensors"
ADAPTER_FILE = "adapter_model.safetensors"  # this and the next as PEFT names them
ADAPTER_CONFIG = "adapter_config.json"


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

    require_targets(backbone.language_model, settings.targets)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=backbone.lora_pattern.format(targets="|".join(settings.targets)),
    )
    return get_peft_model(backbone.model, config)


def require_targets(language_model: nn.Module, targets: Sequence[str]) -> None:
    """Raise InputError for a target that is no linear layer of the language model."""
    names = {
        n.rsplit(".", 1)[-1] for n, m in language_model.named_modules() if isinstance(m, nn.Linear)
    }
    for target in targets:
        if target not in names:
            raise InputError(
                f"No language layer of this backbone is named as model.lora.targets has it, '{target}'"
                f"{nearest(target, sorted(names))}"
            )


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
    trained with them is put into the backbone.

    Raises InputError unless the files hold exactly what the backbone and the adapter's settings ask for.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    config = _read_adapter_config(folder)
    if backbone.train_projector:
        expected = backbone.projector.state_dict()
        backbone.projector.load_state_dict(read_tensors(folder / PROJECTOR_FILE, expected))
    try:
        network = get_peft_model(backbone.model, config)
    except (ValueError, RuntimeError, re.error) as error:
        raise InputError(
            f"The adapter in '{folder}' cannot be put on '{backbone.name}' ({error}); its "
            f"{ADAPTER_CONFIG} is of another backbone, or broken."
        ) from error
    expected = get_peft_model_state_dict(network, save_embedding_layers=False)
    # PeftModel.from_pretrained would go on with whatever is there, and ask the Hub for what is not.
    set_peft_model_state_dict(network, read_tensors(folder / ADAPTER_FILE, expected))
    return network


def _read_adapter_config(folder: Path) -> Any:
    """What of PEFT's file decides where the matrices are and how they count; nothing else of it."""
    from peft import LoraConfig

    path = folder / ADAPTER_CONFIG
    values = read_json(path, "copy the run again")
    try:
        rank, alpha, targets = (values[key] for key in ("r", "lora_alpha", "target_modules"))
    except KeyError as error:
        raise InputError(
            f"'{path}' has no {error}; it is of no adapter that was trained here."
        ) from None
    whole = isinstance(rank, int) and rank > 0 and isinstance(alpha, int | float)
    if not whole or not isinstance(targets, str):
        raise InputError(f"'{path}' is of no adapter that was trained here; copy the run again.")
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, inference_mode=True)


def read_tensors(path: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors saved in a file: those that are `expected`, in their shapes, and no others.

    Raises InputError naming the first that is not so, or holds a number that is not finite.
    """
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise InputError(f"'{path.parent}' lacks '{path.name}'; copy the run again.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"'{path}' is cut or broken ({error}); copy the run again.") from error
    if odd := sorted(tensors.keys() ^ expected.keys()):
        which = "lacks" if odd[0] in expected else "has the unknown"
        raise InputError(
            f"'{path}' {which} tensor '{odd[0]}' ({len(odd)} in all); it is not what the run saved."
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"'{path}': '{name}' has the shape {tuple(tensor.shape)}, not "
                f"{tuple(expected[name].shape)}; it is of another model."
            )
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"'{path}': '{name}' holds numbers that are not finite; train the run anew."
            )
    return tensors


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write named tensors as safetensors, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda temporary: save_file(plain, str(temporary)))


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
