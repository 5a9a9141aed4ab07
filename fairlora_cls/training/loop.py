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
from fairlora_cls.models.adapters import restore_trainable_state, trainable_state
from fairlora_cls.models.classifier import Classifier
from fairlora_cls.objectives.objectives import Objective
from fairlora_cls.training.checkpoints import (
    Checkpoint,
    Progress,
    load_best,
    load_latest,
    optimizer_tensors,
    restore_optimizer,
    save_best,
    save_checkpoint,
)
from fairlora_cls.training.effective_batch import (
    MicroBatch,
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
    classifier: Classifier,
    forward: Callable[[Batch], torch.Tensor],
    objective: Objective,
    plan_epoch: Callable[[int], Sequence[np.ndarray]],
    make_batch: Callable[[np.ndarray], Batch],
    labels: np.ndarray,
    groups: np.ndarray,
    settings: LoopSettings,
    accelerator: Any,
    folder: Path,
    validate: Callable[[], Mapping[str, float]],
    display: Display,
) -> Progress:
    """Train, resuming from `folder/checkpoints` where there are any; end with the best epoch's weights.

    `forward` is the classifier under accelerate's autocast. `plan_epoch` gives an epoch's
    effective batches as arrays of indices into `labels` and `groups` (N,). `validate` returns
    metrics with the key `score`: the epoch with the highest score is kept, the earlier one on a
    tie. Raises RunError on a non-finite loss or gradient, before the weights take the step.
    """
    parameters = {n: p for n, p in classifier.named_parameters() if p.requires_grad}
    names = {id(p): n for n, p in parameters.items()}
    trained = list(parameters.values())
    optimizer, peaks = build_optimizer(parameters, settings, accelerator)
    label_tensor = torch.from_numpy(labels).to(accelerator.device)
    group_tensor = torch.from_numpy(groups).to(accelerator.device)
    checkpoints = folder / "checkpoints"
    found = load_latest(checkpoints)
    progress = found.progress if found else Progress()
    if found:
        restore_trainable_state(classifier, found.weights)
        restore_optimizer(optimizer.optimizer, found.optimizer, names)
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(found.extra["scaler"])
    plans = [plan_epoch(epoch) for epoch in range(settings.epochs)]
    total_steps = sum(len(plan) for plan in plans)
    log = _open_log(folder / "log.jsonl", progress.log_bytes, accelerator.is_main_process)
    display.stage("Training", settings.epochs * len(labels), progress.images)

    def checkpoint() -> None:
        nonlocal progress
        if accelerator.is_main_process:
            progress = replace(progress, log_bytes=_flush(log))
            extra = {"scaler": accelerator.scaler.state_dict()} if accelerator.scaler else {}
            state = optimizer_tensors(optimizer.optimizer, names)
            save_checkpoint(
                checkpoints, Checkpoint(trainable_state(classifier), state, extra, progress)
            )
        accelerator.wait_for_everyone()

    first_step = 0
    for epoch, plan in enumerate(plans):
        classifier.train()
        for step, indices in enumerate(plan, start=first_step):
            if step < progress.step:
                continue
            started = time.perf_counter()
            rate = learning_rate_factor(step, settings.warmup_steps, total_steps, settings.schedule)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * rate
            chosen = torch.from_numpy(indices).to(accelerator.device)
            output, logits = backward_effective_batch(
                forward,
                accelerator.backward,
                lambda tensor: accelerator.reduce(tensor, "sum"),
                objective,
                _own_share(indices, step, settings, make_batch, accelerator),
                label_tensor[chosen],
                group_tensor[chosen],
                classifier.head.out_features,
            )
            if accelerator.num_processes > 1:
                sum_gradients(trained, lambda tensor: accelerator.reduce(tensor, "sum"))
            norm = accelerator.clip_grad_norm_(trained, settings.gradient_clip)
            hits = (logits.argmax(1) == label_tensor[chosen]).float().mean()
            numbers = _numbers(
                {"loss": output.loss, "gradient_norm": norm, **output.terms, "accuracy": hits}
            )
            _stop_unless_finite(
                numbers, step, progress, checkpoints, accelerator.scaler is not None
            )
            optimizer.step()
            optimizer.zero_grad()
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
                "group_counts": np.bincount(
                    groups[indices], minlength=objective.group_count
                ).tolist(),
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
        progress = replace(progress, epoch=epoch + 1)
        if progress.best_score is None or metrics["score"] > progress.best_score:
            progress = replace(progress, best_epoch=epoch + 1, best_score=metrics["score"])
            if accelerator.is_main_process:
                save_best(checkpoints, trainable_state(classifier), epoch + 1)
        log.write(
            json.dumps({"step": progress.step, "epoch": epoch + 1, "validation": metrics}) + "\n"
        )
        accelerator.log({f"validation/{k}": v for k, v in metrics.items()}, progress.step)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in metrics.items() if k != "score")
        display.say(f"Epoch {epoch + 1} of {settings.epochs}: validation {shown}")
        checkpoint()
    log.close()
    restore_trainable_state(classifier, load_best(checkpoints, progress.best_epoch))
    classifier.eval()
    return progress


