"""The column of patients is known by its usual names, and no other is taken for it."""

import pytest

from fairlora_cls.data.units import choose_unit_column, find_candidates
from fairlora_cls.errors import InputError
from tests.small_tables import table_of

TWICE = ["1", "1.0", "2", "3"]  # one patient has two images


def frame(**columns):
    return table_of(columns)


@pytest.mark.parametrize(
    "name",
    [
        *["Patient ID", "patient_id", "PatientID", "subject_id", "Subject", "lesion_id", "MRN"],
        *["pid", "eye_patient", "Patient #", "ID_patient", "anon-patient-id", "Patienten-Nr"],
    ],
)
def test_usual_names(name):
    candidates = find_candidates([frame(**{name: TWICE})], ())
    assert candidates == {name: True}
    column, notes = choose_unit_column([frame(**{name: TWICE})], "patient", candidates)
    assert column == name
    assert f"'{name}'" in notes[0]


@pytest.mark.parametrize(
    "name",
    [
        *["patient_age", "PatientSex", "inpatient", "lesion_type", "lesion_name", "lesion_code"],
        *["lesions", "n_patients", "id", "image_id", "rapid", "subjective", "personality"],
    ],
)
def test_other_names(name):
    assert find_candidates([frame(**{name: TWICE})], ()) == {}


def test_a_kind_of_lesion_is_no_lesion():
    """Ten rows of each of four kinds: too many images of one for a column of lesions."""
    kinds = frame(lesion=["mole", "wart", "spot", "scar"] * 30)
    assert find_candidates([kinds], ()) == {}
    assert find_candidates([frame(lesion_id=["mole", "wart"] * 30)], ()) == {"lesion_id": True}


def test_what_does_not_repeat_or_has_another_use_is_not_taken():
    once = frame(patient_id=["1", "2", None, None])  # missing is no patient
    candidates = find_candidates([once], ())
    assert candidates == {"patient_id": False}
    assert choose_unit_column([once], "patient", candidates) == (None, ())
    assert find_candidates([frame(patient_id=TWICE)], {"patient_id"}) == {}
    parts = [frame(mrn=["1"]), frame(mrn=["1"])]  # twice over both tables
    assert find_candidates(parts, ()) == {"mrn": True}


def test_the_option_decides():
    both = frame(patient=TWICE, eye=TWICE, mrn=TWICE)
    candidates = {"mrn": True}
    assert choose_unit_column([both], "patient", candidates) == ("patient", ())
    assert choose_unit_column([both], "eye", candidates) == ("eye", ())
    assert choose_unit_column([both], None, candidates) == (None, ())
    column, notes = choose_unit_column([both], "eyes", candidates)
    assert column is None
    assert "'eyes'" in notes[0]


def test_two_candidates_are_both_named():
    two = frame(mrn=TWICE, lesion_id=TWICE)
    with pytest.raises(InputError, match="'mrn' and 'lesion_id'"):
        choose_unit_column([two], "patient", find_candidates([two], ()))
