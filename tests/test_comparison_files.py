"""The files of a comparison say what the dataclass holds, first what is not evidence."""

import json
import re
from html import unescape

import numpy as np
import pytest

from fairlora_cls.evaluation.comparison import compare_predictions
from fairlora_cls.evaluation.comparison_files import describe_comparison, write_comparison
from fairlora_cls.evaluation.comparison_tables import pair_tables
from fairlora_cls.evaluation.comparison_wording import (
    describe_gap_difference,
    verdict_on,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from tests.test_comparison import model, published


def planted(right, seed=0) -> Predictions:
    """500 images in each of two groups; `right` of each are answered rightly."""
    generator = np.random.default_rng(seed)
    labels = np.tile([0, 1], 500)
    correct = np.concatenate([generator.permutation(500) < count for count in right])
    predicted = np.where(correct, labels, 1 - labels)
    score = np.where(predicted == 1, 0.9, 0.1)
    groups = np.repeat(["A", "B"], 500).astype(object)
    return Predictions(
        range(1000), labels, predicted, np.column_stack([1 - score, score]), "ny", {"g": groups}
    )


@pytest.fixture(scope="module")
def table_1(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    tables = {name: published(name) for name in ("vanilla", "gr")}
    comparison = compare_predictions(tables, bootstrap=300)
    write_comparison(comparison, folder)
    return comparison, folder


def test_the_first_sentence_on_table_1_is_that_two_images_decide(table_1):
    comparison, folder = table_1
    first = describe_comparison(comparison)[0]
    assert first.startswith(
        "The gr–vanilla difference in MaxAccGap of ethnicity (1.2 points against 3.8 points) is "
        "decided by 2 images: with gr right on 2 more images of the group Hispanic it would be gone."
    )
    assert "Chance alone can explain it" in first
    page = unescape((folder / "comparison.html").read_text(encoding="utf-8"))
    assert page.index(first) < page.index("<h2 id=")
    assert page.index(">no group is shown to gain or lose</span>") < page.index(first)
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert first in text.split("\n\n")[2]


def test_a_planted_difference_of_gaps_is_evidence():
    tables = {"uneven": planted((425, 350)), "even": planted((390, 385), 1)}
    comparison = compare_predictions(tables, bootstrap=300)
    (pair,) = comparison.pairs
    gap = pair.attributes["g"].gaps["max_acc_gap"]
    assert gap.difference == pytest.approx(-0.14)
    assert gap.deciding.examples == 70
    assert verdict_on(comparison, pair.attributes["g"]) == ("evidence", "some gain, some lose")
    sentence = describe_gap_difference(comparison, pair, "g", pair.attributes["g"])
    assert "Chance alone hardly explains it" in sentence
    assert "Some groups gain by even and others lose" in sentence


def test_levelling_down_is_named():
    """The best-served group falls and nobody gains: the gap shrinks from 15 points to 1."""
    tables = {"uneven": planted((425, 350)), "down": planted((355, 350))}
    comparison = compare_predictions(tables, bootstrap=300)
    (pair,) = comparison.pairs
    result = pair.attributes["g"]
    assert result.gaps["max_acc_gap"].difference == pytest.approx(-0.14)
    assert verdict_on(comparison, result) == ("evidence", "a group loses")
    sentence = describe_gap_difference(comparison, pair, "g", result)
    assert "levelling down: no group is served better by down" in sentence
    changes = {group: each["accuracy"].difference for group, each in result.changes.items()}
    assert sorted(changes.values()) == pytest.approx([-0.14, 0])


def test_another_group_that_is_served_worst_is_named():
    """350 of 500 right in B, then 340 in A: the worst served is another one; then B still."""
    for after, is_named in (((340, 350), True), ((360, 350), False)):
        comparison = compare_predictions(
            {"one": planted((425, 350)), "two": planted(after)}, bootstrap=20
        )
        (pair,) = comparison.pairs
        sentence = describe_gap_difference(comparison, pair, "g", pair.attributes["g"])
        assert ("served worst by two" in sentence) is is_named


def test_cases_missed_for_fewer_false_alarms_are_told():
    """Equally accurate: 100 of 250 cases fewer are found in each group, as many alarms fewer raised."""
    labels, groups = np.tile([0, 1], 500), np.repeat(["A", "B"], 500).astype(object)
    place = np.arange(1000) // 2 % 250

    def table(missed, alarms):
        predicted = np.where(labels == 1, place >= missed, place < alarms).astype(int)
        score = np.where(predicted == 1, 0.9, 0.1)
        chances = np.column_stack([1 - score, score])
        return Predictions(range(1000), labels, predicted, chances, "ny", {"g": groups})

    comparison = compare_predictions({"a": table(20, 120), "b": table(120, 20)}, bootstrap=200)
    (pair,) = comparison.pairs
    result = pair.attributes["g"]
    assert result.changes["A"]["accuracy"].difference == 0
    assert verdict_on(comparison, result) == ("evidence", "fewer cases found, fewer false alarms")
    assert "Sensitivity of A −40.0 points" in describe_gap_difference(comparison, pair, "g", result)


def test_a_group_that_gains_alone_is_no_harm():
    tables = {"uneven": planted((425, 350)), "up": planted((425, 420))}
    (pair,) = (comparison := compare_predictions(tables, bootstrap=300)).pairs
    kind, words = verdict_on(comparison, pair.attributes["g"])
    assert (kind, "gains" in words) == ("gain", True)
    assert "No group is served worse by up" in describe_gap_difference(
        comparison, pair, "g", pair.attributes["g"]
    )


def test_json_is_the_dataclass(table_1):
    comparison, folder = table_1
    stored = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(comparison.to_dict()))
    assert stored["schema"] == 1
    gap = stored["pairs"][0]["attributes"]["ethnicity"]["gaps"]["max_acc_gap"]
    assert gap["deciding"] == {
        "examples": 2,
        "run": "gr",
        "changes": {"accuracy": {"Hispanic": 2}},
    }
    assert list(gap) == [
        "reference",
        "other",
        "difference",
        "interval",
        "p_value",
        "p_holm",
        "interval_bias_corrected",
        "deciding",
    ]


def test_every_number_of_the_tables_is_in_both_files(table_1):
    comparison, folder = table_1
    page = unescape((folder / "comparison.html").read_text(encoding="utf-8"))
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    for table in pair_tables(comparison, comparison.pairs[0]):
        for row in table.rows:
            for cell in row:
                assert cell.text in page
                assert cell.detail in page
                assert cell.text in text
    for name in re.findall(r"\(figures/([^)]*)\)", text):
        assert (folder / "figures" / name).read_text(encoding="utf-8").startswith("<svg")


def test_names_do_no_harm(tmp_path):
    hostile = "<script>alert(1)</script>"
    groups = np.array([hostile, "a|b & <b>"], dtype=object)[np.arange(120) % 2]
    tables = {hostile: model(1, **{"<i>g": groups}), "two": model(2)}
    recipes = {hostile: (hostile, 1)}
    comparison = compare_predictions(tables, recipes=recipes, bootstrap=20, notes=["<script>x"])
    write_comparison(comparison, tmp_path)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>" not in page
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", page)
    assert len(re.findall(r'role="img" aria-label="[^"]{20,}"', page)) == page.count("<svg") == 2
    assert "<script" not in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_seeds_come_first(tmp_path):
    tables = {f"{m}{s}": model(10 * s + len(m)) for m in ("a", "bb") for s in (1, 2, 3)}
    recipes = {name: (name[:-1], int(name[-1])) for name in tables}
    comparison = compare_predictions(tables, ["g"], recipes=recipes, bootstrap=20)
    sentences = describe_comparison(comparison)
    assert len(sentences) == 2
    assert re.match(r"bb is more accurate than a in \d of 3 seeds", sentences[0])
    assert re.match(r"bb has a smaller MaxAccGap of g than a in \d of 3 seeds", sentences[1])
    assert "95% t-interval" in sentences[0]
    write_comparison(comparison, tmp_path)
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert text.index(sentences[0]) < text.index("difference in MaxAccGap")
    assert text.count("difference in MaxAccGap of g (") == 3
    assert "Mean over seeds" in text
    assert "of 3" in text


def test_a_failure_writes_nothing(tmp_path, monkeypatch, table_1):
    comparison, _ = table_1

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("fairlora_cls.presentation.writing.render_page", fail)
    with pytest.raises(OSError, match="disk full"):
        write_comparison(comparison, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_figures_of_an_earlier_comparison_go(tmp_path):
    pair = {"one": model(1), "two": model(2)}
    write_comparison(compare_predictions(pair, bootstrap=20), tmp_path)
    assert (tmp_path / "figures" / "1-g.svg").exists()
    write_comparison(compare_predictions(pair, [], bootstrap=20), tmp_path)
    assert [p.name for p in (tmp_path / "figures").iterdir()] == ["0-all.svg"]
