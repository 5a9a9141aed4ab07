"""Matched pairs by plain loops, planted gaps found, and features that cannot be trusted refused."""

import json
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlora_cls.cli.app import app
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.features import Features, read_features
from fairlora_cls.evaluation.matching import counterfactual_gaps
from fairlora_cls.evaluation.matching_section import counterfactual_section, describe_counterfactual
from fairlora_cls.evaluation.prediction_table import Predictions, write_predictions
from tests.test_archives import write_lying


def cohort(count=300, right=(0.9, 0.9, 0.9), seed=0):
    """Images in three groups with features of their own; `right` is each group's accuracy."""
    generator = np.random.default_rng(seed)
    codes, labels = generator.integers(0, 3, count), generator.integers(0, 2, count)
    correct = generator.random(count) < np.array(right)[codes]
    predicted = np.where(correct, labels, 1 - labels)
    score = np.where(predicted == 1, 0.8, 0.2)
    predictions = Predictions(
        range(count),
        labels,
        predicted,
        np.column_stack([1 - score, score]),
        ("no", "yes"),
        {"g": np.array(["a", "b", "c"], dtype=object)[codes]},
    )
    features = generator.normal(5, 1, (count, 4))
    return predictions, Features(tuple(map(str, range(count))), features, "noise")


@pytest.mark.parametrize("threshold", [-1.0, 0.8])
def test_pairs_equal_plain_loops(threshold):
    predictions, features = cohort(120)
    (result,) = counterfactual_gaps(
        predictions, features, ["g"], minimum_similarity=threshold, bootstrap=0
    )
    centred = features.values - features.values.mean(axis=0)
    groups = predictions.group_names("g")
    right = predictions.predictions == predictions.labels
    assert [(m.group, m.other) for m in result.groups] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "a"),
        ("b", "c"),
        ("c", "a"),
        ("c", "b"),
    ]
    total = 0.0
    for matched in result.groups:
        differences, similarities = [], []
        for i in np.flatnonzero(groups == matched.group):
            best, nearest = -2.0, None
            for j in np.flatnonzero(groups == matched.other):
                if predictions.labels[i] == predictions.labels[j]:
                    lengths = np.linalg.norm(centred[i]) * np.linalg.norm(centred[j])
                    cosine = centred[i] @ centred[j] / lengths
                    if cosine > best:
                        best, nearest = cosine, j
            if best >= threshold:
                differences.append(int(right[i]) - int(right[nearest]))
                similarities.append(best)
        assert matched.pairs == len(differences)
        assert matched.images == (groups == matched.group).sum()
        assert matched.difference == pytest.approx(np.mean(differences))
        assert matched.difference == pytest.approx(matched.score - matched.other_score)
        assert matched.similarity == pytest.approx(np.mean(similarities))
        total += len(differences) * abs(np.mean(differences))
    assert result.weighted_gap == pytest.approx(total / result.pairs)
    assert sum(m.pairs for m in result.groups) == result.pairs


def test_a_planted_gap_is_found_and_named():
    predictions, features = cohort(600, right=(0.95, 0.95, 0.6))
    (result,) = counterfactual_gaps(predictions, features, ["g"], minimum_similarity=0)
    worst = next(m for m in result.groups if (m.group, m.other) == result.worst)
    assert "c" in result.worst
    assert worst.p_holm < 0.05
    assert worst.interval[0] * worst.interval[1] > 0
    assert result.weighted_gap > 2 * result.chance_gap
    assert "hardly explains" in describe_counterfactual(result)


def test_equal_groups_show_chance():
    predictions, features = cohort(600)
    (result,) = counterfactual_gaps(predictions, features, ["g"], minimum_similarity=0)
    assert min(m.p_holm for m in result.groups) > 0.05
    assert result.weighted_gap < 2.5 * result.chance_gap
    assert "can explain" in describe_counterfactual(result)


