"""What each row costs whom, counted by hand on a table of a few people."""

from dataclasses import replace

import numpy as np
import pytest

from fairlora_cls.evaluation.comparison import compare_predictions
from fairlora_cls.evaluation.postprocessing import METHODS, Answers, Row, build_task, postprocess
from fairlora_cls.evaluation.postprocessing_costs import (
    OWN,
    costs_of,
    describe_costs,
    wrong_interval,
)
from fairlora_cls.evaluation.postprocessing_page import (
    Postprocessing,
    costs_table,
    describe_notes,
    postprocessing_document,
    printed_table,
    to_dict,
)
from fairlora_cls.presentation.rendering import render_markdown, render_page
from tests.test_postprocessing import biased, table

# Of a, 4 of 4 cases are found, of b 2 of 4; no false alarm among 2 others each.
OWN_FOUND = {"a": 4, "b": 2}


def people(found, alarms=None):
    """Two groups of 4 cases and 2 others; in each so many are called 'yes'."""
    rows, alarms = [], alarms or {}
    for group in "ab":
        rows += [(group, 1, 0.9 if i < found[group] else 0.1) for i in range(4)]
        rows += [(group, 0, 0.9 if i < alarms.get(group, 0) else 0.1) for i in range(2)]
    return table(rows)


def costs(found, alarms=None, bootstrap=0):
    own, other = people(OWN_FOUND), people(found, alarms)
    task = build_task(own, own, "g")
    row = Row("some", METHODS["youden"], Answers(other, own, {}, "As it was told."))
    (result,) = costs_of(task, own, [row], bootstrap=bootstrap)
    return result


def test_who_gains_and_who_loses_by_hand():
    found = costs({"a": 3, "b": 4}, {"b": 1})
    missed, alarms = (
        {group: each[name] for group, each in found.groups.items()}
        for name in ("sensitivity", "specificity")
    )
    assert [(c.own_wrong, c.wrong, c.count) for c in missed.values()] == [(0, 1, 4), (2, 0, 4)]
    assert [(c.own_wrong, c.wrong, c.count) for c in alarms.values()] == [(0, 0, 2), (0, 1, 2)]
    assert [c.change.difference for c in missed.values()] == [-0.25, 0.5]
    everyone = found.overall["sensitivity"]
    assert (everyone.own_wrong, everyone.wrong, everyone.count) == (2, 1, 8)
    text = " ".join(describe_costs(found))
    assert "a 1 more of 4" in text
    assert "b 2 fewer of 4" in text
    assert "b 1 more of 2" in text


@pytest.mark.parametrize(
    ("found", "after", "from_worst", "from_best", "levels_down", "words"),
    [
        ({"a": 2, "b": 2}, 0, 0, 0.5, True, "levelling down"),
        ({"a": 1, "b": 1}, 0, -0.25, 0.75, True, "levelling down"),
        ({"a": 3, "b": 3}, 0, 0.25, 0.25, False, "25.0 points because the best served fall"),
        ({"a": 4, "b": 4}, 0, 0.5, 0, False, "because the worst served rise"),
        ({"a": 4, "b": 2}, 0.5, 0, 0, False, "stays at 50.0 points"),
        ({"a": 3, "b": 1}, 0.5, -0.25, 0.25, False, "stays at 50.0 points"),
        ({"a": 4, "b": 0}, 1, -0.5, 0, False, "widens from 50.0 to 100.0 points"),
    ],
)
def test_why_a_gap_shrinks(found, after, from_worst, from_best, levels_down, words):
    result = costs(found)
    gap = result.gaps["sensitivity"]
    assert (gap.before, gap.after) == (0.5, after)
    assert (gap.from_worst, gap.from_best) == (from_worst, from_best)
    assert gap.is_levelling_down == levels_down
    sentence = describe_costs(result)[0]
    assert words in sentence
    assert ("levelling down" in sentence) == levels_down


def test_the_middle_group_alone_gains_and_that_is_no_levelling_down():
    own = table([("a", 1, 0.9, 4), ("b", 1, 0.9, 2), ("b", 1, 0.1, 2), ("c", 1, 0.1, 4)])
    row = table([("a", 1, 0.9, 3), ("a", 1, 0.1, 1), ("b", 1, 0.9, 3), ("b", 1, 0.1, 1), ("c", 1, 0.1, 4)])  # fmt: skip
    task = build_task(own, replace(own, labels=np.arange(12) % 2), "g")
    (result,) = costs_of(
        task, own, [Row("r", METHODS["youden"], Answers(row, own, {}, ""))], bootstrap=0
    )
    assert not result.gaps["sensitivity"].is_levelling_down
    assert "not because the worst served rise" in describe_costs(result)[0]


def test_a_minimum_of_validation_that_test_misses_is_said():
    own = people({"a": 4, "b": 3})
    task = build_task(own, own, "g", minimum_sensitivity=0.8)
    row = Row("minimum-sensitivity", METHODS["minimum-sensitivity"], Answers(own, own, {}, ""))
    found = Postprocessing(
        "r", task, own, "", [row], costs_of(task, own, [row], bootstrap=0), 0, {}
    )
    (verdict,) = postprocessing_document(found).verdicts
    assert any("missed in b (3 of 4 found)" in point for point in verdict.points)
    assert "a (4" not in " ".join(verdict.points)


