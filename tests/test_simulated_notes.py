"""Notes of the simulated fundus cohort: what they say is drawn as stated, and how much it tells is known."""

import math

import numpy as np
import pytest

from fairlora_cls.data.datasets import load_splits
from fairlora_cls.data.demographic_words import demographic_words
from fairlora_cls.data.simulated.notes import NoteMechanism, bayes_probability, write_note
from fairlora_cls.errors import InputError

PERSON = {"sex": "Female", "race": "Asian", "ethnicity": "Non-Hispanic", "age": "61.4"}
COUNT = 2000


def notes(label, **knobs):
    mechanism = NoteMechanism(**knobs)
    return [write_note(3, 0, i, label, PERSON, mechanism) for i in range(COUNT)]


def below(x, mean, sd):
    return 0.5 * (1 + math.erf((x - mean) / (sd * math.sqrt(2))))


def test_the_log_odds_of_a_note_by_hand():
    note = notes(1)[0]
    said = {
        "Complaint: none.": math.log(0.35 / 0.50),
        "Complaint: blurred vision.": math.log(0.23 / 0.20),
        "Complaint: loss of side vision.": math.log(0.20 / 0.03),
        "Complaint: headache.": math.log(0.12 / 0.14),
        "Complaint: dry eyes.": math.log(0.10 / 0.13),
        "glaucoma: yes.": math.log(0.40 / 0.15),
        "glaucoma: no.": math.log(0.60 / 0.85),
        "Medication: none.": math.log(0.48 / 0.62),
        "Medication: aspirin.": math.log(0.16 / 0.18),
        "Medication: a statin.": 0.0,
        "Medication: latanoprost drops.": math.log(0.18 / 0.02),
    }
    odds = [value for words, value in said.items() if words in note.text]
    assert len(odds) == 3
    pressure = int(note.text.split("Pressure ")[1].split()[0])
    shares = [
        (below(pressure + 0.5, *d) - below(pressure - 0.5, *d)) / (below(40, *d) - below(8, *d))
        for d in ((15.5, 2.8), (20.0, 4.5))
    ]
    assert note.bayes_log_odds == pytest.approx(sum(odds) + math.log(shares[1] / shares[0]))


def test_the_bayes_probability_of_a_note_comes_true():
    """Of as many eyes with as without: among those of one probability it is the share with."""
    odds = np.array([n.bayes_log_odds for label in (0, 1) for n in notes(label)])
    labels = np.repeat([0, 1], COUNT)
    chances = bayes_probability(np.full(2 * COUNT, 0.5), odds)
    for low in (0.0, 0.25, 0.5, 0.75):
        members = (chances >= low) & (chances < low + 0.25)
        error = np.sqrt(0.25 / members.sum())
        assert abs(labels[members].mean() - chances[members].mean()) < 4 * error


def test_shares_of_notes_that_say_who_and_what():
    who = demographic_words(("sex", "race", "ethnicity"))
    said = np.mean([len(who.find(n.text)) == 3 for n in notes(0)])
    assert said == pytest.approx(0.5, abs=0.05)
    assert "A Non-Hispanic Asian woman, 61 years old." in notes(0, demographic_share=1.0)[0].text
    assert not any(who.find(n.text) for n in notes(0, demographic_share=0.0))
    leaks = np.mean(["Diagnosis: glaucoma." in n.text for n in notes(1, leak=0.3)])
    assert leaks == pytest.approx(0.3, abs=0.05)
    assert not any("Diagnosis" in n.text for n in notes(1))


def test_the_cohort_has_notes_on_demand_and_the_same_images(tmp_path):
    size = {"train": 6, "validation": 4, "test": 4}
    plain = load_splits("simulated-fundus", tmp_path / "c", size)
    noted = load_splits("simulated-fundus", tmp_path / "c", {**size, "notes": True})
    assert plain.words == ("age",)
    assert noted.words == ("age", "note")
    assert [e.image for e in noted.test] == [e.image for e in plain.test]
    assert all(e.words["note"].count(". ") >= 4 for e in noted.everything())
    again = load_splits("simulated-fundus", tmp_path / "c", {**size, "notes": True})
    assert [e.words for e in again.train] == [e.words for e in noted.train]
    with pytest.raises(InputError, match="leak"):
        load_splits("simulated-fundus", tmp_path / "c", {"leak": 1.5})