def test_pairs_of_one_match_are_drawn_together():
    """Ten images share one match: the difference rests on one cluster, so it never varies."""
    features = np.vstack([np.tile([[1.0, 0.1]], (10, 1)), [[1.0, 0.0]], -np.ones((11, 2))])
    groups = ["a"] * 10 + ["b"] + ["a"] * 11
    labels = [1] * 11 + [0] * 11
    right = np.array([1] * 5 + [0] * 5 + [1] + [1] * 11)
    predicted = np.where(right, labels, 1 - np.array(labels))
    score = np.where(predicted == 1, 0.8, 0.2)
    predictions = Predictions(
        range(22),
        labels,
        predicted,
        np.column_stack([1 - score, score]),
        "ny",
        {"g": np.array(groups)},
    )
    given = Features(predictions.ids, features, "by hand")
    (result,) = counterfactual_gaps(predictions, given, ["g"], bootstrap=200)
    forth, back = result.groups
    assert (forth.pairs, forth.difference) == (10, -0.5)
    assert forth.interval is None
    assert forth.p_value == 1  # a sign says nothing of one cluster
    assert (back.pairs, back.other) == (1, "a")
    assert result.worst is None


def test_no_pair_is_near_enough():
    predictions, features = cohort(30)
    (result,) = counterfactual_gaps(predictions, features, ["g"], minimum_similarity=1)
    assert (result.pairs, result.weighted_gap, result.worst) == (0, None, None)
    assert result.groups[0].difference is None
    assert "nothing to compare" in describe_counterfactual(result)
    section = counterfactual_section([result], "x")
    assert json.dumps(section.values)


def test_very_many_groups_are_not_matched():
    predictions, features = cohort(30)
    many = {"place": np.array(list(map(str, range(30))), dtype=object)}
    crowded = Predictions(**{**vars(predictions), "attributes": many})
    (result,) = counterfactual_gaps(crowded, features, ["place"])
    assert (result.group_count, result.groups, result.pairs) == (30, (), 0)
    section = counterfactual_section([result], "x")
    assert "30 groups are more than the 12" in section.sentences[0]
    assert section.tables == ()


def test_the_seed_decides():
    predictions, features = cohort(100)
    once, again = (counterfactual_gaps(predictions, features, ["g"], seed=7) for _ in range(2))
    assert once == again


def test_bad_input():
    predictions, features = cohort(30)
    with pytest.raises(
        InputError, match="1 of 30 images have no features, the first is the id '29'"
    ):
        counterfactual_gaps(
            predictions, Features(features.ids[:29], features.values[:29], "file"), ["g"]
        )
    with pytest.raises(InputError, match="between -1 and 1"):
        counterfactual_gaps(predictions, features, ["g"], minimum_similarity=2)
    with pytest.raises(InputError, match="no attribute 'h'"):
        counterfactual_gaps(predictions, features, ["h"])
    with pytest.raises(InputError, match=r"file: 1 ids .* '1'"):
        Features(("1", "1"), np.ones((2, 3)), "file")
    with pytest.raises(InputError, match=r"not \(2, 3\)"):
        Features(("1",), np.ones((2, 3)), "file")
    with pytest.raises(InputError, match="1 ids hold NaN or infinity, the first is the id '2'"):
        Features(("1", "2"), [[0.0], [np.nan]], "file")


def test_features_of_a_file(tmp_path):
    ids, values = ("x", "01"), np.array([[1.0, 2.0], [3.0, 4.5]])
    (tmp_path / "f.csv").write_text("id,f0,f1\nx,1,2\n01,3,4.5\n")
    (tmp_path / "index.csv").write_text(",id,f0,f1\n0,x,1,2\n1,01,3,4.5\n")
    np.savez(tmp_path / "f.npz", ids=np.array(ids), features=values)
    for name in ("f.csv", "f.npz", "index.csv"):
        found = read_features(tmp_path / name)
        assert found.ids == ids
        assert np.array_equal(found.values, values)
        assert np.array_equal(found.of(("01", "x")), values[::-1])


def test_an_id_called_na_is_an_id(tmp_path):
    (tmp_path / "f.csv").write_text("id ,f0\n001, 1\n002,2\n")
    assert read_features(tmp_path / "f.csv").ids == ("001", "002")
    (tmp_path / "f.csv").write_text("id,f0\nNA,1\nnan,2\n")
    assert read_features(tmp_path / "f.csv").ids == ("NA", "nan")


