"""A model on its device, its batches and visual features: what every verb that predicts needs.

N examples of a split, B of a batch, S tapped states, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, ImageFeatures, ordered_batches
from fairlora_cls.data.examples import SPLIT_NAMES, Splits
from fairlora_cls.data.file_facts import content_digests
from fairlora_cls.data.images import UnreadableImageError, find_unreadable
from fairlora_cls.data.vision_cache import CachedFeatures, LiveFeatures, fill_cache, open_cache
from fairlora_cls.errors import InputError, RunError
from fairlora_cls.files import OTHER_CACHE, cache_folder, require_writable
from fairlora_cls.models.adapted import AdaptedModel
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.models.outputs import Outputs
from fairlora_cls.models.zero_shot import LabelWordClassifier
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.training.loop import Display

Model = AdaptedModel | LabelWordClassifier
BatchMaker = Callable[[Sequence[int]], Batch]  # places in a split → what the model reads of them
PREDICTION_BATCH = 16  # examples in one forward pass without gradients


@dataclass(frozen=True)
class Engine:
    """A model on its device."""

    model: Model
    forward: Callable[[Batch], Outputs]  # under accelerate's autocast
    accelerator: Any


def start_accelerator(precision: str, trackers: Sequence[str], folder: Path) -> Any:
    """accelerate with the recipe's precision on the best device that there is.

    Raises InputError for fp16 without a GPU, which accelerate does not offer.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # A process may run several recipes (an ablation, a notebook); accelerate keeps the first
    # precision for all of them unless its shared state is cleared.
    AcceleratorState._reset_state()
    mixed = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[precision]
    if mixed == "fp16" and not torch.cuda.is_available():
        raise InputError("training.precision is fp16, which needs a GPU; use bf16 or fp32 here.")
    return Accelerator(
        mixed_precision=mixed,
        log_with=list(trackers) or None,
        project_dir=str(folder) if trackers else None,
    )


def build_engine(model: Model, accelerator: Any) -> Engine:
    model.to(accelerator.device)
    # evaluation_mode: autocast only. Gradients are summed by hand, over the whole effective batch.
    forward = accelerator.prepare_model(model, evaluation_mode=True)
    return Engine(model, forward, accelerator)


def live_features(backbone: Backbone, paths: Sequence[Path]) -> LiveFeatures:
    return LiveFeatures(paths, backbone.encode_images, backbone.fit_image, backbone.rescaling)


def prepare_features(
    splits: Splits,
    backbone: Backbone,
    use_cache: bool,
    skip_unreadable: bool,
    accelerator: Any,
    display: Display,
    shared: SharedParts | None = None,
) -> tuple[Splits, list[Path], dict[str, ImageFeatures]]:
    """Features of every split, from the cache (filled here) or live; and the images left out."""
    paths = list(dict.fromkeys(e.image for e in splits.everything()))
    entries: dict[Path, Any] = {}
    if use_cache:
        folder = cache_folder() / "vision" / backbone.vision_fingerprint()
        entries = (shared or SharedParts()).once(
            ("features", folder, tuple(paths)),
            lambda: _cached_entries(folder, paths, backbone, accelerator, display),
        )
    problems = find_unreadable([p for p in paths if p not in entries], backbone.grid_of_size)
    if not skip_unreadable:
        raise_unreadable(problems)
    dropped = [problem.path for problem in problems]
    bad = set(dropped)
    if use_cache and (lost := [p for p in paths if p not in entries and p not in bad]):
        raise RunError(
            f"The features of {len(lost)} images are gone from '{folder}'; the same command computes "
            "them again."
        )
    if dropped:
        splits = splits.changed(lambda e: None if e.image in bad else e)
    features = {}
    for name in SPLIT_NAMES:
        images = [e.image for e in splits.split(name)]
        features[name] = (
            CachedFeatures([entries[i] for i in images])
            if use_cache
            else live_features(backbone, images)
        )
    return splits, dropped, features


def _cached_entries(
    folder: Path, paths: Sequence[Path], backbone: Backbone, accelerator: Any, display: Display
) -> dict[Path, Any]:
    digests = content_digests(paths)  # an unreadable file has none: the caller finds and names it
    known = open_cache(folder, digests.values())
    new = sorted({d: p for p, d in digests.items() if d not in known}.items())
    if new:
        require_writable(folder, f"{OTHER_CACHE} (or use --no-vision-cache of train and evaluate)")
        display.stage("Vision features", len(new))
        share = new[accelerator.process_index :: accelerator.num_processes]
        fill_cache(
            folder,
            share,
            backbone.encode_images,
            backbone.fit_image,
            lambda count: display.advance(count * accelerator.num_processes),
            backbone.rescaling,
        )
    accelerator.wait_for_everyone()
    if new:
        known |= open_cache(folder, [d for d, _ in new])
    return {path: known[digest] for path, digest in digests.items() if digest in known}


def raise_unreadable(problems: Sequence[UnreadableImageError]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    raise InputError(f"{len(problems)} images cannot be read. The first: {problems[0]}")


def predict_split(
    engine: Engine,
    make_batch: BatchMaker,
    read: Callable[[Outputs], torch.Tensor],
    example_count: int,
    output_shape: tuple[int, ...],
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """What `read` takes from the model's outputs over a whole split, (N, *output_shape) float32.

    Every process does its share of the batches. `advance` hears how many images each batch held.
    """
    accelerator = engine.accelerator
    values = torch.zeros(example_count, *output_shape, device=accelerator.device)
    with torch.inference_mode():
        for number, indices in enumerate(ordered_batches(range(example_count), PREDICTION_BATCH)):
            if number % accelerator.num_processes == accelerator.process_index:
                batch = make_batch(indices).to(accelerator.device)
                outputs = read(engine.forward(batch)).float()
                values[torch.tensor(indices, device=values.device)] = outputs
            advance(len(indices))
    return accelerator.reduce(values, "sum").cpu().numpy()


def require_finite(values: np.ndarray, names: Sequence[str], what: str) -> None:
    """Raise RunError where a row of `values` (N, …) holds a number that is not finite, by its name."""
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        first = names[int(finite.argmin())]
        raise RunError(
            f"The model gives {what} that are not finite for {int((~finite).sum())} of {len(names)} "
            f"images (the first: {first}). Its weights are broken, or its numbers too large for "
            "training.precision; check the backbone's files, or train with fp32 or bf16."
        )


def predict_states(
    engine: Engine,
    make_batch: BatchMaker,
    example_count: int,
    display: Display,
    draws: np.ndarray | None = None,
) -> np.ndarray:
    """What the head reads and every tapped state of a split, (N, 1 + S, D) float32.

    `draws` (N,) in [0, 1) choose the token where a tap takes a random one.
    """

    def make(indices: Sequence[int]) -> Batch:
        batch = make_batch(indices)
        if draws is None:
            return batch
        return replace(batch, draws=torch.from_numpy(draws[list(indices)]).float())

    display.stage("Hidden states", example_count)
    tapped, width = engine.model.tapped_shape
    shape = (1 + tapped, width)
    return predict_split(engine, make, _read_states, example_count, shape, display.advance)


def _read_states(outputs: Outputs) -> torch.Tensor:
    """What the head reads, then the tapped states: (B, 1 + S, D)."""
    states = [outputs.pooled[:, None]] + ([] if outputs.hidden is None else [outputs.hidden])
    return torch.cat(states, dim=1)
