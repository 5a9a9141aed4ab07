"""Differentiable statistics of each group, (B,) → (G,), with a mask for absent groups.

B examples, K classes, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fairlora_cls.objectives.scores import Scores


@dataclass(frozen=True)
class GroupStatistic:
    """A number per group; entries of absent groups are 0 and marked so."""

    values: torch.Tensor  # (G,)
    present: torch.Tensor  # (G,) bool
    counts: torch.Tensor  # (G,) float, examples behind each value


def membership(codes: torch.Tensor, group_count: int) -> torch.Tensor:
    """(B, G) bool: which example is in which group; a code of −1 is in none."""
    return codes[:, None] == torch.arange(group_count, device=codes.device)


def group_means(values: torch.Tensor, codes: torch.Tensor, group_count: int) -> GroupStatistic:
    """Mean of `values` (B,) in each group.

    A matrix product with the one-hot codes rather than a scatter, because scatter-add is not
    deterministic on CUDA.
    """
    members = membership(codes, group_count).to(values.dtype)
    counts = members.sum(dim=0)
    return GroupStatistic((values @ members) / counts.clamp(min=1), counts > 0, counts)


def soft_accuracy(scores: Scores, codes: torch.Tensor, group_count: int) -> GroupStatistic:
    """a_s = mean p(true class) in group s (glaucoma paper eq. 4)."""
    return group_means(scores.true_class_probabilities(), codes, group_count)


def mean_loss(scores: Scores, codes: torch.Tensor, group_count: int) -> GroupStatistic:
    """Mean cross-entropy in group s, nats."""
    return group_means(scores.example_losses(), codes, group_count)


def score_distance(scores: Scores, codes: torch.Tensor, group_count: int) -> GroupStatistic:
    """Energy distance between a group's predicted distributions and everybody's, in [0, 2].

    2·E d(x, y) − E d(x, x') − E d(y, y') with x from the group, y from the whole batch and d the
    total variation distance of two class distributions (Székely and Rizzo 2013, eq. 3; comparing
    each group's scores with all scores is FairCLIP's idea, Luo et al. 2024 eq. 5). Blind to the
    labels, as demographic parity is.
    """
    probabilities = scores.logits.softmax(dim=-1)
    distances = (probabilities[:, None] - probabilities[None]).abs().sum(dim=-1) / 2  # (B, B)
    members = membership(codes, group_count).to(distances.dtype)
    counts = members.sum(dim=0)
    shares = members / counts.clamp(min=1)  # (B, G), a column sums to 1
    across = shares.T @ distances.mean(dim=1)
    within = ((distances @ shares) * shares).sum(dim=0)
    overall = distances.mean()
    present = counts > 0
    return GroupStatistic((2 * across - within - overall) * present, present, counts)


def average_over_steps(
    statistic: GroupStatistic, memory: torch.Tensor, decay: float
) -> tuple[GroupStatistic, torch.Tensor]:
    """Replace values by their exponential average over steps; returns the new memory too.

    `memory` (2, G): each group's average, and the weight of the examples behind it; a step old,
    an example weighs `decay` times as much. Groups absent from this step keep their average, so
    that they can still be the best or the worst.

    The gradient is that of this step's values, each times the group's share of the step over its
    share of the remembered examples. In expectation over the steps that is the gradient of the
    group's mean over all of its examples (the estimator of Horvitz and Thompson 1952): without it,
    a group that is there in a third of the steps would be raised a third as much as the others are
    lowered.
    """
    average, weight = memory
    counts = statistic.counts
    grown = decay * weight + counts
    share = counts / grown.clamp(min=1e-30)
    average = average + share * (statistic.values.detach() - average)
    # A group once seen stays seen, however long ago.
    grown = torch.where((weight > 0) & (grown < 1e-30), torch.full_like(grown, 1e-30), grown)
    rarity = share * grown.sum() / counts.sum().clamp(min=1e-30)
    gradient = rarity * (statistic.values - statistic.values.detach())
    remembered = GroupStatistic(average + gradient, grown > 0, statistic.counts)
    return remembered, torch.stack([average, grown])
