"""How well the label is told without looking at the picture: by file, brightness, demographics.

N examples, K classes, F features, R resamples. A model that reaches no more than these baselines
may have learned nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.checking.findings import Finding, list_some
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.examples import Example
from fairlora_cls.data.groups import UNKNOWN
from fairlora_cls.evaluation.probes import (
    FOLDS,
    cross_fit,
    judge_probe,
    logistic_regression,
    predict_held_out,
)
from fairlora_cls.presentation.document import Table, text_table

RESAMPLES = 400  # of patients, behind each interval
FEWEST = 20  # examples of the rarer class in validation and test; with fewer, cross-validation
NOTABLE = 0.60  # an interval that lies above this AUROC is worth a warning
TELLING = 0.55  # the least AUROC of blanks that is worth a warning
MOST_VALUES = 50  # a column of words with more values than this is left out


@dataclass(frozen=True)
class Baseline:
    """One logistic regression: AUROC with a 95 % interval, null where it cannot be computed."""

    name: str
    auroc: float | None
    interval: tuple[float, float] | None
    held_out: int  # examples that it was judged on
    cross_validated: bool


def fit_baselines(
    examples: Sequence[Example],
    homes: Sequence[str],
    facts: ImageFacts,
    sensitive: Sequence[str],
    class_count: int,
    seed: int,
) -> tuple[Baseline, ...]:
    """Fit on train and judge on validation and test; in small data, cross-validate by patient.

    `homes` (N,) names each example's split. With more than two classes the AUROC is the mean of
    one class against the rest.
    """
    features: dict[str, np.ndarray] = {
        "file size": np.log(np.maximum(facts.bytes, 1.0))[:, None],
        "width and height": np.stack([facts.width, facts.height], axis=1).astype(float),
        "mean brightness": facts.brightness[:, None],
    }
    people = _encode_people(examples, sensitive)
    if people.shape[1]:
        features[f"demographics ({', '.join(sensitive)})"] = people
    return tuple(
        _fit_rows(name, columns, examples, homes, facts.readable, class_count, seed)
        for name, columns in features.items()
    )


def _encode_people(examples: Sequence[Example], attributes: Sequence[str]) -> np.ndarray:
    """(N, F): the columns of all attributes side by side."""
    blank = np.zeros((len(examples), 0))
    columns = [encode_attribute([e.attributes.get(name) for e in examples]) for name in attributes]
    return np.concatenate([blank, *columns], axis=1)


def _fit_rows(
    name: str,
    columns: np.ndarray,
    examples: Sequence[Example],
    homes: Sequence[str],
    usable: np.ndarray,
    class_count: int,
    seed: int,
) -> Baseline:
    """A baseline on features (N, F) of the examples that are `usable` (N,) bool."""
    rows = np.flatnonzero(usable)
    labels = np.array([examples[i].label for i in rows], dtype=np.int64)
    units = np.unique([examples[i].unit for i in rows], return_inverse=True)[1]
    train = np.array([homes[i] == "train" for i in rows], dtype=bool)
    return _fit_one(name, columns[rows], labels, units, train, class_count, seed)


def find_telling_blanks(
    examples: Sequence[Example],
    homes: Sequence[str],
    people: Sequence[str],
    sensitive: Sequence[str],
    classes: Sequence[str],
    seed: int,
) -> list[Finding]:
    """A warning for each attribute of people whose blanks tell the label, and what is left without.

    `people` are the attributes looked at; of these `data.missing_groups` rules the `sensitive` ones.
    """
    labels = np.array([e.label for e in examples])
    blank = {
        name: np.array([e.attributes.get(name) in (None, UNKNOWN) for e in examples])
        for name in people
    }
    everyone = np.ones(len(examples), dtype=bool)
    found = []
    for name, lacking in blank.items():
        if not 0 < lacking.sum() < len(lacking):
            continue
        column = lacking[:, None].astype(float)
        alone = _fit_rows(name, column, examples, homes, everyone, len(classes), seed)
        if alone.interval is None or alone.auroc < TELLING or alone.interval[0] <= 0.5:
            continue
        complete = ~np.any(list(blank.values()), axis=0)
        columns = _encode_people(examples, people)
        known = "is not known"
        if columns.shape[1]:  # none of an attribute with too many values
            rest = _fit_rows(name, columns, examples, homes, complete, len(classes), seed)
            known = known if rest.auroc is None else f"is {rest.auroc:.2f}"
        kept = ~np.any([blank[n] for n in people if n in sensitive] or [~everyone], axis=0)
        if name in sensitive:
            drop = "data.missing_groups=drop"
        else:
            drop, kept = (
                f"Naming {name} in data.sensitive, with data.missing_groups=drop,",
                (kept & ~lacking),
            )
        found.append(
            Finding(
                "warning",
                "telling-blanks",
                f"{name} is missing {_where(lacking, labels, classes)}: whether it is recorded "
                f"tells the label with an AUROC of {alone.auroc:.2f} "
                f"[{alone.interval[0]:.2f}, {alone.interval[1]:.2f}], and a model can learn that "
                "instead of the picture. In the complete rows the AUROC of demographics "
                f"({', '.join(people)}) {known}. {drop} leaves out {int((~kept).sum()):,} of "
                f"{len(kept):,} examples; {_mix(labels, kept, classes)}.",
                tuple(examples[i].id for i in np.flatnonzero(lacking)),
            )
        )
    return found


def _where(lacking: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> str:
    """`only where the label is no`, or the share of each class."""
    present = [k for k in range(len(classes)) if (lacking & (labels == k)).any()]
    if len(present) == 1:
        return f"only where the label is {classes[present[0]]}"
    shares = [
        f"{lacking[labels == k].mean():.0%} of {name}"
        for k, name in enumerate(classes)
        if (labels == k).any()
    ]
    return f"in {list_some(shares)}"


def _mix(labels: np.ndarray, kept: np.ndarray, classes: Sequence[str]) -> str:
    """`no goes from 70% to 50%, yes from 30% to 50%` of the examples."""
    if not kept.any():
        return "none is left"
    moves = [
        f"{name} goes from {(labels == k).mean():.0%} to {(labels[kept] == k).mean():.0%}"
        for k, name in enumerate(classes)
    ]
    return f"of the rest, {list_some(moves)}"


def encode_attribute(values: Sequence[str | None]) -> np.ndarray:
    """One attribute as columns (N, F): numbers as one column and its blanks, words as 0/1 each."""
    values = [None if v == UNKNOWN else v for v in values]
    known = [v for v in values if v is not None]
    try:
        numbers = [float(v) for v in known]
    except ValueError:
        numbers = []
    blank = np.array([v is None for v in values])
    if numbers and np.isfinite(numbers).all():
        column = np.full(len(values), np.mean(numbers))
        column[~blank] = numbers
        return np.stack([column, blank.astype(float)], axis=1)
    names = sorted(set(known))
    if len(names) > MOST_VALUES:
        return np.zeros((len(values), 0))
    return np.stack([np.array([v == name for v in values], float) for name in names] or [blank], 1)


def _fit_one(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    train: np.ndarray,
    class_count: int,
    seed: int,
) -> Baseline:
    """A baseline on features (N, F); `train` (N,) bool."""
    model = logistic_regression()
    present = np.bincount(labels, minlength=class_count)
    fewest = np.bincount(labels[~train], minlength=class_count).min()
    crossed = bool(fewest < FEWEST) or len(np.unique(labels[train])) < 2
    if not crossed:
        judged = np.flatnonzero(~train)
        chances = predict_held_out(model, features, labels, np.flatnonzero(train), judged)
    elif len(np.unique(units)) < FOLDS or (present[present > 0] < FOLDS).any():
        return Baseline(name, None, None, len(labels), True)
    else:
        chances = cross_fit(model, features, labels, units, seed)
        judged = np.flatnonzero(~np.isnan(chances[:, 0]))
        chances = chances[judged]
    generator = np.random.default_rng([seed, 5])
    result = judge_probe(chances, labels[judged], units[judged], RESAMPLES, generator)
    return Baseline(name, result.auroc, result.interval, result.n, crossed)


def find_shortcuts(baselines: Sequence[Baseline]) -> list[Finding]:
    """A warning for each baseline whose interval lies above NOTABLE, a note where none could run."""
    found = [
        Finding(
            "warning",
            "shortcut",
            f"The label can be told from {b.name} alone with an AUROC of {b.auroc:.2f} "
            f"[{b.interval[0]:.2f}, {b.interval[1]:.2f}]; only what a model reaches beyond that "
            "comes from the picture.",
        )
        for b in baselines
        if b.interval and b.interval[0] > NOTABLE
    ]
    unknown = [b.name for b in baselines if b.auroc is None]
    if unknown:
        found.append(
            Finding(
                "note",
                "shortcut-unknown",
                f"How well the label can be told from {', '.join(unknown)} is not known: a class has "
                f"fewer than {FOLDS} examples, or none in a part of the data, or there are fewer "
                f"than {FOLDS} patients.",
                tuple(unknown),
            )
        )
    return found


def tabulate_baselines(baselines: Sequence[Baseline]) -> Table:
    """One row per baseline."""

    def row(b: Baseline) -> tuple[str, ...]:
        if b.auroc is None:
            return b.name, "–", "–", "–"
        limits = f"[{b.interval[0]:.3f}, {b.interval[1]:.3f}]" if b.interval else "–"
        judged = f"{b.held_out:,} " + ("cross-validated" if b.cross_validated else "held out")
        return b.name, f"{b.auroc:.3f}", limits, judged

    return text_table(
        "How well the label is told without the picture (logistic regression, AUROC; 0.5 is chance)",
        ("from", "AUROC", "95 %", "examples"),
        tuple(row(b) for b in baselines),
    )


def describe_baselines(baselines: Sequence[Baseline]) -> list[Mapping[str, object]]:
    """The same as plain values."""
    return [
        {
            "name": b.name,
            "auroc": b.auroc,
            "interval": list(b.interval) if b.interval else None,
            "examples": b.held_out,
            "cross_validated": b.cross_validated,
        }
        for b in baselines
    ]
