"""The base losses Σ_i c_i·ℓ_i: how much each example's cross-entropy counts, and the table BASES.

B examples, G groups, N training examples, N_s of them in group s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from fairlora_cls.objectives.group_statistics import group_means, membership


def clipped_inverse_frequency(counts: Sequence[int], cap: float) -> torch.Tensor:
    """w_s = min(N / N_s, cap), (G,) float32 (glaucoma paper eq. 8, cap 10).

    `counts` are the training split's; a group absent from training gets the cap.
    """
    n = torch.tensor(list(counts), dtype=torch.float64)
    return (n.sum() / n.clamp(min=1e-12)).clamp(max=cap).to(torch.float32)


def balancing_weights(counts: Sequence[int]) -> torch.Tensor:
    """w_s = N / (G·N_s), (G,) float32: mean weight 1 over the training split, groups weigh alike.

    Kamiran and Calders 2012 § 4.2 with the attribute alone; the reweighting baseline of FairLLaVA.
    G counts the groups of the training split; a group absent from it weighs 1.
    """
    n = torch.tensor(list(counts), dtype=torch.float64)
    weights = n.sum() / ((n > 0).sum() * n.clamp(min=1))
    return torch.where(n > 0, weights, 1.0).to(torch.float32)


def mean_coefficients(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = 1 / B: the mean cross-entropy (glaucoma paper eq. 3). `weights` are not used."""
    return torch.full(codes.shape, 1.0 / len(codes), dtype=weights.dtype, device=codes.device)


def group_coefficients(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = w_s / n_s with n_s the group's count in this batch: Σ_s w_s · mean_s (eq. 8)."""
    counts = membership(codes, len(weights)).sum(dim=0)
    return weights[codes] / counts[codes]


def example_coefficients(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = w_i / Σ_j w_j: the usual weighted mean."""
    chosen = weights[codes]
    return chosen / chosen.sum()


def batch_coefficients(codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """c_i = w_i / B: each example's loss times its weight, then the mean."""
    return weights[codes] / len(codes)


def exponentiated_weights(
    losses: torch.Tensor,
    codes: torch.Tensor,
    weights: torch.Tensor,
    adjustment: torch.Tensor,
    step_size: float,
) -> torch.Tensor:
    """q_s ∝ q_s·exp(η·(L_s + C/√N_s)), (G,), for the groups in this batch (group DRO, algorithm 1).

    Sagawa et al. 2020; the adjustment C/√N_s (G,) is their § 3.3. `weights` are the q (G,) of the
    step before. Absent groups keep theirs until all are scaled to sum 1.
    """
    means = group_means(losses.detach(), codes, len(weights))
    exponent = step_size * (means.values + adjustment) * means.present
    grown = weights * exponent.exp()
    return grown / grown.sum()


@dataclass(frozen=True)
class BaseKind:
    """A base loss; `method` is it alone."""

    method: str
    summary: str
    coefficients: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # codes, (G,) → (B,)
    robust: bool = False  # group DRO: the weights follow the groups' losses


BASES: Mapping[str, BaseKind] = {
    "mean": BaseKind("vanilla", "mean cross-entropy (glaucoma paper eq. 3)", mean_coefficients),
    "group_weighted": BaseKind(
        "gr", "clipped inverse-frequency group weights (glaucoma paper eq. 8)", group_coefficients
    ),
    "balanced": BaseKind(
        "reweighting",
        "each example's loss × N / (G·N_s) (Kamiran and Calders 2012; FairLLaVA's baseline)",
        batch_coefficients,
    ),
    "group_dro": BaseKind(
        "group-dro",
        "Σ_s q_s·mean cross-entropy in group s, q exponentiated (Sagawa et al. 2020, with C/√N_s)",
        group_coefficients,
        robust=True,
    ),
}
