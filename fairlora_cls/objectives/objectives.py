"""The objectives: a base loss, any number of penalties and dependences, and the table OBJECTIVES.

B examples of one optimizer step (all micro-batches, all processes), K classes, G groups of an
attribute, S tapped states, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from fairlora_cls.objectives.base_losses import (
    BASES,
    BaseKind,
    balancing_weights,
    clipped_inverse_frequency,
    example_coefficients,
    exponentiated_weights,
)
from fairlora_cls.objectives.group_statistics import average_over_steps, membership
from fairlora_cls.objectives.mutual_information import AttributeDependence, measure_dependence
from fairlora_cls.objectives.penalties import PENALTIES, PenaltyKind
from fairlora_cls.objectives.scores import ObjectiveOutput, Scores, State

STATISTICS = ("effective_batch", "micro_batch", "running")
STEPS = "steps"  # the state's count of optimizer steps, where a warm-up needs it


@dataclass(frozen=True)
class GroupPenalty:
    """λ × a penalty on the groups of one attribute."""

    term: str  # its name in the log, "soft_max_acc_gap/ethnicity"
    weight: float  # λ
    attribute: str
    group_count: int
    kind: PenaltyKind


@dataclass(frozen=True)
class BaseLoss:
    """Σ_i c_i·ℓ_i, the coefficients c averaged over the protected attributes."""

    kind: BaseKind
    group_weights: Mapping[str, torch.Tensor]  # attribute → (G,) w_s, or q_s at the start
    adjustments: Mapping[str, torch.Tensor]  # attribute → (G,) C/√N_s of group DRO
    step_size: float  # η of group DRO

    def coefficients(
        self, scores_groups: Mapping[str, torch.Tensor], losses: torch.Tensor, state: State
    ) -> tuple[torch.Tensor, State]:
        """c (B,) float32, without gradient, and the state after this step."""
        device = losses.device
        if not self.group_weights:
            return self.kind.coefficients(losses, torch.ones(1, device=device)), state
        found = []
        for attribute, weights in self.group_weights.items():
            codes = scores_groups[attribute]
            chosen = weights.to(device)
            if self.kind.robust:
                chosen = exponentiated_weights(
                    losses,
                    codes,
                    state[f"group_dro/{attribute}"].to(device),
                    self.adjustments[attribute].to(device),
                    self.step_size,
                )
                state = {**state, f"group_dro/{attribute}": chosen}
            found.append(self.kind.coefficients(codes, chosen))
        return found[0] if len(found) == 1 else torch.stack(found).mean(dim=0), state


@dataclass(frozen=True)
class Objective:
    """loss = base_weight·Σ_i c_i·ℓ_i + Σ_p λ_p·penalty_p + Σ_a (λ_a·dependence_a + classifier's loss)."""

    base: BaseLoss
    group_counts: Mapping[str, int]  # protected attribute → G
    penalties: tuple[GroupPenalty, ...] = ()
    dependences: tuple[AttributeDependence, ...] = ()
    base_weight: float = 1.0
    statistics: str = "effective_batch"  # of STATISTICS
    decay: float = 0.98  # of running averages, per step

    @property
    def is_separable(self) -> bool:
        """Whether a micro-batch's share of the gradient is known without the others' outputs."""
        remembers = self.statistics == "running" and bool(self.penalties)
        couples = bool(self.penalties) and self.statistics != "micro_batch"
        return not (self.dependences or self.base.kind.robust or remembers or couples)

    def initial_state(self, device: torch.device) -> State:
        """What is remembered before the first step."""
        state = {}
        if self.base.kind.robust:
            for attribute, weights in self.base.group_weights.items():
                state[f"group_dro/{attribute}"] = weights / weights.sum()
        if self.statistics == "running":
            for penalty in self.penalties:
                state[f"running/{penalty.term}"] = torch.zeros(2, penalty.group_count)
            for dependence in self.dependences:
                state[_marginal_name(dependence)] = torch.zeros(dependence.value_count)
        if any(dependence.warmup_steps for dependence in self.dependences):
            state[STEPS] = torch.zeros(())
        return {name: tensor.to(device) for name, tensor in state.items()}

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the attribute classifiers that this objective trains."""
        for dependence in self.dependences:
            if dependence.trains:
                for name, parameter in dependence.classifier.named_parameters():
                    yield f"{dependence.kind}/{dependence.attribute}/{name}", parameter

    def __call__(
        self, scores: Scores, state: State, parts: Sequence[torch.Tensor] = ()
    ) -> ObjectiveOutput:
        """Loss of one whole effective batch. Inputs are not modified.

        `parts` are the step's micro-batches, positions (b,) each; read under `micro_batch`
        statistics only, where the loss is Σ_j (b_j / B)·loss of micro-batch j. Raises
        NonFiniteScoresError.
        """
        scores.refuse_non_finite()
        output = self._evaluate_step(scores, state, parts)
        if STEPS not in output.state:
            return output
        return replace(output, state={**output.state, STEPS: output.state[STEPS] + 1})

    def _evaluate_step(
        self, scores: Scores, state: State, parts: Sequence[torch.Tensor]
    ) -> ObjectiveOutput:
        if self.statistics != "micro_batch" or len(parts) <= 1:
            return self._evaluate(scores, state)
        shares = [len(places) / len(scores.labels) for places in parts]
        outputs = []
        for places in parts:
            outputs.append(self._evaluate(scores.part(places), state))
            state = outputs[-1].state
        loss = sum(share * out.loss for share, out in zip(shares, outputs, strict=True))
        terms = {
            name: sum(share * out.terms[name] for share, out in zip(shares, outputs, strict=True))
            for name in outputs[0].terms
        }
        return ObjectiveOutput(loss, terms, state)

    def separable_share(
        self,
        scores: Scores,
        places: torch.Tensor,
        step_labels: torch.Tensor,
        step_groups: Mapping[str, torch.Tensor],
    ) -> torch.Tensor:
        """A micro-batch's share of the loss of a separable objective, scalar.

        `scores` are the micro-batch's own, `places` (b,) its positions in the step, `step_labels`
        and `step_groups` the labels and codes (B,) of the whole step.
        """
        if self.statistics == "micro_batch":
            return self._evaluate(scores, {}).loss * (len(places) / len(step_labels))
        unread = torch.zeros(len(step_labels), device=step_labels.device)
        coefficients, _ = self.base.coefficients(step_groups, unread, {})
        return self.base_weight * (coefficients[places] * scores.example_losses()).sum()

    def _evaluate(self, scores: Scores, state: State) -> ObjectiveOutput:
        losses = scores.example_losses()
        coefficients, state = self.base.coefficients(scores.groups, losses, state)
        base = (coefficients * losses).sum()
        loss, terms = self.base_weight * base, {"base_loss": base.detach()}
        state = dict(state)
        for penalty in self.penalties:
            codes = scores.groups[penalty.attribute]
            statistic = penalty.kind.statistic(scores, codes, penalty.group_count)
            if self.statistics == "running":
                key = f"running/{penalty.term}"
                statistic, state[key] = average_over_steps(statistic, state[key], self.decay)
            value = penalty.kind.spread(statistic)
            loss = loss + penalty.weight * value
            terms[penalty.term] = value.detach()
            active = statistic.present.sum() >= penalty.kind.least_groups
            terms[f"{penalty.term}_active"] = active.to(losses.dtype)
        for dependence in self.dependences:
            codes = scores.recorded[dependence.attribute]
            marginal = None
            if self.statistics == "running":
                key = _marginal_name(dependence)
                counts = membership(codes, dependence.value_count).sum(dim=0)
                state[key] = self.decay * state[key] + counts
                marginal = state[key] / state[key].sum().clamp(min=1e-30)
            warmup_share = 1.0
            if dependence.warmup_steps:
                warmup_share = ((state[STEPS] + 1) / dependence.warmup_steps).clamp(max=1)
            value, numbers = measure_dependence(
                dependence, scores.hidden, codes, marginal, warmup_share
            )
            loss = loss + value
            terms |= numbers
        return ObjectiveOutput(loss, terms, state)


def _marginal_name(dependence: AttributeDependence) -> str:
    return f"marginal/{dependence.kind}/{dependence.attribute}"


@dataclass(frozen=True)
class Preset:
    """A named composition: what `--method` chooses."""

    summary: str
    base: str = "mean"  # of BASES
    penalty: str | None = None  # of PENALTIES
    dependence: str | None = None  # of DEPENDENCES
    sampler: str | None = None  # of SAMPLERS, unless the recipe names one
    trains: bool = True


# Every base loss and every penalty is a method; what combines them is listed.
OBJECTIVES: dict[str, Preset] = {
    **{kind.method: Preset(kind.summary, base=name) for name, kind in BASES.items()},
    **{kind.method: Preset(kind.summary, penalty=name) for name, kind in PENALTIES.items()},
    "hybrid": Preset(
        "gr + λ·soft MaxAccGap (glaucoma paper eq. 9)", "group_weighted", "soft_max_acc_gap"
    ),
    "resampling": Preset(
        "mean cross-entropy over groups sampled alike (FairLLaVA's baseline)", sampler="balanced"
    ),
    "adversarial": Preset(
        "mean cross-entropy − λ·the attribute classifier's loss (Ganin et al. 2016; FairLLaVA's baseline)",
        dependence="adversary",
    ),
    "zero-shot": Preset("no training (glaucoma paper Table 1)", trains=False),
}


def build_objective(
    method: str,
    group_counts: Mapping[str, Sequence[int]],
    *,
    weight_cap: float = 10.0,
    gap_weight: float = 0.5,
    weighting: str = "group",
    penalties: Mapping[str, float] | None = None,
    dependences: Sequence[AttributeDependence] = (),
    base_weight: float = 1.0,
    statistics: str = "effective_batch",
    decay: float = 0.98,
    dro_step_size: float = 0.01,
    dro_adjustment: float = 1.0,
) -> Objective:
    """The objective named `method` for the protected attributes, each with its training counts (G,).

    `gap_weight` is λ of the method's own penalty, `penalties` are joined to it; each applies to
    every protected attribute. What has λ = 0 is left out, so that the loss equals the base loss
    bit for bit. `weighting` of gr and hybrid: `group` (eq. 8) or `example` (Σ w_i ℓ_i / Σ w_i).
    """
    preset = OBJECTIVES[method]
    kind = BASES[preset.base]
    weights: dict[str, torch.Tensor] = {}
    if preset.base == "group_weighted":
        weights = {a: clipped_inverse_frequency(n, weight_cap) for a, n in group_counts.items()}
        if weighting == "example":
            kind = replace(kind, coefficients=example_coefficients)
    elif preset.base == "balanced":
        weights = {a: balancing_weights(n) for a, n in group_counts.items()}
    elif preset.base == "group_dro":
        weights = {a: torch.ones(len(n)) for a, n in group_counts.items()}
    sizes = {a: torch.tensor(list(n), dtype=torch.float32) for a, n in group_counts.items()}
    base = BaseLoss(
        kind,
        weights,
        {a: dro_adjustment / n.clamp(min=1).sqrt() for a, n in sizes.items()},
        dro_step_size,
    )
    chosen = {preset.penalty: gap_weight} if preset.penalty else {}
    for name, weight in (penalties or {}).items():
        chosen[name] = chosen.get(name, 0.0) + weight
    return Objective(
        base,
        {attribute: len(counts) for attribute, counts in group_counts.items()},
        tuple(
            GroupPenalty(f"{name}/{attribute}", weight, attribute, len(counts), PENALTIES[name])
            for name, weight in chosen.items()
            if weight != 0
            for attribute, counts in group_counts.items()
        ),
        tuple(d for d in dependences if d.weight != 0),
        base_weight,
        statistics,
        decay,
    )
