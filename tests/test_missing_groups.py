"""A probe fills what it is sure of, in training only, and says how sure it may be."""

import math
import re

import numpy as np
import torch

from fairlora_cls.data.examples import Splits
from fairlora_cls.runs.missing_groups import fill_missing_groups, mean_visual_tokens
from tests.test_examples import example


def cohort(rng, count=200, every=5, signal=3.0):
    """Sex shifts the first feature by `signal` standard deviations; every fifth value is unknown."""
    sex = ["F" if i % 2 else "M" for i in range(count)]
    features = rng.normal(size=(count, 4)).astype(np.float32)
    features[:, 0] += np.array([signal * (s == "F") for s in sex])
    known = ["Unknown" if i % every == 0 else s for i, s in enumerate(sex)]
    train = tuple(example(str(i), i % 2, f"p{i // 2}", sex=s) for i, s in enumerate(known))
    rest = (example("v", sex="Unknown"),)
    return Splits("here", ("a", "b"), ("sex",), train, rest, rest), sex, features


def test_confident_values_are_filled_and_the_sentence_is_true():
    splits, sex, features = cohort(np.random.default_rng(0))
    filled, (note,) = fill_missing_groups(splits, ["sex"], features, 0.9, seed=1)
    found = [e.attributes["sex"] for e in filled.train]
    missing = range(0, 200, 5)
    taken = [i for i in missing if found[i] != "Unknown"]
    assert 15 < len(taken) < 40
    assert np.mean([found[i] == sex[i] for i in taken]) >= 0.9
    assert all(found[i] == sex[i] for i in range(200) if i not in missing)
    assert note.startswith(f"sex: {len(taken)} of 40 missing training values were filled")
    assert "probability of 0.9 or more" in note
    auroc = float(re.search(r"AUROC is (0\.\d+)", note)[1])
    # Two normal distributions three standard deviations apart: Φ(3 / √2) = 0.983.
    assert abs(auroc - 0.5 * (1 + math.erf(3 / 2))) < 0.02


def test_validation_and_test_are_not_touched_and_do_not_matter():
    splits, _, features = cohort(np.random.default_rng(0))
    filled, notes = fill_missing_groups(splits, ["sex"], features, 0.9, seed=1)
    assert filled.validation is splits.validation
    assert filled.test is splits.test
    other = Splits(**{**vars(splits), "test": (example("t", sex="F"),) * 50})
    again, same = fill_missing_groups(other, ["sex"], features, 0.9, seed=1)
    assert again.train == filled.train
    assert same == notes


def test_without_a_signal_nothing_is_filled():
    splits, _, features = cohort(np.random.default_rng(0), signal=0.0)
    filled, (note,) = fill_missing_groups(splits, ["sex"], features, 0.95, seed=1)
    assert filled.train == splits.train
    assert note.startswith("sex: 0 of 40")


def test_three_groups_and_groups_too_small_to_predict():
    rng = np.random.default_rng(0)
    race = ["A", "B", "C"] * 40 + ["D"] * 5
    features = rng.normal(size=(125, 3)).astype(np.float32)
    for i, name in enumerate(race):
        features[i, "ABCD".index(name) % 3] += 5
    known = ["Unknown" if i % 6 == 0 else r for i, r in enumerate(race)]
    train = tuple(example(str(i), 0, race=r) for i, r in enumerate(known))
    splits = Splits("here", ("a", "b"), ("race",), train, (), ())
    filled, (note,) = fill_missing_groups(splits, ["race"], features, 0.8, seed=1)
    found = {
        e.attributes["race"] for e, k in zip(filled.train, known, strict=True) if k == "Unknown"
    }
    assert found <= {"A", "B", "C", "Unknown"}
    assert "AUROC is 1.000" in note or "AUROC is 0.99" in note


def test_too_few_labels_leave_everything_as_it_is():
    train = tuple(example(str(i), 0, sex="F" if i else "Unknown") for i in range(30))
    splits = Splits("here", ("a", "b"), ("sex",), train, (), ())
    filled, (note,) = fill_missing_groups(splits, ["sex"], np.zeros((30, 2)), 0.9, seed=1)
    assert filled.train == train
    assert note == (
        "sex: 1 training rows stay Unknown; a probe needs two groups of at least 10 patients each "
        "(data.missing_groups: predict)."
    )
    whole = Splits("here", ("a", "b"), ("sex",), train[1:], (), ())
    assert fill_missing_groups(whole, ["sex"], np.zeros((29, 2)), 0.9, seed=1)[1] == ()


def test_mean_visual_tokens():
    tokens = [torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16), torch.ones(1, 2)]
    found = mean_visual_tokens(lambda indices: [(tokens[i % 2], None) for i in indices], 300)
    assert found.shape == (300, 2)
    assert found.dtype == np.float32
    assert found[:2].tolist() == [[2.0, 3.0], [1.0, 1.0]]
