"""A trained model over a split → Predictions.

N examples, B examples of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from fairlora_cls.data.batching import Batch, ordered_batches
from fairlora_cls.data.examples import Example
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions


def predict_logits(
    forward: Callable[[Batch], torch.Tensor],
    make_batch: Callable[[Sequence[int]], Batch],
    example_count: int,
    class_count: int,
    batch_size: int,
    accelerator: Any,
    advance: Callable[[int], None],
) -> np.ndarray:
    """Logits (N, K) float32 of a whole split, every process doing its share of the batches.

    `advance` hears how many images each batch held.
    """
    logits = torch.zeros(example_count, class_count, device=accelerator.device)
    with torch.inference_mode():
        for number, indices in enumerate(ordered_batches(range(example_count), batch_size)):
            if number % accelerator.num_processes == accelerator.process_index:
                batch = make_batch(indices).to(accelerator.device)
                logits[torch.tensor(indices, device=logits.device)] = forward(batch).float()
            advance(len(indices))
    return accelerator.reduce(logits, "sum").cpu().numpy()


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
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, select_by: str
) -> dict[str, float]:
    """Loss (nats), accuracy, AUROC and MaxAccGap of the validation split, and `score`.

    `score` decides the best epoch, higher is better: the metric named by `select_by`, or minus
    the loss where that is asked for or the AUROC is undefined (one class only). Undefined values
    are left out.
    """
    probabilities = softmax(logits)
    predictions = logits.argmax(axis=1)
    picked = probabilities[np.arange(len(labels)), labels]
    accuracy = [(predictions == labels)[groups == g].mean() for g in np.unique(groups)]
    values = {
        "loss": float(-np.log(np.maximum(picked, 1e-12)).mean()),
        "accuracy": float((predictions == labels).mean()),
        "auroc": float(
            METRICS["auroc"].function(labels, predictions, probabilities, logits.shape[1] - 1)
        ),
        "max_acc_gap": float(GAPS["max_acc_gap"].values({"accuracy": np.array(accuracy)})),
    }
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    score = -values["loss"] if select_by == "loss" or select_by not in values else values[select_by]
    return {**values, "score": score}
