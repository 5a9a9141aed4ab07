"""What the model is asked of an image: a question, and what is known of the patient in its fields.

T tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from fairlora_cls.data.demographic_words import DemographicWords
from fairlora_cls.data.examples import SPLIT_NAMES, Example, Splits
from fairlora_cls.errors import InputError, nearest

FINDINGS_QUESTION = "Provide a description of the findings in the radiology image"
ANSWERS_ALONE = {"0", "1", "absent", "false", "neg", "negative", "no", "pos", "positive", "present"}
ANSWERS_ALONE |= {"true", "yes", "y", "n"}  # class names that say nothing without a question
NAMES_OF_ANY = {"class", "diagnosis", "dx", "label", "labels", "target", "y"}  # of a label column
MOST_NAMED = 12  # classes that a question lists
BREAK = "\ue000"  # a private character: where a text is cut before its parts become tokens

MissingWords = Literal["error", "blank", "drop"]
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def find_fields(prompt: str) -> tuple[str, ...]:
    """The names in braces, each once; `{{` and `}}` stand for the braces themselves.

    Raises InputError for a brace without its partner and for an empty name.
    """
    names = []
    for part in _PARTS.finditer(prompt):
        if part[0] in ("{", "}") or part[1] == "":
            raise InputError(
                f"The prompt '{prompt}' has a brace that holds no name; write a field as {{note}}, and "
                "braces that are meant as such twice: {{ }}."
            )
        names += [part[1]] if part[1] else []
    return tuple(dict.fromkeys(names))


def fill_prompt(prompt: str, words: Mapping[str, str]) -> str:
    """The prompt with every field replaced by its words. Raises KeyError for a field without."""

    def put(part: re.Match[str]) -> str:
        return words[part[1]] if part[1] else part[0][0]

    return _PARTS.sub(put, prompt)


def default_question(classes: Sequence[str], label_column: str | None = None) -> str:
    """A question for data that bring none, from what the classes are called.

    label_column: what the table calls them; asked for where the names alone say nothing (yes, no)
    """
    if len(classes) < 2:
        return "Describe this image."
    offered = classes if len(classes) <= MOST_NAMED else [*classes[:MOST_NAMED], "another class"]
    column = " ".join((label_column or "").replace("_", " ").split())
    says_something = column and column.lower() not in NAMES_OF_ANY
    if says_something and all(name.strip().lower() in ANSWERS_ALONE for name in classes):
        return f"Does this image show {column}, {list_names(offered)}?"
    return f"Which of these does this image show: {list_names(offered)}?"


def list_names(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def question_of(prompt: str | None, splits: Splits) -> str:
    """The recipe's prompt, or where it names none the question that the data bring."""
    return prompt or splits.question or default_question(splits.classes)


def keep_words(
    splits: Splits,
    prompt: str,
    missing: MissingWords = "error",
    taken_out: DemographicWords | None = None,
) -> tuple[Splits, tuple[str, ...]]:
    """Every example with the words that the prompt's fields name, and no others; and notes.

    missing: what becomes of an example that has no words for a field: `error` refuses it, `blank`
        leaves the place empty, `drop` leaves the example out
    taken_out: words that say who a patient is, which are blanked
    Raises InputError for a field that the data does not have, and for missing words.
    """
    fields = find_fields(prompt)
    if not fields:
        return splits.changed(lambda e: replace(e, words={}) if e.words else e), ()
    known = (*splits.words, *(name for name in splits.attributes if name not in splits.words))
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise InputError(
            f"The prompt names the field '{name}', which '{splits.source}' does not have"
            f"{nearest(name, known)}"
            for name in unknown
        )
    words = {e.id: {name: e.known_words(name) for name in fields} for e in splits.everything()}
    silent = {
        name: [i for i, own in words.items() if not own[name]]
        for name in fields
        if not all(own[name] for own in words.values())
    }
    if silent and missing == "error":
        raise InputError(
            f"{len(ids):,} of {len(words):,} examples have no '{name}' for the prompt (first: "
            f"'{ids[0]}'); data.missing_words=blank leaves the place empty, drop leaves them out."
            for name, ids in silent.items()
        )
    out = {i for ids in silent.values() for i in ids} if missing == "drop" else set()
    blanked: dict[str, int] = {}

    def with_words(example: Example) -> Example | None:
        if example.id in out:
            return None
        own = {name: text or "" for name, text in words[example.id].items()}
        if taken_out is not None:
            pairs = {name: taken_out.take_out(text) for name, text in own.items()}
            blanked[example.id] = sum(count for _, count in pairs.values())
            own = {name: text for name, (text, _) in pairs.items()}
        return replace(example, words=own)

    notes = tuple(
        f"{len(ids):,} examples have no '{name}' for the prompt and were "
        f"{'left out' if missing == 'drop' else 'asked without it'} (data.missing_words)."
        for name, ids in silent.items()
    )
    splits = splits.changed(with_words)
    if taken_out is not None and taken_out.attributes:
        notes += (
            f"{sum(blanked.values()):,} words that say {list_names(taken_out.attributes, 'and')} were "
            f"taken out of the prompts of {sum(n > 0 for n in blanked.values()):,} of "
            f"{len(blanked):,} examples (data.redact).",
        )
    return splits, notes


