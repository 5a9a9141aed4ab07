"""The objectives: a base loss and any number of penalties, and the table OBJECTIVES.

B examples of one optimizer step (all micro-batches, all processes), K classes, G groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from fairlora_cls.objectives.group_statistics import GroupStatistic, soft_accuracy
from fairlora_cls.objectives.penalties import spread_range
from fairlora_cls.objectives.scores import ObjectiveOutput, Scores
from fairlora_cls.objectives.weights import (
    clipped_inverse_frequency,
    example_coefficients,
    group_coefficients,
    mean_coefficients,
)

WEIGHTINGS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "group": group_coefficients,
    "example": example_coefficients,
}


@dataclass(frozen=True)
class Penalty:
    """λ × a way to punish the spread of a group statistic."""

    name: str  # of the logged term
    weight: float  # λ
    statistic: Callable[[Scores], GroupStatistic]
    spread: Callable[[GroupStatistic], torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """loss = Σ_i c_i·ℓ_i + Σ_p λ_p·penalty_p."""

    coefficients: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (B,), (G,) → (B,)
    group_weights: torch.Tensor  # (G,) float32
    penalties: tuple[Penalty, ...]

    @property
    def group_count(self) -> int:
        return len(self.group_weights)

    @property
    def couples_examples(self) -> bool:
        """Whether an example's gradient depends on other examples' logits."""
        return bool(self.penalties)

    def base_coefficients(self, groups: torch.Tensor) -> torch.Tensor:
        """c_i of the base loss Σ c_i·ℓ_i, (B,) float32, for the groups (B,) of a whole step."""
        return self.coefficients(groups, self.group_weights.to(groups.device))

    def __call__(self, scores: Scores) -> ObjectiveOutput:
        """Loss of one whole effective batch. Inputs are not modified."""
        base = (self.base_coefficients(scores.groups) * scores.example_losses()).sum()
        loss, terms = base, {"base_loss": base.detach()}
        for penalty in self.penalties:
            value = penalty.spread(penalty.statistic(scores))
            loss = loss + penalty.weight * value
            terms[penalty.name] = value.detach()
        return ObjectiveOutput(loss, terms)


@dataclass(frozen=True)
class Preset:
    """A named composition."""

    summary: str
    group_weighted: bool
    penalty: str | None  # of PENALTIES
    trains: bool = True


PENALTIES = {"soft_max_acc_gap": (soft_accuracy, spread_range)}

OBJECTIVES: dict[str, Preset] = {
    "vanilla": Preset("mean cross-entropy (glaucoma paper eq. 3)", False, None),
    "fr": Preset("mean cross-entropy + λ·soft MaxAccGap (eq. 4–6)", False, "soft_max_acc_gap"),
    "gr": Preset("clipped inverse-frequency group weights (eq. 8)", True, None),
    "hybrid": Preset("gr + λ·soft MaxAccGap (eq. 9)", True, "soft_max_acc_gap"),
    "zero-shot": Preset("no training (Table 1)", False, None, trains=False),
}


def build_objective(
    method: str,
    group_counts: Sequence[int],
    *,
    weight_cap: float = 10.0,
    gap_weight: float = 0.5,
    weighting: str = "group",
) -> Objective:
    """The objective named `method` for groups of the given training sizes, (G,).

    `gap_weight` is λ; at λ = 0 the penalty is left out, so that the loss equals the base loss bit
    for bit. `weighting`: `group` (eq. 8) or `example` (Σ w_i ℓ_i / Σ w_i).
    """
    preset = OBJECTIVES[method]
    penalties = ()
    if preset.penalty is not None and gap_weight != 0:
        penalties = (Penalty(preset.penalty, gap_weight, *PENALTIES[preset.penalty]),)
    coefficients = WEIGHTINGS[weighting] if preset.group_weighted else mean_coefficients
    return Objective(coefficients, clipped_inverse_frequency(group_counts, weight_cap), penalties)
