"""Trains attribute classifiers on the states of the frozen model, before anything else is trained.

N training examples, S tapped states, D hidden size.
"""

from __future__ import annotations

import numpy as np
import torch

from fairlora_cls.data.batching import shuffled_steps
from fairlora_cls.objectives.mutual_information import (
    AttributeDependence,
    classifier_logits,
    classifier_loss,
)


def pretrain_attribute_classifier(
    dependence: AttributeDependence,
    hidden: torch.Tensor,
    codes: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> float:
    """Train in place with AdamW, then freeze; the last epoch's mean loss in nats.

    `hidden` (N, S, D) float32, `codes` (N,) with −1 where not recorded, which are left out. The
    `pretrained` mode of FairLLaVA's supplement § I.3 and its adversarial baseline.
    """
    recorded = np.flatnonzero(codes >= 0)
    values = torch.from_numpy(codes).to(hidden.device)
    parameters = list(dependence.classifier.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate)
    mean = float("nan")
    for epoch in range(epochs):
        losses = []
        for step in shuffled_steps(recorded, batch_size, seed, epoch):
            chosen = torch.from_numpy(recorded[step]).to(hidden.device)
            logits = classifier_logits(dependence, hidden[chosen, dependence.tap], frozen=False)
            loss = classifier_loss(logits, values[chosen], dependence.class_weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None
    return mean