def test_bad_files(tmp_path):
    def written(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    for path, words in (
        (tmp_path / "none.csv", "none.csv"),
        (written("twice.csv", "id,a,a \n1,2,3\n"), "'a' more than once"),
        (written("short.csv", "id,a,b\n1,2\n"), "2 cells"),
        (written("torn.npz", "PK\x03\x04"), "cannot read"),
        (written("no-id.csv", "a,b\n1,2\n"), "no column 'id'"),
        (written("words.csv", "id,a\n1,x\n"), "column 'a' has 'x' for id '1'"),
        (written("blanks.csv", "id,a\n1,\n"), "column 'a' has '' for id '1'"),
        (written("empty.csv", "id\n1\n"), "shape"),
        (written("not.npz", "hello"), "cannot read"),
    ):
        with pytest.raises(InputError, match=words):
            read_features(path)
    lying = write_lying(tmp_path / "lying.npz", "ids", (10**7, 10**9))
    with zipfile.ZipFile(lying, "a") as archive:
        archive.writestr("features.npy", b"")
    with pytest.raises(InputError, match="declares"):
        read_features(lying)
    np.savez(tmp_path / "half.npz", ids=np.array(["1"]))
    with pytest.raises(InputError, match="no array 'features'"):
        read_features(tmp_path / "half.npz")
    np.savez(tmp_path / "pickled.npz", ids=np.array(["1"], dtype=object), features=np.ones((1, 2)))
    with pytest.raises(InputError, match="plain arrays"):
        read_features(tmp_path / "pickled.npz")


def test_the_report_has_a_part_on_pairs(tmp_path):
    predictions, features = cohort(200, right=(0.95, 0.95, 0.5))
    write_predictions(predictions, tmp_path / "test.csv")
    np.savez(tmp_path / "f.npz", ids=np.array(features.ids), features=features.values)
    arguments = ["report", str(tmp_path / "test.csv"), "--bootstrap", "50", "--features"]
    arguments += [str(tmp_path / "f.npz"), "--minimum-similarity", "0.2"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "report")])
    assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    found = stored["counterfactual"]["attributes"]["g"]
    (expected,) = counterfactual_gaps(
        predictions, features, ["g"], minimum_similarity=0.2, bootstrap=50
    )
    assert found["weighted_gap"] == pytest.approx(expected.weighted_gap)
    assert found["worst"] == list(expected.worst)
    assert len(found["groups"]) == 6
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert describe_counterfactual(expected) in page
    assert "Matched pairs between groups of g" in page
    assert describe_counterfactual(expected).split(":")[0] in (
        tmp_path / "report" / "report.md"
    ).read_text("utf-8")


def test_suppression_and_pairs_do_not_go_together(tmp_path):
    arguments = ["report", "x.csv", "--features", "f.csv", "--suppress-below", "10"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "report")])
    assert done.exit_code == 2
    assert "do not go together" in done.output.replace("\n", " ")


def test_features_of_a_run(small_run, tmp_path):
    """The mean visual tokens of the run's backbone, for the ids asked for."""
    from fairlora_cls.evaluation.prediction_table import read_predictions
    from fairlora_cls.runs.saved import visual_features
    from fairlora_cls.training.loop import SilentDisplay

    table = read_predictions(small_run[0] / "predictions" / "test.csv")
    features = visual_features(small_run[0], table.ids, SilentDisplay())
    assert set(features.ids) == set(table.ids)
    assert features.values.shape[0] == 40
    assert len(np.unique(features.values, axis=0)) == 40
    with pytest.raises(InputError, match="None of the 1 ids"):
        visual_features(small_run[0], ["nowhere"], SilentDisplay())
    with pytest.raises(InputError, match="not a run folder"):
        visual_features(tmp_path, table.ids, SilentDisplay())
    arguments = ["report", str(small_run[0] / "predictions" / "test.csv"), "--bootstrap", "20"]
    arguments += ["--attribute", "sex", "--features", str(small_run[0])]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "report")])
    assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert stored["counterfactual"]["features"] == "mean visual tokens of miniature"
