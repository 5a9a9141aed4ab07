"""A trained model over a split → Predictions.

N examples, B examples of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, ordered_batches
from fairlora_cls.data.examples import Example
from fairlora_cls.errors import RunError
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.selection import selection_score


def predict_outputs(
    forward: Callable[[Batch], Any],
    make_batch: Callable[[Sequence[int]], Batch],
    read: Callable[[Any], torch.Tensor],
    example_count: int,
    output_shape: tuple[int, ...],
    batch_size: int,
    accelerator: Any,
    advance: Callable[[int], None],
) -> np.ndarray:
    """What `read` takes from the model's outputs over a whole split, (N, *output_shape) float32.

    Every process does its share of the batches. `advance` hears how many images each batch held.
    """
    values = torch.zeros(example_count, *output_shape, device=accelerator.device)
    with torch.inference_mode():
        for number, indices in enumerate(ordered_batches(range(example_count), batch_size)):
            if number % accelerator.num_processes == accelerator.process_index:
                batch = make_batch(indices).to(accelerator.device)
                values[torch.tensor(indices, device=values.device)] = read(forward(batch)).float()
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


def read_logits(outputs: Any) -> torch.Tensor:
    """The logits (B, K)."""
    return outputs.logits


def read_states(outputs: Any) -> torch.Tensor:
    """What the head reads, then the tapped states: (B, 1 + S, D)."""
    states = [outputs.pooled[:, None]] + ([] if outputs.hidden is None else [outputs.hidden])
    return torch.cat(states, dim=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities (N, K) in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def collect_predictions(
    examples: Sequence[Example],
    logits: np.ndarray,
    classes: tuple[str, ...],
    attributes: Sequence[str],
) -> Predictions:
    """Logits (N, K) and what is known of the examples → a Predictions table."""
    return Predictions(
        ids=tuple(e.id for e in examples),
        labels=np.array([e.label for e in examples], dtype=np.int64),
        predictions=logits.argmax(axis=1),
        probabilities=softmax(logits),
        classes=classes,
        attributes={
            a: np.array([e.attributes.get(a) or "" for e in examples], dtype=object)
            for a in attributes
        },
        positive=len(classes) - 1,
        units=tuple(e.unit for e in examples),
    )


def validation_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, np.ndarray],
    select_by: str,
    gap_bound: float = 1.0,
) -> dict[str, float]:
    """Loss (nats), accuracy, AUROC, the worst group's accuracy and each attribute's MaxAccGap of the
    validation split, and `score`, which decides the best epoch (`selection_score`). Undefined
    values are left out.
    """
    probabilities = softmax(logits)
    predictions = logits.argmax(axis=1)
    picked = probabilities[np.arange(len(labels)), labels]
    correct = predictions == labels
    gaps, worst = {}, {}
    for attribute, codes in groups.items():
        accuracy = np.array([correct[codes == group].mean() for group in np.unique(codes)])
        gaps[f"max_acc_gap/{attribute}"] = float(GAPS["max_acc_gap"].values({"accuracy": accuracy}))
        worst[attribute] = float(accuracy.min())
    values = {
        "loss": float(-np.log(np.maximum(picked, 1e-12)).mean()),
        "accuracy": float(correct.mean()),
        "auroc": float(
            METRICS["auroc"].function(labels, predictions, probabilities, logits.shape[1] - 1)
        ),
        "worst_group_accuracy": min(worst.values(), default=float("nan")),
        **gaps,
    }
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    gap = max((v for k, v in values.items() if k.startswith("max_acc_gap/")), default=0.0)
    return {**values, "score": selection_score(values, gap, select_by, gap_bound)}
