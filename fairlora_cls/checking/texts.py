"""What a generative run will read and be taught: questions, answers and their tokens.

N examples, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.checking.findings import Finding, counted, list_errors, tabulate_spread
from fairlora_cls.data.conversations import render_conversation
from fairlora_cls.data.examples import SPLIT_NAMES, Splits
from fairlora_cls.data.prompts import question_of, tokenise
from fairlora_cls.data.questions import Turn, ask_all
from fairlora_cls.errors import InputError
from fairlora_cls.models.backbones import Backbone
from fairlora_cls.presentation.document import Table, text_table
from fairlora_cls.recipe import Recipe

MOST_READ = 2000  # conversations that are tokenised; more tell nothing new


@dataclass(frozen=True)
class TextFacts:
    """Token counts of conversations."""

    words: np.ndarray  # (N,) tokens of a whole conversation besides the visual ones
    answers: np.ndarray  # (N,) tokens that are taught
    longest: np.ndarray  # (N,) tokens of the longest single answer
    texts: int  # that are decoded: one for each question about each test example


def ask_everyone(
    recipe: Recipe, splits: Splits
) -> tuple[dict[str, list[tuple[Turn, ...]]], list[Finding]]:
    """Questions and answers by split, or the finding that says who has none."""
    questions, asked = recipe.data.questions, question_of(recipe.data.prompt, splits)
    try:
        ask_all(tuple(splits.everything()), questions, splits.classes, asked)
    except InputError as error:
        return {}, list_errors("questions", error)
    seeds = {name: recipe.seed if name == "train" else None for name in SPLIT_NAMES}
    return {
        name: ask_all(splits.split(name), questions, splits.classes, asked, seed)
        for name, seed in seeds.items()
    }, []


def count_tokens(asked: dict[str, list[tuple[Turn, ...]]], backbone: Backbone) -> TextFacts:
    """Token counts of up to MOST_READ conversations, evenly from all."""
    everyone = [turns for name in SPLIT_NAMES for turns in asked[name]]
    step = max(1, len(everyone) // MOST_READ)
    tokenizer = backbone.processor.tokenizer
    rows = []
    for turns in everyone[::step]:
        pieces = render_conversation(backbone.processor, turns)
        counts = [len(tokenise(tokenizer, piece.text)) for piece in pieces]
        answers = [n for n, piece in zip(counts, pieces, strict=True) if piece.is_answer]
        rows.append((sum(counts), sum(answers), max(answers)))
    words, answers, longest = np.array(rows).T
    return TextFacts(words, answers, longest, sum(map(len, asked["test"])))


def find_long_answers(facts: TextFacts, max_new_tokens: int) -> list[Finding]:
    """Whether texts as long as the answers can be written."""
    over = int((facts.longest > max_new_tokens).sum())
    if not over:
        return []
    return [
        Finding(
            "warning",
            "long-answers",
            f"{counted(over, 'answer')} of {len(facts.longest):,} looked at have more tokens than "
            f"generation.max_new_tokens ({max_new_tokens}; the longest {int(facts.longest.max()):,}), "
            "so texts as long as these would be cut off; raise it.",
        )
    ]


def tabulate_texts(facts: TextFacts, asked: dict[str, list[tuple[Turn, ...]]]) -> list[Table]:
    """Tokens of conversations, and an example of each question."""
    tokens = tabulate_spread(
        "Tokens of texts",
        (("conversation, without image", facts.words, 0), ("answers", facts.answers, 0)),
    )
    first = _first_of_each(asked["test"] or asked["train"])
    questions = text_table(
        "Questions, as evaluation asks them",
        ("name", "question", "an answer"),
        tuple((turn.name, turn.shown, turn.answer) for turn in first),
    )
    return [tokens, questions]


def _first_of_each(asked: Sequence[tuple[Turn, ...]]) -> list[Turn]:
    found: dict[str, Turn] = {}
    for turns in asked:
        for turn in turns:
            found.setdefault(turn.name, turn)
    return list(found.values())
