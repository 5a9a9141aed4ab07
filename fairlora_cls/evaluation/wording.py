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
    "class members": "examples of this class",
    "negatives": "examples of the other classes",
    "selected": "examples predicted positive",
    "rejected": "examples not predicted positive",
    "rarer": "examples outside the commonest class",
}
UNITS = "patients or lesions"  # of reports on classes; texts of one image belong together too
UNITS_OF_TEXTS = "patients, lesions or images"
COUNTED |= {  # the same, counted in units: a patient with several images is one
    f"units with {kind}": UNITS if kind == "examples" else f"{UNITS} with {words}"
    for kind, words in COUNTED.items()
} | {"units with texts": UNITS_OF_TEXTS}
MOST_NAMES = 6  # named in one sentence


@dataclass(frozen=True)
class Nouns:
    """What a report counts."""

    counted: str  # what its metrics are averaged over: "examples"
    sized: str  # what the size of a group counts: "images" of texts
    units: str | None  # what minimum sizes count where patients are known: several images are one

    @property
    def grouped(self) -> str:
        """What minimum sizes count."""
        return self.units or self.sized


def nouns_of(report: Report) -> Nouns:
    """Of a report on classes, or on texts."""
    of_texts, known = isinstance(report, TextReport), report.units is not None
    if of_texts:
        return Nouns("texts", "images", UNITS_OF_TEXTS if known else None)
    return Nouns("examples", "examples", UNITS if known else None)


def enumerate_names(
    names: Iterable[str], of_more: str = "more groups", most: int = MOST_NAMES
) -> str:
    """'A', 'A and B', or the first `most` 'and 3 more groups'."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} {of_more}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
