"""The same patient in other words: demographic words put in, swapped and taken out, and neutral changes.

What a prompt says of a patient is a mapping, field → text; under BEFORE stands what is put before the
question itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product

import numpy as np

from fairlora_cls.data.demographic_words import (
    AGE,
    BLANK,
    CLAUSES_KEY,
    NEUTRAL_KEY,
    PHRASES,
    DemographicWords,
    Mention,
    Phrases,
    demographic_words,
)
from fairlora_cls.data.groups import INTERSECTION, age_band
from fairlora_cls.errors import InputError

Words = Mapping[str, str]
BEFORE = ""
TAKEN_OUT = "taken out"
AGES = ("30", "55", "75")  # years put in: one of each band of `age_group`
AGE_FIELDS = (AGE, "age_group")
# The clause that says what a note leaves unsaid; {} is the group's first phrase.
CLAUSES = {
    "sex": "The patient is a {}.",
    "race": "The patient is a {} person.",
    "ethnicity": "The patient is a {} person.",
    AGE: "The patient is {} years old.",
}
OTHER_CLAUSE = "{}."  # of another attribute, and of phrases of one's own
# Clauses as long as those, which say nothing of who the patient is or of what the patient has.
NEUTRAL_CLAUSES = (
    "The patient is known here.",
    "The patient is seen today.",
    "The patient came this week.",
    "The visit is documented here.",
    "The chart is attached below.",
    "The record is given below.",
    "The patient was seen in person.",
    "The note is from the clinic.",
    "The image is sent with this.",
    "The form was signed today.",
    "The visit went as planned.",
    "The details are as follows.",
    "The patient is with us.",
    "The summary is a short one.",
    "The letter was read before.",
    "The file is up to date.",
)
# Words that say nothing where a clause of a sentence ends: put in where a note names the attribute.
NEUTRAL_WORDS = (
    *("today", "here", "now", "again", "indeed", "also", "too", "then"),
    *("already", "still", "presently", "currently", "overall", "generally", "simply", "plainly"),
)
FEWEST_NEUTRAL = 3  # whose spread can be measured


@dataclass(frozen=True)
class Wording:
    """One way to describe every patient."""

    attribute: str  # as asked, such as sex×race
    name: str  # the group put in, "taken out", or a neutral clause
    phrase: str  # what is put in; "" where words are taken out
    change: Callable[[Words], Words]


@dataclass(frozen=True)
class Reworder:
    """Changes what is said of a patient's attributes.

    place: the field that a clause is put in front of; BEFORE: in front of the question
    unsayable: words that the model never gets to read, so that no clause says them
    """

    phrases: Phrases
    place: str
    unsayable: DemographicWords = field(default_factory=lambda: demographic_words(()))

    def wordings(self, attribute: str) -> list[Wording]:
        """Every group of an attribute, or of an intersection, put in; and its words taken out."""
        parts = attribute.split(INTERSECTION)
        chosen = []
        for groups in product(*map(self._groups, parts)):
            pairs = list(zip(parts, groups, strict=True))

            def put(words: Words, pairs: list[tuple[str, str]] = pairs) -> Words:
                for part, group in pairs:
                    words = self.put_in(words, part, group)
                return words

            phrase = " ".join(self._first(part, group) for part, group in reversed(pairs))
            chosen.append(Wording(attribute, INTERSECTION.join(groups), phrase, put))

        def without(words: Words) -> Words:
            for part in parts:
                words = self.take_out(words, part)
            return words

        return [*chosen, Wording(attribute, TAKEN_OUT, "", without)]

    def neutral(self, attribute: str, count: int, seed: int) -> list[Wording]:
        """As many neutral wordings, drawn by the seed, each of them of about as many words as a wording
        of the attribute changes, and at the same place: a word for every mention, a clause for none.
        Raises InputError for fewer than FEWEST_NEUTRAL.
        """
        clauses, fillers = self._neutral_texts
        drawn = np.random.default_rng(seed).permutation(min(len(clauses), len(fillers)))[:count]
        parts = attribute.split(INTERSECTION)

        def change(words: Words, first: int) -> Words:
            reworded = words
            for step, part in enumerate(parts):
                place = first + step * count
                filled = self._fill(reworded, part, [*fillers[place % len(fillers) :], *fillers])
                if filled == reworded:
                    filled = self._begin(reworded, clauses[place % len(clauses)])
                reworded = filled
            return reworded

        return [
            Wording(attribute, clauses[k], clauses[k], partial(change, first=int(k))) for k in drawn
        ]

    def says(self, words: Words, attribute: str) -> bool:
        """Whether the words mention the attribute; of an intersection, all of its parts."""
        return all(
            self._fields_of(words, part) or any(map(self._words_of(part).find, words.values()))
            for part in attribute.split(INTERSECTION)
        )

    def put_in(self, words: Words, attribute: str, group: str) -> Words:
        """The words with the group's own phrase for every mention of the attribute; where there is no
        mention, with a clause that says it at the beginning of `place`."""
        named = self._fields_of(words, attribute)
        if named:
            words = {**words, **{name: self._value(name, attribute, group) for name in named}}
        find = self._words_of(attribute)
        mentioned = bool(named)
        changed = {}
        for name, text in words.items():
            mentions = [] if name in named else find.find(text)
            mentioned = mentioned or bool(mentions)
            changed[name] = self._swapped(text, mentions, group)
        return changed if mentioned else self._begin(changed, self.clause(attribute, group))

    def take_out(self, words: Words, attribute: str) -> Words:
        """The words with a blank for every mention of the attribute."""
        named, find = self._fields_of(words, attribute), self._words_of(attribute)
        return {
            name: BLANK if name in named else find.take_out(text)[0] for name, text in words.items()
        }

    def clause(self, attribute: str, group: str) -> str:
        """One sentence that says the group."""
        own = self.phrases.get(CLAUSES_KEY, {}).get(attribute)
        usual = CLAUSES if self._is_english else {}
        template = own[0] if own else usual.get(attribute, OTHER_CLAUSE)
        said = template.replace("{}", self._first(attribute, group))
        if self._is_english:
            said = re.sub(r"\ba (?=[aeiou])", "an ", said, flags=re.IGNORECASE)
        return said[:1].upper() + said[1:]

    @property
    def _is_english(self) -> bool:
        return self.phrases is PHRASES

    def _groups(self, attribute: str) -> tuple[str, ...]:
        if attribute == AGE:
            return tuple(str(age_band(float(years))) for years in AGES)
        return tuple(self.phrases[attribute])

    def _first(self, attribute: str, group: str) -> str:
        if attribute == AGE:
            return AGES[self._groups(AGE).index(group)]
        return self.phrases[attribute][group][0].removesuffix("*")

    def _words_of(self, attribute: str) -> DemographicWords:
        return self._finders.setdefault(attribute, demographic_words((attribute,), self.phrases))

    @cached_property
    def _neutral_texts(self) -> tuple[list[str], list[str]]:
        """Clauses, and single words."""
        own = self.phrases.get(NEUTRAL_KEY, {})
        texts = list(own.get("clauses", NEUTRAL_CLAUSES)), list(own.get("words", NEUTRAL_WORDS))
        if min(map(len, texts)) < FEWEST_NEUTRAL:
            raise InputError(
                f"The phrases have {min(map(len, texts))} neutral clauses or words; {FEWEST_NEUTRAL} or "
                "more are needed to see how much a change of words does by itself."
            )
        return texts

    @cached_property
    def _finders(self) -> dict[str, DemographicWords]:
        return {}

    def _fields_of(self, words: Words, attribute: str) -> tuple[str, ...]:
        """Fields of the prompt that are the attribute itself."""
        names = AGE_FIELDS if attribute == AGE else (attribute,)
        return tuple(name for name in names if name in words)

    def _value(self, name: str, attribute: str, group: str) -> str:
        return self._first(AGE, group) if (name, attribute) == (AGE, AGE) else group

    def _begin(self, words: Words, clause: str) -> Words:
        if self.unsayable.take_out(clause)[1]:
            return words
        return {**words, self.place: f"{clause} {words[self.place]}".strip()}

    def _swapped(self, text: str, mentions: Sequence[Mention], group: str) -> str:
        for mention in reversed(mentions):  # from the end, so that places before stay right
            before, after = text[: mention.start], text[mention.end :]
            old = text[mention.start : mention.end]
            new = old if mention.group == group else self._other(old, mention, group)
            hidden = mention.attribute in self.unsayable.attributes  # then nothing may give it away
            if self._is_english and new != old and not hidden:
                article = r"\1n " if new[:1].lower() in "aeiou" else r"\1 "
                before = re.sub(r"\b(a)n? $", article, before, flags=re.IGNORECASE)
            text = before + new + after
        return text

    def _other(self, old: str, mention: Mention, group: str) -> str:
        """What the group has for a mention: the phrase at the same place of its list, else its first.
        Large and small letters follow the mention."""
        if mention.attribute == AGE:
            years, number = self._first(AGE, group), re.search(r"\d+(\.\d+)?", old)
            if number is None or old[:2].lower() == "in":  # in his sixties, in her 60s
                return f"aged {years}"
            if age_band(float(number[0])) == group:
                return old
            return old[: number.start()] + years + old[number.end() :]
        groups = self.phrases[mention.attribute]
        own = [phrase.removesuffix("*") for phrase in groups[mention.group]]
        others = groups[group]
        place = [phrase.casefold() for phrase in own].index(old.casefold())
        new = others[place if place < len(others) else 0].removesuffix("*")
        if len(old) > 1 and old.isupper():
            return new.upper()
        if old.islower() and not own[place].islower():  # a black man
            return new.lower()
        return new[:1].upper() + new[1:] if old[:1].isupper() else new

    def _fill(self, words: Words, attribute: str, fillers: Sequence[str]) -> Words:
        """The words with a filler for each mention, where the clause of the sentence that holds it ends."""
        named, find = self._fields_of(words, attribute), self._words_of(attribute)
        filled, used = {}, 0
        for name, text in words.items():
            for mention in [] if name in named else reversed(find.find(text)):
                end = re.compile(r"[.,;:!?\n]|$").search(text, mention.end).start()
                text = f"{text[:end]} {fillers[used % len(fillers)]}{text[end:]}"
                used += 1
            filled[name] = text
        return filled
