"""What the prompts' words give away: the label, who the patient is, and which words do it.

N examples, K values. Words and pairs of words, a logistic regression, 5 folds by patient: no note is
judged by a model that saw a note of the same patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fairlora_cls.checking.findings import CheckReport, Finding, counted, list_some
from fairlora_cls.checking.shortcuts import NOTABLE, RESAMPLES, Baseline, Cohort
from fairlora_cls.data.demographic_words import DemographicWords
from fairlora_cls.data.prompts import ANSWERS_ALONE
from fairlora_cls.evaluation.probes import FOLDS, cross_fit, judge_probe, word_regression
from fairlora_cls.presentation.document import Table, text_table
from fairlora_cls.presentation.numbers import SCORE, UNDEFINED

LEAST_NOTES = 5  # that have a word before a finding names it: a rarer one may name a patient
NAMED = 5  # words of each value that a finding names
LABEL = "the label"


@dataclass(frozen=True)
class ToldByWords:
    """How well words tell one thing, and by which of them."""

    baseline: Baseline
    words: Mapping[str, tuple[str, ...]]  # value → the words that speak most for it


def check_words(
    cohort: Cohort, attributes: Sequence[str], mentioned: DemographicWords
) -> CheckReport:
    """Baselines of the label and of each attribute from the words, notes that name the class, and
    how often the notes of each group say who the patient is.

    mentioned: the words that say who a patient is
    """
    texts = np.array([" \n ".join(e.words.values()) for e in cohort.examples], dtype=object)
    units = np.array([e.unit for e in cohort.examples])
    labels = [cohort.classes[code] for code in cohort.labels()]
    told = {LABEL: tell_by_words(LABEL, texts, labels, units, cohort.seed)}
    for name in attributes:
        told[name] = tell_by_words(name, texts, cohort.values(name), units, cohort.seed)
    return CheckReport(
        [*_find_shortcuts(told), *_find_named_classes(cohort, texts)],
        [_tabulate(told), *_tabulate_mentions(cohort, attributes, texts, mentioned)],
        {
            "words": {
                name: {
                    **asdict(each.baseline),
                    "words": {k: list(w) for k, w in each.words.items()},
                }
                for name, each in told.items()
            }
        },
    )


def tell_by_words(
    name: str, texts: np.ndarray, values: Sequence[str | None], units: np.ndarray, seed: int
) -> ToldByWords:
    """The AUROC of a value (N,) told by texts (N,), cross-fitted by units (N,), and the words that
    speak most for each value. None is not known and takes no part; undefined without words, with one
    value, or with fewer than 5 examples of one or 5 patients."""
    known = np.flatnonzero([value is not None for value in values])
    names, codes = np.unique(
        np.array([values[row] for row in known], dtype=object), return_inverse=True
    )
    codes = codes.reshape(-1)
    undefined = ToldByWords(Baseline(name, None, None, len(known), True), {})
    few = len(names) < 2 or np.bincount(codes).min() < FOLDS
    if few or len(np.unique(units[known])) < FOLDS or not _has_words(texts[known]):
        return undefined
    model = word_regression()
    chances = cross_fit(model, texts[known], codes, units[known], seed)
    judged = np.flatnonzero(~np.isnan(chances[:, 0]))
    if not len(judged):
        return undefined
    generator = np.random.default_rng([seed, 6])
    result = judge_probe(chances[judged], codes[judged], units[known][judged], RESAMPLES, generator)
    model.fit(texts[known], codes)
    words = _telling_words(model, [str(name) for name in names], texts[known])
    return ToldByWords(Baseline(name, result.auroc, result.interval, result.n, True), words)


def _has_words(texts: Sequence[str]) -> bool:
    """Whether every fold will have some."""
    return sum(any(character.isalnum() for character in text) for text in texts) > len(texts) // 2


def _telling_words(
    model: Any, names: Sequence[str], texts: np.ndarray
) -> dict[str, tuple[str, ...]]:
    """Value → the terms with the largest weights for it, among those that several texts have."""
    vectorizer, regression = model
    terms = vectorizer.get_feature_names_out()
    used = np.asarray((vectorizer.transform(texts) > 0).sum(axis=0)).ravel() >= LEAST_NOTES
    weights = np.where(used, regression.coef_, 0)
    if len(weights) == 1:  # of two values
        weights = np.vstack([-weights, weights])
    return {
        name: tuple(str(terms[i]) for i in np.argsort(-own, kind="stable")[:NAMED] if own[i] > 1e-6)
        for name, own in zip(names, weights, strict=True)
    }


def _find_shortcuts(told: Mapping[str, ToldByWords]) -> list[Finding]:
    """A warning where words tell the label, a note where they tell an attribute."""
    found = []
    for name, each in told.items():
        limits = each.baseline.interval
        if limits is None or limits[0] <= NOTABLE:
            continue
        told_by = "; ".join(
            f"{value}: {list_some([f'‘{word}’' for word in words])}"
            for value, words in each.words.items()
            if words
        )
        of = f"AUROC of {each.baseline.auroc:.2f} [{limits[0]:.2f}, {limits[1]:.2f}]"
        if name == LABEL:
            message = (
                f"The label can be told from the prompts' words alone with an {of}; only what a model "
                f"reaches beyond that comes from the picture. Words that speak most for {told_by}. Make "
                "sure that they are known before the diagnosis."
            )
            found.append(Finding("warning", "words-shortcut", message))
        else:
            message = (
                f"The words tell {name} with an {of}: {told_by}. data.redact takes out those that say "
                "sex, race, ethnicity or age, and `wording` shows after training whether answers "
                "depend on such words."
            )
            found.append(Finding("note", "words-tell-group", message))
    return found


def _find_named_classes(cohort: Cohort, texts: np.ndarray) -> list[Finding]:
    """Notes that hold the name of their own class."""
    labels = cohort.labels()
    naming = []
    for code, name in enumerate(cohort.classes):
        if name.strip().lower() in ANSWERS_ALONE:
            continue
        named = [i for i in np.flatnonzero(labels == code) if name.lower() in texts[i].lower()]
        if named:
            share = (
                f"{counted(len(named), 'note')} of {int((labels == code).sum()):,} with the label"
            )
            naming.append((f"{share} '{name}'", [cohort.examples[i].id for i in named]))
    if not naming:
        return []
    message = f"The words name the class itself: {list_some([text for text, _ in naming])}."
    return [
        Finding("warning", "words-name-class", message, tuple(i for _, ids in naming for i in ids))
    ]


def _tabulate(told: Mapping[str, ToldByWords]) -> Table:
    return text_table(
        "How well the prompts' words tell it (words and pairs of words, cross-fitted by patient, AUROC; "
        "0.5 is chance)",
        ("what", "AUROC", "95 %", "examples"),
        tuple(
            (
                name,
                SCORE.show(each.baseline.auroc),
                SCORE.show_range(each.baseline.interval, UNDEFINED),
                f"{each.baseline.examples:,}",
            )
            for name, each in told.items()
        ),
    )


def _tabulate_mentions(
    cohort: Cohort, attributes: Sequence[str], texts: np.ndarray, mentioned: DemographicWords
) -> list[Table]:
    """The share of each group's notes that say sex, race, ethnicity or age at least once."""
    said = [{mention.attribute for mention in mentioned.find(text)} for text in texts]
    rows = []
    for name in attributes:
        groups: dict[str, list[int]] = {}
        for row, value in enumerate(cohort.values(name)):
            groups.setdefault(value or "Unknown", []).append(row)
        for group, members in sorted(groups.items()):
            counts = Counter(attribute for row in members for attribute in said[row])
            shares = (f"{counts[a] / len(members):.0%}" for a in mentioned.attributes)
            rows.append((f"{name} {group}", f"{len(members):,}", *shares))
    if not rows:
        return []
    caption = "How many notes of each group say at least once …"
    return [text_table(caption, ("group", "notes", *mentioned.attributes), tuple(rows))]
