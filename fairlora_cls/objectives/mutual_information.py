"""How much a hidden state tells of an attribute: the demographic attribute classifier and the CLUB bound.

n examples whose attribute is recorded, of B in the batch; D hidden size, K values of the attribute.
All information is in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from fairlora_cls.objectives.base_losses import balancing_weights

MLP_WIDTH = 256  # hidden units of the two-layer classifier; the paper does not give its own
SMOOTHING = 1e-6  # under the root of the smoothed absolute value (FairLLaVA's released code)


def build_linear(hidden_size: int, value_count: int) -> nn.Module:
    """One linear layer (FairLLaVA's released code; the paper's "57K parameters")."""
    return nn.Linear(hidden_size, value_count)


def build_mlp(hidden_size: int, value_count: int) -> nn.Module:
    """A two-layer perceptron (FairLLaVA paper § I.3)."""
    return nn.Sequential(
        nn.Linear(hidden_size, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, value_count)
    )


ATTRIBUTE_CLASSIFIERS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "mlp": build_mlp,
    "linear": build_linear,
}


def value_frequencies(counts: Sequence[int]) -> torch.Tensor:
    """w_k = N / (K·N_k), (K,) float32: the class weights of the paper's classifier loss.

    A value absent from training weighs 0.
    """
    return balancing_weights(counts) * (torch.tensor(list(counts)) > 0)


def club_bound(log_q: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """(1/n) Σ_i [log q(a_i|h_i) − 1/(n−1) Σ_{j≠i} log q(a_j|h_i)], scalar (FairLLaVA eq. 8).

    CLUB (Cheng et al. 2020, eq. 9) with the pairs j = i left out of the negative term. `log_q`
    (n, K), `values` (n,). Exactly 0, with a zero gradient, where there is no negative pair (n < 2)
    or all values are equal. It may be negative.
    """
    n, value_count = log_q.shape
    if n < 2:
        return log_q.sum() * 0.0
    chosen = functional.one_hot(values, value_count)
    # Integers until the division: equal values give exact zeros.
    pairs = n * chosen - chosen.sum(dim=0, keepdim=True)
    return (pairs.to(log_q.dtype) * log_q).sum() / (n * (n - 1))


def club_against_marginal(
    log_q: torch.Tensor, values: torch.Tensor, marginal: torch.Tensor
) -> torch.Tensor:
    """(1/n) Σ_i [log q(a_i|h_i) − Σ_k p(k)·log q(k|h_i)]: CLUB with known frequencies p (K,).

    The batch enters CLUB's negative term through its value counts only, so frequencies remembered
    over steps stand in for them; defined for a batch of one. 0 where n is 0.
    """
    if len(log_q) < 1:
        return log_q.sum() * 0.0
    positive = log_q.gather(1, values[:, None]).mean()
    return positive - (log_q @ marginal).mean()


def smoothed_absolute(bound: torch.Tensor) -> torch.Tensor:
    """√(I² + 1e-6) (FairLLaVA's released code): a negative estimate is pulled back to zero."""
    return (bound.square() + SMOOTHING).sqrt()


def plain(bound: torch.Tensor) -> torch.Tensor:
    """I itself (FairLLaVA paper eq. 10)."""
    return bound


PUNISHMENTS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "plain": plain,
    "smoothed_absolute": smoothed_absolute,
}


def classifier_loss(
    logits: torch.Tensor, values: torch.Tensor, class_weights: torch.Tensor | None
) -> torch.Tensor:
    """Cross-entropy of the attribute classifier (FairLLaVA eq. 7), weighted by value if asked for.

    Σ w_i·ℓ_i / Σ w_i over n examples; 0 where n is 0 or all weigh 0.
    """
    losses = functional.cross_entropy(logits, values, reduction="none")
    if class_weights is None:
        return losses.sum() / max(len(losses), 1)
    weights = class_weights.to(logits.device)[values]
    return (weights * losses).sum() / weights.sum().clamp(min=1e-12)


