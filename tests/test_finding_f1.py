"""F1 of findings as ratios of sums, by hand, by scikit-learn and by plain loops."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from fairlora_cls.errors import InputError
from fairlora_cls.texts.finding_f1 import FindingLabels, finding_f1, text_f1

# Four texts, three findings: a is right twice and missed once, b invented once, c never stated.
REFERENCE = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)
GENERATED = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
LABELS = FindingLabels(("a", "b", "c"), REFERENCE, GENERATED, np.ones(4, dtype=bool))


def test_by_hand():
    # a: TP 2, FN 1 → 4/5; b: TP 1, FP 1, FN 1 → 2/4; c: 0/0; all: TP 3, FP 1, FN 2 → 6/9.
    found = finding_f1(LABELS)
    np.testing.assert_allclose(found.each, [[0.8, 0.5, np.nan]])
    np.testing.assert_allclose(found.macro, [0.65])
    np.testing.assert_allclose(found.micro, [6 / 9])


def test_weights_count_texts_as_often_as_they_say():
    # Group of the last two texts: a TP 1 → 1; b TP 1, FN 1 → 2/3; all: TP 2, FN 1 → 4/5.
    # The last text three times: nothing generated, b missed: 0; a and c are undefined.
    found = finding_f1(LABELS, np.array([[0, 0, 1, 1], [0, 0, 0, 3]]))
    np.testing.assert_allclose(found.each, [[1, 2 / 3, np.nan], [np.nan, 0, np.nan]])
    np.testing.assert_allclose(found.macro, [5 / 6, 0])
    np.testing.assert_allclose(found.micro, [0.8, 0])


def test_no_weight_leaves_everything_undefined():
    found = finding_f1(LABELS, np.zeros(4))
    assert np.isnan(found.micro).all()
    assert np.isnan(found.macro).all()
    assert np.isnan(found.each).all()


def test_texts_to_which_findings_do_not_apply_never_count():
    applies = np.array([True, True, True, False])
    labels = FindingLabels(LABELS.names, REFERENCE, GENERATED, applies)
    np.testing.assert_allclose(
        finding_f1(labels).micro, finding_f1(LABELS, np.array([1, 1, 1, 0])).micro
    )
    np.testing.assert_allclose(text_f1(labels), [1, 0, 1, np.nan])


def test_resamples_equal_scikit_learn_on_the_drawn_rows():
    generator = np.random.default_rng(0)
    reference = generator.random((60, 5)) < 0.4
    generated = reference ^ (generator.random((60, 5)) < 0.2)
    labels = FindingLabels(tuple("abcde"), reference, generated, np.ones(60, dtype=bool))
    drawn = generator.integers(0, 60, (20, 60))
    weights = np.stack([np.bincount(rows, minlength=60) for rows in drawn])
    found = finding_f1(labels, weights)
    for k, rows in enumerate(drawn):
        pair = (reference[rows], generated[rows])
        assert found.micro[k] == pytest.approx(f1_score(*pair, average="micro"))
        assert found.macro[k] == pytest.approx(f1_score(*pair, average="macro"))
        np.testing.assert_allclose(found.each[k], f1_score(*pair, average=None))


def test_text_f1_is_of_each_texts_set():
    # {a} {a}: 1; {a} {b}: 0; {a, b} {a, b}: 1; {b} {}: 0; {} {}: undefined.
    nothing = np.zeros((1, 3), dtype=bool)
    labels = FindingLabels(
        LABELS.names,
        np.vstack([REFERENCE, nothing]),
        np.vstack([GENERATED, nothing]),
        np.ones(5, dtype=bool),
    )
    np.testing.assert_allclose(text_f1(labels), [1, 0, 1, 0, np.nan])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"shape \(M, 4\), not \(1, 3\)"):
        finding_f1(LABELS, np.ones(3))
    with pytest.raises(InputError, match="'generated' have the shape"):
        FindingLabels(LABELS.names, REFERENCE, GENERATED[:3], np.ones(4, dtype=bool))


def test_inputs_are_left_as_they_are():
    weights = np.ones((2, 4))
    before = (REFERENCE.copy(), GENERATED.copy(), weights.copy())
    finding_f1(LABELS, weights)
    for array, kept in zip((REFERENCE, GENERATED, weights), before, strict=True):
        np.testing.assert_array_equal(array, kept)
