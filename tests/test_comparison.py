"""Paired comparison: the published table says 'two images', equal models differ by chance only."""

from dataclasses import replace

import numpy as np
import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.comparison import compare_predictions
from fairlora_cls.evaluation.metrics import EQUITY_SCALED, GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from tests.test_flips import NAMES, SIZES, TABLE_1


def model(seed, count=120, classes=2, skill=1.0, **attributes) -> Predictions:
    """Labels are the same for every seed; the probabilities are the seed's."""
    labels = np.random.default_rng(99).integers(0, classes, count)
    logits = np.random.default_rng(seed).normal(0, 1, (count, classes))
    logits[np.arange(count), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    groups = np.random.default_rng(98).integers(0, 3, count)
    return Predictions(
        range(count),
        labels,
        probabilities.argmax(axis=1),
        probabilities,
        tuple("abcdefgh"[:classes]),
        attributes or {"g": np.array(["x", "y", "z"], dtype=object)[groups]},
    )


def published(method) -> Predictions:
    """Predictions with the published numbers of right answers; labels alternate."""
    labels, predicted, groups = [], [], []
    for name, size, right in zip(NAMES, SIZES, TABLE_1[method], strict=True):
        truth = np.arange(size) % 2
        labels += [*truth]
        predicted += [*np.where(np.arange(size) < right, truth, 1 - truth)]
        groups += [name] * size
    score = np.where(np.array(predicted) == 1, 0.9, 0.1)
    probabilities = np.column_stack([1 - score, score])
    attributes = {"ethnicity": np.array(groups, dtype=object)}
    return Predictions(range(2000), labels, predicted, probabilities, ("no", "yes"), attributes)


def test_table_1_gr_against_vanilla_is_decided_by_two_images():
    tables = {name: published(name) for name in ("vanilla", "gr")}
    comparison = compare_predictions(tables, ["ethnicity"], bootstrap=500)
    (pair,) = comparison.pairs
    gap = pair.attributes["ethnicity"].gaps["max_acc_gap"]
    assert 100 * gap.difference == pytest.approx(1.17 - 3.80, abs=0.01)
    assert gap.deciding.examples == 2
    assert gap.deciding.groups == ("Hispanic",)
    assert gap.p_value > 0.05
    assert 100 * pair.overall["accuracy"].difference == pytest.approx(53.15 - 53.50, abs=0.001)


def test_every_quantity_is_compared():
    tables = {"one": model(1), "two": model(2)}
    comparison = compare_predictions(tables, ["g"], bootstrap=50)
    (pair,) = comparison.pairs
    assert list(pair.overall) == list(METRICS)
    assert list(pair.attributes["g"].gaps) == list(GAPS)
    assert list(pair.attributes["g"].equity_scaled) == list(EQUITY_SCALED)
    assert sum(pair.attributes["g"].groups.values()) == 120


@pytest.mark.parametrize("classes", [2, 3])
def test_the_order_of_two_runs_changes_signs_only(classes):
    one, two = model(1, classes=classes), model(2, classes=classes)
    (there,) = compare_predictions({"one": one, "two": two}, bootstrap=60).pairs
    (back,) = compare_predictions({"two": two, "one": one}, bootstrap=60).pairs
    for forth, reverse in (
        (there.overall, back.overall),
        (there.attributes["g"].gaps, back.attributes["g"].gaps),
        (there.attributes["g"].equity_scaled, back.attributes["g"].equity_scaled),
    ):
        for name, found in forth.items():
            mirrored = reverse[name]
            assert found.difference == -mirrored.difference
            assert found.interval == pytest.approx(tuple(-x for x in mirrored.interval[::-1]))
            assert found.p_value == mirrored.p_value
    for name, found in there.attributes["g"].gaps.items():
        mirrored = back.attributes["g"].gaps[name].deciding
        assert (found.deciding is None) == (mirrored is None)
        assert found.deciding is None or found.deciding.examples == mirrored.examples


def test_a_run_against_itself_shows_nothing():
    (pair,) = compare_predictions({"one": model(1), "copy": model(1)}, bootstrap=50).pairs
    for found in (*pair.overall.values(), *pair.attributes["g"].gaps.values()):
        assert found.difference == 0
        assert found.interval == (0, 0)
        assert found.p_value == 1
    assert pair.attributes["g"].gaps["max_acc_gap"].deciding.examples == 0


def test_a_better_model_is_found():
    tables = {"weak": model(1, 400, skill=0), "strong": model(2, 400, skill=3)}
    (pair,) = compare_predictions(tables, [], bootstrap=200).pairs
    for name in ("accuracy", "auroc"):
        assert pair.overall[name].p_value == pytest.approx(1 / 201)
        assert pair.overall[name].interval[0] > 0


def test_examples_and_classes_are_matched_by_name():
    one, two = model(1), model(2)
    shuffled = np.random.default_rng(0).permutation(120)
    moved = Predictions(
        np.array(two.ids)[shuffled],
        1 - two.labels[shuffled],
        1 - two.predictions[shuffled],
        two.probabilities[shuffled][:, ::-1],
        two.classes[::-1],
        {"g": two.attributes["g"][shuffled]},
    )
    plain = compare_predictions({"one": one, "two": two}, bootstrap=30)
    assert compare_predictions({"one": one, "two": moved}, bootstrap=30) == plain


def test_the_other_runs_do_not_change_a_pair():
    tables = {"one": model(1), "two": model(2)}
    alone = compare_predictions(tables, bootstrap=40).pairs[0]
    among = compare_predictions({**tables, "three": model(3)}, bootstrap=40)
    assert [p.other for p in among.pairs] == ["two", "three"]
    for name, found in among.pairs[0].overall.items():
        assert found.interval == alone.overall[name].interval
        assert found.p_value == alone.overall[name].p_value
        assert found.p_holm >= found.p_value


def test_units_are_drawn_and_exchanged_whole():
    """Ten units of twelve alike examples: as wide as ten examples, not as 120."""
    units = tuple(str(place // 12) for place in range(120))
    one, two = (replace(model(seed), attributes={}) for seed in (1, 2))
    right = np.random.default_rng(0).integers(0, 2, (2, 10)).repeat(12, axis=1).astype(bool)
    tables = {
        name: replace(m, predictions=np.where(r, m.labels, 1 - m.labels), units=units)
        for name, m, r in zip(("one", "two"), (one, two), right, strict=True)
    }
    (whole,) = compare_predictions(tables, bootstrap=300).pairs
    apart = {name: replace(table, units=None) for name, table in tables.items()}
    (single,) = compare_predictions(apart, bootstrap=300).pairs
    found, loose = whole.overall["accuracy"], single.overall["accuracy"]
    assert found.difference == loose.difference
    assert np.ptp(found.interval) > 2 * np.ptp(loose.interval)
    assert compare_predictions(tables, bootstrap=0).units == 10
    assert compare_predictions(apart, bootstrap=0).units is None
    assert found.p_value >= loose.p_value


def test_without_bootstrap_there_are_values_only():
    (pair,) = compare_predictions({"one": model(1), "two": model(2)}, bootstrap=0).pairs
    found = pair.attributes["g"].gaps["max_acc_gap"]
    assert found.difference is not None
    assert (found.interval, found.p_value, found.p_holm) == (None, None, None)
    assert found.deciding is not None


def test_what_one_model_cannot_have_is_null():
    one = model(1)
    never = Predictions(
        one.ids,
        one.labels,
        np.zeros(120, dtype=int),
        one.probabilities,
        one.classes,
        one.attributes,
    )
    (pair,) = compare_predictions({"one": one, "never": never}, bootstrap=30).pairs
    found = pair.overall["ppv"]
    assert found.reference is not None
    assert (found.other, found.difference, found.p_value) == (None, None, None)


def changed(**replacements):
    fields = dict(vars(model(2)))
    return Predictions(**{**fields, **replacements})


BAD = [
    ({"one": model(1)}, "two or more"),
    ({"one": model(1), "two": model(2, 119)}, "1 of 120 examples of 'one' are not in 'two'"),
    ({"one": model(1, 119), "two": model(2)}, "the first is the id '119'"),
    ({"one": model(1), "two": changed(classes=("a", "c"))}, "classes a, b and 'two' has a, c"),
    (
        {"one": model(1), "two": changed(labels=1 - model(2).labels)},
        "labels of 120 of 120 examples differ",
    ),
    (
        {"one": changed(labels=np.full(120, -1)), "two": model(2)},
        "120 of 120 examples of 'one' have no label",
    ),
    (
        {"one": model(1), "two": changed(attributes={"g": np.array(["x"] * 120)})},
        "'g' of .* of 120 examples differs between 'one' and 'two'",
    ),
]


@pytest.mark.parametrize(("tables", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_input(tables, words):
    with pytest.raises(InputError, match=words):
        compare_predictions(tables, bootstrap=10)


def test_unknown_attributes_and_identifiers():
    with pytest.raises(InputError, match="no attribute 'h'"):
        compare_predictions({"one": model(1), "two": model(2)}, ["h"], bootstrap=10)
    ids = {"patient": np.arange(600).astype(str)}
    with pytest.raises(InputError, match="'patient' has 600 different values"):
        compare_predictions(
            {"one": model(1, 600, **ids), "two": model(2, 600, **ids)}, bootstrap=10
        )
