"""CLUB against closed forms and plain loops, and who gets which gradient."""

import math

import pytest
import torch
from torch import nn

from fairlora_cls.objectives.mutual_information import (
    ATTRIBUTE_CLASSIFIERS,
    DEPENDENCES,
    PUNISHMENTS,
    AttributeDependence,
    classifier_loss,
    club_against_marginal,
    club_bound,
    measure_dependence,
    smoothed_absolute,
    value_frequencies,
)
from fairlora_cls.objectives.objectives import STATISTICS, build_objective
from fairlora_cls.objectives.scores import NonFiniteScoresError, Scores

CPU = torch.device("cpu")


def dependence(kind="mutual_information", classifier="mlp", values=3, size=5, **options):
    torch.manual_seed(3)
    built = ATTRIBUTE_CLASSIFIERS[classifier](size, values)
    return AttributeDependence("race", 0, options.pop("weight", 0.7), kind, built, **options)


def random_batch(n=8, size=5, values=3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, 1, size, generator=generator, dtype=dtype),
        torch.randint(values, (n,), generator=generator),
    )


@pytest.mark.parametrize(
    ("flip", "information", "bound"), [(0.1, 0.3681, 0.8789), (0.25, 0.1308, 0.2747), (0.5, 0, 0)]
)
def test_club_of_a_flipped_bit(flip, information, bound):
    """facts/golden.md: y = z flipped with probability e, q the true conditional.

    A balanced sample holding each (z, y) in its exact proportion; with the pairs j = i left out the
    value is n / (n − 1) of the population's.
    """
    n = 400
    z = torch.tensor([0] * (n // 2) + [1] * (n // 2))
    flipped = int(n // 2 * flip)
    y = z.clone()
    y[:flipped] = 1
    y[n // 2 : n // 2 + flipped] = 0
    q = torch.tensor([[1 - flip, flip], [flip, 1 - flip]])[z]
    population = club_bound(q.log(), y).item() * (n - 1) / n
    assert population == pytest.approx(bound, abs=1e-4)
    assert population == pytest.approx((0.5 - flip) * math.log((1 - flip) / flip), abs=1e-4)
    assert population >= information - 1e-4


def test_club_by_plain_loops():
    log_q = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    values = torch.tensor([0, 1, 1, 3, 0, 1])
    positive = sum(log_q[i, values[i]].item() for i in range(6)) / 6
    pairs = [log_q[i, values[j]].item() for i in range(6) for j in range(6) if i != j]
    assert club_bound(log_q, values).item() == pytest.approx(positive - sum(pairs) / 30, rel=1e-5)


def test_with_the_diagonal_it_is_smaller_by_a_known_factor():
    """facts/golden.md: CLUB with j = i in its negative term is (n−1)/n × CLUB without it."""
    log_q = torch.randn(7, 3, generator=torch.Generator().manual_seed(2)).log_softmax(-1)
    values = torch.tensor([0, 1, 2, 2, 0, 1, 1])
    shares = torch.bincount(values) / 7
    with_diagonal = club_against_marginal(log_q, values, shares)
    assert with_diagonal.item() == pytest.approx(6 / 7 * club_bound(log_q, values).item(), rel=1e-5)


def test_edge_cases_are_exactly_zero():
    log_q = torch.randn(5, 3).log_softmax(-1).requires_grad_()
    for value in (
        club_bound(log_q[:1], torch.tensor([2])),
        club_bound(log_q[:0], torch.tensor([], dtype=int)),
        club_bound(log_q, torch.full((5,), 1)),
    ):
        (gradient,) = torch.autograd.grad(value, log_q)
        assert value.item() == 0
        assert (gradient == 0).all()


def test_smoothed_absolute_pulls_a_negative_estimate_up():
    value = torch.tensor(-0.3, requires_grad=True)
    smoothed_absolute(value).backward()
    assert smoothed_absolute(value).item() == pytest.approx(math.sqrt(0.09 + 1e-6))
    assert value.grad.item() < 0  # descent raises it


@pytest.mark.parametrize("punish", list(PUNISHMENTS))
@pytest.mark.parametrize("kind", list(DEPENDENCES))
def test_contract_the_gradients_of_the_alternation(kind, punish):
    """One backward: the term gives the classifier nothing, the classifier's loss the model nothing."""
    hidden, codes = random_batch()
    whole = dependence(kind, punish=PUNISHMENTS[punish])
    leaf = hidden.clone().requires_grad_()
    measure_dependence(whole, leaf, codes, None)[0].backward()
    model_gradient = leaf.grad.clone()
    classifier_gradient = [p.grad.clone() for p in whole.classifier.parameters()]

    # Step 1 of the alternation: the classifier alone, on states that are numbers.
    alone = dependence(kind)
    classifier_loss(alone.classifier(hidden[:, 0]), codes, None).backward()
    for ours, theirs in zip(classifier_gradient, alone.classifier.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad)
    # Step 2: the model alone, the classifier frozen.
    frozen = dependence(kind, punish=PUNISHMENTS[punish], trains=False)
    for parameter in frozen.classifier.parameters():
        parameter.requires_grad_(False)
    leaf = hidden.clone().requires_grad_()
    total, numbers = measure_dependence(frozen, leaf, codes, None)
    total.backward()
    torch.testing.assert_close(model_gradient, leaf.grad)
    assert model_gradient.abs().max() > 0
    assert f"{kind}_classifier_loss/race" not in numbers


@pytest.mark.parametrize("kind", list(DEPENDENCES))
def test_contract_a_step_down_reduces_what_the_classifier_sees(kind):
    """Never a push in the wrong direction: the true value gets less likely on average."""
    hidden, codes = random_batch(n=16)
    frozen = dependence(kind, trains=False)
    leaf = hidden.clone().requires_grad_()
    measure_dependence(frozen, leaf, codes, None)[0].backward()
    moved = hidden - 0.05 * leaf.grad / leaf.grad.norm()
    values = [measure_dependence(frozen, h, codes, None)[0].item() for h in (hidden, moved)]
    assert values[1] < values[0]


@pytest.mark.parametrize("punish", list(PUNISHMENTS))
@pytest.mark.parametrize("kind", list(DEPENDENCES))
@pytest.mark.parametrize("recorded", [0, 1])
def test_contract_nothing_left_is_zero_and_counted(kind, punish, recorded):
    hidden, codes = random_batch()
    codes[recorded:] = -1
    leaf = hidden.clone().requires_grad_()
    built = dependence(kind, punish=PUNISHMENTS[punish])
    total, numbers = measure_dependence(built, leaf, codes, None)
    total.backward()
    assert torch.isfinite(total)
    assert numbers[f"{kind}_examples/race"].item() == recorded
    if kind == "mutual_information" or recorded == 0:
        assert (leaf.grad == 0).all()


@pytest.mark.parametrize("kind", list(DEPENDENCES))
def test_contract_unrecorded_examples_take_no_part(kind):
    hidden, codes = random_batch()
    missing = codes.clone()
    missing[[2, 5]] = -1
    kept = torch.tensor([0, 1, 3, 4, 6, 7])
    built = dependence(kind)
    leaf = hidden.clone().requires_grad_()
    with_missing, _ = measure_dependence(built, leaf, missing, None)
    without, _ = measure_dependence(built, hidden[kept], codes[kept], None)
    assert with_missing.item() == pytest.approx(without.item(), rel=1e-6)
    with_missing.backward()
    assert (leaf.grad[[2, 5]] == 0).all()


@pytest.mark.parametrize("kind", list(DEPENDENCES))
def test_contract_gradient_equals_finite_differences(kind):
    hidden, codes = random_batch(n=4, dtype=torch.float64)
    built = dependence(kind, "linear", trains=False)
    built.classifier.double()
    leaf = hidden.clone().requires_grad_()
    measure_dependence(built, leaf, codes, None)[0].backward()
    for i in range(4):
        for d in range(5):
            shift = torch.zeros_like(hidden)
            shift[i, 0, d] = 1e-6
            up, down = (
                measure_dependence(built, hidden + s, codes, None)[0] for s in (shift, -shift)
            )
            numeric = (up - down).item() / 2e-6
            assert leaf.grad[i, 0, d].item() == pytest.approx(numeric, abs=1e-6)


def test_class_weights_by_hand():
    """N = 100, K = 2: w = 100/(2·80) = .625 and 100/(2·20) = 2.5; an absent value weighs 0."""
    assert value_frequencies((80, 20)).tolist() == pytest.approx([0.625, 2.5])
    assert value_frequencies((80, 0, 20)).tolist() == pytest.approx([0.625, 0, 2.5])
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    losses = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1]), reduction="none")
    weighted = (0.625 * losses[0] + 2.5 * losses[1] + 2.5 * losses[2]) / 5.625
    found = classifier_loss(logits, torch.tensor([0, 1, 1]), value_frequencies((80, 20)))
    assert found.item() == pytest.approx(weighted.item())


def objective_with(statistics, decay=0.5, **options):
    return build_objective(
        "vanilla",
        {},
        dependences=[dependence(**options)],
        statistics=statistics,
        decay=decay,
    )


def scores_of(hidden, codes):
    n = len(codes)
    return Scores(torch.zeros(n, 2), torch.zeros(n, dtype=int), {}, {"race": codes}, hidden)


def test_running_marginals_define_a_batch_of_one():
    """Step 1 counts values 0, 0, 1; step 2 sees one example of value 2: (.5·[2, 1, 0] + [0, 0, 1]) / 2.5."""
    objective = objective_with("running")
    hidden, _ = random_batch(n=3)
    output = objective(scores_of(hidden, torch.tensor([0, 0, 1])), objective.initial_state(CPU))
    one, _ = random_batch(n=1, seed=4)
    output = objective(scores_of(one, torch.tensor([2])), output.state)
    marginal = torch.tensor([1.0, 0.5, 1.0]) / 2.5
    log_q = objective.dependences[0].classifier(one[:, 0]).log_softmax(-1)[0]
    expected = log_q[2] - (marginal * log_q).sum()
    assert output.terms["mutual_information/race"].item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    assert output.terms["mutual_information/race"].item() != 0


def test_micro_batch_statistics_see_micro_batches_only():
    objective = objective_with("micro_batch")
    hidden, codes = random_batch(n=8)
    parts = torch.arange(8).split(3)
    found = objective(scores_of(hidden, codes), {}, parts).terms["mutual_information/race"]
    whole = objective_with("effective_batch")
    by_part = [
        whole(scores_of(hidden[p], codes[p]), {}).terms["mutual_information/race"].item()
        for p in parts
    ]
    expected = sum(len(p) / 8 * value for p, value in zip(parts, by_part, strict=True))
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_lambda_zero_is_left_out(statistics):
    objective = objective_with(statistics, weight=0.0)
    assert objective.dependences == ()
    assert objective.is_separable


def test_non_finite_hidden_states_are_refused():
    hidden, codes = random_batch()
    hidden[2, 0, 1] = math.nan
    with pytest.raises(NonFiniteScoresError, match="tapped hidden states of 1 of 8"):
        objective_with("effective_batch")(scores_of(hidden, codes), {})
