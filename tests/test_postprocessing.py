"""fairlearn's ThresholdOptimizer on validation scores narrows the gap it is told to narrow."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.postprocessing import CONSTRAINTS, postprocess_predictions
from fairlora_cls.evaluation.prediction_table import (
    Predictions,
    read_predictions,
    write_predictions,
)


def biased(seed, count=3000, classes=("no", "yes")) -> Predictions:
    """Group b's positives are scored lower."""
    generator = np.random.default_rng(seed)
    labels, groups = generator.integers(0, 2, count), generator.integers(0, 2, count)
    logits = (2 * labels - 1) * 1.2 - 1.0 * groups * labels + generator.normal(0, 1, count)
    scores = 1 / (1 + np.exp(-logits))
    return Predictions(
        range(count),
        labels,
        (scores > 0.5).astype(int),
        np.column_stack([1 - scores, scores]),
        classes,
        {"g": np.array(["a", "b"], dtype=object)[groups]},
    )


def rate(table, label, group=None):
    rows = table.labels == label
    if group is not None:
        rows &= table.group_names("g") == group
    return (table.predictions[rows] == 1).mean()


def gap(table, label):
    return abs(rate(table, label, "a") - rate(table, label, "b"))


def test_equalized_odds_are_equalized():
    test, validation = biased(1), biased(2)
    chosen = postprocess_predictions(test, validation, "g", "equalized_odds")
    assert gap(test, 1) > 0.2
    assert max(gap(chosen, 1), gap(chosen, 0)) < 0.06
    assert np.array_equal(chosen.probabilities, test.probabilities)


def test_demographic_parity_is_reached():
    chosen = postprocess_predictions(biased(1), biased(2), "g", "demographic_parity")
    groups = chosen.group_names("g")
    shares = [(chosen.predictions[groups == g] == 1).mean() for g in "ab"]
    assert abs(shares[0] - shares[1]) < 0.06


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_constraint_is_seeded(constraint):
    test, validation = biased(1, 400), biased(2, 400)
    once, again, other = (
        postprocess_predictions(test, validation, "g", constraint, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(once.predictions, again.predictions)
    assert set(once.predictions) <= {0, 1}
    if constraint == "equalized_odds":
        assert not np.array_equal(once.predictions, other.predictions)


def test_the_test_labels_are_not_looked_at():
    test, validation = biased(1, 400), biased(2, 400)
    blind = Predictions(
        test.ids,
        np.full(400, -1),
        test.predictions,
        test.probabilities,
        test.classes,
        test.attributes,
    )
    seen = postprocess_predictions(test, validation, "g")
    assert np.array_equal(
        postprocess_predictions(blind, validation, "g").predictions, seen.predictions
    )


def test_bad_input():
    test, validation = biased(1, 100), biased(2, 100)
    with pytest.raises(InputError, match="did you mean 'equalized_odds'"):
        postprocess_predictions(test, validation, "g", "equalised_odds")
    with pytest.raises(InputError, match="objective 'f1'"):
        postprocess_predictions(test, validation, "g", objective="f1")
    with pytest.raises(InputError, match="same two classes"):
        postprocess_predictions(test, biased(2, 100, ("a", "b")), "g")
    with pytest.raises(InputError, match="no attribute 'h'"):
        postprocess_predictions(test, validation, "h")
    only = Predictions(
        range(50),
        validation.labels[:50],
        validation.predictions[:50],
        validation.probabilities[:50],
        validation.classes,
        {"g": np.array(["a"] * 50)},
    )
    with pytest.raises(InputError, match="validation has no image of the g 'b'"):
        postprocess_predictions(test, only, "g")
    labels = np.where(validation.group_names("g") == "b", 0, validation.labels)
    lone = Predictions(
        validation.ids,
        labels,
        validation.predictions,
        validation.probabilities,
        validation.classes,
        validation.attributes,
    )
    with pytest.raises(InputError, match="of the g 'b' have one label only"):
        postprocess_predictions(test, lone, "g")


def test_the_verb_writes_a_table_for_report_and_compare(tmp_path):
    write_predictions(biased(1, 300), tmp_path / "test.csv")
    arguments = ["postprocess", str(tmp_path / "test.csv"), "--attribute", "g"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "--validation" in done.output
    write_predictions(biased(2, 300), tmp_path / "validation.csv")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    written = tmp_path / "test-equalized_odds-g.csv"
    expected = postprocess_predictions(biased(1, 300), biased(2, 300), "g")
    assert np.array_equal(read_predictions(written).predictions, expected.predictions)
    compared = ["compare", str(tmp_path / "test.csv"), str(written), "--bootstrap", "0"]
    done = CliRunner().invoke(app, [*compared, "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "test-equalized_odds-g" in done.output


def test_an_attribute_with_a_slash_names_a_file_all_the_same(tmp_path):
    for name, seed in (("test", 1), ("validation", 2)):
        table = biased(seed, 400)
        groups = table.attributes["g"]
        named = replace(table, attributes={"race/ethnicity": groups, "sex": groups})
        write_predictions(named, tmp_path / f"{name}.csv")
    for attribute in ("race/ethnicity", "sex", "race/ethnicity×sex"):
        done = CliRunner().invoke(
            app, ["postprocess", str(tmp_path / "test.csv"), "--attribute", attribute]
        )
        assert done.exit_code == 0, done.output
    written = sorted(path.name for path in tmp_path.iterdir())
    assert "test-equalized_odds-sex.csv" in written
    assert len([name for name in written if name.startswith("test-equalized_odds-race-")]) == 2


def test_validation_images_without_a_label_are_refused():
    test, validation = biased(1, 100), biased(2, 100)
    blank = replace(validation, labels=np.where(np.arange(100) == 7, -1, validation.labels))
    with pytest.raises(InputError, match="without a label"):
        postprocess_predictions(test, blank, "g")
