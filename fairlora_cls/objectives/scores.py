"""All that an objective may see, and all that it may say.

B examples of the effective batch, K classes, G groups of an attribute, S tapped states, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional


class NonFiniteScoresError(FloatingPointError):
    """The model's output holds NaN or infinity: no loss of it means anything."""


@dataclass(frozen=True)
class Scores:
    """What the model says of one optimizer step's examples, and what is known of them.

    A classifier gives `logits`, a generator `losses`.
    """

    logits: torch.Tensor | None  # (B, K) float32
    labels: torch.Tensor  # (B,) int64 in [0, K)
    groups: Mapping[str, torch.Tensor]  # protected attribute → (B,) int64 codes in [0, G)
    recorded: Mapping[str, torch.Tensor] = field(default_factory=dict)  # attribute whose dependence
    # is measured → (B,) int64 codes, −1 where the attribute is not recorded
    hidden: torch.Tensor | None = None  # (B, S, D) float32, tapped and pooled over tokens
    losses: torch.Tensor | None = None  # (B,) float32, mean token loss of each text, nats

    def example_losses(self) -> torch.Tensor:
        """Each example's loss, (B,), in nats: its cross-entropy (glaucoma paper eq. 3), or the
        mean next-token loss of its answers (FairLLaVA eq. 4)."""
        if self.losses is not None:
            return self.losses
        return functional.cross_entropy(self.logits, self.labels, reduction="none")

    def true_class_probabilities(self) -> torch.Tensor:
        """p(true class) of each example, (B,): its soft accuracy (glaucoma paper eq. 4)."""
        probabilities = self.logits.softmax(dim=-1)
        return probabilities.gather(1, self.labels[:, None]).squeeze(1)

    def part(self, places: torch.Tensor) -> Scores:
        """The examples at `places` (b,) only."""

        def chosen(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor[places]

        return Scores(
            chosen(self.logits),
            self.labels[places],
            {name: codes[places] for name, codes in self.groups.items()},
            {name: codes[places] for name, codes in self.recorded.items()},
            chosen(self.hidden),
            chosen(self.losses),
        )

    def refuse_non_finite(self) -> None:
        """Raises NonFiniteScoresError, saying where and how many."""
        names = {"logits": "logits", "losses": "token losses", "hidden": "tapped hidden states"}
        for name, what in names.items():
            tensor = getattr(self, name)
            if tensor is not None and not torch.isfinite(tensor).all():
                bad = int((~torch.isfinite(tensor)).reshape(len(tensor), -1).any(dim=1).sum())
                raise NonFiniteScoresError(
                    f"the {what} of {bad} of {len(tensor)} examples are NaN or infinite"
                )


State = Mapping[str, torch.Tensor]  # what an objective remembers between steps, all float32


@dataclass(frozen=True)
class ObjectiveOutput:
    """The number to minimise, the numbers to log, and what to remember for the next step."""

    loss: torch.Tensor  # scalar
    terms: Mapping[str, torch.Tensor] = field(default_factory=dict)  # scalars, detached, unweighted
    state: State = field(default_factory=dict)
