"""Shortcut baselines: what tells the label is found, what does not is not, patients stay whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.checking.shortcuts import (
    Cohort,
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


def cohort(count, sexes, units=None, classes=("no", "yes")):
    examples = [
        Example(str(i), Path(str(i)), i % 2, {"sex": sexes[i]}, str(units[i] if units else i))
        for i in range(count)
    ]
    return Cohort(examples, np.arange(count) % 5 < 3, classes, seed=1)


def test_a_telling_file_size_is_found_and_an_untold_label_is_not():
    labels = np.arange(400) % 2
    facts = image_facts(400, bytes=1000 + 300 * labels + GENERATOR.integers(0, 400, 400))
    size, shape, light, people = fit_baselines(cohort(400, ["F"] * 400), facts, ["sex"])
    # Two uniform ranges of 400 that overlap by 100: AUROC = 1 − (100/400)²/2 = 0.969.
    assert size.auroc == pytest.approx(0.969, abs=0.02)
    assert size.interval[0] < size.auroc < size.interval[1]
    assert size.examples == 160
    assert not size.cross_validated
    assert shape.auroc == 0.5
    assert people.auroc == 0.5
    assert light.interval[0] < 0.5 < light.interval[1]
    (finding,) = find_shortcuts([size, shape, light, people])
    assert finding.code == "shortcut"
    assert "file size alone" in finding.message


def test_small_data_is_cross_validated_by_patient():
    """Every patient has two images and a sex of its own name: memorising patients must not help."""
    pairs = cohort(40, [f"s{i // 2}" for i in range(40)], [i // 2 for i in range(40)])
    *_, people = fit_baselines(pairs, image_facts(40), ["sex"])
    assert people.cross_validated
    assert people.examples == 40
    assert people.auroc == pytest.approx(0.5, abs=0.1)


def test_too_few_of_a_class_is_said():
    baselines = fit_baselines(cohort(6, ["F"] * 6), image_facts(6), ["sex"])
    assert all(b.auroc is None for b in baselines)
    assert {f.code for f in find_shortcuts(baselines)} == {"shortcut-unknown"}


@pytest.mark.parametrize(
    "units", [[0] * 40, [i % 4 for i in range(40)], [0] * 35 + [1, 2, 3, 4, 5]]
)
def test_few_patients_are_said_or_managed(units):
    """1, 4 and 6 patients, of the last one with nearly all images, for 5 folds."""
    baselines = fit_baselines(cohort(40, ["F"] * 40, units), image_facts(40), ["sex"])
    if len(set(units)) < 5:
        assert all(b.auroc is None for b in baselines)
        (finding,) = find_shortcuts(baselines)
        assert finding.code == "shortcut-unknown"
        assert "5 patients" in finding.message


def test_blanks_that_tell_the_label_are_said():
    """Of 200 no half have no sex; of 200 yes none. AUROC of the blanks: 1/2 · 1 + 1/2 · 1/2."""
    sexes = [None if i % 4 == 0 else "FM"[(i // 4) % 2] for i in range(400)]
    some = cohort(400, sexes)
    (finding,) = find_telling_blanks(some, ["sex"], ["sex"])
    assert "only where the label is no" in finding.message
    assert "AUROC of 0.75" in finding.message
    assert "drop leaves out 100 of 400" in finding.message
    assert "no goes from 50% to 33%" in finding.message
    assert len(finding.examples) == 100
    (finding,) = find_telling_blanks(some, ["sex"], [])
    assert "Naming sex in data.sensitive" in finding.message
    many = [None if sex is None else f"s{i}" for i, sex in enumerate(sexes)]
    (finding,) = find_telling_blanks(cohort(400, many), ["sex"], ["sex"])
    assert "is not known" in finding.message
    # Blanks that are as frequent in either class say nothing.
    even = [None if i % 10 < 2 else "F" for i in range(400)]
    assert find_telling_blanks(cohort(400, even), ["sex"], ["sex"]) == []


def test_one_class_and_a_class_without_examples_are_managed():
    examples = [replace(e, label=0) for e in cohort(40, ["F"] * 40).examples]
    alone = Cohort(examples, np.arange(40) % 5 < 3, ("no", "yes"), seed=1)
    assert all(b.auroc is None for b in fit_baselines(alone, image_facts(40), ["sex"]))
    three = cohort(40, ["F"] * 40, classes=("no", "yes", "maybe"))
    assert all(b.cross_validated for b in fit_baselines(three, image_facts(40), ["sex"]))


def test_attributes_become_columns():
    values = [{"age": v} for v in ("10", None, "30", "Unknown")]
    examples = [Example(str(i), Path(), 0, v, "") for i, v in enumerate(values)]
    ages = Cohort(examples, np.ones(4, bool), ("no", "yes"), 0).encode(["age"])
    assert ages.tolist() == [[10, 0], [20, 1], [30, 0], [20, 1]]
    assert encode_attribute(["a", "b", None]).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert encode_attribute([f"x{i}" for i in range(60)]).shape == (60, 0)
