"""Differentiable per-group means, (B,) → (G,), with a mask for absent groups.

B examples, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from fairlora_cls.objectives.scores import Scores


@dataclass(frozen=True)
class GroupStatistic:
    """A mean per group; entries of absent groups are 0 and marked so."""

    values: torch.Tensor  # (G,)
    present: torch.Tensor  # (G,) bool


def group_means(values: torch.Tensor, groups: torch.Tensor, group_count: int) -> GroupStatistic:
    """Mean of `values` (B,) in each group.

    A matrix product with the one-hot codes rather than a scatter, because scatter-add is not
    deterministic on CUDA.
    """
    membership = functional.one_hot(groups, group_count).to(values.dtype)  # (B, G)
    counts = membership.sum(dim=0)
    return GroupStatistic((values @ membership) / counts.clamp(min=1), counts > 0)


def soft_accuracy(scores: Scores) -> GroupStatistic:
    """a_s = mean p(true class) in group s (glaucoma paper eq. 4)."""
    return group_means(scores.true_class_probabilities(), scores.groups, scores.group_count)
