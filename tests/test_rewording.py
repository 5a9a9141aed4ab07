"""The same patient in other words, by hand; and what is counted as an effect of words."""

import numpy as np
import pytest

from fairlora_cls.data.demographic_words import PHRASES, read_phrases, worded_attributes
from fairlora_cls.data.rewording import BEFORE, Reworder, demographic_words
from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.rewording import Answers, judge, measure_effect

IN_NOTE = Reworder(PHRASES, "note")


def reworded(attribute, name, note, reworder=IN_NOTE):
    """The note under the wording of that name."""
    (wording,) = (w for w in reworder.wordings(attribute) if w.name == name)
    words = wording.change({BEFORE: "", "note": note})
    assert words[BEFORE] == ""
    return words["note"]


@pytest.mark.parametrize(
    ("attribute", "name", "note", "expected"),
    [
        ("sex", "Male", "A woman; she says her eye hurts.", "A man; he says his eye hurts."),
        ("sex", "Female", "MR. Smith: he, HIS eye, himself", "MRS. Smith: she, HER eye, herself"),
        ("sex", "Female", "A woman.", "A woman."),
        ("sex", "Female", "The gentleman left.", "The lady left."),
        ("sex", "Female", "Pressure 21.", "The patient is a woman. Pressure 21."),
        ("race", "Asian", "A White man.", "An Asian man."),
        ("race", "Black", "an Asian man", "a Black man"),
        ("race", "Asian", "a black man", "an asian man"),
        ("race", "Black", "A Caucasian man", "An African American man"),
        ("race", "Asian", "A man.", "The patient is an Asian person. A man."),
        ("ethnicity", "Hispanic", "A Non-Hispanic man", "A Hispanic man"),
        ("age", "(44,65]", "A 70-year-old man", "A 55-year-old man"),
        ("age", "(65,∞)", "Aged 70; 71 y/o", "Aged 70; 71 y/o"),
        ("age", "(0,44]", "seen in his sixties", "seen aged 30"),
        ("age", "(0,44]", "Seen.", "The patient is 30 years old. Seen."),
        ("sex×race", "Female×Black", "A White man.", "A Black woman."),
        ("sex×race", "Female×Black", "A man.", "The patient is a Black person. A woman."),
        ("sex", "taken out", "A man.", "A ___."),
        ("sex", "taken out", "Pressure 21.", "Pressure 21."),
        ("sex×age", "taken out", "A man of 60 years of age", "A ___ of ___"),
    ],
)
def test_wordings_by_hand(attribute, name, note, expected):
    assert reworded(attribute, name, note) == expected


def test_fields_that_are_the_attribute_take_its_value():
    words = {BEFORE: "", "sex": "Male", "age": "71", "age_group": "(65,∞)", "note": "Seen."}
    female, _, out = IN_NOTE.wordings("sex")
    assert female.change(words) == {**words, "sex": "Female"}
    assert out.change(words) == {**words, "sex": "___"}
    young = IN_NOTE.wordings("age")[0]
    assert young.change(words) == {**words, "age": "30", "age_group": "(0,44]"}


def test_without_words_of_a_patient_the_clause_stands_before_the_question():
    female, _, out = Reworder(PHRASES, BEFORE).wordings("sex")
    assert female.change({BEFORE: ""}) == {BEFORE: "The patient is a woman."}
    assert out.change({BEFORE: ""}) == {BEFORE: ""}


def test_what_redaction_takes_out_is_not_put_in():
    reworder = Reworder(PHRASES, "note", demographic_words(("sex", "race")))
    assert reworded("sex", "Female", "Pressure 21.", reworder) == "Pressure 21."
    assert reworded("race", "Black", "Pressure 21.", reworder) == "Pressure 21."
    assert "Hispanic" in reworded("ethnicity", "Hispanic", "Pressure 21.", reworder)


def test_neutral_wordings_are_as_long_and_say_nothing_of_the_patient():
    everything = demographic_words(("sex", "race", "ethnicity", "age"))
    own = {BEFORE: "", "note": "A woman of 60 years of age, seen. Quiet eye."}
    for attribute, added in (("sex", 1), ("sex×age", 2)):
        texts = [w.change(own)["note"] for w in IN_NOTE.neutral(attribute, 10, 3)]
        assert len(set(texts)) == 10
        assert {len(text.split()) - len(own["note"].split()) for text in texts} == {added}
        assert {len(everything.find(text)) for text in texts} == {2}
    clauses = [w.change(own)["note"] for w in IN_NOTE.neutral("race", 10, 3)]
    assert all(text.endswith(own["note"]) and text != own["note"] for text in clauses)
    again = [w.change(own)["note"] for w in IN_NOTE.neutral("race", 10, 3)]
    assert clauses == again != [w.change(own)["note"] for w in IN_NOTE.neutral("race", 10, 4)]


