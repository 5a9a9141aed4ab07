"""What a warm optimizer step spends its time on, beside the language layers.

Three views of the package's own loop on a warm cache: the wall time of its named parts (a GPU is
waited for at each border, so launches and kernels are counted together), the step against a bare
forward and backward of the language layers on the same batch, and the tables of torch.profiler
and cProfile.
"""

from __future__ import annotations

import cProfile
import functools
import io
import pstats
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measuring import synchronise
from package_variant import batch_maker, prepare_features, train
from workload import Workload

from fairlora_cls.runs.engine import start_accelerator

PROFILED_STEPS = 10
ROWS = 25  # of each table


class Spans:
    """Wall seconds by the name of the innermost span that is open."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.open: list[str] = []
        self.since = time.perf_counter()

    def _turn(self) -> None:
        synchronise(self.device)
        now = time.perf_counter()
        if self.open:
            self.seconds[self.open[-1]] += now - self.since
        self.since = now

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._turn()
        self.open.append(name)
        try:
            yield
        finally:
            self._turn()
            self.open.pop()

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*args: Any, **options: Any) -> Any:
            with self(name):
                return function(*args, **options)

        return inner

    def hook(self, name: str, module: torch.nn.Module) -> list[Any]:
        """Count a module's forward as a span; returns the hooks to remove."""
        entered: list[Any] = []

        def enter(*_: Any) -> None:
            entered.append(self(name))
            entered[-1].__enter__()

        def leave(*_: Any) -> None:
            entered.pop().__exit__(None, None, None)

        return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]


def profile_steps(
    classifier: Any,
    workload: Workload,
    cache: Path,
    device: torch.device,
    folder: Path,
    reset: Callable[[], None],
) -> None:
    """Print the three views for ten warm steps; `reset` restores the trainable parameters."""
    needed = PROFILED_STEPS * workload.batch_size
    workload = replace(
        workload, examples=(workload.examples * needed)[:needed], epochs=1
    )  # one epoch of exactly ten steps
    backbone = classifier.backbone
    make_batch = batch_maker(backbone, workload, prepare_features(backbone, workload, cache))

    def engine() -> tuple[Any, Any]:
        accelerator = start_accelerator(workload.precision, [], folder)
        return accelerator, accelerator.prepare_model(classifier, evaluation_mode=True)

    accelerator, forward = engine()
    train(classifier, forward, workload, make_batch, accelerator, folder / "warm-up")

    reset()
    accelerator, forward = engine()
    _, seconds = train(classifier, forward, workload, make_batch, accelerator, folder / "plain")
    floor = bare_seconds(forward, workload, make_batch, device)
    step = seconds / PROFILED_STEPS
    print(f"\nA warm step of the loop: {step * 1e3:.1f} ms.")
    print(
        f"A bare forward and backward of the same batches, on the device already: "
        f"{floor * 1e3:.1f} ms (median of {PROFILED_STEPS}); the step is {step / floor:.3f} of it."
    )

    reset()
    accelerator, forward = engine()
    _print_spans(classifier, forward, workload, make_batch, accelerator, folder, device)

    reset()
    accelerator, forward = engine()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        train(classifier, forward, workload, make_batch, accelerator, folder / "torch")
    order = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(f"\ntorch.profiler, {PROFILED_STEPS} steps, by {order}:")
    print(profiler.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=50))

    reset()
    accelerator, forward = engine()
    recorder = cProfile.Profile()
    recorder.enable()
    train(classifier, forward, workload, make_batch, accelerator, folder / "python")
    recorder.disable()
    text = io.StringIO()
    pstats.Stats(recorder, stream=text).strip_dirs().sort_stats("tottime").print_stats(ROWS)
    print(f"cProfile, {PROFILED_STEPS} steps, by own time:\n{text.getvalue()}")


def bare_seconds(
    forward: Callable[..., torch.Tensor],
    workload: Workload,
    make_batch: Callable[..., Any],
    device: torch.device,
) -> float:
    """Median seconds of forward and backward of one step's micro-batches and of nothing else."""
    size = workload.micro_batch_size
    taken = []
    for indices in workload.plan_epoch(0):
        parts = [make_batch(indices[i : i + size]).to(device) for i in range(0, len(indices), size)]
        synchronise(device)
        started = time.perf_counter()
        for part in parts:
            forward(part).logits.sum().backward()
        synchronise(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _print_spans(
    classifier: Any,
    forward: Callable[..., torch.Tensor],
    workload: Workload,
    make_batch: Callable[..., Any],
    accelerator: Any,
    folder: Path,
    device: torch.device,
) -> None:
    spans = Spans(device)
    language = classifier.backbone.model.language_model
    hooks = spans.hook("language layers, forward", language)
    # The accelerator is this function's own, so its methods may be wrapped.
    accelerator.backward = spans.around("backward", accelerator.backward)
    accelerator.clip_grad_norm_ = spans.around("gradient norm", accelerator.clip_grad_norm_)
    prepare_optimizer = accelerator.prepare_optimizer

    def prepare(optimizer: Any, *args: Any, **options: Any) -> Any:
        prepared = prepare_optimizer(optimizer, *args, **options)
        prepared.step = spans.around("optimizer step", prepared.step)
        prepared.zero_grad = spans.around("optimizer step", prepared.zero_grad)
        return prepared

    accelerator.prepare_optimizer = prepare
    started = time.perf_counter()
    _, steps = train(
        classifier,
        spans.around("embedding, pooling, head", forward),
        workload,
        spans.around("batch from the cache", make_batch),
        accelerator,
        folder / "spans",
    )
    whole = time.perf_counter() - started
    for hook in hooks:
        hook.remove()
    spans.seconds["rest of the step"] = steps - sum(spans.seconds.values())
    spans.seconds["outside the steps (log, checkpoint)"] = whole - steps
    print(f"\nParts of {PROFILED_STEPS} steps, {steps:.3f} s:")
    print(f"{'part':<38}{'ms a step':>10}{'share':>9}")
    for name, seconds in sorted(spans.seconds.items(), key=lambda item: -item[1]):
        print(f"{name:<38}{seconds / PROFILED_STEPS * 1e3:>10.2f}{seconds / steps:>9.1%}")
