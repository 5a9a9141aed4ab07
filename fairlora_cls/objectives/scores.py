"""All that an objective may see, and all that it may say.

B examples of the effective batch, K classes, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Scores:
    """What the model says of one optimizer step's examples."""

    logits: torch.Tensor  # (B, K) float32
    labels: torch.Tensor  # (B,) int64 in [0, K)
    groups: torch.Tensor  # (B,) int64 in [0, G)
    group_count: int  # G, groups that may be absent from this batch included

    def example_losses(self) -> torch.Tensor:
        """Cross-entropy of each example, (B,), in nats (glaucoma paper eq. 3)."""
        return functional.cross_entropy(self.logits, self.labels, reduction="none")

    def true_class_probabilities(self) -> torch.Tensor:
        """p(true class) of each example, (B,): its soft accuracy (glaucoma paper eq. 4)."""
        probabilities = self.logits.softmax(dim=-1)
        return probabilities.gather(1, self.labels[:, None]).squeeze(1)


@dataclass(frozen=True)
class ObjectiveOutput:
    """The number to minimise, and the numbers to log."""

    loss: torch.Tensor  # scalar
    terms: Mapping[str, torch.Tensor] = field(default_factory=dict)  # scalars, detached, unweighted
