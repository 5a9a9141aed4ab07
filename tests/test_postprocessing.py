"""Thresholds and recalibration are fitted on validation, do what they are told there, and a row that
data do not allow is refused by itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.postprocessing import (
    CONSTRAINTS,
    METHODS,
    build_task,
    postprocess,
    postprocess_predictions,
)
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
    with pytest.raises(InputError, match="same classes"):
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


def run_verb(folder, *arguments):
    """The verb on `test.csv` of a folder, without draws."""
    table = str(folder / "test.csv")
    return CliRunner().invoke(app, ["postprocess", table, "--bootstrap", "0", *map(str, arguments)])


@pytest.fixture
def tables(tmp_path):
    """A folder with test.csv and validation.csv."""
    for name, seed in (("test", 1), ("validation", 2)):
        write_predictions(biased(seed, 300), tmp_path / f"{name}.csv")
    return tmp_path


def test_the_verb_writes_a_table_for_report_and_compare(tmp_path):
    write_predictions(biased(1, 300), tmp_path / "test.csv")
    arguments = ["postprocess", str(tmp_path / "test.csv"), "--attribute", "g", "--bootstrap", "0"]
    arguments += ["--method", "constraint"]
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
        done = run_verb(tmp_path, "--attribute", attribute, "--method", "constraint")
        assert done.exit_code == 0, done.output
    written = sorted(path.name for path in tmp_path.iterdir())
    assert "test-equalized_odds-sex.csv" in written
    assert len([name for name in written if name.startswith("test-equalized_odds-race-")]) == 2


def table(rows, classes=("no", "yes")) -> Predictions:
    """Of two classes, decided at one half. rows: (group, label, score), and so often (1)."""
    rows = [row[:3] for row in rows for _ in range(row[3] if len(row) > 3 else 1)]
    groups, labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    return Predictions(
        range(len(rows)),
        labels,
        (scores >= 0.5).astype(int),
        np.column_stack([1 - scores, scores]),
        classes,
        {"g": groups.astype(object)},
    )


# Positives of a at .9 .8 .7 .6, of b at .5 .4 .3 .2; negatives of a at .65 .1, of b at .35 .1.
VALIDATION = table(
    [("a", 1, s) for s in (0.9, 0.8, 0.7, 0.6)]
    + [("b", 1, s) for s in (0.5, 0.4, 0.3, 0.2)]
    + [("a", 0, 0.65), ("a", 0, 0.1), ("b", 0, 0.35), ("b", 0, 0.1)]
)


def fitted(name, validation=VALIDATION, **options):
    (row,) = postprocess(build_task(VALIDATION, validation, "g", **options), [name])
    return row.answers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("minimum-sensitivity-by-group", {"a": 0.7, "b": 0.3}),  # 3 of 4 each
        ("minimum-sensitivity", {"everyone": 0.3}),  # what b needs
        ("youden-by-group", {"a": 0.7, "b": 0.4}),  # 3/4 + 2/2 beats 4/4 + 1/2; 2/4 + 2/2, highest
        ("youden", {"everyone": 0.4}),  # 6/8 + 3/4, as much as 8/8 + 2/4 at .2; .7: 3/8 + 4/4
    ],
)
def test_thresholds_by_hand(name, expected):
    assert fitted(name, minimum_sensitivity=0.75).fitted == pytest.approx(expected)


@pytest.mark.parametrize("name", [n for n in METHODS if n.startswith("minimum")])
@pytest.mark.parametrize("minimum", [0.5, 0.9, 1])
def test_the_minimum_is_reached_in_every_group_on_validation(name, minimum):
    validation = biased(5, 300)
    task = build_task(biased(4, 300), validation, "g", minimum_sensitivity=minimum)
    (row,) = postprocess(task, [name])
    assert min(rate(row.answers.validation, 1, group) for group in "ab") >= minimum
    # The highest threshold: the positive image on the edge is there, and the one above is not enough.
    worst = [rate(row.answers.validation, 1, group) for group in "ab"]
    sizes = [sum((validation.labels == 1) & (validation.group_names("g") == g)) for g in "ab"]
    tight = [reached - 1 / size < minimum for reached, size in zip(worst, sizes, strict=True)]
    assert all(tight) if name.endswith("by-group") else any(tight)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_seeded_and_blind_to_test_labels(name):
    test, validation = biased(1, 300), biased(2, 300)
    blind = replace(test, labels=np.full(300, -1))
    (seen,), (unseen,) = (
        postprocess(build_task(t, validation, "g", seed=3), [name]) for t in (test, blind)
    )
    assert np.array_equal(seen.answers.test.predictions, unseen.answers.test.predictions)
    assert np.array_equal(seen.answers.test.probabilities, unseen.answers.test.probabilities)
    assert np.array_equal(seen.answers.test.labels, test.labels)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_validation_s_classes_does_not_matter(name):
    test, validation = biased(1, 300), biased(2, 300)
    turned = Predictions(
        validation.ids,
        1 - validation.labels,
        1 - validation.predictions,
        validation.probabilities[:, ::-1],
        ("yes", "no"),
        validation.attributes,
    )
    (one,), (other,) = (postprocess(build_task(test, v, "g"), [name]) for v in (validation, turned))
    assert np.array_equal(one.answers.test.predictions, other.answers.test.predictions)
    assert np.allclose(one.answers.test.probabilities, other.answers.test.probabilities)


def test_recalibrated_probabilities_are_decided_by_the_task_s_rule():
    half, lower = (fitted("intercept", rule=rule).test for rule in ("argmax", "0.3"))
    assert np.array_equal(half.probabilities, lower.probabilities)
    assert np.array_equal(half.predictions, half.probabilities[:, 1] > 0.5)
    assert np.array_equal(lower.predictions, lower.probabilities[:, 1] >= 0.3)
    assert half.probabilities[:, 1].mean() == pytest.approx(8 / 12)


def test_a_group_s_own_fit_makes_its_own_mean_right():
    changed = fitted("intercept-by-group").validation
    for group in "ab":
        members = changed.group_names("g") == group
        assert changed.probabilities[members, 1].mean() == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda groups: np.where(groups == "b", "a", groups), "no image of the g 'b'"),
        (
            lambda groups: np.where(np.arange(12) == 0, "lone", groups),
            "the g 'lone' have one label",
        ),
    ],
    ids=["a group that validation lacks", "a group of one"],
)
def test_rows_by_group_are_refused_and_the_others_come(change, reason):
    validation = replace(VALIDATION, attributes={"g": change(VALIDATION.attributes["g"])})
    rows = postprocess(build_task(VALIDATION, validation, "g"))
    assert [row.method for row in rows] == list(METHODS.values())
    for row in rows:
        assert (row.answers is None) == row.method.by_group
        assert not row.method.by_group or reason in row.refusal
    with pytest.raises(InputError, match=reason):  # nothing remains
        postprocess(build_task(VALIDATION, validation, "g"), ["youden-by-group", "constraint"])


def test_one_threshold_says_of_which_group_nothing_is_known():
    labels = np.where(VALIDATION.attributes["g"] == "b", 0, VALIDATION.labels)
    answers = fitted("minimum-sensitivity", replace(VALIDATION, labels=labels))
    assert answers.fitted == {"everyone": pytest.approx(0.6)}
    assert "no positive image of it: b" in answers.decision


def test_validation_of_one_label_leaves_nothing():
    with pytest.raises(InputError, match="one label only"):
        postprocess(build_task(VALIDATION, replace(VALIDATION, labels=[1] * 12), "g"))


def test_three_classes_have_temperatures_only():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], 60)
    three = Predictions(
        range(60),
        [generator.choice(3, p=row) for row in probabilities],
        probabilities.argmax(axis=1),
        probabilities,
        ("x", "y", "z"),
        {"g": np.array(["a", "b"], dtype=object)[np.arange(60) % 2]},
    )
    rows = postprocess(build_task(three, three, "g"))
    assert [r.name for r in rows if r.answers] == ["temperature", "temperature-by-group"]
    assert all("two classes" in row.refusal for row in rows if not row.answers)
    assert np.array_equal(rows[0].answers.test.predictions, three.predictions)
    with pytest.raises(InputError, match="two classes"):
        postprocess_predictions(three, three, "g")


def test_unknown_names_and_minimums_are_refused():
    with pytest.raises(InputError, match="did you mean 'temperature'"):
        postprocess(build_task(VALIDATION, VALIDATION, "g"), ["temprature"])
    for minimum in (0, 1.1, float("nan")):
        with pytest.raises(InputError, match="minimum sensitivity"):
            build_task(VALIDATION, VALIDATION, "g", minimum_sensitivity=minimum)


def test_validation_images_without_a_label_are_refused():
    test, validation = biased(1, 100), biased(2, 100)
    blank = replace(validation, labels=np.where(np.arange(100) == 7, -1, validation.labels))
    with pytest.raises(InputError, match="without a label"):
        postprocess_predictions(test, blank, "g")


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_by_default_every_row_has_its_table_and_a_page_says_what_it_costs(tables):
    done = run_verb(tables, "--attribute", "g")
    assert done.exit_code == 0, done.output
    rows = [*(name for name in METHODS if name != "constraint"), "equalized_odds"]
    assert names_in(tables) == {
        "test.csv",
        "validation.csv",
        "test-postprocess-g",
        *(f"test-{row}-g.csv" for row in rows),
    }
    page = tables / "test-postprocess-g"
    assert names_in(page) == {f"postprocess.{ending}" for ending in ("html", "md", "json")}
    written = json.loads((page / "postprocess.json").read_text())
    assert list(written["rows"]) == rows
    test = read_predictions(tables / "test.csv")
    for name, row in written["rows"].items():
        table = read_predictions(page / row["table"])
        assert table.ids == test.ids
        for group in "ab":
            counted = row["groups"][group]["sensitivity"]
            assert counted["wrong"] / counted["count"] == pytest.approx(1 - rate(table, 1, group))
            assert counted["own_wrong"] / counted["count"] == pytest.approx(
                1 - rate(test, 1, group)
            )
        assert name in done.output
    thresholds = [name for name in rows if written["rows"][name]["brier"]["difference"] == 0]
    assert thresholds == rows[6:]  # which leave the probabilities as they are
    assert "Page:" in done.output


def test_some_rows_in_a_folder_and_a_second_time(tables):
    arguments = ["--attribute", "g", "--output", tables / "out"]
    some = ["--method", "youden", "--method", "temperature"]
    assert run_verb(tables, *arguments, *some).exit_code == 0
    pages = {f"postprocess.{ending}" for ending in ("html", "md", "json")}
    expected = {*pages, "test-youden-g.csv", "test-temperature-g.csv"}
    assert names_in(tables / "out") == expected
    first = {path.name: path.read_bytes() for path in (tables / "out").iterdir()}
    assert run_verb(tables, *arguments, *some).exit_code == 0
    assert {path.name: path.read_bytes() for path in (tables / "out").iterdir()} == first
    assert run_verb(tables, *arguments, "--method", "constraint").exit_code == 0
    assert names_in(tables / "out") == {*expected, "test-equalized_odds-g.csv"}
    (tables / "out" / "notes.txt").write_text("mine")
    done = run_verb(tables, *arguments)
    assert done.exit_code == 2
    assert "notes.txt" in done.output


def test_a_csv_file_is_one_table(tables):
    done = run_verb(tables, "--attribute", "g", "--output", tables / "one.csv")
    assert done.exit_code == 0, done.output
    assert names_in(tables) == {"test.csv", "validation.csv", "one.csv"}
    expected = postprocess_predictions(biased(1, 300), biased(2, 300), "g")
    assert np.array_equal(read_predictions(tables / "one.csv").predictions, expected.predictions)
    several = ["--method", "youden", "--method", "isotonic", "--output", tables / "two.csv"]
    done = run_verb(tables, "--attribute", "g", *several)
    assert done.exit_code == 2
    assert "two.csv" in done.output
    assert names_in(tables) == {"test.csv", "validation.csv", "one.csv"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--constraint", "equalised_odds"], "equalized_odds"),
        (["--method", "yuden"], "youden"),
        (["--minimum-sensitivity", "1.5"], "minimum sensitivity"),
        (["--threshold", "yoden"], "youden"),
        (["--validation", "test.csv"], "test.csv"),
        (["--output", "test.csv"], "name another file"),
    ],
)
def test_a_refusal_writes_nothing(tables, monkeypatch, arguments, words):
    monkeypatch.chdir(tables)
    done = run_verb(tables, "--attribute", "g", *arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert names_in(tables) == {"test.csv", "validation.csv"}


def test_a_group_that_validation_lacks_is_said_in_the_table(tables):
    test = biased(1, 300)
    groups = np.where(np.arange(300) < 4, "new", test.attributes["g"])
    write_predictions(replace(test, attributes={"g": groups}), tables / "test.csv")
    done = run_verb(tables, "--attribute", "g")
    assert done.exit_code == 0, done.output
    assert "youden-by-group: refused" in done.output
    assert "no image of the g 'new'" in done.output
    assert "test-youden-g.csv" in names_in(tables)
    assert "test-youden-by-group-g.csv" not in names_in(tables)
    done = run_verb(tables, "--attribute", "g", "--method", "constraint")
    assert done.exit_code == 2
    assert "'new'" in done.output


def test_without_test_labels_there_are_tables_and_nothing_is_counted(tables):
    test = biased(1, 300)
    labels = np.where(np.arange(300) < 5, -1, test.labels)
    write_predictions(replace(test, labels=labels), tables / "test.csv")
    done = run_verb(tables, "--attribute", "g", "--method", "isotonic")
    assert done.exit_code == 0, done.output
    assert "5 of 300 test images have no label" in done.output
    assert read_predictions(tables / "test-isotonic-g.csv").labels.min() == -1
    written = json.loads((tables / "test-postprocess-g" / "postprocess.json").read_text())
    assert "groups" not in written["rows"]["isotonic"]


def test_own_decisions_are_those_of_the_threshold(tables):
    done = run_verb(tables, "--attribute", "g", "--method", "intercept", "--threshold", "0.2")
    assert done.exit_code == 0, done.output
    written = json.loads((tables / "test-postprocess-g" / "postprocess.json").read_text())
    test = read_predictions(tables / "test.csv")
    cases = test.labels == 1
    missed = (test.probabilities[cases, 1] < 0.2).sum()
    assert written["rows"]["intercept"]["overall"]["sensitivity"]["own_wrong"] == missed
    table = read_predictions(tables / "test-intercept-g.csv")
    assert np.array_equal(table.predictions, table.probabilities[:, 1] >= 0.2)


def test_texts_are_refused(tmp_path):
    texts = tmp_path / "test.jsonl"
    texts.write_text('{"id": "1", "reference": "no", "text": "no", "sex": "F"}\n')
    done = CliRunner().invoke(app, ["postprocess", str(texts), "--attribute", "sex"])
    assert done.exit_code == 2
    assert "generated texts" in done.output
    assert names_in(tmp_path) == {"test.jsonl"}


def test_a_process_that_ends_while_it_writes_leaves_whole_files(tables, monkeypatch):
    assert run_verb(tables, "--attribute", "g", "--method", "youden").exit_code == 0
    before = (tables / "test-youden-g.csv").read_bytes()

    def half(frame, path, **_):
        path.write_text("id,label")
        raise KeyboardInterrupt

    monkeypatch.setattr("pandas.DataFrame.to_csv", half)
    done = run_verb(tables, "--attribute", "g", "--method", "youden", "--method", "isotonic")
    assert done.exit_code == 130
    assert (tables / "test-youden-g.csv").read_bytes() == before
    assert names_in(tables) == {
        "test.csv",
        "validation.csv",
        "test-youden-g.csv",
        "test-postprocess-g",
    }
