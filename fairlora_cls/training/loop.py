"""The one accelerate loop: fetch, forward, loss, backward, step, log, checkpoint, validate.

N training examples, B examples of one optimizer step.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, micro_batches
from fairlora_cls.errors import RunError
from fairlora_cls.models.adapted import AdaptedModel
from fairlora_cls.models.adapters import restore_trainable_state, trainable_state
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.objectives.objectives import Objective
from fairlora_cls.objectives.scores import NonFiniteScoresError
from fairlora_cls.training.checkpoints import (
    Checkpoint,
    Progress,
    load_best,
    load_latest,
    objective_tensors,
    optimizer_tensors,
    restore_objective,
    restore_optimizer,
    save_best,
    save_checkpoint,
)
from fairlora_cls.training.effective_batch import (
    MicroBatch,
    Step,
    backward_effective_batch,
    mask_seed,
    sum_gradients,
)


@dataclass(frozen=True)
class LoopSettings:
    """How to optimise."""

    epochs: int
    micro_batch_size: int  # examples in one forward pass
    learning_rate: float  # of the LoRA matrices, at its peak
    head_learning_rate: float  # of the classification head, at its peak
    attribute_learning_rates: Mapping[str, float]  # of the attribute classifiers, by kind
    weight_decay: float
    warmup_steps: int  # optimizer steps from 0 to the peak
    schedule: str  # of SCHEDULES, after the warm-up
    gradient_clip: float  # largest L2 norm of the whole gradient
    checkpoint_every: int  # optimizer steps
    seed: int


class Display(Protocol):
    """Where progress is shown; the command line and tests each bring their own."""

    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def advance(self, count: int, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...


class SilentDisplay:
    """Shows nothing: the default in a notebook."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        pass

    def advance(self, count: int, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, schedule: str) -> float:
    """Share of the peak rate at `step` (from 0): linear warm-up, then the schedule down to the end."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return SCHEDULES[schedule]((step - warmup_steps) / max(total_steps - warmup_steps, 1))


def fine_tune(
    model: AdaptedModel,
    forward: Callable[[Batch], Outputs],
    objective: Objective,
    plan_epoch: Callable[[int], Sequence[np.ndarray]],
    make_batch: Callable[[np.ndarray], Batch],
    labels: np.ndarray,
    groups: Mapping[str, np.ndarray],
    recorded: Mapping[str, np.ndarray],
    settings: LoopSettings,
    accelerator: Any,
    folder: Path,
    validate: Callable[[], Mapping[str, float]],
    rank: Callable[[Sequence[Mapping[str, float]]], Sequence[int]],
    display: Display,
) -> Progress:
    """Train, resuming from `folder/checkpoints` where there are any; end with the best epoch's weights.

    `forward` is the model under accelerate's autocast. `plan_epoch` gives an epoch's
    effective batches as arrays of indices into `labels` (N,) and the codes (N,) of each attribute
    in `groups` (the protected ones) and `recorded` (−1 where not recorded). `validate` returns
    metrics with the key `score`; of those of all epochs so far, `rank` names the places of the
    epochs whose weights are kept, the best one first.
    Raises RunError on a non-finite loss or gradient, before the weights take the step, and for a
    checkpoint that does not hold the validation of every epoch.
    """
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    attribute_parameters = dict(objective.named_parameters())
    names = {id(p): n for n, p in (parameters | attribute_parameters).items()}
    trained = list(parameters.values())
    optimizer, peaks = build_optimizer(parameters, attribute_parameters, settings, accelerator)
    label_tensor = torch.from_numpy(labels).to(accelerator.device)
    group_tensors, recorded_tensors = (
        {name: torch.from_numpy(c).to(accelerator.device) for name, c in codes.items()}
        for codes in (groups, recorded)
    )
    state = objective.initial_state(accelerator.device)
    shapes = dict(model.output_shapes)
    if not objective.dependences:
        shapes.pop("hidden", None)
    checkpoints = folder / "checkpoints"
    latest = load_latest(checkpoints)
    progress = latest.progress if latest else Progress()
    if len(progress.validations) != progress.epoch:
        raise RunError(
            f"The checkpoint in '{checkpoints}' is of an earlier version, which did not keep the "
            "validation of every epoch; --overwrite begins the run anew."
        )
    if latest:
        restore_trainable_state(model, latest.weights)
        restore_optimizer(optimizer.optimizer, latest.optimizer, names)
        state = restore_objective(objective, latest.objective, accelerator.device)
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(latest.extra["scaler"])
    plans = [plan_epoch(epoch) for epoch in range(settings.epochs)]
    total_steps = sum(len(plan) for plan in plans)
    log = _open_log(folder / "log.jsonl", progress.log_bytes, accelerator.is_main_process)
    display.stage("Training", settings.epochs * len(labels), progress.images)

    def checkpoint() -> None:
        nonlocal progress
        if accelerator.is_main_process:
            progress = replace(progress, log_bytes=_flush(log))
            extra = {"scaler": accelerator.scaler.state_dict()} if accelerator.scaler else {}
            save_checkpoint(
                checkpoints,
                Checkpoint(
                    trainable_state(model),
                    optimizer_tensors(optimizer.optimizer, names),
                    objective_tensors(objective, state),
                    extra,
                    progress,
                ),
            )
        accelerator.wait_for_everyone()

    first_step = 0
    for epoch, plan in enumerate(plans):
        model.train()
        for step, indices in enumerate(plan, start=first_step):
            if step < progress.step:
                continue
            started = time.perf_counter()
            rate = learning_rate_factor(step, settings.warmup_steps, total_steps, settings.schedule)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * rate
            chosen = torch.from_numpy(indices).to(accelerator.device)
            share, parts = _share_of_step(
                indices,
                step,
                settings,
                make_batch,
                accelerator,
                draw_tokens="hidden" in shapes,
            )
            try:
                output, outputs = backward_effective_batch(
                    forward,
                    accelerator.backward,
                    lambda tensor: accelerator.reduce(tensor, "sum"),
                    objective,
                    state,
                    share,
                    Step(
                        label_tensor[chosen],
                        {name: codes[chosen] for name, codes in group_tensors.items()},
                        {name: codes[chosen] for name, codes in recorded_tensors.items()},
                        parts,
                    ),
                    shapes,
                )
            except NonFiniteScoresError as error:
                raise _stopped(str(error), step, checkpoints) from error
            if accelerator.num_processes > 1:
                sum_gradients(trained, lambda tensor: accelerator.reduce(tensor, "sum"))
            norm = accelerator.clip_grad_norm_(trained, settings.gradient_clip)
            if attribute_parameters:  # apart: their loss must not shrink the model's step
                accelerator.clip_grad_norm_(
                    list(attribute_parameters.values()), settings.gradient_clip
                )
            values = {"loss": output.loss, "gradient_norm": norm, **output.terms}
            if "logits" in outputs:
                hits = outputs["logits"].argmax(1) == label_tensor[chosen]
                values["accuracy"] = hits.float().mean()
            numbers = _numbers(values)
            _stop_unless_finite(numbers, step, checkpoints, accelerator.scaler is not None)
            optimizer.step()
            optimizer.zero_grad()
            state = output.state
            seconds = time.perf_counter() - started
            progress = replace(
                progress,
                step=step + 1,
                images=progress.images + len(indices),
                seconds=progress.seconds + seconds,
            )
            record = {
                "step": step + 1,
                "epoch": epoch + 1,
                **numbers,
                "learning_rate": settings.learning_rate * rate,
                "group_counts": {
                    name: np.bincount(groups[name][indices], minlength=count).tolist()
                    for name, count in objective.group_counts.items()
                },
                "images_per_second": round(len(indices) / seconds, 2),
            }
            log.write(json.dumps(record) + "\n")
            accelerator.log(
                {f"train/{k}": v for k, v in record.items() if isinstance(v, float)}, step + 1
            )
            display.advance(len(indices), f"loss {numbers['loss']:.4f}")
            if progress.step % settings.checkpoint_every == 0:
                checkpoint()
        first_step += len(plan)
        if epoch < progress.epoch:
            continue
        metrics = dict(validate())
        validations = [*progress.validations, metrics]
        kept = rank(validations)
        progress = replace(
            progress,
            epoch=epoch + 1,
            validations=validations,
            best_epoch=kept[0] + 1,
            best_score=validations[kept[0]]["score"],
        )
        if epoch in kept and accelerator.is_main_process:
            save_best(checkpoints, trainable_state(model), epoch + 1)
        log.write(
            json.dumps({"step": progress.step, "epoch": epoch + 1, "validation": metrics}) + "\n"
        )
        accelerator.log({f"validation/{k}": v for k, v in metrics.items()}, progress.step)
        shown = ", ".join(
            f"{k} {v:.3f}"
            for k, v in metrics.items()
            if k != "score" and not k.startswith("accuracy/")  # a group's
        )
        display.say(f"Epoch {epoch + 1} of {settings.epochs}: validation {shown}")
        checkpoint()
    log.close()
    restore_trainable_state(model, load_best(checkpoints, progress.best_epoch))
    model.eval()
    return progress


def build_optimizer(
    parameters: Mapping[str, torch.nn.Parameter],
    attribute_parameters: Mapping[str, torch.nn.Parameter],
    settings: LoopSettings,
    accelerator: Any,
) -> tuple[Any, list[float]]:
    """AdamW under accelerate, a group each for LoRA matrices, head and attribute classifiers; peak rates."""
    parts = [
        ([p for n, p in parameters.items() if not n.startswith("head.")], settings.learning_rate),
        ([p for n, p in parameters.items() if n.startswith("head.")], settings.head_learning_rate),
    ]
    for kind, rate in settings.attribute_learning_rates.items():
        own = [p for n, p in attribute_parameters.items() if n.startswith(f"{kind}/")]
        parts.append((own, rate))
    groups = [{"params": part, "lr": peak} for part, peak in parts if part]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    return accelerator.prepare_optimizer(optimizer), [peak for part, peak in parts if part]


def _share_of_step(
    indices: np.ndarray,
    step: int,
    settings: LoopSettings,
    make_batch: Callable[[np.ndarray], Batch],
    accelerator: Any,
    *,
    draw_tokens: bool,
) -> tuple[list[MicroBatch], list[torch.Tensor]]:
    """This process's micro-batches, and the positions (b,) of every micro-batch of the step."""
    parts = micro_batches(indices, settings.micro_batch_size)
    draws = np.random.default_rng([settings.seed, step, 0, 1]).random(len(indices))
    share = []
    for number, places in enumerate(parts):
        if number % accelerator.num_processes == accelerator.process_index:
            batch = make_batch(indices[places])
            if draw_tokens:
                batch = replace(batch, draws=torch.from_numpy(draws[places]).float())
            seed = mask_seed(settings.seed, step, number)
            place_tensor = torch.from_numpy(places).to(accelerator.device)
            share.append(MicroBatch(place_tensor, seed, batch.to(accelerator.device)))
    return share, [torch.from_numpy(places).to(accelerator.device) for places in parts]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Everything to log, brought to the CPU in one transfer."""
    tensors = [torch.as_tensor(value).detach().float() for value in values.values()]
    device = next(iter(values.values())).device
    stacked = torch.stack([tensor.to(device) for tensor in tensors]).tolist()
    return dict(zip(values, stacked, strict=True))


def _stop_unless_finite(
    numbers: Mapping[str, float], step: int, checkpoints: Path, scaled: bool
) -> None:
    # Under fp16 an infinite gradient is the loss scaler's business: it skips the step.
    watched = {n: v for n, v in numbers.items() if not (scaled and n == "gradient_norm")}
    bad = next((n for n, v in watched.items() if not math.isfinite(v)), None)
    if bad is not None:
        raise _stopped(f"the {bad.replace('_', ' ')} is {numbers[bad]}", step, checkpoints)


def _stopped(reason: str, step: int, checkpoints: Path) -> RunError:
    newest = load_latest(checkpoints)
    kept = (
        f"the checkpoint of step {newest.progress.step} is intact"
        if newest
        else "no checkpoint was due yet"
    )
    return RunError(
        f"In step {step + 1} {reason}; training stopped before the weights took that step and {kept}. "
        "Lower training.learning_rate or the objective's λ, or use training.precision=bf16 or fp32."
    )


def _open_log(path: Path, keep_bytes: int, is_main: bool) -> TextIO:
    """Open the log for appending after its first `keep_bytes`: lines of lost steps go, and the rest
    of a line that was cut, to which the next one would be glued."""
    if not is_main:
        return open(os.devnull, "a", encoding="utf-8")
    path.touch()
    os.truncate(path, path.read_bytes()[:keep_bytes].rfind(b"\n") + 1)
    return path.open("a", encoding="utf-8")


def _flush(log: TextIO) -> int:
    log.flush()
    os.fsync(log.fileno())
    return log.tell()
