"""Variants (b) and (c): this package's own functions, from a cold and from a warm vision cache."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Run, memory_peak, synchronise
from workload import Workload

from fairlora_cls.data.batching import Batch, pad
from fairlora_cls.data.conversations import PromptEncoder
from fairlora_cls.data.images import content_digest
from fairlora_cls.data.vision_cache import CachedFeatures, fill_cache, open_cache
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.objectives.objectives import build_objective
from fairlora_cls.runs.engine import start_accelerator
from fairlora_cls.training.loop import LoopSettings, SilentDisplay, fine_tune


def prepare_features(backbone: Backbone, workload: Workload, cache: Path) -> CachedFeatures:
    """Fingerprint, digests, what is cached, the rest computed: the vision stage of a run."""
    digests = {e.image: content_digest(e.image) for e in workload.examples}
    folder = cache / backbone.vision_fingerprint()
    found = open_cache(folder, digests.values())
    new = sorted({d: p for p, d in digests.items() if d not in found}.items())
    if new:
        fill_cache(folder, new, backbone.encode_images, backbone.fit_image, lambda count: None)
        found |= open_cache(folder, [d for d, _ in new])
    return CachedFeatures([found[digests[e.image]] for e in workload.examples])


def batch_maker(
    backbone: Backbone, workload: Workload, features: CachedFeatures
) -> Callable[[np.ndarray], Batch]:
    """Indices of examples → their Batch on the CPU."""
    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)

    def make(indices: np.ndarray) -> Batch:
        images = features(indices)
        prompts = [encoder.question(workload.question, grid) for _, grid in images]
        return pad(indices, images, prompts)

    return make


def train(
    classifier: Any,
    forward: Callable[[Batch], torch.Tensor],
    workload: Workload,
    make_batch: Callable[[np.ndarray], Batch],
    accelerator: Any,
    folder: Path,
) -> tuple[list[float], float]:
    """The package's loop, method vanilla; the loss (nats) of every step, and seconds in steps."""
    labels = np.array([e.label for e in workload.examples], dtype=np.int64)
    folder.mkdir(parents=True)
    progress = fine_tune(
        classifier,
        forward,
        build_objective("vanilla", {}),
        workload.plan_epoch,
        make_batch,
        labels,
        {},
        {},
        LoopSettings(
            epochs=workload.epochs,
            micro_batch_size=workload.micro_batch_size,
            learning_rate=workload.learning_rate,
            head_learning_rate=workload.head_learning_rate,
            attribute_learning_rates={},
            weight_decay=workload.weight_decay,
            warmup_steps=0,
            schedule="constant",
            gradient_clip=workload.gradient_clip,
            checkpoint_every=10**9,
            seed=workload.seed,
        ),
        accelerator,
        folder,
        partial(dict, score=0.0),  # no validation
        lambda validations: [0],  # the first epoch's weights are kept
        SilentDisplay(),
    )
    with (folder / "log.jsonl").open(encoding="utf-8") as file:
        losses = [r["loss"] for r in map(json.loads, file) if "loss" in r]
    return losses, progress.seconds


def run_package(
    classifier: Any, workload: Workload, cache: Path, device: torch.device, folder: Path
) -> Run:
    """Vision stage and training, in place; cold when `cache` is empty, warm when it is not.

    The time counts everything that the loop does, its checkpoint per epoch included.
    """
    backbone = classifier.backbone
    accelerator = start_accelerator(workload.precision, [], folder)
    forward = accelerator.prepare_model(classifier, evaluation_mode=True)
    with memory_peak(device) as memory:
        started = time.perf_counter()
        features = prepare_features(backbone, workload, cache)
        synchronise(device)
        vision_seconds = time.perf_counter() - started
        make_batch = batch_maker(backbone, workload, features)
        losses, step_seconds = train(classifier, forward, workload, make_batch, accelerator, folder)
        synchronise(device)
        seconds = time.perf_counter() - started
    return Run(
        seconds=seconds,
        vision_seconds=vision_seconds,
        outside_seconds=seconds - vision_seconds - step_seconds,
        memory=memory.bytes,
        losses=losses,
    )
