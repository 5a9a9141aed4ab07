"""Objectives against hand-computed cases, plain loops and finite differences."""

import math

import pytest
import torch

from fairlora_cls.objectives.base_losses import (
    BASES,
    balancing_weights,
    clipped_inverse_frequency,
    exponentiated_weights,
)
from fairlora_cls.objectives.group_statistics import (
    GroupStatistic,
    average_over_steps,
    group_means,
    score_distance,
)
from fairlora_cls.objectives.objectives import OBJECTIVES, STATISTICS, build_objective
from fairlora_cls.objectives.penalties import (
    PENALTIES,
    SMOOTHNESS,
    shortfall_of_worst,
    spread_range,
    spread_smooth_range,
    spread_variance,
)
from fairlora_cls.objectives.scores import NonFiniteScoresError, Scores

TRAINED = [name for name, preset in OBJECTIVES.items() if preset.trains]
COUNTS = {"race": (903, 43, 54)}
CPU = torch.device("cpu")


def random_scores(examples=8, classes=3, groups=3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return Scores(
        torch.randn(examples, classes, generator=generator, dtype=dtype),
        torch.randint(classes, (examples,), generator=generator),
        {"race": torch.randint(groups, (examples,), generator=generator)},
    )


def with_logits(scores, logits):
    return Scores(logits, scores.labels, scores.groups)


def first_step(objective, scores, parts=()):
    return objective(scores, objective.initial_state(CPU), parts)


def logits_for(probabilities):
    """Two-class logits whose softmax gives these probabilities of class 1."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()], dim=1)


# By hand: labels 1, 1, 0, 1; p(class 1) = .8, .6, .3, .9, so p(true) = .8, .6, .7, .9.
HAND = Scores(
    logits_for([0.8, 0.6, 0.3, 0.9]),
    torch.tensor([1, 1, 0, 1]),
    {"race": torch.tensor([0, 0, 1, 2]), "sex": torch.tensor([0, 1, 1, 1])},
)
LOSSES = [-math.log(p) for p in (0.8, 0.6, 0.7, 0.9)]
HAND_COUNTS = {"race": (500, 400, 50, 50)}
# Race 0: a = .7, 1: .7, 2: .9; race 3 is absent. Gap .2. Sex 0: .8, 1: 2.2/3. Gap .0667.


def loss_of(method, counts=HAND_COUNTS, scores=HAND, **options):
    return first_step(build_objective(method, counts, **options), scores).loss.item()


def test_vanilla_by_hand():
    assert loss_of("vanilla") == pytest.approx(sum(LOSSES) / 4)


def test_fr_by_hand():
    output = first_step(build_objective("fr", HAND_COUNTS, gap_weight=0.5), HAND)
    assert output.terms["soft_max_acc_gap/race"].item() == pytest.approx(0.2, abs=1e-6)
    assert output.terms["soft_max_acc_gap/race_active"].item() == 1
    assert output.loss.item() == pytest.approx(sum(LOSSES) / 4 + 0.5 * 0.2, abs=1e-6)


def test_gr_by_hand():
    # N = 1000: w = 1000/500 = 2, 1000/400 = 2.5, 1000/50 = 20 → 10, 1000/50 → 10.
    expected = 2 * (LOSSES[0] + LOSSES[1]) / 2 + 2.5 * LOSSES[2] + 10 * LOSSES[3]
    assert loss_of("gr") == pytest.approx(expected, rel=1e-6)


def test_gr_with_example_weighting_by_hand():
    weights = [2, 2, 2.5, 10]
    expected = sum(w * loss for w, loss in zip(weights, LOSSES, strict=True)) / sum(weights)
    assert loss_of("gr", weighting="example") == pytest.approx(expected, rel=1e-6)


def test_hybrid_is_gr_plus_the_gap():
    assert loss_of("hybrid", gap_weight=2.0) == pytest.approx(loss_of("gr") + 2.0 * 0.2, rel=1e-6)


def test_two_attributes_average_the_base_and_add_the_penalties():
    counts = {"race": (500, 400, 50, 50), "sex": (800, 200)}
    by_race = 2 * (LOSSES[0] + LOSSES[1]) / 2 + 2.5 * LOSSES[2] + 10 * LOSSES[3]
    by_sex = 1.25 * LOSSES[0] + 5 * sum(LOSSES[1:]) / 3
    gaps = 0.2 + (0.8 - 2.2 / 3)
    assert loss_of("gr", counts) == pytest.approx((by_race + by_sex) / 2, rel=1e-6)
    expected = (by_race + by_sex) / 2 + 0.5 * gaps
    assert loss_of("hybrid", counts) == pytest.approx(expected, rel=1e-6)


def test_reweighting_by_hand():
    # G = 4, N = 1000: w = 1000 / (4·500) = .5, .625, 5, 5.
    expected = (0.5 * LOSSES[0] + 0.5 * LOSSES[1] + 0.625 * LOSSES[2] + 5 * LOSSES[3]) / 4
    assert loss_of("reweighting") == pytest.approx(expected, rel=1e-6)


def test_group_dro_by_hand():
    """q starts at 1/4; the groups present grow by exp(η·(L_s + C/√N_s)), then all sum to 1."""
    means = [(LOSSES[0] + LOSSES[1]) / 2, LOSSES[2], LOSSES[3]]
    grown = [
        0.25 * math.exp(0.3 * (mean + 2 / math.sqrt(n)))
        for mean, n in zip(means, (500, 400, 50), strict=True)
    ]
    q = [g / (sum(grown) + 0.25) for g in grown]
    objective = build_objective("group-dro", HAND_COUNTS, dro_step_size=0.3, dro_adjustment=2.0)
    output = first_step(objective, HAND)
    expected = sum(weight * mean for weight, mean in zip(q, means, strict=True))
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)
    assert output.state["group_dro/race"].tolist() == pytest.approx([*q, 1 - sum(q)], rel=1e-5)
    # The next step starts from there.
    again = objective(HAND, output.state, ())
    assert again.state["group_dro/race"][0] != output.state["group_dro/race"][0]


def test_group_dro_moves_weight_to_the_worst_group():
    state = torch.full((2,), 0.5)
    for _ in range(200):
        state = exponentiated_weights(
            torch.tensor([1.0, 0.1]), torch.tensor([0, 1]), state, torch.zeros(2), 0.1
        )
    assert state[0] > 0.99


def test_loss_variance_by_hand():
    means = [(LOSSES[0] + LOSSES[1]) / 2, LOSSES[2], LOSSES[3]]
    centre = sum(means) / 3
    variance = sum((m - centre) ** 2 for m in means) / 3
    expected = sum(LOSSES) / 4 + 3.0 * variance
    assert loss_of("loss-variance", gap_weight=3.0) == pytest.approx(expected, rel=1e-5)


def test_worst_group_by_hand():
    expected = sum(LOSSES) / 4 + 0.5 * (1 - 0.7)
    assert loss_of("worst-group") == pytest.approx(expected, rel=1e-6)


def test_smooth_range_by_hand():
    values, tau = (0.7, 0.7, 0.9), SMOOTHNESS
    smooth = tau * math.log(sum(math.exp(v / tau) for v in values) / 3)
    smooth += tau * math.log(sum(math.exp(-v / tau) for v in values) / 3)
    expected = sum(LOSSES) / 4 + 0.5 * smooth
    assert loss_of("smooth-range") == pytest.approx(expected, rel=1e-5)
    assert 0 < smooth < 0.2


def test_score_distance_by_plain_loops():
    p = [0.8, 0.6, 0.3, 0.9]
    groups = {0: [0, 1], 1: [2], 2: [3]}

    def mean_distance(first, second):
        return sum(abs(p[i] - p[j]) for i in first for j in second) / (len(first) * len(second))

    everybody = range(4)
    distances = [
        2 * mean_distance(own, everybody)
        - mean_distance(own, own)
        - mean_distance(everybody, everybody)
        for own in groups.values()
    ]
    expected = sum(LOSSES) / 4 + 0.5 * sum(distances) / 3
    assert loss_of("score-distance") == pytest.approx(expected, rel=1e-5)


def test_equal_distributions_have_no_distance():
    logits = logits_for([0.2, 0.7, 0.2, 0.7])
    scores = Scores(logits, torch.tensor([0, 1, 0, 1]), {"race": torch.tensor([0, 0, 1, 1])})
    assert score_distance(scores, scores.groups["race"], 2).values.abs().max() < 1e-6


def test_penalties_join_any_base():
    joined = loss_of("gr", penalties={"worst_group": 2.0, "soft_max_acc_gap": 0.5})
    assert joined == pytest.approx(loss_of("gr") + 2.0 * 0.3 + 0.5 * 0.2, rel=1e-6)
    assert loss_of("fr", penalties={"soft_max_acc_gap": 0.5}) == pytest.approx(
        loss_of("fr", gap_weight=1.0)
    )


def test_weight_of_the_base_loss():
    assert loss_of("fr", base_weight=3.0) == pytest.approx(3 * sum(LOSSES) / 4 + 0.1, rel=1e-6)


def test_weights_of_the_glaucoma_paper():
    """facts/golden.md: fractions .903, .043, .054 give 1.107, 23.3 → 10, 18.5 → 10."""
    counts = (903, 43, 54)
    assert clipped_inverse_frequency(counts, 10).tolist() == pytest.approx(
        [1.107, 10, 10], abs=5e-4
    )
    assert clipped_inverse_frequency(counts, 100).tolist() == pytest.approx(
        [1.107, 23.26, 18.52], abs=5e-3
    )


def test_groups_absent_from_training():
    assert clipped_inverse_frequency((10, 0), 10).tolist() == [1, 10]
    assert balancing_weights((10, 0, 30)).tolist() == pytest.approx([2, 1, 2 / 3])


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("examples", [1, 2, 7])
def test_contract_finite_scalar_and_gradient_reaches_every_example(name, examples, statistics):
    scores = random_scores(examples)
    before = scores.logits.clone()
    leaf = scores.logits.clone().requires_grad_()
    objective = build_objective(name, COUNTS, statistics=statistics)
    state = objective.initial_state(CPU)
    kept = {key: tensor.clone() for key, tensor in state.items()}
    output = objective(with_logits(scores, leaf), state, torch.arange(examples).split(2))
    output.loss.backward()
    assert output.loss.shape == ()
    assert torch.isfinite(output.loss)
    assert (leaf.grad.abs().sum(dim=1) > 0).all()
    assert torch.equal(scores.logits, before)
    assert not any(term.requires_grad for term in output.terms.values())
    assert output.state.keys() == state.keys()
    assert all(torch.equal(state[key], kept[key]) for key in state)


@pytest.mark.parametrize("name", TRAINED)
def test_contract_gradient_equals_finite_differences(name):
    """Group DRO's q counts as constant in its gradient, so it is held still here (η = 0)."""
    scores = random_scores(examples=6, seed=5, dtype=torch.float64)
    objective = build_objective(name, COUNTS, dro_step_size=0.0)
    loss = lambda logits: first_step(objective, with_logits(scores, logits)).loss  # noqa: E731
    leaf = scores.logits.clone().requires_grad_()
    loss(leaf).backward()
    step = 1e-6
    for i in range(6):
        for k in range(3):
            shift = torch.zeros_like(leaf)
            shift[i, k] = step
            numeric = (loss(leaf.detach() + shift) - loss(leaf.detach() - shift)) / (2 * step)
            assert leaf.grad[i, k].item() == pytest.approx(numeric.item(), abs=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_contract_the_order_of_groups_and_of_examples_does_not_matter(name):
    scores = random_scores(examples=9, seed=4)
    renamed = torch.tensor([2, 0, 1])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    counts = [0, 0, 0]
    for old, new in enumerate(renamed.tolist()):
        counts[new] = COUNTS["race"][old]
    other = Scores(
        scores.logits[order], scores.labels[order], {"race": renamed[scores.groups["race"]][order]}
    )
    first = loss_of(name, COUNTS, scores)
    assert loss_of(name, {"race": tuple(counts)}, other) == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", TRAINED)
def test_contract_non_finite_input_is_refused(name, bad):
    scores = random_scores()
    scores.logits[3, 1] = bad
    with pytest.raises(NonFiniteScoresError, match="logits of 1 of 8 examples"):
        first_step(build_objective(name, COUNTS), scores)


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize(
    ("penalised", "base"),
    [("hybrid", "gr"), *((kind.method, "vanilla") for kind in PENALTIES.values())],
)
def test_contract_lambda_zero_equals_the_base_loss_bit_for_bit(penalised, base, statistics):
    results = []
    for objective in (
        build_objective(penalised, COUNTS, gap_weight=0.0, statistics=statistics),
        build_objective(base, COUNTS, statistics=statistics),
    ):
        scores = random_scores(seed=9)
        leaf = scores.logits.clone().requires_grad_()
        loss = first_step(objective, with_logits(scores, leaf), torch.arange(8).split(2)).loss
        loss.backward()
        results.append((loss, leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("name", list(PENALTIES))
def test_contract_too_few_groups_give_no_penalty_and_no_gradient(name):
    kind = PENALTIES[name]
    scores = random_scores()
    leaf = scores.logits.clone().requires_grad_()
    only = torch.full_like(scores.labels, 1 if kind.least_groups == 2 else -1)
    value = kind.spread(kind.statistic(with_logits(scores, leaf), only, 3))
    value.backward()
    assert value.item() == 0
    assert (leaf.grad == 0).all()


SEPARABLE = [
    (name, statistics)
    for name in TRAINED
    for statistics in STATISTICS
    if build_objective(name, COUNTS, statistics=statistics).is_separable
]


@pytest.mark.parametrize(("name", "statistics"), SEPARABLE)
def test_contract_separable_shares_sum_to_the_loss(name, statistics):
    """The single pass of training adds up micro-batch shares: they must be the objective's own loss."""
    objective = build_objective(name, COUNTS, statistics=statistics)
    scores = random_scores(examples=9, seed=2)
    parts = torch.arange(9).split(4)
    shares = [
        objective.separable_share(scores.part(p), p, scores.labels, scores.groups) for p in parts
    ]
    whole = first_step(objective, scores, parts).loss
    torch.testing.assert_close(sum(shares), whole)


@pytest.mark.parametrize("name", TRAINED)
def test_micro_batch_statistics_are_the_mean_over_micro_batches(name):
    scores = random_scores(examples=7, seed=6)
    parts = torch.arange(7).split(3)
    objective = build_objective(name, COUNTS, statistics="micro_batch", dro_step_size=0.0)
    alone = build_objective(name, COUNTS, dro_step_size=0.0)
    expected = sum(len(p) / 7 * first_step(alone, scores.part(p)).loss.item() for p in parts)
    assert first_step(objective, scores, parts).loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_micro_batch_of_one_group_has_no_active_penalty():
    scores = Scores(
        torch.zeros(4, 2), torch.zeros(4, dtype=int), {"race": torch.tensor([0, 0, 0, 1])}
    )
    objective = build_objective("fr", {"race": (3, 1)}, statistics="micro_batch")
    output = first_step(objective, scores, torch.arange(4).split(2))
    assert output.terms["soft_max_acc_gap/race_active"].item() == 0.5


def test_running_statistics_remember_an_absent_group():
    """Step 1 sees groups 0 and 1 (a = .8, .4), step 2 group 0 only (a = .6)."""
    objective = build_objective("fr", {"race": (2, 2)}, statistics="running", decay=0.5)
    state = objective.initial_state(CPU)
    both = Scores(logits_for([0.8, 0.4]), torch.tensor([1, 1]), {"race": torch.tensor([0, 1])})
    output = objective(both, state, ())
    assert output.terms["soft_max_acc_gap/race"].item() == pytest.approx(0.4, abs=1e-6)
    leaf = logits_for([0.6]).requires_grad_()
    alone = Scores(leaf, torch.tensor([1]), {"race": torch.tensor([0])})
    output = objective(alone, output.state, ())
    # Group 0: weights .5 (old) and 1 (new): (.5·.8 + .6) / 1.5 = .6667; group 1 keeps .4.
    assert output.terms["soft_max_acc_gap/race"].item() == pytest.approx(2 / 3 - 0.4, abs=1e-6)
    (gradient,) = torch.autograd.grad(output.loss, leaf)
    # Group 0 is still the best: λ·∂a joins the cross-entropy, which alone would be p − 1. It is
    # all of this step and 1.5 / 2 of what is remembered: ∂a counts 4/3.
    expected = 0.6 - 1 + 0.5 * 4 / 3 * 0.6 * 0.4
    assert gradient[0, 1].item() == pytest.approx(expected, abs=1e-6)


def test_running_statistics_raise_a_rare_group_as_much_as_they_lower_a_common_one():
    """4 examples a step, one of the rare group in every fifth: its steps must count for the rest.

    Once the memory is full, the gradient of Σ_s value_s over a round of five steps is, per step,
    that of the groups' means over all examples: 1 for either group.
    """
    memory, totals = torch.zeros(2, 2), []
    for step in range(5 * 400):
        rare = step % 5 == 0
        counts = torch.tensor([3.0, 1.0]) if rare else torch.tensor([4.0, 0.0])
        leaf = torch.tensor([0.8, 0.5], requires_grad=True)
        seen = GroupStatistic(leaf * (counts > 0), counts > 0, counts)
        statistic, memory = average_over_steps(seen, memory, 0.999)
        (gradient,) = torch.autograd.grad(statistic.values.sum(), leaf)
        totals.append(gradient)
    assert torch.stack(totals[-5:]).mean(dim=0).tolist() == pytest.approx([1, 1], rel=5e-3)


def test_a_group_seen_long_ago_stays_in_memory():
    memory = torch.zeros(2, 2)
    seen = GroupStatistic(torch.tensor([0.5, 0.9]), torch.ones(2, dtype=bool), torch.ones(2))
    _, memory = average_over_steps(seen, memory, 0.5)
    absent = GroupStatistic(
        torch.tensor([0.5, 0.0]), torch.tensor([True, False]), torch.tensor([1.0, 0.0])
    )
    for _ in range(500):
        statistic, memory = average_over_steps(absent, memory, 0.5)
    assert statistic.present.tolist() == [True, True]
    assert statistic.values.tolist() == pytest.approx([0.5, 0.9])
    assert memory[1, 1] > 0


def test_group_means_mark_absent_groups():
    means = group_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 4)
    assert means.values.tolist() == [2, 0, 5, 0]
    assert means.present.tolist() == [True, False, True, False]
    assert means.counts.tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize("spread", [spread_range, spread_variance, spread_smooth_range])
def test_an_absent_group_takes_no_part(spread):
    with_absent = group_means(torch.tensor([0.6, 0.9]), torch.tensor([0, 2]), 3)
    without = group_means(torch.tensor([0.6, 0.9]), torch.tensor([0, 1]), 2)
    assert spread(with_absent).item() == pytest.approx(spread(without).item())
    assert shortfall_of_worst(with_absent).item() == pytest.approx(0.4)


def test_what_couples_examples_is_not_separable():
    assert {name for name, statistics in SEPARABLE if statistics == "effective_batch"} == {
        "vanilla",
        "gr",
        "reweighting",
        "resampling",
        "adversarial",  # its dependence is given apart
    }


def test_every_row_is_a_method():
    methods = {kind.method for kind in (*BASES.values(), *PENALTIES.values())}
    assert methods <= OBJECTIVES.keys()
    assert len(methods) == len(BASES) + len(PENALTIES)
