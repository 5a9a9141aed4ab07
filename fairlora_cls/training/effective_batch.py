"""The exact gradient of a whole effective batch, in micro-batches and over processes.

B examples of one optimizer step, K classes, G groups. Micro-batch j of a step belongs to process
j mod P, and its dropout masks are drawn from (seed, step, j): they are the same in both passes,
after a resume, and whatever the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch
from fairlora_cls.objectives.objectives import Objective
from fairlora_cls.objectives.scores import ObjectiveOutput, Scores


@dataclass(frozen=True)
class MicroBatch:
    """A part of a step that one forward pass holds."""

    places: torch.Tensor  # (b,) int64, positions within the step
    seed: int  # of its dropout masks
    batch: Batch


def mask_seed(seed: int, step: int, micro_batch: int) -> int:
    """A seed for one micro-batch's dropout masks, well mixed."""
    return int(
        np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0] >> 1
    )


def backward_effective_batch(
    forward: Callable[[Batch], torch.Tensor],
    backward: Callable[[torch.Tensor], None],
    sum_over_processes: Callable[[torch.Tensor], torch.Tensor],
    objective: Objective,
    micro_batches: Sequence[MicroBatch],
    labels: torch.Tensor,
    groups: torch.Tensor,
    class_count: int,
) -> tuple[ObjectiveOutput, torch.Tensor]:
    """Add the gradient of objective(all B examples) to the parameters' `.grad`, this process's part.

    `labels` and `groups` (B,) are the whole step's, `micro_batches` this process's share of it.
    The caller sums the gradients over processes. Returns the objective's output and the logits
    (B, K), both of the whole step and detached.

    An objective that couples examples only through labels takes one pass. Otherwise: forward
    without graph, the objective and its gradient with respect to every example's logits, then
    forward and backward per micro-batch with those gradients (gradient caching, Gao et al. 2021).
    A process whose share is one micro-batch keeps its graph and needs no second forward.
    """
    coefficients = objective.base_coefficients(groups)
    couples = objective.couples_examples
    keep_graph = not couples or len(micro_batches) <= 1
    logits = torch.zeros(len(labels), class_count, device=labels.device)
    kept = None
    for micro in micro_batches:
        with torch.set_grad_enabled(keep_graph):
            own = _forward(forward, micro)
        logits[micro.places] = own.detach()
        if not couples:
            share = Scores(own, labels[micro.places], groups[micro.places], objective.group_count)
            backward((coefficients[micro.places] * share.example_losses()).sum())
        kept = own
    logits = sum_over_processes(logits)
    leaf = logits.clone().requires_grad_(couples)
    with torch.set_grad_enabled(couples):
        output = objective(Scores(leaf, labels, groups, objective.group_count))
    if couples:
        (upstream,) = torch.autograd.grad(output.loss, leaf)
        for micro in micro_batches:
            own = kept if keep_graph else _forward(forward, micro)
            backward((own * upstream[micro.places]).sum())
    return ObjectiveOutput(output.loss.detach(), output.terms), logits


def _forward(forward: Callable[[Batch], torch.Tensor], micro: MicroBatch) -> torch.Tensor:
    _generator(micro.places.device).manual_seed(micro.seed)
    return forward(micro.batch).float()


def _generator(device: torch.device) -> torch.Generator:
    """The generator that draws dropout masks there; torch.manual_seed would visit every backend."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or torch.cuda.current_device()]
    return torch.default_generator


def sum_gradients(parameters: Sequence[torch.nn.Parameter], sum_over_processes: Any) -> None:
    """Replace every gradient by its sum over processes, in one message."""
    for parameter in parameters:
        if parameter.grad is None:  # this process had no share of the step
            parameter.grad = torch.zeros_like(parameter)
    flat = sum_over_processes(torch.cat([p.grad.reshape(-1) for p in parameters]))
    start = 0
    for parameter in parameters:
        parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
        start += parameter.numel()
