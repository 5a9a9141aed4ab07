"""What check says of the prompts' words: a planted leak is told, an innocent note is not accused."""

from pathlib import Path

import numpy as np
import pytest

from fairlora_cls.checking.shortcuts import Cohort
from fairlora_cls.checking.words import check_words
from fairlora_cls.data.demographic_words import demographic_words
from fairlora_cls.data.examples import Example

FILLER = ("sees well", "dry eyes", "routine visit", "headache", "wears glasses", "no complaint")
PEOPLE = demographic_words(("sex", "age"))


def cohort(note, classes=("no", "yes"), count=120):
    """Two images of each patient; `note` makes the words from a number, the label and the sex."""
    examples = []
    for i in range(count):
        label, sex = (i // 2) % 2, "FM"[(i // 4) % 2]
        words = {"note": f"{FILLER[(i * 7) % 6]}. {note(i, label, sex)}"}
        examples.append(
            Example(f"e{i}", Path(f"{i}.png"), label, {"sex": sex}, f"p{i // 2}", words=words)
        )
    return Cohort(examples, np.ones(count, bool), classes, seed=3)


def codes(report):
    return [finding.code for finding in report.findings]


def test_an_innocent_note_is_not_accused():
    report = check_words(cohort(lambda i, label, sex: "Seen today."), ["sex"], PEOPLE)
    assert codes(report) == []
    for told in report.facts["words"].values():
        assert 0.3 < told["auroc"] < 0.7


def test_a_planted_leak_is_told_with_its_words():
    report = check_words(
        cohort(lambda i, label, sex: "optic cup excavated" if label and i % 3 else "as before"),
        ["sex"],
        PEOPLE,
    )
    assert codes(report) == ["words-shortcut"]
    assert "excavated" in report.findings[0].message
    told = report.facts["words"]["the label"]
    assert told["interval"][0] > 0.7
    assert "excavated" in " ".join(told["words"]["yes"])


def test_words_that_tell_a_group_are_a_note_and_counted():
    said = {"F": "A woman aged 50.", "M": "A man."}
    report = check_words(cohort(lambda i, label, sex: said[sex]), ["sex"], PEOPLE)
    assert codes(report) == ["words-tell-group"]
    (shares,) = (t for t in report.tables if t.header[0] == "group")
    assert shares.texts() == [["sex F", "60", "100%", "100%"], ["sex M", "60", "100%", "0%"]]


def test_a_word_of_few_notes_is_never_named():
    report = check_words(
        cohort(lambda i, label, sex: f"Zyxwv{i}" if label else f"{'calm' if i % 9 else 'still'}"),
        [],
        PEOPLE,
    )
    assert "zyxwv" not in str(report.to_dict()).lower()


def test_notes_that_name_their_class():
    report = check_words(
        cohort(lambda i, label, sex: "a Melanoma?" if i in (2, 3) else "", ("benign", "melanoma")),
        [],
        PEOPLE,
    )
    (finding,) = (f for f in report.findings if f.code == "words-name-class")
    assert finding.examples == ("e2", "e3")
    assert "2 notes of 60" in finding.message


@pytest.mark.parametrize("count", [0, 1, 8])
def test_too_little_is_undefined_not_an_error(count):
    report = check_words(cohort(lambda i, label, sex: "", count=count), ["sex"], PEOPLE)
    assert report.facts["words"]["the label"]["auroc"] is None
    blank = cohort(lambda i, label, sex: "")
    for example in blank.examples:
        example.words["note"] = " - "
    assert check_words(blank, [], PEOPLE).facts["words"]["the label"]["auroc"] is None
