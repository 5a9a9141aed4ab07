"""Which of CheXpert's 14 findings does a report state? A labeller by rules, written to be read.

Each sentence is searched for mentions (`finding_phrases.PHRASES`), and each mention is affirmed,
denied, doubted or set aside by the cue nearest to it in its clause. It is not the CheXpert labeler:
no parser, other phrases, other cues. docs/text-metrics.md says what it does and what it does not.

N texts, F findings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.texts import finding_phrases as phrases
from fairlora_cls.texts.finding_phrases import OTHER_ABNORMALITY

NO_FINDING = "No Finding"
SUPPORT_DEVICES = "Support Devices"
STRENGTH = ("negative", "uncertain", "positive")  # of several mentions the strongest counts
UNCERTAIN = ("positive", "negative")  # what an uncertain finding may count as


@dataclass(frozen=True)
class Mention:
    """One finding at one place of a sentence."""

    finding: str
    start: int
    end: int
    settled: str | None = None  # a structure's own predicate: negative or uncertain


@dataclass(frozen=True)
class FoundCue:
    """One cue at one place of a sentence."""

    cue: phrases.Cue
    start: int
    end: int


def _compiled(fragments: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<!\w)(?:{f})(?!\w)" for f in fragments))


_MENTIONS = {finding: _compiled(f) for finding, f in phrases.PHRASES.items()}
_NOT_MENTIONS = {finding: _compiled(f) for finding, f in phrases.NOT_MENTIONS.items()}
_STRUCTURES = {finding: _compiled(f) for finding, f in phrases.STRUCTURES.items()}
_PREDICATE = rf"(?P<enlarged>{phrases.ENLARGED})|(?P<borderline>{phrases.BORDERLINE})|(?P<normal>{phrases.NORMAL})"
_PREDICATE_BEFORE = re.compile(rf"\b(?:{_PREDICATE})(?: {phrases.FILLERS})* $")
_PREDICATE_AFTER = re.compile(rf"\b(?:{_PREDICATE})\b")
_CUES = [(cue, _compiled([phrase])) for cue in phrases.CUES for phrase in cue.phrases]
_ENDS = re.compile("|".join(phrases.ENDS))
_ENDS_BEFORE = re.compile("|".join(phrases.ENDS_BEFORE))
_ALTERNATIVE = re.compile(rf"^[ ,]*(?:\w+ ){{0,3}}{phrases.ALTERNATIVES}(?: \w+){{0,3}} ?$")
_DENIAL = re.compile(r"\b(?:not|no|without|nor|never)\b")
_DOUBT = re.compile(
    r"\b(?:may|might|could|possibl[ey]|probabl[ey]|questionabl[ey]|likely|"
    r"doubtful(?:ly)?|dubious(?:ly)?|equivocal(?:ly)?|uncertain(?:ly)?)\b"
)
_PLAINLY = [(re.compile(pattern), plain) for pattern, plain in phrases.PLAINLY]
_PRONOUN, _LEFT_OUT = re.compile(phrases.PRONOUN), re.compile(phrases.LEFT_OUT)
_NOT_TO_EXCLUDE = re.compile(r"n[o']t\b.*(?:exclude|rule)|difficult to")
_REACH = 80  # characters between a structure and the predicate that follows it


def label_report(text: str) -> Mapping[str, str]:
    """Finding → `positive`, `uncertain` or `negative`; findings that are not mentioned lack.

    Of several mentions the strongest counts: positive, then uncertain, then negative. "No Finding"
    is positive where the text has words and none of the others, support devices excepted, nor
    another abnormality (emphysema, calcification …) is positive or uncertain. A blank text has none,
    nor has one in another script than Latin, which these rules cannot read.
    """
    labels: dict[str, str] = {}
    named = None
    for sentence in split_sentences(text):
        sentence, named = _said_in_full(sentence, named)
        for finding, status in _read_sentence(sentence):
            known = labels.get(finding, STRENGTH[0])
            labels[finding] = max(known, status, key=STRENGTH.index)
    stated = [f for f, status in labels.items() if status != "negative" and f != SUPPORT_DEVICES]
    labels.pop(OTHER_ABNORMALITY, None)
    letters = re.findall(r"[^\W\d_]", text)
    foreign = 2 * sum(letter > "\u024f" for letter in letters) > len(letters)
    if not stated and not foreign and re.search(r"\w", text):
        labels[NO_FINDING] = "positive"
    return {finding: labels[finding] for finding in FINDINGS if finding in labels}


def label_reports(texts: Sequence[str], uncertain: str = "positive") -> np.ndarray:
    """(N, F) bool: which of `FINDINGS` each text states.

    `uncertain`: what an uncertain finding counts as, `positive` (as in f1chexbert, the usual way
    in report generation) or `negative`. Not mentioned counts as not there. Raises InputError for
    another rule.
    """
    if uncertain not in UNCERTAIN:
        raise InputError(f"uncertain is '{uncertain}'{nearest(uncertain, UNCERTAIN)}")
    counted = {"positive", "uncertain"} if uncertain == "positive" else {"positive"}
    stated = [label_report(text) for text in texts]
    rows = [[labels.get(finding) in counted for finding in FINDINGS] for labels in stated]
    return np.array(rows, dtype=bool).reshape(len(texts), len(FINDINGS))


def split_sentences(text: str) -> list[str]:
    """Lower-case sentences without hyphens; lines of a list and paragraphs are sentences too."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    text = re.sub(r"(?<=[a-z])\.(?=[A-Z])", ". ", text)  # "effusion.The heart"
    text = re.sub(r"\n\s*(?=\n|[-*•]|\d+[.)])", ". ", text).lower()
    text = re.sub(r"\bvs\.", "vs", text)
    text = re.sub(r"[-‐–—_*•]+", " ", text)
    text = re.sub(r"[()\[\]\"]", " , ", text).replace(":", " : ")
    sentences = re.split(r"[.!?]+(?=\s|$)|;", re.sub(r"\s+", " ", text))
    return [s for s in (re.sub(r"\s+", " ", part).strip(" ,") for part in sentences) if s]