def test_a_group_without_cases_and_one_group_alone():
    own = table([("a", 1, 0.9), ("a", 0, 0.1), ("b", 0, 0.1)])
    task = build_task(own, own, "g")
    (result,) = costs_of(
        task, own, [Row("r", METHODS["youden"], Answers(own, own, {}, ""))], bootstrap=20
    )
    assert result.groups["b"]["sensitivity"].count == 0
    assert result.groups["b"]["sensitivity"].change.difference is None
    assert result.gaps["sensitivity"] is None
    found = Postprocessing("r", task, own, "As it is.", [result.row], [result], 20, {})
    render_page(postprocessing_document(found))
    assert to_dict(found)["rows"]["r"]["gaps"]["sensitivity"] is None


def test_the_numbers_are_those_of_a_comparison_of_the_two_tables():
    test, validation = biased(1, 200), biased(2, 200)
    task = build_task(test, validation, "g")
    rows = postprocess(task, ["temperature", "youden-by-group", "constraint"])
    for result in costs_of(task, test, rows, bootstrap=60, seed=5):
        (pair,) = compare_predictions(
            {OWN: test, "other": result.row.answers.test}, ["g"], bootstrap=60, seed=5
        ).pairs
        changes = pair.attributes["g"].changes
        for group, each in result.groups.items():
            for name, cost in each.items():
                assert cost.change == changes[group][name]
        for name, cost in result.overall.items():
            assert cost.change == pair.overall[name]
        assert result.brier == pair.overall["brier"]


def test_the_interval_turns_its_sign_with_the_change():
    # b finds 2 of 4 and then 4: it misses fewer, so the whole interval lies at or below 0.
    change = costs({"a": 4, "b": 4}, bootstrap=60).groups["b"]["sensitivity"].change
    low, high = wrong_interval(change)
    assert -1 <= low < -change.difference < high <= 0
    assert (low, high) == (-change.interval[1], -change.interval[0])


def test_an_interval_without_spread_is_not_shown():
    # b's change, 0 of 4 to 4 of 4, is the same in every draw: too few to say how sure it is.
    own, other = (people({"a": 4, "b": found}) for found in (0, 4))
    task = build_task(own, own, "g")
    row = Row("some", METHODS["youden"], Answers(other, own, {}, ""))
    (result,) = costs_of(task, own, [row], bootstrap=60)
    assert result.groups["b"]["sensitivity"].change.interval == (1, 1)
    details = {line[1].text: line[3].detail for line in costs_table(_page(result)).rows[3:]}
    assert details["b"] == "too few for an interval"
    assert details["a"] == "no answer changes"
    assert " to " in details["everyone"]


def _page(*results, rows=None, own=None):
    own = own or people(OWN_FOUND)
    rows = rows or [result.row for result in results]
    return Postprocessing("run", build_task(own, own, "g"), own, "Those.", rows, results, 0, {})


def test_page_json_and_terminal_name_a_refused_row():
    refused = Row("youden-by-group", METHODS["youden-by-group"], None, "nobody knows <why>")
    result = costs({"a": 2, "b": 2})
    found = _page(result, rows=[result.row, refused])
    document = postprocessing_document(found)
    assert "nobody knows" in render_markdown(document)
    page = render_page(document)
    assert "levelling down" in page
    assert "nobody knows &lt;why&gt;" in page
    rows = to_dict(found)["rows"]
    assert rows["youden-by-group"]["refused"] == "nobody knows <why>"
    assert rows["some"]["refused"] is None
    assert rows["some"]["gaps"]["sensitivity"]["is_levelling_down"]
    first_cells = [row[0] for row in printed_table(found).texts()]
    assert first_cells == [
        "own decisions",
        "  a (4, 2)",
        "  b (4, 2)",
        "some",
        "  a (4, 2)",
        "  b (4, 2)",
        "youden-by-group: refused",
    ]
    assert any("nobody knows" in note for note in describe_notes(found))


def test_what_must_be_known_first_is_said():
    own = people(OWN_FOUND)
    same = describe_notes(_page(costs({"a": 2, "b": 2})))
    assert any("flatters" in note for note in same)  # validation is the test table
    assert any("a (4 with 'yes' and 2 without)" in note for note in same)
    # Decided by no rule that recalibrated probabilities are decided by.
    odd = replace(own, predictions=1 - own.predictions)
    task = build_task(odd, biased(1, 300), "g")
    rows = postprocess(task, ["intercept"])
    found = Postprocessing("r", task, odd, "", rows, costs_of(task, odd, rows, bootstrap=0), 0, {})
    assert any("--threshold" in note for note in describe_notes(found))


def test_another_group_that_is_served_worst_is_named():
    gap = costs({"a": 1, "b": 4}).gaps["sensitivity"]
    assert (gap.worst_before, gap.worst_after) == ("b", "a")
    assert "now a; it was b" in " ".join(describe_costs(costs({"a": 1, "b": 4})))
    assert "it was" not in " ".join(describe_costs(costs({"a": 4, "b": 3})))
