"""Every row of QUESTIONS asks what it says, phrased anew in training and alike in evaluation."""

from pathlib import Path

import pytest

from fairlora_cls.data.examples import Example, Splits, fingerprint
from fairlora_cls.data.questions import CHOICES, NAMES, PHRASINGS, QUESTIONS, Turn, ask_all
from fairlora_cls.data.sources.ham10000 import BINARY, DIAGNOSES
from fairlora_cls.errors import InputError

PAIRS = (("What is it?", "A mole."), ("Where?", "On the back."))
EXAMPLES = [
    Example(
        f"I{i}",
        Path("x.jpg"),
        i % 7,
        {"sex": "male", "localization": site},
        f"L{i}",
        f"Report {i}.",
        PAIRS[: 1 + i % 2],
    )
    for i, site in enumerate(["back", "genital", None, "acral", "scalp", "face", "lower extremity"])
]


@pytest.mark.parametrize("questions", QUESTIONS)
def test_every_row_asks_every_example_something_and_names_its_turns(questions):
    for seed in (None, 3):
        asked = ask_all(EXAMPLES, questions, DIAGNOSES, "What is it?", seed)
        assert asked == ask_all(EXAMPLES, questions, DIAGNOSES, "What is it?", seed)
        for turns in asked:
            assert turns
            assert len({turn.name for turn in turns}) == len(turns)
            assert all(turn.question and turn.answer for turn in turns)
            words = " ".join(turn.question + turn.answer for turn in turns).lower()
            assert "male" not in words.split()


def test_report_label_and_own():
    assert ask_all(EXAMPLES[:1], "report", DIAGNOSES, "Findings?") == [
        (Turn("report", "Findings?", "Report 0."),)
    ]
    assert ask_all(EXAMPLES[1:2], "label", DIAGNOSES, "Which?") == [
        (Turn("label", "Which?", "bcc"),)
    ]
    assert ask_all(EXAMPLES[:2], "own", DIAGNOSES, "unused") == [
        (Turn("own", "What is it?", "A mole."),),
        (Turn("own-1", "What is it?", "A mole."), Turn("own-2", "Where?", "On the back.")),
    ]


def test_examples_without_an_answer_are_counted():
    silent = [*EXAMPLES, Example("J", Path("y.jpg"), 0, {}, "M")]
    for questions in ("report", "own"):
        with pytest.raises(
            InputError, match=r"no answer for 1 of 8 examples \(first: 'J'\); .*label"
        ):
            ask_all(silent, questions, DIAGNOSES, "Findings?")
    with pytest.raises(InputError, match=r"data\.questions is 'repot'.*report"):
        ask_all(silent, "repot", DIAGNOSES, "Findings?")


def test_evaluation_asks_all_examples_alike():
    asked = ask_all(EXAMPLES, "ham10000", DIAGNOSES, "unused")
    assert [turn.name for turn in asked[0]] == list(PHRASINGS)
    assert [turn.name for turn in asked[2]] == list(PHRASINGS)[:-1]  # its site is not known
    questions = {turn.question for turns in asked for turn in turns}
    assert len(questions) == len(PHRASINGS)
    assert "Is this lesion malignant or benign?" in questions
    melanoma = {turn.name: turn.answer for turn in asked[DIAGNOSES.index("mel")]}
    assert melanoma == {
        "diagnosis": "The lesion is a melanoma.",
        "malignancy": "The lesion is malignant.",
        "choice": "melanoma",
        "melanocytic": "yes",
        "site": "The lesion is on the scalp.",
    }
    assert asked[0][0].answer == "The lesion is an actinic keratosis."
    assert asked[1][-1].answer == "The lesion is in the genital region."
    assert [turns[1].answer for turns in asked].count("The lesion is malignant.") == 3


def test_training_varies_phrasing_choices_and_order_by_example_and_seed():
    many = [
        Example(f"I{i}", Path("x.jpg"), i % 7, {"localization": "back"}, f"L{i}")
        for i in range(200)
    ]
    asked = ask_all(many, "ham10000", DIAGNOSES, "unused", 1)
    assert {turns[0].name for turns in asked} == set(PHRASINGS)
    seen = {turn.question for turns in asked for turn in turns if turn.name != "choice"}
    assert seen == {text for name, own in PHRASINGS.items() if name != "choice" for text in own}
    for example, turns in zip(many, asked, strict=True):
        choice = next(turn for turn in turns if turn.name == "choice")
        offered = [name for name in NAMES.values() if name in choice.question]
        assert choice.answer == NAMES[DIAGNOSES[example.label]]
        assert choice.answer in offered
        assert CHOICES[0] <= len(offered) <= CHOICES[1]
    assert asked != ask_all(many, "ham10000", DIAGNOSES, "unused", 2)
    # An example is asked the same whatever stands beside it.
    assert ask_all(many[50:], "ham10000", DIAGNOSES, "unused", 1) == asked[50:]


def test_two_classes_tell_less_and_others_are_refused():
    asked = ask_all(EXAMPLES[1:2], "ham10000", BINARY, "unused")
    assert [(turn.name, turn.answer) for turn in asked[0]] == [
        ("malignancy", "The lesion is malignant."),
        ("site", "The lesion is in the genital region."),
    ]
    with pytest.raises(InputError, match=r"not about no, yes; take data\.questions=label"):
        ask_all(EXAMPLES[:1], "ham10000", ("no", "yes"), "unused")


def test_a_conversation_is_part_of_the_fingerprint():
    def hashed(*conversation):
        example = Example("I", Path("x.jpg"), 0, {}, "L", None, conversation)
        return fingerprint(Splits("s", ("no", "yes"), (), (example,), (), ()))

    prints = {hashed(), hashed(PAIRS[0]), hashed(*PAIRS), hashed((PAIRS[0][0], "Another."))}
    assert len(prints) == 4
