"""Clocks, peak memory and counted FLOPs.

T tokens, P patches of an image (four to a visual token).
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

SAMPLING_SECONDS = 0.005


@dataclass(frozen=True)
class Run:
    """What one variant took once."""

    seconds: float  # wall, all epochs
    vision_seconds: float  # (a) the tower in all steps; (b), (c) the whole stage before the steps
    memory: int  # bytes, see memory_peak
    losses: list[float] = field(repr=False)  # nats, one per optimizer step
    image_seconds: float | None = None  # (a) opening images and the processor, without workers
    outside_seconds: float | None = None  # (b), (c) between steps: log, checkpoints


@dataclass
class Peak:
    """Filled in when the block of `memory_peak` ends."""

    bytes: int = 0


@contextmanager
def memory_peak(device: torch.device) -> Iterator[Peak]:
    """Peak memory of a block, in bytes.

    GPU: `torch.cuda.max_memory_allocated`, weights included. CPU: the largest resident size that
    a thread sees every 5 ms, less that before the block; data loader workers are not counted.
    """
    peak = Peak()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated()
        return
    import psutil

    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # pages that an earlier variant freed are given back
    process = psutil.Process()
    before = process.memory_info().rss
    largest, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLING_SECONDS):
            largest[0] = max(largest[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
    peak.bytes = largest[0] - before


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done all that it was asked to; nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


class ModuleTimer:
    """Seconds in a module's forward, without making a GPU wait."""

    def __init__(self, module: nn.Module, device: torch.device):
        self.cuda = device.type == "cuda"
        self.marks: list[Any] = []
        self.hooks = [
            module.register_forward_pre_hook(lambda *_: self._mark()),
            module.register_forward_hook(lambda *_: self._mark()),
        ]

    def _mark(self) -> None:
        if not self.cuda:
            self.marks.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.marks.append(event)

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def seconds(self) -> float:
        """Call once the device has been synchronised."""
        pairs = zip(self.marks[::2], self.marks[1::2], strict=True)
        if self.cuda:
            return sum(start.elapsed_time(stop) for start, stop in pairs) / 1000
        return sum(stop - start for start, stop in pairs)


@dataclass(frozen=True)
class ImageFlops:
    """Floating point operations for one image; a multiply-add counts as two."""

    language_forward: int
    language_backward: int  # to the inputs of every layer, and to the LoRA matrices
    vision_forward: int

    @property
    def language(self) -> int:
        return self.language_forward + self.language_backward


def count_flops(model: Any, tokens: int, patches: int) -> ImageFlops:
    """FLOPs of a Qwen2.5-VL with LoRA for one image of P = `patches` in a row of T = `tokens`.

    Matrix products only, as is usual. Causal attention counts half of T². A frozen matrix costs
    one product forward and one backward, a trained one two backward.
    """
    text, vision = model.config.text_config, model.config.vision_config
    frozen = trained = 0
    for name, module in model.language_model.named_modules():
        if isinstance(module, nn.Linear):
            size = module.in_features * module.out_features
            trained += size if "lora_" in name else 0
            frozen += 0 if "lora_" in name else size
    width = text.hidden_size  # heads × head size
    attention = 4 * width * (tokens * tokens // 2) * text.num_hidden_layers
    forward = 2 * tokens * (frozen + trained) + attention
    backward = 2 * tokens * (frozen + 2 * trained) + 2 * attention
    tower = model.visual
    per_patch = sum(
        m.in_features * m.out_features for m in tower.blocks.modules() if isinstance(m, nn.Linear)
    )
    per_patch += tower.patch_embed.proj.weight.numel()
    merged = sum(
        m.in_features * m.out_features for m in tower.merger.modules() if isinstance(m, nn.Linear)
    )
    window = (vision.window_size // vision.patch_size) ** 2
    full = len(vision.fullatt_block_indexes)
    seen = patches * full + min(window, patches) * (vision.depth - full)  # keys, over the layers
    tower_flops = 2 * patches * per_patch + 2 * (patches // vision.spatial_merge_size**2) * merged
    return ImageFlops(forward, backward, tower_flops + 4 * vision.hidden_size * patches * seen)
