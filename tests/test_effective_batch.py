"""The gradient of a whole effective batch, however it is cut."""

import numpy as np
import pytest
import torch
from torch import nn

from fairlora_cls.objectives.objectives import OBJECTIVES, build_objective
from fairlora_cls.objectives.scores import Scores
from fairlora_cls.training.effective_batch import (
    MicroBatch,
    backward_effective_batch,
    mask_seed,
    sum_gradients,
)

TRAINED = [name for name, preset in OBJECTIVES.items() if preset.trains]
COUNTS = (90, 4, 6)


def network(dropout: float) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3))


def step_data(step: int, size: int = 8):
    generator = torch.Generator().manual_seed(100 + step)
    return (
        torch.randn(size, 5, generator=generator),
        torch.randint(3, (size,), generator=generator),
        torch.randint(3, (size,), generator=generator),
    )


def share(inputs, step, size):
    places = torch.arange(len(inputs)).split(size)
    return [MicroBatch(p, mask_seed(1, step, j), inputs[p]) for j, p in enumerate(places)]


def alone(tensor):
    return tensor


def train_steps(name, micro_batch, dropout=0.0, steps=4, size=8):
    model = network(dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    objective = build_objective(name, COUNTS)
    for step in range(steps):
        inputs, labels, groups = step_data(step, size)
        backward_effective_batch(
            model,
            torch.Tensor.backward,
            alone,
            objective,
            share(inputs, step, micro_batch),
            labels,
            groups,
            3,
        )
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
def test_micro_batches_give_the_same_parameters(name, micro_batch):
    whole = train_steps(name, 8)
    assert not torch.equal(whole, train_steps(name, 8, steps=0))
    torch.testing.assert_close(train_steps(name, micro_batch), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_an_uneven_last_batch(name):
    torch.testing.assert_close(
        train_steps(name, 2, size=5), train_steps(name, 8, size=5), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", TRAINED)
def test_with_dropout_two_passes_equal_one_graph_over_the_same_masks(name):
    inputs, labels, groups = step_data(0)
    objective = build_objective(name, COUNTS)
    model = network(dropout=0.5)
    parts = share(inputs, 0, 2)
    output, logits = backward_effective_batch(
        model, torch.Tensor.backward, alone, objective, parts, labels, groups, 3
    )
    two_pass = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    graphs = []
    for part in parts:
        torch.manual_seed(part.seed)
        graphs.append(model(part.batch))
    loss = objective(Scores(torch.cat(graphs), labels, groups, 3)).loss
    loss.backward()
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(logits, torch.cat(graphs).detach())
    for ours, one_graph in zip(two_pass, model.parameters(), strict=True):
        torch.testing.assert_close(ours, one_graph.grad, rtol=1e-4, atol=1e-6)


def test_summed_micro_batch_penalties_would_be_something_else():
    """The reason for all this: the sum of micro-batch penalties is another gradient."""
    inputs, labels, groups = step_data(0)
    objective = build_objective("fr", COUNTS, gap_weight=5.0)
    model = network(0.0)
    backward_effective_batch(
        model, torch.Tensor.backward, alone, objective, share(inputs, 0, 2), labels, groups, 3
    )
    exact = model[0].weight.grad.clone()
    model.zero_grad()
    for part in share(inputs, 0, 2):
        scores = Scores(model(part.batch), labels[part.places], groups[part.places], 3)
        (objective(scores).loss / 4).backward()
    assert (exact - model[0].weight.grad).abs().max() > 1e-3


@pytest.mark.parametrize("name", TRAINED)
def test_two_shares_sum_to_the_whole(name):
    """Two processes, played one after the other: logits and gradients are sums of their parts."""
    inputs, labels, groups = step_data(0)
    objective = build_objective(name, COUNTS)
    model = network(dropout=0.5)
    parts = share(inputs, 0, 2)
    backward_effective_batch(
        model, torch.Tensor.backward, alone, objective, parts, labels, groups, 3
    )
    whole = [p.grad.clone() for p in model.parameters()]

    def logits_of(share_of_one):
        seen = []
        model.zero_grad()
        backward_effective_batch(
            model,
            torch.Tensor.backward,
            lambda t: seen.append(t) or t,
            objective,
            share_of_one,
            labels,
            groups,
            3,
        )
        return seen[0]

    halves = [parts[0::2], parts[1::2]]
    total = logits_of(halves[0]) + logits_of(halves[1])
    gradients = []
    for half in halves:
        model.zero_grad()
        backward_effective_batch(
            model, torch.Tensor.backward, lambda t: total, objective, half, labels, groups, 3
        )
        gradients.append([p.grad.clone() for p in model.parameters()])
    for first, second, expected in zip(*gradients, whole, strict=True):
        torch.testing.assert_close(first + second, expected, rtol=1e-4, atol=1e-6)


def test_a_process_without_a_share_contributes_zeros():
    model = network(0.0)
    sum_gradients(list(model.parameters()), alone)
    assert all((p.grad == 0).all() for p in model.parameters())


def test_mask_seeds_differ_and_repeat():
    seeds = {mask_seed(s, t, j) for s in range(3) for t in range(5) for j in range(4)}
    assert len(seeds) == 60
    assert mask_seed(1, 2, 3) == mask_seed(1, 2, 3)
    assert all(0 <= s < 2**63 for s in seeds)
    assert isinstance(np.int64(max(seeds)), np.int64)