def build_optimizer(
    parameters: Mapping[str, torch.nn.Parameter], settings: LoopSettings, accelerator: Any
) -> tuple[Any, tuple[float, float]]:
    """AdamW under accelerate with a group for the LoRA matrices and one for the head; peak rates."""
    head = [p for n, p in parameters.items() if n.startswith("head.")]
    adapter = [p for n, p in parameters.items() if not n.startswith("head.")]
    peaks = (settings.learning_rate, settings.head_learning_rate)
    groups = [{"params": adapter, "lr": peaks[0]}, {"params": head, "lr": peaks[1]}]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    return accelerator.prepare_optimizer(optimizer), peaks


def _own_share(
    indices: np.ndarray,
    step: int,
    settings: LoopSettings,
    make_batch: Callable[[np.ndarray], Batch],
    accelerator: Any,
) -> list[MicroBatch]:
    share = []
    for number, places in enumerate(micro_batches(indices, settings.micro_batch_size)):
        if number % accelerator.num_processes == accelerator.process_index:
            batch = make_batch(indices[places]).to(accelerator.device)
            seed = mask_seed(settings.seed, step, number)
            share.append(MicroBatch(torch.from_numpy(places).to(accelerator.device), seed, batch))
    return share


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Everything to log, brought to the CPU in one transfer."""
    tensors = [torch.as_tensor(value).detach().float() for value in values.values()]
    device = next(iter(values.values())).device
    stacked = torch.stack([tensor.to(device) for tensor in tensors]).tolist()
    return dict(zip(values, stacked, strict=True))


def _stop_unless_finite(
    numbers: Mapping[str, float], step: int, progress: Progress, checkpoints: Path, scaled: bool
) -> None:
    # Under fp16 an infinite gradient is the loss scaler's business: it skips the step.
    watched = {n: v for n, v in numbers.items() if not (scaled and n == "gradient_norm")}
    bad = next((n for n, v in watched.items() if not math.isfinite(v)), None)
    if bad is None:
        return
    newest = load_latest(checkpoints)
    kept = (
        f"the checkpoint of step {newest.progress.step} is intact"
        if newest
        else "no checkpoint was due yet"
    )
    raise RunError(
        f"Step {step + 1} gave a {bad.replace('_', ' ')} of {numbers[bad]}; training stopped before that step and {kept}. "
        "Lower training.learning_rate or objective.gap_weight, or use training.precision=bf16 or fp32."
    )


def _open_log(path: Path, keep_bytes: int, is_main: bool) -> TextIO:
    """Open the log for appending after its first `keep_bytes`: lines of lost steps go."""
    if not is_main:
        return open(os.devnull, "a", encoding="utf-8")
    path.touch()
    os.truncate(path, min(keep_bytes, path.stat().st_size))
    return path.open("a", encoding="utf-8")


def _flush(log: TextIO) -> int:
    log.flush()
    os.fsync(log.fileno())
    return log.tell()