@lru_cache(maxsize=2**16)
def _said_in_full(sentence: str, named: str | None) -> tuple[str, str | None]:
    """The sentence with denials of denials said plainly and the finding's name where a word stands
    for it or it is left out; and the last finding named, here or before (`named`)."""
    for pattern, plain in _PLAINLY:
        sentence = pattern.sub(plain, sentence)
    end = 0
    while match := min(
        (m for p in (_PRONOUN, _LEFT_OUT) if (m := p.search(sentence, end))),
        key=lambda m: m.start(),
        default=None,
    ):
        end = match.end()
        last = _last_named(sentence[: match.start()]) or named
        if last and match.re is _PRONOUN:
            sentence = sentence[: match.start()] + last + sentence[end:]
        elif last:
            sentence = f"{sentence[:end]} {last}{sentence[end:]}"
    return sentence, _last_named(sentence) or named


def _last_named(sentence: str) -> str | None:
    """The words of the last finding that a sentence names by a phrase."""
    places = [m.span() for pattern in _MENTIONS.values() for m in pattern.finditer(sentence)]
    return sentence[slice(*max(places))] if places else None


@lru_cache(maxsize=2**16)  # reports repeat each other's sentences
def _read_sentence(sentence: str) -> tuple[tuple[str, str], ...]:
    """(finding, status) of each mention that is not set aside."""
    mentions = _find_mentions(sentence)
    cues = _find_cues(sentence) if any(m.settled is None for m in mentions) else []
    statuses = [m.settled or _status(sentence, m, cues) for m in mentions]
    for first in range(len(mentions) - 1):
        one, other = mentions[first], mentions[first + 1]
        if _ALTERNATIVE.match(sentence[one.end : other.start]):
            pair = (first, first + 1)
            if all(statuses[p] in ("positive", "uncertain") for p in pair):
                for p in pair:
                    statuses[p] = "uncertain"
    return tuple((m.finding, s) for m, s in zip(mentions, statuses, strict=True) if s != "ignored")


