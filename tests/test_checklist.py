"""The checklist answers an item with what the report holds, says where that stands, and claims no more."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from fairlora_cls.evaluation.checklist import (
    FIRST_LINES,
    ITEMS,
    TO_WRITE,
    render_checklist,
)
from fairlora_cls.evaluation.document import report_document
from fairlora_cls.evaluation.report import fairness_report, text_report, write_report
from fairlora_cls.evaluation.sections import add_sections
from fairlora_cls.presentation.document import Section
from tests.test_report import SIZES, answers, cycled, simulated
from tests.test_text_report import planted

SECTIONS = {  # of other modules: a key, and sentences that the checklist takes
    "sites": ("3 sites of 20 to 300 examples each.", "The sites differ by 2 points."),
    "net_benefit": ("Explained.", "Of 100 patients 4 more are found."),
    "calibration": ("Explained.", "O:E is 1.02."),
    "operating_point": ("Called 'yes' from 0.3 on.",),
    "baseline_table": ("940 of 2,000 have it.", "Training has 12.0% more."),
    "counterfactual": ("In 40 matched pairs 3 differ.",),
    "baselines": ("Explained.",),
}
NEVER = ("TRIPOD+AI 7", "TRIPOD+AI 12f, 24", "STARD 21a (STARD-AI)")  # no data tell these


def said(report):
    """Item → what the report says to it."""
    return {item.numbers: item.answer(report) for item in ITEMS}


def values_of(key):
    if key != "baselines":
        return {}
    return {"model": {"value": 0.68}, "baselines": {"file size": {"auroc": {"value": 0.71}}}}


@pytest.fixture(scope="module")
def whole():
    """Table 1 by patient with every section."""
    table = answers(SIZES, (965, 41, 57))
    table = replace(table, units=tuple(str(place // 2) for place in range(len(table.ids))))
    report = fairness_report(
        table, bootstrap=100, notes="n", endpoints="accuracy", declared="recipe"
    )
    sections = [
        Section(f"Part {key}", sentences, key=key, values=values_of(key))
        for key, sentences in SECTIONS.items()
    ]
    return replace(report, sections=tuple(sections))


def test_every_item_is_answered_or_left_to_the_author(whole):
    found = said(whole)
    assert {name for name, answer in found.items() if answer is None} == set(NEVER)
    text = render_checklist(whole)
    assert text.count(TO_WRITE) == len(NEVER)
    assert f"{len(ITEMS) - len(NEVER)} of {len(ITEMS)} items" in text


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("TRIPOD+AI 5b, 6a; STARD 8", ["3 sites"]),
        ("TRIPOD+AI 10; STARD 18", ["could hide"]),
        ("TRIPOD+AI 11; STARD 16", ["ethnicity 108"]),
        ("TRIPOD+AI 12d (patients)", ["1,000 patients"]),
        ("TRIPOD+AI 12d, 23b (centres)", ["differ by 2 points"]),
        ("TRIPOD+AI 12e; CHAI CR93", ["Wrong answers", "in the recipe"]),
        ("STARD 17 (STARD-AI)", ["1 verdict"]),
        ("TRIPOD+AI 12e (utility)", ["4 more are found"]),
        ("TRIPOD+AI 13", ["'yes' 50.0% (1,000)", "'no' 50.0% (1,000)"]),
        ("TRIPOD+AI 14", ["ethnicity (3 groups)"]),
        ("TRIPOD+AI 15; STARD 12a; CHAI CR79", ["from 0.3 on"]),
        ("TRIPOD+AI 16, 20c; STARD-AI (external set)", ["12.0% more"]),
        ("TRIPOD+AI 20a; STARD 19", ["2,000 examples, 1,000 of them 'yes'"]),
        ("TRIPOD+AI 20b, 21; STARD 20", ["940 of 2,000"]),
        ("TRIPOD+AI 23a; STARD 24; CHAI CR83", ["Accuracy 53.1%", "95% interval"]),
        ("TRIPOD+AI 23a; CHAI CR92, CR95", ["ethnicity: undecided"]),
        ("STARD 23; CHAI CR85", ["Of 1,000 'yes' 530 are found", "533 are not"]),
        ("CHAI CR88", ["O:E is 1.02"]),
        ("CHAI CR90", ["40 matched pairs"]),
        ("TRIPOD+AI 26", ["file size 0.710", "model 0.680"]),
        ("TRIPOD+AI 26; STARD 26", ["warning"]),
    ],
)
def test_each_answer_is_the_report_s_number(whole, item, words):
    text = said(whole)[item].text
    for word in words:
        assert word in text


def test_where_it_stands_is_a_heading_of_the_page(whole):
    document = report_document(whole, ())
    headings = {part.title for part in document.parts} | {document.verdicts_title, FIRST_LINES}
    assert {answer.place for answer in said(whole).values() if answer} <= headings


def test_what_a_report_lacks_the_author_must_write():
    """Without units, sections, resamples, attributes: nothing is claimed of them."""
    table = replace(answers(SIZES, (965, 41, 57)), attributes={})
    found = said(replace(fairness_report(table, bootstrap=0), sections=()))
    unknown = {name for name, answer in found.items() if answer is None}
    assert {
        *NEVER,
        "TRIPOD+AI 5b, 6a; STARD 8",
        "TRIPOD+AI 10; STARD 18",
        "TRIPOD+AI 11; STARD 16",
        "TRIPOD+AI 12d (patients)",
        "TRIPOD+AI 12d, 23b (centres)",
        "TRIPOD+AI 12e; CHAI CR93",
        "TRIPOD+AI 14",
        "TRIPOD+AI 20b, 21; STARD 20",
        "TRIPOD+AI 23a; STARD 24; CHAI CR83",  # no interval
        "TRIPOD+AI 23a; CHAI CR92, CR95",
        "TRIPOD+AI 26",
        "CHAI CR90",
    } <= unknown
    assert "0.5" in found["TRIPOD+AI 15; STARD 12a; CHAI CR79"].text
    assert "Calibration error" in found["CHAI CR88"].text


def test_a_part_that_says_less_is_not_taken_for_more():
    """Of one split no difference is told, and where all is equal nothing could hide."""
    report = fairness_report(answers({"A": 400, "B": 400}, (320, 320)), bootstrap=20, margin=0.5)
    assert all(verdict.verdict == "equal" for verdict in report.verdicts)
    one = Section("Counts", ("940 of 2,000 have it.",), key="baseline_table")
    found = said(add_sections(report, [one]))
    assert found["TRIPOD+AI 20b, 21; STARD 20"].text == "940 of 2,000 have it."
    assert found["TRIPOD+AI 16, 20c; STARD-AI (external set)"] is None
    assert found["TRIPOD+AI 10; STARD 18"] is None


def test_default_endpoints_are_not_called_chosen():
    report = fairness_report(answers(SIZES, (965, 41, 57)), bootstrap=0)
    assert "not chosen" in said(report)["TRIPOD+AI 12e; CHAI CR93"].text


def test_three_classes_and_texts():
    report = fairness_report(simulated(sex=cycled(["F", "M"])), bootstrap=50)
    found = said(report)
    assert found["STARD 23; CHAI CR85"] is None
    counts = map(int, re.findall(r"\((\d+)\)", found["TRIPOD+AI 13"].text))
    assert sum(counts) == 240
    texts = text_report(*planted(0.1), bootstrap=50)
    found = said(texts)
    assert "400 texts" in found["TRIPOD+AI 20a; STARD 19"].text
    assert "rouge" in found["TRIPOD+AI 23a; STARD 24; CHAI CR83"].text
    assert found["TRIPOD+AI 13"] is None
    assert found["TRIPOD+AI 15; STARD 12a; CHAI CR79"] is None


def test_hidden_counts_are_not_told():
    """Two groups, of which one has 3 examples: its counts, and those it could be had back from."""
    groups = np.array(["A"] * 200 + [""] * 3, dtype=object)
    table = replace(answers({"x": 203}, (150,)), attributes={"sex": groups})
    found = said(fairness_report(table, bootstrap=50, suppress_below=5))
    assert "some" in found["TRIPOD+AI 11; STARD 16"].text


def test_it_lies_beside_the_report_and_names_cannot_break_it(tmp_path):
    evil = "a|b <script>alert(1)</script> *x* [l](m) `c`"
    table = simulated(**{evil: cycled([f"{evil} 1", f"{evil} 2"])})
    report = fairness_report(table, bootstrap=50, notes=evil)
    write_report(report, tmp_path)
    text = (tmp_path / "checklist.md").read_text(encoding="utf-8")
    assert text == render_checklist(report)
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert 'href="checklist.md"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "](checklist.md)" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
