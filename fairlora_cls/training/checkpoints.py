"""Atomic save, exact resume: weights, optimizer and progress in safetensors and JSON, no pickle.

No random state is kept because none is needed: the order of examples is a function of (seed,
epoch), dropout masks of (seed, step, micro-batch).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fairlora_cls.files import write_atomically
from fairlora_cls.objectives.objectives import Objective
from fairlora_cls.objectives.scores import State

KEEP = 2  # newest step checkpoints; an older one stays until a newer one is whole


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0  # optimizer steps done
    epoch: int = 0  # epochs whose validation is done
    best_epoch: int | None = None  # counted from 1
    best_score: float | None = None  # of the selection rule
    validations: list[dict[str, float]] = field(default_factory=list)  # of every epoch done
    log_bytes: int = 0  # length of log.jsonl at this point
    images: int = 0  # images trained on, epochs counted
    seconds: float = 0.0  # spent training


@dataclass(frozen=True)
class Checkpoint:
    """All that a resumed run needs."""

    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]  # "parameter name/exp_avg" …
    objective: dict[str, torch.Tensor]  # attribute classifiers, and what the objective remembers
    extra: dict[str, Any]  # scheduler and gradient scaler, plain numbers
    progress: Progress


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `step-<n>.safetensors` atomically, then drop all but the newest KEEP."""
    tensors = {f"weights/{n}": t for n, t in checkpoint.weights.items()}
    tensors |= {f"optimizer/{n}": t for n, t in checkpoint.optimizer.items()}
    tensors |= {f"objective/{n}": t for n, t in checkpoint.objective.items()}
    metadata = {
        "progress": json.dumps(asdict(checkpoint.progress)),
        "extra": json.dumps(checkpoint.extra),
    }
    path = (
        folder / f"step-{checkpoint.progress.step:08d}-{checkpoint.progress.epoch:04d}.safetensors"
    )
    write_atomically(path, lambda temporary: save_file(tensors, str(temporary), metadata))
    for old in _step_files(folder)[:-KEEP]:
        old.unlink(missing_ok=True)


def save_best(folder: Path, weights: dict[str, torch.Tensor], epoch: int) -> None:
    """Keep the weights of an epoch that may be the best, under the epoch's own name."""
    path = folder / f"best-{epoch:04d}.safetensors"
    write_atomically(path, lambda temporary: save_file(weights, str(temporary)))


def load_best(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    """The weights kept for the best epoch."""
    with safe_open(folder / f"best-{epoch:04d}.safetensors", framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; None where there is none."""
    for path in reversed(_step_files(folder)):
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(
                weights=_part(tensors, "weights/"),
                optimizer=_part(tensors, "optimizer/"),
                objective=_part(tensors, "objective/"),
                extra=json.loads(metadata["extra"]),
                progress=replace(Progress(), **json.loads(metadata["progress"])),
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            continue
    return None


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _step_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"))


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: dict[int, str]
) -> dict[str, torch.Tensor]:
    """Moments and step counts of AdamW as named tensors; `names` maps id(parameter) → name."""
    saved = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for key, value in optimizer.state.get(parameter, {}).items():
                saved[f"{names[id(parameter)]}/{key}"] = value.detach().cpu().clone()
    return saved


def restore_optimizer(
    optimizer: torch.optim.Optimizer, saved: dict[str, torch.Tensor], names: dict[int, str]
) -> None:
    """Put saved moments back into the optimizer's state."""
    by_name: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in saved.items():
        name, _, field = key.rpartition("/")
        by_name.setdefault(name, {})[field] = value
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = by_name.get(names[id(parameter)], {})
            optimizer.state[parameter] = {
                field: value.to(parameter.device, copy=True) for field, value in state.items()
            }


def objective_tensors(objective: Objective, state: State) -> dict[str, torch.Tensor]:
    """The attribute classifiers, frozen ones included, and the objective's memory, on the CPU."""
    saved = {f"state/{name}": tensor for name, tensor in state.items()}
    for dependence in objective.dependences:
        for name, tensor in dependence.classifier.state_dict().items():
            saved[f"classifier/{dependence.kind}/{dependence.attribute}/{name}"] = tensor
    return {name: tensor.detach().cpu().clone() for name, tensor in saved.items()}


def restore_objective(
    objective: Objective, saved: dict[str, torch.Tensor], device: torch.device
) -> State:
    """Copy saved attribute classifiers back in place; returns the objective's memory."""
    for dependence in objective.dependences:
        prefix = f"classifier/{dependence.kind}/{dependence.attribute}/"
        dependence.classifier.load_state_dict(_part(saved, prefix))
    return {name: tensor.to(device) for name, tensor in _part(saved, "state/").items()}
