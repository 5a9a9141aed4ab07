"""The table of text metrics and the scores of texts by it."""

import sys

import numpy as np
import pytest

from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError
from fairlora_cls.texts import scores as text_scores
from fairlora_cls.texts.finding_f1 import finding_f1
from fairlora_cls.texts.generations import generations_of
from fairlora_cls.texts.scores import TEXT_METRICS, metric_row, score_texts

OWN = [name for name, row in TEXT_METRICS.items() if row.needs is None]


def texts(*rows, **shared):
    """Generations of (reference, text) or (reference, text, label)."""
    keys = ("reference", "text", "label")
    return generations_of(
        {"id": f"t{k}", **shared, **dict(zip(keys, row, strict=False))}
        for k, row in enumerate(rows)
    )


REPORTS = texts(
    ("No pleural effusion.", "No pleural effusion."),
    ("There is a small pleural effusion.", "There is no pleural effusion."),
    ("Cardiomegaly. Small effusion.", "Cardiomegaly."),
    ("", "Cardiomegaly."),
    ("The heart is enlarged.", " "),
)


@pytest.mark.parametrize("name", OWN)
def test_every_row_keeps_the_rules(name):
    """In [0, 1]; 1 for the reference itself; NaN without a reference; 0 for a blank text."""
    generations = texts(
        ("Melanoma with pleural effusion.",) * 2,
        ("", "Melanoma with pleural effusion."),
        ("Melanoma with pleural effusion.", ""),
        ("Melanoma with pleural effusion.", "A nevus and cardiomegaly."),
    )
    values = score_texts(generations, [name]).per_text[name]
    assert values.shape == (4,)
    assert values.dtype == np.float64
    assert values[0] == 1
    assert np.isnan(values[1])
    assert values[2] == 0
    assert 0 <= values[3] < 1


@pytest.mark.parametrize("name", TEXT_METRICS)
def test_every_row_says_what_it_is(name):
    row = metric_row(name)
    assert row is TEXT_METRICS[name]
    assert row.label
    assert row.description
    assert row.higher_is_better


def test_scores_by_hand():
    scores = score_texts(REPORTS, ["exact_match", "rouge_l"])
    np.testing.assert_array_equal(scores.per_text["exact_match"], [1, 0, 0, np.nan, 0])
    # "there is … pleural effusion" of 5 and 6 words: P 4/5, R 4/6; 1 of 1 and 1 of 3 words.
    np.testing.assert_allclose(scores.per_text["rouge_l"], [1, 8 / 11, 0.5, np.nan, 0])
    assert scores.findings is None
    assert scores.counts == {"blank_texts": 1, "blank_references": 1}


def test_findings_come_with_their_labels():
    scores = score_texts(REPORTS, ["findings"])
    # {none} {none}; {effusion} {none}; {cardiomegaly, effusion} {cardiomegaly}; –; {cardiomegaly} {}
    np.testing.assert_allclose(scores.per_text["findings"], [1, 0, 2 / 3, np.nan, 0])
    assert scores.findings.names == FINDINGS
    assert scores.findings.applies.tolist() == [True, True, True, False, True]
    found = finding_f1(scores.findings)
    # all: TP 2 (none, cardiomegaly), FP 1 (none), FN 3 (effusion twice, cardiomegaly) → 4/8
    np.testing.assert_allclose(found.micro, [0.5])
    # cardiomegaly TP 1, FN 1: 2/3; none TP 1, FP 1: 2/3; effusion: 0
    np.testing.assert_allclose(found.macro, [(2 / 3 + 2 / 3 + 0) / 3])


def test_findings_apply_to_reports_alone_where_other_questions_are_asked_too():
    rows = [
        {"id": "a#report", "question": "report", "reference": "Edema.", "text": "Edema."},
        {"id": "a#view", "question": "view", "reference": "frontal", "text": "frontal"},
    ]
    scores = score_texts(generations_of(rows), ["findings", "exact_match"])
    np.testing.assert_array_equal(scores.per_text["findings"], [1, np.nan])
    np.testing.assert_array_equal(scores.per_text["exact_match"], [1, 1])


