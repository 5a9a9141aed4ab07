"""Objectives against hand-computed cases, plain loops and finite differences."""

import math

import pytest
import torch

from fairlora_cls.objectives.group_statistics import group_means
from fairlora_cls.objectives.objectives import OBJECTIVES, PENALTIES, WEIGHTINGS, build_objective
from fairlora_cls.objectives.penalties import spread_range
from fairlora_cls.objectives.scores import Scores
from fairlora_cls.objectives.weights import clipped_inverse_frequency

TRAINED = [name for name, preset in OBJECTIVES.items() if preset.trains]
COUNTS = (903, 43, 54)


def random_scores(examples=8, classes=3, groups=3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return Scores(
        torch.randn(examples, classes, generator=generator, dtype=dtype),
        torch.randint(classes, (examples,), generator=generator),
        torch.randint(groups, (examples,), generator=generator),
        groups,
    )


def logits_for(probabilities):
    """Two-class logits whose softmax gives these probabilities of class 1."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()], dim=1)


# By hand: labels 1, 1, 0, 1; p(class 1) = .8, .6, .3, .9, so p(true) = .8, .6, .7, .9.
HAND = Scores(
    logits_for([0.8, 0.6, 0.3, 0.9]), torch.tensor([1, 1, 0, 1]), torch.tensor([0, 0, 1, 2]), 4
)
LOSSES = [-math.log(p) for p in (0.8, 0.6, 0.7, 0.9)]
# Group 0: a = .7, group 1: .7, group 2: .9; group 3 is absent. Gap .2.


def test_vanilla_by_hand():
    assert build_objective("vanilla", (2, 1, 1, 1))(HAND).loss.item() == pytest.approx(
        sum(LOSSES) / 4
    )


def test_fr_by_hand():
    output = build_objective("fr", (2, 1, 1, 1), gap_weight=0.5)(HAND)
    assert output.terms["soft_max_acc_gap"].item() == pytest.approx(0.2, abs=1e-6)
    assert output.loss.item() == pytest.approx(sum(LOSSES) / 4 + 0.5 * 0.2, abs=1e-6)


def test_gr_by_hand():
    # N = 1000: w = 1000/500 = 2, 1000/400 = 2.5, 1000/50 = 20 → 10, 1000/50 → 10.
    output = build_objective("gr", (500, 400, 50, 50))(HAND)
    expected = 2 * (LOSSES[0] + LOSSES[1]) / 2 + 2.5 * LOSSES[2] + 10 * LOSSES[3]
    assert output.loss.item() == pytest.approx(expected, rel=1e-6)


def test_gr_with_example_weighting_by_hand():
    output = build_objective("gr", (500, 400, 50, 50), weighting="example")(HAND)
    weights = [2, 2, 2.5, 10]
    expected = sum(w * loss for w, loss in zip(weights, LOSSES, strict=True)) / sum(weights)
    assert output.loss.item() == pytest.approx(expected, rel=1e-6)


def test_hybrid_is_gr_plus_the_gap():
    gr = build_objective("gr", (500, 400, 50, 50))(HAND).loss
    hybrid = build_objective("hybrid", (500, 400, 50, 50), gap_weight=2.0)(HAND).loss
    assert hybrid.item() == pytest.approx(gr.item() + 2.0 * 0.2, rel=1e-6)


def test_weights_of_the_glaucoma_paper():
    """facts/golden.md: fractions .903, .043, .054 give 1.107, 23.3 → 10, 18.5 → 10."""
    assert clipped_inverse_frequency(COUNTS, 10).tolist() == pytest.approx(
        [1.107, 10, 10], abs=5e-4
    )
    assert clipped_inverse_frequency(COUNTS, 100).tolist() == pytest.approx(
        [1.107, 23.26, 18.52], abs=5e-3
    )


def test_a_group_absent_from_training_gets_the_cap():
    assert clipped_inverse_frequency((10, 0), 10).tolist() == [1, 10]


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("examples", [1, 2, 7])
def test_contract_finite_scalar_and_gradient_reaches_every_example(name, examples):
    scores = random_scores(examples)
    before = scores.logits.clone()
    leaf = scores.logits.clone().requires_grad_()
    output = build_objective(name, COUNTS)(Scores(leaf, scores.labels, scores.groups, 3))
    output.loss.backward()
    assert output.loss.shape == ()
    assert torch.isfinite(output.loss)
    assert (leaf.grad.abs().sum(dim=1) > 0).all()
    assert torch.equal(scores.logits, before)
    assert not any(term.requires_grad for term in output.terms.values())


@pytest.mark.parametrize("name", TRAINED)
def test_contract_agrees_with_plain_loops(name):
    scores = random_scores(examples=11, seed=3)
    probabilities = scores.logits.softmax(1).tolist()
    labels, groups = scores.labels.tolist(), scores.groups.tolist()
    losses = [-math.log(p[y]) for p, y in zip(probabilities, labels, strict=True)]
    weights = [min(sum(COUNTS) / n, 10) for n in COUNTS]
    loss = sum(losses) / len(losses)
    if name in ("gr", "hybrid"):
        loss = 0.0
        for s in set(groups):
            own = [losses[i] for i in range(11) if groups[i] == s]
            loss += weights[s] * sum(own) / len(own)
    if name in ("fr", "hybrid"):
        soft = []
        for s in set(groups):
            own = [probabilities[i][labels[i]] for i in range(11) if groups[i] == s]
            soft.append(sum(own) / len(own))
        loss += 0.5 * (max(soft) - min(soft))
    assert build_objective(name, COUNTS)(scores).loss.item() == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_contract_gradient_equals_finite_differences(name):
    scores = random_scores(examples=6, seed=5, dtype=torch.float64)
    objective = build_objective(name, COUNTS)
    loss = lambda logits: objective(Scores(logits, scores.labels, scores.groups, 3)).loss  # noqa: E731
    leaf = scores.logits.clone().requires_grad_()
    loss(leaf).backward()
    step = 1e-6
    for i in range(6):
        for k in range(3):
            shift = torch.zeros_like(leaf)
            shift[i, k] = step
            numeric = (loss(leaf.detach() + shift) - loss(leaf.detach() - shift)) / (2 * step)
            assert leaf.grad[i, k].item() == pytest.approx(numeric.item(), abs=1e-6)


@pytest.mark.parametrize(("penalised", "base"), [("fr", "vanilla"), ("hybrid", "gr")])
def test_lambda_zero_equals_the_base_loss_bit_for_bit(penalised, base):
    results = []
    for objective in (
        build_objective(penalised, COUNTS, gap_weight=0.0),
        build_objective(base, COUNTS),
    ):
        scores = random_scores(seed=9)
        leaf = scores.logits.clone().requires_grad_()
        loss = objective(Scores(leaf, scores.labels, scores.groups, 3)).loss
        loss.backward()
        results.append((loss, leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("name", list(PENALTIES))
def test_contract_one_group_only_gives_no_penalty_and_no_gradient(name):
    statistic, spread = PENALTIES[name]
    scores = random_scores()
    leaf = scores.logits.clone().requires_grad_()
    value = spread(statistic(Scores(leaf, scores.labels, torch.ones_like(scores.groups), 3)))
    value.backward()
    assert value.item() == 0
    assert (leaf.grad == 0).all()


@pytest.mark.parametrize("weighting", list(WEIGHTINGS))
@pytest.mark.parametrize("name", TRAINED)
def test_contract_base_coefficients_give_the_base_loss(name, weighting):
    """The single pass of training uses Σ c_i·ℓ_i: it must be the objective's own base loss."""
    scores = random_scores(examples=9, seed=2)
    objective = build_objective(name, COUNTS, weighting=weighting)
    total = (objective.base_coefficients(scores.groups) * scores.example_losses()).sum()
    assert torch.equal(total, objective(scores).terms["base_loss"])


def test_group_means_mark_absent_groups():
    means = group_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 4)
    assert means.values.tolist() == [2, 0, 5, 0]
    assert means.present.tolist() == [True, False, True, False]


def test_an_absent_group_does_not_count_as_the_worst():
    means = group_means(torch.tensor([0.6, 0.9]), torch.tensor([0, 2]), 3)
    assert spread_range(means).item() == pytest.approx(0.3)
