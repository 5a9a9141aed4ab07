"""What a model says of one micro-batch.

B examples, K classes, S tapped states, D hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Outputs(NamedTuple):
    """A named tuple, because accelerate looks into those to bring tensors to float32."""

    logits: torch.Tensor | None = None  # (B, K) float32, of a classifier
    losses: torch.Tensor | None = None  # (B,) float32, mean token loss, of a generator
    pooled: torch.Tensor | None = None  # (B, D) float32, what the head reads
    hidden: torch.Tensor | None = None  # (B, S, D) float32, tapped and pooled over tokens
