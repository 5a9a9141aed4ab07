"""Shortcut baselines: what tells the label is found, what does not is not, patients stay whole."""

from pathlib import Path

import numpy as np
import pytest

from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.checking.shortcuts import (
    encode_attribute,
    find_shortcuts,
    find_telling_blanks,
    fit_baselines,
)
from fairlora_cls.data.examples import Example

GENERATOR = np.random.default_rng(3)


def image_facts(count, **columns):
    blank = {
        "error": np.full(count, ""),
        "mode": np.full(count, "RGB"),
        "digest": np.arange(count).astype(str),
        "width": np.full(count, 10),
        "height": np.full(count, 10),
        "bytes": GENERATOR.integers(900, 1100, count),
        "brightness": GENERATOR.normal(100, 9, count),
        "spread": np.full(count, 99),
        "hash": np.zeros(count, np.uint64),
        "thumbnail": np.zeros((count, 16, 16), np.uint8),
    }
    return ImageFacts(**(blank | columns))


def cohort(count, sexes, units=None):
    labels = np.arange(count) % 2
    examples = [
        Example(
            str(i), Path(str(i)), int(labels[i]), {"sex": sexes[i]}, str(units[i] if units else i)
        )
        for i in range(count)
    ]
    homes = ["train" if i % 5 < 3 else "validation" if i % 5 == 3 else "test" for i in range(count)]
    return examples, homes, labels


def test_a_telling_file_size_is_found_and_an_untold_label_is_not():
    examples, homes, labels = cohort(400, ["F"] * 400)
    facts = image_facts(400, bytes=1000 + 300 * labels + GENERATOR.integers(0, 400, 400))
    size, shape, light, people = fit_baselines(examples, homes, facts, ["sex"], 2, seed=1)
    # Two uniform ranges of 400 that overlap by 100: AUROC = 1 − (100/400)²/2 = 0.969.
    assert size.auroc == pytest.approx(0.969, abs=0.02)
    assert size.interval[0] < size.auroc < size.interval[1]
    assert size.held_out == 160
    assert not size.cross_validated
    assert shape.auroc == 0.5
    assert people.auroc == 0.5
    assert light.interval[0] < 0.5 < light.interval[1]
    (finding,) = find_shortcuts([size, shape, light, people])
    assert finding.code == "shortcut"
    assert "file size alone" in finding.message


def test_small_data_is_cross_validated_by_patient():
    """Every patient has two images and a sex of its own name: memorising patients must not help."""
    examples, homes, _ = cohort(40, [f"s{i // 2}" for i in range(40)], [i // 2 for i in range(40)])
    *_, people = fit_baselines(examples, homes, image_facts(40), ["sex"], 2, seed=1)
    assert people.cross_validated
    assert people.held_out == 40
    assert people.auroc == pytest.approx(0.5, abs=0.1)


def test_too_few_of_a_class_is_said():
    examples, homes, _ = cohort(6, ["F"] * 6)
    baselines = fit_baselines(examples, homes, image_facts(6), ["sex"], 2, seed=1)
    assert all(b.auroc is None for b in baselines)
    assert {f.code for f in find_shortcuts(baselines)} == {"shortcut-unknown"}


@pytest.mark.parametrize(
    "units", [[0] * 40, [i % 4 for i in range(40)], [0] * 35 + [1, 2, 3, 4, 5]]
)
def test_few_patients_are_said_or_managed(units):
    """1, 4 and 6 patients, of the last one with nearly all images, for 5 folds."""
    examples, homes, _ = cohort(40, ["F"] * 40, units)
    baselines = fit_baselines(examples, homes, image_facts(40), ["sex"], 2, seed=1)
    if len(set(units)) < 5:
        assert all(b.auroc is None for b in baselines)
        (finding,) = find_shortcuts(baselines)
        assert finding.code == "shortcut-unknown"
        assert "5 patients" in finding.message


def test_blanks_that_tell_the_label_are_said():
    """Of 200 no half have no sex; of 200 yes none. AUROC of the blanks: 1/2 · 1 + 1/2 · 1/2."""
    sexes = [None if i % 4 == 0 else "FM"[(i // 4) % 2] for i in range(400)]
    examples, homes, _ = cohort(400, sexes)
    (finding,) = find_telling_blanks(examples, homes, ["sex"], ["sex"], ["no", "yes"], seed=1)
    assert "only where the label is no" in finding.message
    assert "AUROC of 0.75" in finding.message
    assert "drop leaves out 100 of 400" in finding.message
    assert "no goes from 50% to 33%" in finding.message
    assert len(finding.examples) == 100
    (finding,) = find_telling_blanks(examples, homes, ["sex"], [], ["no", "yes"], seed=1)
    assert "Naming sex in data.sensitive" in finding.message
    many = [None if sex is None else f"s{i}" for i, sex in enumerate(sexes)]
    examples, homes, _ = cohort(400, many)
    (finding,) = find_telling_blanks(examples, homes, ["sex"], ["sex"], ["no", "yes"], seed=1)
    assert "is not known" in finding.message
    # Blanks that are as frequent in either class say nothing.
    even = [None if i % 10 < 2 else "F" for i in range(400)]
    examples, homes, _ = cohort(400, even)
    assert find_telling_blanks(examples, homes, ["sex"], ["sex"], ["no", "yes"], seed=1) == []


def test_attributes_become_columns():
    ages = encode_attribute(["10", None, "30", "Unknown"])
    assert ages.tolist() == [[10, 0], [20, 1], [30, 0], [20, 1]]
    assert encode_attribute(["a", "b", None]).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert encode_attribute([f"x{i}" for i in range(60)]).shape == (60, 0)
