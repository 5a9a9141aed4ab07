"""What a generating model is asked about an image and what it should answer: the table QUESTIONS.

N examples. The diagnoses' questions are made from HAM10000's labels by the templates below; no
question asks for sex, age or race, and no answer names them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairlora_cls.data.examples import Example
from fairlora_cls.data.prompts import fill_prompt, list_names
from fairlora_cls.data.sources.ham10000 import BINARY, DIAGNOSES, MALIGNANT
from fairlora_cls.errors import InputError, nearest


@dataclass(frozen=True)
class Turn:
    """One question about an example's image, and its answer."""

    name: str  # which question it is, unique within an example
    question: str
    answer: str
    template: str | None = None  # the question without the patient's words, where it has some

    @property
    def shown(self) -> str:
        """What a file may hold of the question."""
        return self.question if self.template is None else self.template


# (example, class names, data.prompt, seed) → what is asked, () where the example has no answer.
# With a seed, a template's phrasing and the order of the turns are drawn from (seed, example id),
# for training; None gives the one phrasing that every evaluation uses.
Questions = Callable[[Example, Sequence[str], str, int | None], tuple[Turn, ...]]

NAMES = {
    "akiec": "actinic keratosis",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
}
MELANOCYTIC = ("mel", "nv")
# The first phrasing is the one of evaluation.
PHRASINGS = {
    "diagnosis": (
        "What is the diagnosis of this skin lesion?",
        "What is the diagnosis?",
        "Which skin lesion is this?",
        "Name the lesion in this dermoscopy image.",
        "What can be seen in this image?",
    ),
    "malignancy": (
        "Is this lesion malignant or benign?",
        "Is this skin lesion benign or malignant?",
        "Would you call this lesion malignant or benign?",
    ),
    "choice": (
        "Which of these is it: {choices}?",
        "Choose the diagnosis that fits best: {choices}.",
        "The lesion is one of {choices}. Which one?",
    ),
    "melanocytic": (
        "Is this lesion melanocytic? Answer yes or no.",
        "Is it a melanocytic lesion, yes or no?",
    ),
    "site": (
        "Where on the body is this lesion?",
        "On which part of the body is the lesion?",
    ),
}
SITES = {  # HAM10000's localizations, where "on the …" does not do
    "acral": "on acral skin",
    "genital": "in the genital region",
}
CHOICES = (3, 5)  # fewest and most names offered in training; evaluation offers all seven


def ask_all(
    examples: Sequence[Example],
    questions: str,
    classes: Sequence[str],
    prompt: str,
    seed: int | None = None,
) -> list[tuple[Turn, ...]]:
    """The turns of each example by the row `questions` of QUESTIONS, N tuples of one or more.

    The prompt's fields are filled with each example's words.
    `seed`: a number for training (phrasings vary), None for evaluation (they do not). Raises
    InputError for an unknown row and, with their count, for examples that have no answer.
    """
    if questions not in QUESTIONS:
        raise InputError(f"data.questions is '{questions}'{nearest(questions, QUESTIONS)}")
    make = QUESTIONS[questions]
    asked = [_ask(make, example, classes, prompt, seed) for example in examples]
    silent = [
        example.id
        for example, turns in zip(examples, asked, strict=True)
        if not turns or not all(turn.answer.strip() for turn in turns)
    ]
    if silent:
        raise InputError(
            f"data.questions '{questions}' has no answer for {len(silent)} of {len(examples)} "
            f"examples (first: '{silent[0]}'); {WAYS_OUT[questions]}."
        )
    return asked


def _ask(
    make: Questions, example: Example, classes: Sequence[str], prompt: str, seed: int | None
) -> tuple[Turn, ...]:
    filled = fill_prompt(prompt, example.words)
    return tuple(
        replace(turn, template=prompt) if turn.question == filled != prompt else turn
        for turn in make(example, classes, filled, seed)
    )


def ask_report(
    example: Example, classes: Sequence[str], prompt: str, seed: int | None
) -> tuple[Turn, ...]:
    """The prompt, answered by the example's text: report or findings."""
    return (Turn("report", prompt, example.text),) if example.text else ()


def ask_label(
    example: Example, classes: Sequence[str], prompt: str, seed: int | None
) -> tuple[Turn, ...]:
    """The prompt, answered by the name of the class."""
    return (Turn("label", prompt, classes[example.label]),)


def ask_own(
    example: Example, classes: Sequence[str], prompt: str, seed: int | None
) -> tuple[Turn, ...]:
    """The pairs that the data set brings, in its order; a single pair is named `own`."""
    pairs = example.conversation
    names = ["own"] if len(pairs) == 1 else [f"own-{k}" for k in range(1, len(pairs) + 1)]
    return tuple(Turn(name, *pair) for name, pair in zip(names, pairs, strict=True))


def ask_ham10000(
    example: Example, classes: Sequence[str], prompt: str, seed: int | None
) -> tuple[Turn, ...]:
    """Diagnosis in words, malignant or benign, which of several, melanocytic or not, and the site.

    With the classes benign and malignant, what those tell; the site where the data knows the
    `localization`. Raises InputError for other classes than these two or the seven diagnoses.
    """
    name = classes[example.label]
    draw = None if seed is None else _generator(seed, example.id)
    choices = ""
    if tuple(classes) == DIAGNOSES:
        answers = {
            "diagnosis": f"The lesion is a {NAMES[name]}.".replace("a actinic", "an actinic"),
            "malignancy": f"The lesion is {'malignant' if name in MALIGNANT else 'benign'}.",
            "choice": NAMES[name],
            "melanocytic": "yes" if name in MELANOCYTIC else "no",
        }
        choices = _choices(name, draw)
    elif tuple(classes) == BINARY:
        answers = {"malignancy": f"The lesion is {name}."}
    else:
        raise InputError(
            "data.questions 'ham10000' is about the seven diagnoses, or benign and malignant, not "
            f"about {', '.join(classes)}; take data.questions=label."
        )
    site = example.attributes.get("localization")
    if site:
        answers["site"] = f"The lesion is {SITES.get(site, f'on the {site}')}."
    turns = [
        Turn(key, _phrase(PHRASINGS[key], draw).format(choices=choices), answer)
        for key, answer in answers.items()
    ]
    if draw is not None:
        turns = [turns[place] for place in draw.permutation(len(turns))]
    return tuple(turns)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _phrase(phrasings: Sequence[str], draw: np.random.Generator | None) -> str:
    return phrasings[0] if draw is None else phrasings[draw.integers(len(phrasings))]


def _choices(code: str, draw: np.random.Generator | None) -> str:
    """The names on offer, the true one among them: all in order, or a few in random order."""
    offered = list(DIAGNOSES)
    if draw is not None:
        others = [other for other in DIAGNOSES if other != code]
        count = int(draw.integers(*CHOICES, endpoint=True)) - 1
        chosen = [code, *(others[place] for place in draw.permutation(len(others))[:count])]
        offered = [chosen[place] for place in draw.permutation(len(chosen))]
    names = [NAMES[other] for other in offered]
    return list_names(names)


QUESTIONS: dict[str, Questions] = {
    "report": ask_report,
    "label": ask_label,
    "ham10000": ask_ham10000,
    "own": ask_own,
}
WAYS_OUT = {  # where an example may have no answer
    "report": "leave them out of the data, or take data.questions=label",
    "own": "point data.options at the questions that come with the data, or take data.questions=report or label",
}
