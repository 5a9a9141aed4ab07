"""The exact gradient of a whole effective batch, in micro-batches and over processes.

B examples of one optimizer step, b of one micro-batch.
Micro-batch j of a step belongs to process j mod P, and its dropout masks are drawn from
(seed, step, j): they are the same in both passes, after a resume, and whatever the number of
processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.objectives.objectives import Objective
from fairlora_cls.objectives.scores import ObjectiveOutput, Scores, State


@dataclass(frozen=True)
class MicroBatch:
    """A part of a step that one forward pass holds."""

    places: torch.Tensor  # (b,) int64, positions within the step
    seed: int  # of its dropout masks
    batch: Batch


@dataclass(frozen=True)
class Step:
    """What every process knows of a step before any forward pass."""

    labels: torch.Tensor  # (B,) int64
    groups: Mapping[str, torch.Tensor]  # protected attribute → (B,) int64 codes
    recorded: Mapping[str, torch.Tensor]  # attribute → (B,) int64 codes, −1 where not recorded
    parts: Sequence[torch.Tensor]  # positions (b,) of every micro-batch, all processes'


def mask_seed(seed: int, step: int, micro_batch: int) -> int:
    """A seed for one micro-batch's dropout masks, well mixed."""
    state = np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def backward_effective_batch(
    forward: Callable[[Batch], Outputs],
    backward: Callable[[torch.Tensor], None],
    sum_over_processes: Callable[[torch.Tensor], torch.Tensor],
    objective: Objective,
    state: State,
    micro_batches: Sequence[MicroBatch],
    step: Step,
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[ObjectiveOutput, dict[str, torch.Tensor]]:
    """Add the gradient of objective(all B examples) to the parameters' `.grad`, this process's part.

    `micro_batches` are this process's share of the step; `shapes` says which of the model's outputs
    the objective reads and how large they are for one example: `logits` (K,), `losses` (), `hidden`
    (S, D). The caller sums the model's gradients over processes; those of the objective's own
    parameters are whole already. Returns the objective's output and the model's (B, …), both of the
    whole step and detached.

    A separable objective takes one pass. Otherwise: forward without graph, the objective and its
    gradient with respect to every example's outputs, then forward and backward per
    micro-batch with those gradients (gradient caching, Gao et al. 2021). A process whose share is
    one micro-batch keeps its graph and needs no second forward.
    """
    separable = objective.is_separable
    keep_graph = separable or len(micro_batches) <= 1
    device, size = step.labels.device, len(step.labels)
    outputs = {name: torch.zeros(size, *shape, device=device) for name, shape in shapes.items()}
    kept = None
    for micro in micro_batches:
        with torch.set_grad_enabled(keep_graph):
            own = _forward(forward, micro)
        for name, whole in outputs.items():
            whole[micro.places] = getattr(own, name).detach()
        if separable:
            scores = Scores(
                own.logits,
                step.labels[micro.places],
                {name: codes[micro.places] for name, codes in step.groups.items()},
                losses=own.losses,
            )
            backward(objective.separable_share(scores, micro.places, step.labels, step.groups))
        kept = own
    for name, whole in outputs.items():
        outputs[name] = sum_over_processes(whole).requires_grad_(not separable)
    with torch.set_grad_enabled(not separable):
        scores = Scores(
            outputs.get("logits"),
            step.labels,
            step.groups,
            step.recorded,
            outputs.get("hidden"),
            outputs.get("losses"),
        )
        output = objective(scores, state, step.parts)
    if not separable:
        parameters = [p for _, p in objective.named_parameters()]
        leaves = list(outputs.values())
        gradients = torch.autograd.grad(output.loss, [*leaves, *parameters], allow_unused=True)
        upstream = gradients[: len(leaves)]
        for micro in micro_batches:
            own = kept if keep_graph else _forward(forward, micro)
            tensors = [getattr(own, name) for name in outputs]
            backward(_with_gradients(tensors, [g[micro.places] for g in upstream]))
        if parameters:
            backward(_with_gradients(parameters, gradients[len(leaves) :]))
    detached = ObjectiveOutput(
        output.loss.detach(), output.terms, {n: t.detach() for n, t in output.state.items()}
    )
    return detached, {name: whole.detach() for name, whole in outputs.items()}


def _with_gradients(
    tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]
) -> torch.Tensor:
    """A scalar whose gradient with respect to each tensor is the given one."""
    return sum((t * g).sum() for t, g in zip(tensors, gradients, strict=True))


def _forward(forward: Callable[[Batch], Outputs], micro: MicroBatch) -> Outputs:
    _generator(micro.places.device).manual_seed(micro.seed)
    return forward(micro.batch)


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
