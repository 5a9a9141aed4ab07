"""Samplers, micro-batches and padding."""

import numpy as np
import pytest
import torch

from fairlora_cls.data.batching import (
    SAMPLERS,
    EncodedPrompt,
    micro_batches,
    ordered_batches,
    pad,
)

CODES = np.array([0] * 12 + [1] * 5 + [2] * 2)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_contract_samplers_fill_an_epoch_and_depend_on_their_arguments_only(name):
    sample = SAMPLERS[name]
    steps = sample(CODES, 8, 1, 0)
    assert [len(s) for s in steps] == [8, 8, 3]
    for (seed, epoch), same in [((1, 0), True), ((2, 0), False), ((1, 1), False)]:
        again = np.concatenate(sample(CODES, 8, seed, epoch))
        assert np.array_equal(again, np.concatenate(steps)) == same


@pytest.mark.parametrize("name", ["shuffle", "stratified"])
def test_every_example_once(name):
    assert sorted(np.concatenate(SAMPLERS[name](CODES, 8, 3, 2))) == list(range(19))


def test_stratified_batches_hold_the_groups_in_their_proportions():
    """900 / 60 / 40 of 1,000 in batches of 50: 45, 3 and 2 of each, give or take one or two."""
    codes = np.random.default_rng(0).permutation([0] * 900 + [1] * 60 + [2] * 40)
    counts = np.array(
        [np.bincount(codes[s], minlength=3) for s in SAMPLERS["stratified"](codes, 50, 1, 0)]
    )
    assert (np.abs(counts - [45, 3, 2]) <= 1).all()


def test_a_group_too_rare_for_every_batch_takes_part_in_turn():
    """16 of 1,000 in 125 batches of 8: one every 7.8 batches."""
    codes = np.array([0] * 984 + [1] * 16)
    steps = SAMPLERS["stratified"](codes, 8, 1, 0)
    seen = np.flatnonzero([codes[s].any() for s in steps])
    assert len(seen) == 16
    assert set(np.diff(seen)) <= {7, 8, 9}


def test_balanced_sampling_by_hand():
    """19 places for 3 groups: 7, 6 and 6 in some order; no member more than one time more than another."""
    for epoch in range(5):
        order = np.concatenate(SAMPLERS["balanced"](CODES, 8, 1, epoch))
        assert sorted(np.bincount(CODES[order])) == [6, 6, 7]
        repeats = np.bincount(order, minlength=19)
        assert repeats[:12].max() == 1
        assert set(repeats[12:17]) <= {1, 2}
        assert set(repeats[17:]) <= {3, 4}


def test_micro_batches_are_positions_within_the_step():
    assert [m.tolist() for m in micro_batches(np.array([9, 4, 7, 1, 5]), 2)] == [
        [0, 1],
        [2, 3],
        [4],
    ]


def test_ordered_batches():
    assert list(ordered_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]


def prompt(length):
    return EncodedPrompt(torch.arange(1, length + 1), torch.arange(length).expand(3, -1))


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding(side):
    features = [
        (torch.ones(1, 2), torch.tensor([1, 1, 3])),
        (torch.zeros(2, 2), torch.tensor([1, 1, 5])),
    ]
    prompts = [prompt(int(grid[2])) for _, grid in features]
    batch = pad([4, 9], features, prompts, padding_side=side)
    assert batch.indices.tolist() == [4, 9]
    assert batch.lengths.tolist() == [3, 5]
    assert batch.image_features.shape == (3, 2)
    short = [1, 2, 3, 0, 0] if side == "right" else [0, 0, 1, 2, 3]
    assert batch.input_ids.tolist() == [short, [1, 2, 3, 4, 5]]
    if side == "left":
        assert batch.attention_mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