def _find_mentions(sentence: str) -> list[Mention]:
    mentions = []
    for finding, pattern in _MENTIONS.items():
        excepted = _NOT_MENTIONS.get(finding)
        holes = [m.span() for m in excepted.finditer(sentence)] if excepted else []
        for match in pattern.finditer(sentence):
            if not any(a <= match.start() < b for a, b in holes):
                mentions.append(Mention(finding, *match.span()))
    for finding, pattern in _STRUCTURES.items():
        for match in pattern.finditer(sentence):
            mention = _read_structure(sentence, finding, match)
            if mention is not None:
                mentions.append(mention)
    return sorted(mentions, key=lambda m: (m.start, m.end))


def _read_structure(sentence: str, finding: str, match: re.Match[str]) -> Mention | None:
    """What is said of a structure: by the words right before it, or else by the first after it."""
    start, end = match.span()
    before = _PREDICATE_BEFORE.search(sentence[:start])
    if before:
        span, predicate, between = (before.start(), end), before, ""
    else:
        rest = sentence[end : end + _REACH]
        stop = re.search(r"\bbut\b|\bthere (?:is|are)\b|\bwith\b|\bshows?\b", rest)
        rest = rest[: stop.start()] if stop else rest
        predicate = _PREDICATE_AFTER.search(rest)
        if predicate is None:
            return None
        span, between = (start, end + predicate.end()), rest[: predicate.start()]
    if predicate["borderline"]:
        return Mention(finding, *span, "uncertain")
    denied = bool(_DENIAL.search(between))
    if bool(predicate["normal"]) != denied:  # normal, or not enlarged
        return Mention(finding, *span, "negative")
    return Mention(finding, *span, "uncertain" if _DOUBT.search(between) else None)


def _find_cues(sentence: str) -> list[FoundCue]:
    """Cues that do not overlap: the earlier one stays, of two at one place the longer."""
    every = [
        FoundCue(cue, *match.span())
        for cue, pattern in _CUES
        for match in pattern.finditer(sentence)
    ]
    kept: list[FoundCue] = []
    for one in sorted(every, key=lambda f: (f.start, -f.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _status(sentence: str, mention: Mention, cues: Sequence[FoundCue]) -> str:
    """The kind of the cue nearest to the mention, on either side; of two as near, the denial.

    A doubt that a denial reaches without a comma is denied too: "nothing to suggest pneumonia",
    "no effusion or pneumothorax is suspected".
    """
    mine = [f for f in cues if f.cue.only in (None, mention.finding)]
    fore, aft = _in_front(sentence, mention, mine), _behind(sentence, mention, mine)
    if not fore or not aft:
        return (fore or aft or (0, "positive"))[1]
    between = sentence[mention.start - fore[0] : mention.start]
    denied_doubt = (fore[1], aft[1]) == ("negative", "uncertain") and "," not in between
    if denied_doubt and not _NOT_TO_EXCLUDE.search(sentence[mention.end :]):
        return "negative"
    return min(fore, aft, key=lambda reach: (reach[0], reach[1] != "negative"))[1]


def _in_front(sentence: str, mention: Mention, cues: Sequence[FoundCue]) -> tuple[int, str] | None:
    """(distance in characters, kind) of the last cue before the mention, if it reaches so far."""
    fore = [f for f in cues if not f.cue.before and f.end <= mention.start]
    if not fore or _ENDS.search(sentence[fore[-1].end : mention.start]):
        return None
    kind = fore[-1].cue.kind
    if kind == "uncertain" and len(fore) > 1 and fore[-2].cue.kind == "negative":
        between = sentence[fore[-2].end : fore[-1].start]
        kind = kind if "," in between or _ENDS.search(between) else "negative"
    return mention.start - fore[-1].end, kind


def _behind(sentence: str, mention: Mention, cues: Sequence[FoundCue]) -> tuple[int, str] | None:
    """The same for the first cue after the mention that speaks of what stands before it."""
    for one in cues:
        if one.cue.before and one.start >= mention.end:
            ended = _ENDS_BEFORE.search(sentence[mention.end : one.start])
            return None if ended else (one.start - mention.end, one.cue.kind)
    return None
