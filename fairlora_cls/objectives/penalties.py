"""How a spread between groups is punished, (G,) → scalar, and the table PENALTIES.

G groups. Absent groups take no part; fewer than two present groups have no spread: exactly 0,
with a zero gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fairlora_cls.objectives.group_statistics import (
    GroupStatistic,
    mean_loss,
    score_distance,
    soft_accuracy,
)

SMOOTHNESS = 0.05  # of the smooth range, in the statistic's unit: differences below it count little


def spread_range(statistic: GroupStatistic) -> torch.Tensor:
    """max_s a_s − min_s a_s over the present groups (glaucoma paper eq. 5: soft MaxAccGap)."""
    present = statistic.values[statistic.present]
    if len(present) < 2:
        return statistic.values.sum() * 0.0
    return present.max() - present.min()


def spread_variance(statistic: GroupStatistic) -> torch.Tensor:
    """(1/G) Σ_s (v_s − mean v)² over the present groups (FairLoRA, Sukumaran et al. 2024)."""
    present = statistic.values[statistic.present]
    if len(present) < 2:
        return statistic.values.sum() * 0.0
    return present.var(correction=0)


def spread_smooth_range(statistic: GroupStatistic) -> torch.Tensor:
    """τ·LME(v/τ) + τ·LME(−v/τ), LME the log-mean-exp: the range with a gradient for every group.

    At most the range, equal to it as τ → 0, and 0 where all groups are equal (the log-sum-exp
    penalty of fairret, Buyl et al. 2024, applied to both ends). τ = SMOOTHNESS.
    """
    present = statistic.values[statistic.present]
    if len(present) < 2:
        return statistic.values.sum() * 0.0
    scaled = present / SMOOTHNESS
    ends = scaled.logsumexp(dim=0) + (-scaled).logsumexp(dim=0)
    return SMOOTHNESS * (ends - 2 * math.log(len(present)))


def shortfall_of_worst(statistic: GroupStatistic) -> torch.Tensor:
    """1 − min_s a_s: minimising it maximises the worst group's accuracy (Rawls's max-min).

    Not a spread: a lone present group is the worst one. 0 where no group is present.
    """
    present = statistic.values[statistic.present]
    if len(present) < 1:
        return statistic.values.sum() * 0.0
    return 1.0 - present.min()


def spread_mean(statistic: GroupStatistic) -> torch.Tensor:
    """(1/G) Σ_s v_s over the present groups, for statistics that are distances already."""
    present = statistic.values[statistic.present]
    if len(present) < 2:
        return statistic.values.sum() * 0.0
    return present.mean()


@dataclass(frozen=True)
class PenaltyKind:
    """A group statistic × a way to punish its spread; `method` is mean cross-entropy + λ times it."""

    method: str
    summary: str
    statistic: Callable[..., GroupStatistic]  # (Scores, codes (B,), G) → GroupStatistic
    spread: Callable[[GroupStatistic], torch.Tensor]
    least_groups: int = 2  # fewer present groups than this leave it 0
    needs_classes: bool = True  # reads class probabilities, which a generator does not have


PENALTIES: Mapping[str, PenaltyKind] = {
    "soft_max_acc_gap": PenaltyKind(
        "fr",
        "mean cross-entropy + λ·soft MaxAccGap (glaucoma paper eq. 4–6)",
        soft_accuracy,
        spread_range,
    ),
    "loss_variance": PenaltyKind(
        "loss-variance",
        "mean cross-entropy + λ·variance of the groups' mean losses (FairLoRA, Sukumaran et al. 2024)",
        mean_loss,
        spread_variance,
        needs_classes=False,
    ),
    "smooth_range": PenaltyKind(
        "smooth-range",
        "mean cross-entropy + λ·log-sum-exp range of soft accuracies (after fairret, Buyl et al. 2024)",
        soft_accuracy,
        spread_smooth_range,
    ),
    "worst_group": PenaltyKind(
        "worst-group",
        "mean cross-entropy + λ·(1 − soft accuracy of the worst group) (max-min fairness)",
        soft_accuracy,
        shortfall_of_worst,
        least_groups=1,
    ),
    "score_distance": PenaltyKind(
        "score-distance",
        "mean cross-entropy + λ·mean energy distance between each group's scores and all (after FairCLIP, Luo et al. 2024 eq. 5)",
        score_distance,
        spread_mean,
    ),
}