def test_diagnosis_counts_where_the_reference_names_the_label():
    generations = texts(
        ("melanocytic nevus", "These are nevi.", "nv"),
        ("melanoma", "I cannot tell.", "mel"),
        ("melanoma", "a nevus", "mel"),
        ("on the back", "on the back", "mel"),  # another question
        ("a nevus", "a nevus", "mel"),  # label and reference disagree
    )
    scores = score_texts(generations, ["diagnosis"])
    np.testing.assert_array_equal(scores.per_text["diagnosis"], [1, 0, 0, np.nan, np.nan])
    counts = {name: n for name, n in scores.counts.items() if name.startswith("diagnosis")}
    assert counts == {
        "diagnosis_read": 3,
        "diagnosis_unparsed": 1,
        "diagnosis_reference_differs": 1,
    }


def test_diagnosis_without_labels_goes_by_the_references():
    scores = score_texts(texts(("melanoma", "BCC"), ("nevus", "naevi")), ["diagnosis"])
    np.testing.assert_array_equal(scores.per_text["diagnosis"], [0, 1])


def test_diagnosis_of_two_classes_by_words_or_diagnoses():
    generations = texts(
        ("Yes, it is malignant.", "melanoma", "malignant"),
        ("a benign lesion", "not malignant", "benign"),
    )
    scores = score_texts(generations, ["diagnosis"])
    np.testing.assert_array_equal(scores.per_text["diagnosis"], [1, 1])


def test_scores_from_outside_join_by_id():
    scores = score_texts(REPORTS, ["exact_match"], {"mine": {"t1": 3.5, "t0": -1.0}})
    np.testing.assert_array_equal(scores.per_text["mine"], [-1, 3.5, np.nan, np.nan, np.nan])
    assert list(scores.per_text) == ["exact_match", "mine"]
    assert scores.counts["mine_without_score"] == 3
    assert metric_row("mine").label == "mine"
    assert metric_row("mine").function is None


def test_a_clinical_metric_may_come_from_outside_under_its_own_name():
    scores = score_texts(REPORTS, [], {"green": {"t0": 0.5}})
    assert scores.per_text["green"][0] == 0.5
    assert metric_row("green").label == "GREEN"


@pytest.mark.parametrize(
    ("metrics", "outside", "message"),
    [
        (["bleu4"], {}, "no text metric 'bleu4'; did you mean 'bleu_4'"),
        (["bleu_1"], {"bleu_1": {"t0": 1.0}}, "'bleu_1' is asked for and comes from outside too"),
        ([], {"mine": {"t0": 1.0, "t9": 1.0}}, r"1 ids that no text has \(first: 't9'\)"),
    ],
)
def test_errors(metrics, outside, message):
    with pytest.raises(InputError, match=message):
        score_texts(REPORTS, metrics, outside)


def test_clinical_rows_see_reports_with_words_only(monkeypatch):
    """A blank text of a report is 0, a text without a reference has no score."""

    def overlap(references, written):
        assert all(text.strip() for text in (*references, *written))
        return np.full(len(written), 0.25)

    row = text_scores._of_reports(overlap)
    np.testing.assert_array_equal(row(REPORTS).values, [0.25, 0.25, 0.25, np.nan, 0])


def test_chexberts_labels_take_the_place_of_the_rules(monkeypatch):
    edema = np.array([name == "Edema" for name in FINDINGS])
    monkeypatch.setattr(
        text_scores, "chexbert_findings", lambda written: np.tile(edema, (len(written), 1))
    )
    scores = score_texts(REPORTS, ["chexbert_f1", "findings"])
    assert scores.findings.labeller == "CheXbert"
    np.testing.assert_array_equal(scores.per_text["chexbert_f1"], [1, 1, 1, np.nan, 0])
    np.testing.assert_allclose(scores.per_text["findings"][:3], [1, 0, 2 / 3])


def test_a_missing_clinical_package_ends_with_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "radgraph", None)
    with pytest.raises(InputError, match="radgraph_f1 needs the package radgraph"):
        score_texts(REPORTS, ["radgraph_f1"])
