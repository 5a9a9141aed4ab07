"""Weights of groups and coefficients of examples in the base loss.

B examples, G groups, N training examples. Every base loss is Σ_i c_i·ℓ_i with coefficients c that
depend on labels and groups only, which is why it needs no second pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def clipped_inverse_frequency(counts: Sequence[int], cap: float) -> torch.Tensor:
    """w_s = min(N / N_s, cap), (G,) float32 (glaucoma paper eq. 8, cap 10).

    `counts` are the training split's; a group absent from training gets the cap.
    """
    n = torch.tensor(list(counts), dtype=torch.float64)
    return (n.sum() / n.clamp(min=1e-12)).clamp(max=cap).to(torch.float32)


def mean_coefficients(groups: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = 1 / B: the mean cross-entropy (glaucoma paper eq. 3). `weights` are not used."""
    return torch.full(groups.shape, 1.0 / len(groups), dtype=weights.dtype, device=groups.device)


def group_coefficients(groups: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = w_s / n_s with n_s the group's count in this batch: Σ_s w_s · mean_s (eq. 8)."""
    counts = functional.one_hot(groups, len(weights)).sum(dim=0)
    return weights[groups] / counts[groups]


def example_coefficients(groups: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = w_i / Σ_j w_j: the usual weighted mean."""
    chosen = weights[groups]
    return chosen / chosen.sum()
