"""Words that say who a patient is: where a note has them, and the note without them.

The English list PHRASES is the default; a YAML file of the same shape (attribute → group → phrases)
takes its place for another language or other groups. Ages are read by their form, with a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairlora_cls.errors import InputError, nearest
from fairlora_cls.plain_yaml import parse_yaml

Phrases = Mapping[str, Mapping[str, Sequence[str]]]  # attribute → group → phrases, in any case

# `wording` puts the first phrase of a group into a note that has none, and swaps a phrase for the one at
# the same place in another group's list (so "her" and "Mr" stand there twice), else for its first. A
# phrase that ends in a star counts only before a word for a person ("Black woman", not "black spots").
PHRASES: Phrases = {
    "sex": {
        "Female": (
            *("woman", "female", "lady", "girl", "mother", "wife", "widow"),
            *("she", "her", "her", "hers", "herself", "Mrs", "Ms", "women", "females"),
        ),
        "Male": (
            *("man", "male", "gentleman", "boy", "father", "husband", "widower"),
            *("he", "his", "him", "his", "himself", "Mr", "Mr", "men", "males"),
        ),
    },
    "race": {
        "White": ("White*", "Caucasian", "European American"),
        "Black": ("Black*", "African American", "African-American", "Afro-American"),
        "Asian": ("Asian", "Asian American", "Asian-American", "Chinese", "Korean", "Japanese"),
    },
    "ethnicity": {
        "Hispanic": ("Hispanic", "Latino", "Latina", "Latinx"),
        "Non-Hispanic": ("Non-Hispanic", "not Hispanic", "non Hispanic"),
    },
}
AGE = "age"  # its phrases are forms, not words
# Keys of a file of phrases beside its attributes, both for `wording`:
# `clauses: {sex: ["Die Person: {}."]}`, `neutral: {clauses: ["Der Bogen liegt bei.", …], words: [heute, …]}`.
CLAUSES_KEY, NEUTRAL_KEY = "clauses", "neutral"
PERSONS = ("patient", "person", "adult", "child", "infant", "individual", "pt")
BLANK = "___"
_UNIT = r"(?:years?|yrs?|y)"
_AGES = (
    rf"\b\d{{1,3}}(?:\.\d+)?\s*-?\s*{_UNIT}(?:\s*-?\s*(?:old|of\s+age)\b|\s*/\s*o\b|\.?\s*o\b\.?)",
    rf"\b(?:aged?|age\s*:|age\s+of)\s*\d{{1,3}}(?:\.\d+)?(?:\s*{_UNIT}\b)?",
    r"\bin\s+(?:his|her|their)\s+(?:\w+\s+)?(?:\d0s|twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b",
)


@dataclass(frozen=True)
class Mention:
    """A place in a text, from `start` to before `end`, that says a patient's attribute."""

    start: int
    end: int
    attribute: str
    group: str | None  # None of an age


@dataclass(frozen=True)
class DemographicWords:
    """Finds the words of some attributes, and takes them out."""

    attributes: tuple[str, ...]
    phrases: Phrases

    def find(self, text: str) -> list[Mention]:
        """Every mention, in reading order; of two at one place the longest."""
        mentions = []
        for match in self._pattern.finditer(text):
            attribute, group = self._meanings[match.lastgroup or ""]
            mentions.append(Mention(match.start(), match.end(), attribute, group))
        return mentions

    def take_out(self, text: str) -> tuple[str, int]:
        """The text with a BLANK for each mention, and how many there were."""
        return self._pattern.subn(BLANK, text) if self.attributes else (text, 0)

    @cached_property
    def _meanings(self) -> dict[str, tuple[str, str | None]]:
        """The pattern's named parts: 'p0', 'p1' … → attribute and group."""
        return {f"p{place}": meaning for place, (_, meaning) in enumerate(self._parts)}

    @cached_property
    def _parts(self) -> list[tuple[str, tuple[str, str | None]]]:
        parts = [
            (phrase, (attribute, group))
            for attribute in self.attributes
            for group, own in self.phrases.get(attribute, {}).items()
            for phrase in own
        ]
        parts.sort(key=lambda part: -len(part[0]))
        person = "|".join(map(re.escape, self._persons))
        patterns = [
            (
                rf"(?<!\w){re.escape(phrase.removesuffix('*'))}(?!\w)"
                + (
                    rf"(?=[\s,-]+(?:[\w-]+\s+){{0,2}}(?:{person})(?!\w))"
                    if phrase.endswith("*")
                    else ""
                ),
                meaning,
            )
            for phrase, meaning in parts
        ]
        if AGE in self.attributes:
            patterns = [*((form, (AGE, None)) for form in _AGES), *patterns]
        return patterns

    @cached_property
    def _persons(self) -> list[str]:
        """Words for a person, among them those that say a sex."""
        own = [p for phrases in self.phrases.get("sex", {}).values() for p in phrases]
        return [*PERSONS, *(phrase.removesuffix("*") for phrase in own)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        named = (f"(?P<p{place}>{part})" for place, (part, _) in enumerate(self._parts))
        return re.compile("|".join(named) or r"(?!)", re.IGNORECASE)


def worded_attributes(phrases: Phrases) -> tuple[str, ...]:
    """The attributes that there are words for."""
    return (*(name for name in phrases if name not in (CLAUSES_KEY, NEUTRAL_KEY)), AGE)


def demographic_words(attributes: Sequence[str], phrases: Phrases = PHRASES) -> DemographicWords:
    """The words of these attributes. Raises InputError for one that the phrases do not have."""
    known = worded_attributes(phrases)
    unknown = [name for name in attributes if name not in known]
    if unknown:
        raise InputError(
            f"There are no words for the attribute '{name}'{nearest(name, known)}"
            for name in unknown
        )
    return DemographicWords(tuple(attributes), phrases)


def read_phrases(file: Path | None) -> Phrases:
    """The phrases of a YAML file, attribute → group → list; without a file the English ones. Raises
    InputError for a file that is not such."""
    if file is None:
        return PHRASES
    try:
        values = parse_yaml(file.read_text(encoding="utf-8-sig"), f"'{file}'")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{file}' cannot be read as UTF-8 text ({error}).") from error
    right = isinstance(values, dict) and all(
        isinstance(groups, dict)
        and all(
            isinstance(own, list) and own and all(isinstance(p, str) and p.strip(" *") for p in own)
            for own in groups.values()
        )
        for groups in values.values()
    )
    if not right or AGE in values:
        raise InputError(
            f"'{file}' must say attribute → group → list of phrases, such as sex: {{Female: [woman, she]}}"
            " (ages are read by their form and need no phrases)."
        )
    for name, clauses in values.get(CLAUSES_KEY, {}).items():
        if "{}" not in clauses[0]:
            raise InputError(
                f"'{file}': the clause of {name} ('{clauses[0]}') has no {{}} for the phrase."
            )
    return values