@dataclass(frozen=True)
class AttributeDependence:
    """λ_a × the dependence between one tapped hidden state and one attribute."""

    attribute: str
    tap: int  # which of the S tapped states
    weight: float  # λ_a
    kind: str  # of DEPENDENCES
    classifier: nn.Module  # (n, D) → (n, K)
    punish: Callable[[torch.Tensor], torch.Tensor] = plain
    class_weights: torch.Tensor | None = None  # (K,)
    classifier_weight: float = 1.0  # of the classifier's own loss
    trains: bool = True  # False: the classifier was trained before and stays as it is
    warmup_steps: int = (
        0  # optimizer steps over which λ_a rises from 0; the classifier trains from the start
    )

    @property
    def value_count(self) -> int:
        """K."""
        return [m for m in self.classifier.modules() if isinstance(m, nn.Linear)][-1].out_features


def classifier_logits(
    dependence: AttributeDependence, hidden: torch.Tensor, *, frozen: bool
) -> torch.Tensor:
    """Logits (n, K); `frozen` cuts the gradient to the classifier, not to `hidden` (n, D)."""
    if not frozen:
        return dependence.classifier(hidden)
    parameters = {n: p.detach() for n, p in dependence.classifier.named_parameters()}
    return torch.func.functional_call(dependence.classifier, parameters, (hidden,))


def mutual_information(
    dependence: AttributeDependence,
    logits: torch.Tensor,
    values: torch.Tensor,
    marginal: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The term to minimise and the CLUB bound to log, nats (FairLLaVA eq. 8 and 10)."""
    log_q = logits.log_softmax(dim=-1)
    if len(values) < (2 if marginal is None else 1):
        nothing = logits.sum() * 0.0  # not √1e-6: there is nothing to punish
        return nothing, nothing
    bound = (
        club_bound(log_q, values)
        if marginal is None
        else club_against_marginal(log_q, values, marginal)
    )
    return dependence.punish(bound), bound


def reversed_classifier_loss(
    dependence: AttributeDependence,
    logits: torch.Tensor,
    values: torch.Tensor,
    marginal: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """−L(classifier): minimising it is gradient reversal (Ganin et al. 2016, eq. 18).

    With a classifier trained before and frozen: FairLLaVA's "Adv. MLP Classifier" baseline. It has
    no lower bound, which is the known weakness of a frozen adversary.
    """
    loss = classifier_loss(logits, values, dependence.class_weights)
    return -loss, -loss


DEPENDENCES: Mapping[str, Callable[..., tuple[torch.Tensor, torch.Tensor]]] = {
    "mutual_information": mutual_information,
    "adversary": reversed_classifier_loss,
}


def measure_dependence(
    dependence: AttributeDependence,
    hidden: torch.Tensor,
    codes: torch.Tensor,
    marginal: torch.Tensor | None,
    warmup_share: torch.Tensor | float = 1.0,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """warmup_share·λ_a·dependence + the classifier's own loss, and the numbers to log.

    `hidden` (B, S, D), `codes` (B,) with −1 where not recorded: those examples take no part. One
    backward gives the gradients of the alternating algorithm (FairLLaVA algorithm 1): the
    dependence runs the classifier with detached parameters, the classifier's loss runs on detached
    hidden states.
    """
    recorded = codes >= 0
    states, values = hidden[recorded, dependence.tap], codes[recorded]
    term, bound = DEPENDENCES[dependence.kind](
        dependence, classifier_logits(dependence, states, frozen=True), values, marginal
    )
    name = dependence.attribute
    numbers = {
        f"{dependence.kind}/{name}": bound.detach(),
        f"{dependence.kind}_examples/{name}": recorded.sum().to(bound.dtype),
    }
    total = warmup_share * dependence.weight * term
    if dependence.trains:
        own = classifier_loss(
            classifier_logits(dependence, states.detach(), frozen=False),
            values,
            dependence.class_weights,
        )
        total = total + dependence.classifier_weight * own
        numbers[f"{dependence.kind}_classifier_loss/{name}"] = own.detach()
    return total, numbers
