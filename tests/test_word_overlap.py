"""Exact match, BLEU and ROUGE-L, with values worked out by hand."""

import math

import pytest
from rouge_score.tokenize import tokenize

from fairlora_cls.texts.word_overlap import bleu, exact_match, normalise, rouge_l, words


def test_normalise_keeps_words_alone():
    assert normalise("  The Heart—size, is NORMAL.\n") == "the heart size is normal"
    assert normalise("ﬁne") == "fine"  # a ligature
    assert normalise(" -- ") == ""


def test_exact_match_ignores_case_and_punctuation_only():
    assert exact_match("Melanoma.", "melanoma") == 1
    assert exact_match("a melanoma", "melanoma") == 0
    assert exact_match("", "melanoma") == 0


@pytest.mark.parametrize("reference", ["", "  ", " . "])
def test_a_reference_without_a_word_is_no_reference(reference):
    for score in (exact_match, rouge_l, lambda t, r: bleu(t, r, 1), lambda t, r: bleu(t, r, 4)):
        assert math.isnan(score("some text", reference))
        assert math.isnan(score("", reference))


def test_a_blank_text_scores_zero():
    for score in (exact_match, rouge_l, lambda t, r: bleu(t, r, 1), lambda t, r: bleu(t, r, 4)):
        assert score("", "the heart is large") == 0
        assert score(" .", "the heart is large") == 0


def test_the_same_text_scores_one_however_short():
    for text in ("Melanoma", "The heart is large.", "one two three four five"):
        assert bleu(text, text, 1) == 1
        assert bleu(text, text.upper(), 4) == 1
        assert rouge_l(text, text.upper()) == 1


def test_bleu_1_is_precision_times_brevity():
    # 3 of 4 words hit (of two "the", one), 4 words against 5: 3/4 · exp(1 − 5/4).
    assert bleu("the the heart large", "the heart is very large", 1) == pytest.approx(
        0.75 * math.exp(-0.25)
    )
    # 3 of 6 hit, no shorter than the reference: no penalty.
    assert bleu("a b c x y z", "a b c", 1) == pytest.approx(0.5)


def test_bleu_4_is_the_geometric_mean_of_precisions():
    # words 5/6, pairs 3/5, triples 2/4, fours 1/3 ("the heart is very" hits), lengths 6 and 6.
    text, reference = "the heart is very large today", "the heart is very big today"
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu(text, reference, 4) == pytest.approx(expected)


def test_bleu_4_smooths_orders_without_a_hit_and_drops_those_too_long():
    # Three words against three: 2/3, 0/2 → 1/(2·2), 0/1 → 1/(4·1), no fours.
    expected = (2 / 3 * 1 / 4 * 1 / 4) ** (1 / 3)
    assert bleu("a x b", "a b c", 4) == pytest.approx(expected)
    assert bleu("x y z", "a b c", 4) == 0


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence():
    # "the … clear" of 4 and 5 words: P 3/4, R 3/5 → 2/3.
    assert rouge_l("the lungs seem clear", "the lungs are both clear") == pytest.approx(2 / 3)
    assert rouge_l("clear lungs", "lungs clear") == pytest.approx(0.5)


def test_rouge_l_does_not_stem():
    assert rouge_l("opacities", "opacity") == 0


def test_rouge_l_reads_accented_letters():
    assert rouge_l("pulmón derecho", "Pulmon derecho") == 1
    assert rouge_l("ΚΑΡΔΙΑ", "καρδιά") == 1
    assert rouge_l("が", "か") == 0  # other letters, not accents
    assert rouge_l("心", "心脏") == pytest.approx(2 / 3)  # a character each: P 1, R 1/2


def test_english_words_are_those_of_the_published_package():
    text = "The heart (12.5cm) isn't_large; no\teffusion/pneumothorax — 3rd rib, T-4.\n"
    assert words(text) == tokenize(text, None)


OPPOSITE = {  # of each pair only the number is shared, and the word for centimetres
    "Russian": ("Норма 2 см", "Плевральный выпот слева 2 см", 4 / 8),
    "Greek": ("Φυσιολογικό 2 cm", "Πλευριτική συλλογή αριστερά 2 cm", 4 / 8),
    "Arabic": ("طبيعي 2 سم", "انصباب جنبي ايسر 2 سم", 4 / 8),
    "Korean": ("정상 2 cm", "왼쪽 흉막 삼출 2 cm", 4 / 8),
    "Chinese": ("正常2", "胸腔积液2", 2 / 8),
    "Spanish": ("Normal: 2 cm", "Derrame pleural izquierdo, 2 cm", 4 / 8),
}


@pytest.mark.parametrize("language", OPPOSITE)
def test_opposite_texts_share_their_number_alone(language):
    text, reference, shared = OPPOSITE[language]
    assert rouge_l(text, reference) == pytest.approx(shared)
    assert bleu(text, reference, 1) < 0.6
    assert bleu(text, reference, 4) < 0.6
    assert exact_match(text, reference) == 0
    for score in (exact_match, rouge_l, lambda t, r: bleu(t, r, 4)):
        assert score(reference, reference) == 1


def test_marks_that_make_another_word_count():
    assert exact_match("है", "हो") == 0
    assert rouge_l("है", "हो") == 0