def cut_words(
    splits: Splits, most_tokens: int | None, tokenizer: Any
) -> tuple[Splits, tuple[str, ...]]:
    """Words of at most so many tokens in each field, the rest cut off at the end; and a note.

    The question and the image are never cut. None cuts nothing.
    """
    shortened: set[str] = set()

    def cut(example: Example) -> Example:
        words = {n: cut_text(text, most_tokens, tokenizer) for n, text in example.words.items()}
        if words == example.words:
            return example
        shortened.add(example.id)
        return replace(example, words=words)

    if most_tokens is None or not any(e.words for e in splits.everything()):
        return splits, ()
    splits = splits.changed(cut)
    if not shortened:
        return splits, ()
    counts = ", ".join(
        f"{sum(e.id in shortened for e in splits.split(name)):,} in {name}"
        for name in SPLIT_NAMES
        if splits.split(name)
    )
    return splits, (
        f"The words of {len(shortened):,} examples were cut at {most_tokens:,} tokens a field "
        f"(data.max_words_tokens): {counts}.",
    )


def cut_text(text: str, most_tokens: int | None, tokenizer: Any) -> str:
    """The beginning of a text that has at most so many tokens."""
    if most_tokens is None or len(text) <= most_tokens:  # no token is shorter than a character
        return text
    ids = tokenise(tokenizer, as_plain_text(text, tokenizer))
    if len(ids) <= most_tokens:
        return text
    kept = tokenizer.decode(ids[:most_tokens], skip_special_tokens=False)
    return kept.rstrip("\ufffd").strip()  # half a character at the cut


def as_plain_text(text: str, tokenizer: Any) -> str:
    """A text of data with a BREAK inside whatever the tokenizer would take for a special token, so
    that no note ends a turn or stands for an image; `tokenise` cuts there."""
    text = text.replace(BREAK, "")
    for token in special_texts(tokenizer):
        while token in text:
            text = text.replace(token, token[0] + BREAK + token[1:])
    return text


def special_texts(tokenizer: Any) -> list[str]:
    """What the tokenizer's special tokens are written as, longest first."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    names = {*tokenizer.all_special_tokens, *(str(token) for token in added if token.special)}
    return sorted((name for name in names if len(name) > 1), key=len, reverse=True)


def tokenise(tokenizer: Any, text: str, *, begins: bool = False) -> list[int]:
    """Token ids (T,) of a text, each part between BREAKs by itself.

    begins: whether the tokenizer may put its own token of a beginning in front
    """
    ids: list[int] = []
    for number, part in enumerate(text.split(BREAK)):
        ids += tokenizer(part, add_special_tokens=begins and number == 0)["input_ids"]
    return ids


def findings_conversation(indication: str | None, findings: str) -> tuple[tuple[str, str]]:
    """The one question that LLaVA-Rad and FairLLaVA ask of a radiograph, and its answer.

    `indication`: why the image was taken; None leaves the clause out.
    """
    given = " ".join(indication.split()) if indication else ""
    end = f" given the following indication: {given}" if given else "."
    return ((FINDINGS_QUESTION + end, findings),)


def render_prompt(processor: Any, question: str) -> str:
    """The backbone's own chat template around image and question, up to where the answer begins.

    The text holds one image placeholder of the backbone, for its visual tokens; special tokens in
    the question are plain text, see `as_plain_text`.
    """
    words = as_plain_text(question, processor.tokenizer)
    content = [{"type": "image"}, {"type": "text", "text": words}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
