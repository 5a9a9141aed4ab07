"""Words that say who a patient is, found and taken out."""

import pytest

from fairlora_cls.data.demographic_words import demographic_words, read_phrases
from fairlora_cls.errors import InputError

EVERYTHING = demographic_words(("sex", "race", "ethnicity", "age"))


@pytest.mark.parametrize(
    ("text", "without", "said"),
    [
        ("A 67-year-old woman.", "A ___ ___.", [("age", None), ("sex", "Female")]),
        (
            "Non-Hispanic White man",
            "___ ___ ___",
            [("ethnicity", "Non-Hispanic"), ("race", "White"), ("sex", "Male")],
        ),
        ("HE says his eye hurts", "___ says ___ eye hurts", [("sex", "Male"), ("sex", "Male")]),
        ("Black spots; white matter; blackboard", "Black spots; white matter; blackboard", []),
        ("African American, 71 y/o", "___, ___", [("race", "Black"), ("age", None)]),
        ("the human eye; sheet; hero", "the human eye; sheet; hero", []),
        ("aged 45, in her late sixties", "___, ___", [("age", None), ("age", None)]),
        ("Pressure 21 mmHg, 6 months", "Pressure 21 mmHg, 6 months", []),
        ("", "", []),
    ],
)
def test_by_hand(text, without, said):
    assert EVERYTHING.take_out(text) == (without, len(said))
    assert [(m.attribute, m.group) for m in EVERYTHING.find(text)] == said


def test_only_the_attributes_asked_for():
    words = demographic_words(("race",))
    assert words.take_out("A Black woman of 60 years of age") == (
        "A ___ woman of 60 years of age",
        1,
    )
    assert demographic_words(()).take_out("A Black woman") == ("A Black woman", 0)


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(InputError, match=r"'rase'.*'race'"):
        demographic_words(("rase",))


def test_phrases_of_another_language(tmp_path):
    file = tmp_path / "de.yaml"
    file.write_text("sex:\n  Female: [Frau, sie]\n  Male: [Mann, er]\n", encoding="utf-8")
    words = demographic_words(("sex",), read_phrases(file))
    assert words.take_out("Die Frau, sie sieht; der Mann") == ("Die ___, ___ sieht; der ___", 3)
    for bad in (
        "[a]",
        "sex: [woman]",
        "sex: {Female: woman}",
        "sex: {Female: []}",
        "age: {a: [b]}",
    ):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(InputError, match="attribute"):
            read_phrases(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_phrases(tmp_path / "nowhere.yaml")
