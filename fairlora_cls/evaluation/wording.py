"""Words that reports, comparisons and ablations share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fairlora_cls.evaluation.results import Report, TextReport

LEADING_GAPS = (  # those that figures and warnings show; the tables show all
    "max_acc_gap",
    "auroc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "demographic_parity_difference",
)
COUNTED = {  # `Measure.rests_on` in words
    "texts": "texts",
    "examples": "examples",
    "positives": "examples of the positive class",
    "negatives": "examples of the other classes",
    "selected": "examples predicted positive",
    "rejected": "examples not predicted positive",
    "rarer": "examples outside the commonest class",
}
MOST_NAMES = 6  # named in one sentence


@dataclass(frozen=True)
class Nouns:
    """What a report counts."""

    counted: str  # what its metrics are averaged over: "examples"
    grouped: str  # what the size of a group counts


def nouns_of(report: Report) -> Nouns:
    """Of a report on classes, or on texts."""
    of_texts = isinstance(report, TextReport)
    return Nouns("texts", "images") if of_texts else Nouns("examples", "examples")


def enumerate_names(
    names: Iterable[str], of_more: str = "more groups", most: int = MOST_NAMES
) -> str:
    """'A', 'A and B', or the first `most` 'and 3 more groups'."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} {of_more}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
