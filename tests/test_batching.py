"""Samplers, micro-batches and padding."""

import numpy as np
import pytest
import torch

from fairlora_cls.data.batching import (
    SAMPLERS,
    EncodedPrompt,
    collate,
    micro_batches,
    ordered_batches,
)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_contract_samplers_cover_an_epoch_and_depend_on_seed_and_epoch_only(name):
    sample = SAMPLERS[name]
    steps = sample(19, 8, 1, 0)
    assert [len(s) for s in steps] == [8, 8, 3]
    assert sorted(np.concatenate(steps)) == list(range(19))
    for same, other in [((19, 8, 1, 0), True), ((19, 8, 2, 0), False), ((19, 8, 1, 1), False)]:
        assert np.array_equal(np.concatenate(sample(*same)), np.concatenate(steps)) == other


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
    batch = collate([4, 9], features, lambda grid: prompt(int(grid[2])), padding_side=side)
    assert batch.indices.tolist() == [4, 9]
    assert batch.lengths.tolist() == [3, 5]
    assert batch.image_features.shape == (3, 2)
    short = [1, 2, 3, 0, 0] if side == "right" else [0, 0, 1, 2, 3]
    assert batch.input_ids.tolist() == [short, [1, 2, 3, 4, 5]]
    if side == "left":
        assert batch.attention_mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
