"""What a probe can and cannot read."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fairlora_cls.evaluation.probes import judge_probe, probe_attribute
from fairlora_cls.objectives.mutual_information import ATTRIBUTE_CLASSIFIERS, AttributeDependence
from fairlora_cls.training.attribute_pretraining import pretrain_attribute_classifier


def states_and_codes(shift, n=600, size=6, values=2, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, values, n)
    states = random.normal(size=(n, size)).astype(np.float32)
    states[:, 0] += shift * codes
    return states, codes


def names(n):
    return [str(i) for i in range(n)]


def test_a_gaussian_shift_is_read_as_well_as_it_can_be():
    """Two unit Gaussians a distance d apart: AUROC = Φ(d/√2); d = 1: 0.760."""
    states, codes = states_and_codes(1.0, n=2000)
    found = probe_attribute(states, codes, names(2000), resamples=200, seed=1)
    assert found.auroc == pytest.approx(0.760, abs=0.03)
    assert found.interval[0] < 0.760 < found.interval[1]
    assert found.n == 2000


def test_pure_noise_cannot_be_read():
    states, codes = states_and_codes(0.0, n=1000)
    found = probe_attribute(states, codes, names(1000), resamples=200, seed=1)
    assert found.interval[0] < 0.5 < found.interval[1] + 0.02


def test_more_than_two_values():
    states, codes = states_and_codes(4.0, n=300, values=3)
    assert probe_attribute(states, codes, names(300), resamples=0, seed=1).auroc > 0.95


def test_units_are_held_out_together():
    """Each unit has a mark of its own and one value: knowing the unit would mean knowing the value."""
    random = np.random.default_rng(0)
    units = np.repeat(np.arange(60), 10)
    codes = random.integers(0, 2, 60)[units]
    states = random.normal(size=(60, 30))[units] + 0.01 * random.normal(size=(600, 30))
    found = probe_attribute(states, codes, [str(u) for u in units], resamples=50, seed=1)
    assert found.auroc < 0.75


def test_unrecorded_examples_and_rare_values_are_left_out():
    states, codes = states_and_codes(3.0, n=200)
    codes[:50] = -1
    codes[50:53] = 2
    found = probe_attribute(states, codes, names(200), resamples=0, seed=1)
    assert found.n == 147
    assert found.auroc > 0.9


@pytest.mark.parametrize(
    "codes", [np.zeros(40, int), np.full(40, -1), np.r_[np.zeros(38, int), 1, 1]]
)
def test_one_value_cannot_be_probed(codes):
    found = probe_attribute(
        np.random.default_rng(0).random((40, 3)), codes, names(40), resamples=10, seed=1
    )
    assert found.auroc is None
    assert found.interval is None


def auroc(chances, labels):
    units = np.arange(len(labels))
    return judge_probe(chances, labels, units, 0, np.random.default_rng(0)).auroc


def test_auroc_against_scikit_learn():
    random = np.random.default_rng(3)
    chances = random.random((50, 3)).round(1)  # with ties
    labels = random.integers(0, 3, 50)
    by_hand = np.mean([roc_auc_score(labels == k, chances[:, k]) for k in range(3)])
    assert auroc(chances, labels) == pytest.approx(by_hand)
    two = random.random((30, 2))
    binary = np.arange(30) % 2
    assert auroc(two, binary) == pytest.approx(roc_auc_score(binary, two[:, 1]))
    assert auroc(two, np.ones(30, int)) is None


@pytest.mark.parametrize("classifier", list(ATTRIBUTE_CLASSIFIERS))
def test_pretraining_learns_and_freezes(classifier):
    states, codes = states_and_codes(4.0, n=256)
    codes[:20] = -1
    torch.manual_seed(0)
    built = ATTRIBUTE_CLASSIFIERS[classifier](6, 2)
    dependence = AttributeDependence("sex", 0, 1.0, "adversary", built, trains=False)
    hidden = torch.from_numpy(states)[:, None]

    def pretrain():
        return pretrain_attribute_classifier(
            dependence, hidden, codes, epochs=5, batch_size=16, learning_rate=1e-2, seed=3
        )

    first = pretrain()
    assert first < 0.3 < np.log(2)
    assert not any(p.requires_grad for p in built.parameters())
    right = (built(hidden[20:, 0]).argmax(1).numpy() == codes[20:]).mean()
    assert right > 0.9