def test_phrases_of_another_language(tmp_path):
    file = tmp_path / "de.yaml"
    file.write_text(
        "sex: {Female: [Frau, sie], Male: [Mann, er]}\n"
        "clauses: {sex: ['Die Person ist ein Mensch: {}.']}\n"
        "neutral: {clauses: [Ein Bogen., Ein Blatt., Ein Brief.], words: [heute, hier, nun]}\n"
    )
    reworder = Reworder(read_phrases(file), "note")
    assert worded_attributes(reworder.phrases) == ("sex", "age")
    assert reworded("sex", "Male", "Die Frau, sie sieht", reworder) == "Die Mann, er sieht"
    assert reworded("sex", "Male", "Gut.", reworder) == "Die Person ist ein Mensch: Mann. Gut."
    texts = {w.change({BEFORE: "", "note": "Gut."})["note"] for w in reworder.neutral("sex", 10, 1)}
    assert texts == {"Ein Bogen. Gut.", "Ein Blatt. Gut.", "Ein Brief. Gut."}
    file.write_text("sex: {Female: [Frau], Male: [Mann]}\nneutral: {clauses: [Ein Bogen.]}\n")
    with pytest.raises(InputError, match="1 neutral"):
        Reworder(read_phrases(file), "note").neutral("sex", 10, 1)


def test_a_clause_must_have_a_place_for_the_phrase(tmp_path):
    file = tmp_path / "de.yaml"
    file.write_text("sex: {Female: [Frau], Male: [Mann]}\nclauses: {sex: [Die Person.]}\n")
    with pytest.raises(InputError, match="Die Person"):
        read_phrases(file)


def answers(shifts, name="woman", flips=None, changed=None):
    shifts = np.array(shifts, dtype=float)
    changed = np.ones(len(shifts), dtype=bool) if changed is None else np.array(changed)
    flips = np.zeros(len(shifts), dtype=bool) if flips is None else np.array(flips)
    return Answers(name, name, changed, shifts, flips)


def effect(one, neutral, says=True, of_texts=False, resamples=500, units=None):
    count = len(one.shifts)
    return measure_effect(
        "sex",
        one,
        neutral,
        np.full(count, says),
        units or [f"p{i}" for i in range(count)],
        ["Female", "Male"] * (count // 2),
        np.random.default_rng(0),
        resamples=resamples,
        of_texts=of_texts,
    )


def noise(count, size=0.01, phrases=10):
    generator = np.random.default_rng(5)
    return [
        answers(generator.normal(generator.normal(0, size), size, count)) for _ in range(phrases)
    ]


def test_a_shift_beyond_the_neutral_ones_is_evidence():
    strong = effect(answers(np.linspace(0.08, 0.12, 60)), noise(60))
    assert strong.moved.shift.value == pytest.approx(0.1)
    low, high = strong.moved.shift.limits
    assert 0.09 < low < 0.1 < high < 0.11
    assert strong.groups["Female"].count == strong.groups["Male"].count == 30
    assert [each.is_evidence for each in judge([strong])] == [True]


def test_a_shift_that_neutral_words_make_too_is_not():
    """The same in every patient, but no larger than that of one phrase among others."""
    usual = effect(answers(np.full(60, 0.01)), noise(60))
    assert usual.p > 0.05
    assert not judge([usual])[0].is_evidence
    assert usual.hidden > 0.02


def test_what_any_clause_does_is_taken_off_where_a_clause_is_put_in():
    neutral = [answers(np.full(40, 0.2 + 0.001 * k)) for k in range(10)]
    one = answers(np.linspace(0.19, 0.21, 40))
    assert effect(one, neutral, says=False).beyond == pytest.approx(-0.0045)
    assert effect(one, neutral, says=True).beyond == pytest.approx(0.2)
    assert not judge([effect(one, neutral, says=False)])[0].is_evidence
    assert not judge([effect(one, neutral, says=True)])[0].is_evidence


def test_patients_whose_words_stay_are_left_out():
    changed = [True] * 10 + [False] * 30
    flips = [True] * 4 + [False] * 36
    part = effect(answers([0.5] * 10 + [0.0] * 30, flips=flips, changed=changed), noise(40))
    assert (part.moved.count, part.moved.flipped, part.moved.shift.value) == (10, 4, 0.5)
    assert part.moved.flips.value == pytest.approx(0.4)
    nothing = effect(answers(np.zeros(40), changed=[False] * 40), noise(40))
    assert (nothing.moved, nothing.p) == (None, None)


def test_patients_count_and_not_their_images():
    shifts = np.repeat([0.3, -0.1, 0.3, -0.1], 20)
    alone = effect(answers(shifts), noise(80, 0.001))
    together = effect(answers(shifts), noise(80, 0.001), units=[f"p{i // 20}" for i in range(80)])
    assert alone.p < 0.01
    assert together.p > 0.1


def test_texts_are_judged_by_the_share_that_changes():
    neutral = [answers(np.zeros(40), flips=np.arange(40) == k) for k in range(10)]
    changes = effect(answers(np.full(40, np.nan), flips=np.arange(40) < 30), neutral, of_texts=True)
    assert changes.moved.shift is None
    assert (changes.moved.flipped, changes.neutral_flips) == (30, pytest.approx(1 / 40))
    assert judge([changes])[0].is_evidence
    assert not judge([effect(answers(np.zeros(40)), neutral, of_texts=True)])[0].is_evidence


def test_without_resamples_nothing_is_tested():
    assert effect(answers(np.full(20, 0.5)), noise(20), resamples=0).p is None
