"""How well the label is told without looking at the picture: by file, brightness, demographics.

N examples, K classes, F features, R resamples. A model that reaches no more than these baselines
may have learned nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fairlora_cls.checking.findings import CheckReport, Finding, list_some
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
from fairlora_cls.presentation.numbers import SCORE, UNDEFINED

RESAMPLES = 400  # of patients, behind each interval
FEWEST = 20  # examples of the rarer class in validation and test; with fewer, cross-validation
NOTABLE = 0.60  # an interval that lies above this AUROC is worth a warning
TELLING = 0.55  # the least AUROC of blanks that is worth a warning
MOST_VALUES = 50  # a column of words with more values than this is left out


@dataclass(frozen=True)
class Cohort:
    """What a baseline is fitted to and judged on."""

    examples: Sequence[Example]
    train: np.ndarray  # (N,) bool
    classes: Sequence[str]
    seed: int

    def labels(self) -> np.ndarray:
        """(N,) codes."""
        return np.array([e.label for e in self.examples], dtype=np.int64)

    def values(self, attribute: str) -> list[str | None]:
        """(N,); None where the attribute is not known."""
        values = [e.attributes.get(attribute) for e in self.examples]
        return [None if value == UNKNOWN else value for value in values]

    def encode(self, attributes: Sequence[str]) -> np.ndarray:
        """(N, F): the columns of all attributes side by side."""
        columns = [encode_attribute(self.values(name)) for name in attributes]
        return np.concatenate([np.zeros((len(self.examples), 0)), *columns], axis=1)


@dataclass(frozen=True)
class Baseline:
    """One logistic regression: AUROC with a 95 % interval, null where it cannot be computed."""

    name: str
    auroc: float | None
    interval: tuple[float, float] | None
    examples: int  # that it was judged on
    cross_validated: bool


def check_shortcuts(
    cohort: Cohort, facts: ImageFacts, people: Sequence[str], sensitive: Sequence[str]
) -> CheckReport:
    """Baselines, and blanks that tell the label.

    `people` are the attributes of demographics; of these `data.missing_groups` rules the
    `sensitive` ones.
    """
    baselines = fit_baselines(cohort, facts, people)
    return CheckReport(
        [*find_shortcuts(baselines), *find_telling_blanks(cohort, people, sensitive)],
        [_tabulate(baselines)],
        {"shortcuts": [asdict(baseline) for baseline in baselines]},
    )


def fit_baselines(cohort: Cohort, facts: ImageFacts, people: Sequence[str]) -> tuple[Baseline, ...]:
    """Fit on train and judge on validation and test; in small data, cross-validate by patient.

    With more than two classes the AUROC is the mean of one class against the rest.
    """
    return tuple(
        _fit_baseline(name, columns, cohort, facts.readable)
        for name, columns in shortcut_features(cohort, facts, people).items()
    )


def shortcut_features(
    cohort: Cohort, facts: ImageFacts, people: Sequence[str]
) -> dict[str, np.ndarray]:
    """What each baseline reads of the examples, (N, F) by its name; F is at least 1."""
    features = {
        "file size": np.log(np.maximum(facts.bytes, 1.0))[:, None],
        "width and height": np.stack([facts.width, facts.height], axis=1).astype(float),
        "mean brightness": facts.brightness[:, None],
        f"demographics ({', '.join(people)})": cohort.encode(people),
    }
    return {name: columns for name, columns in features.items() if columns.shape[1]}


def find_telling_blanks(
    cohort: Cohort, people: Sequence[str], sensitive: Sequence[str]
) -> list[Finding]:
    """A warning for each attribute of people whose blanks tell the label, and what is left without."""
    labels = cohort.labels()
    blank = {name: np.array([v is None for v in cohort.values(name)]) for name in people}
    none = np.zeros(len(labels), dtype=bool)
    found = []
    for name, lacking in blank.items():
        if not 0 < lacking.sum() < len(lacking):
            continue
        alone = _fit_baseline(name, lacking[:, None].astype(float), cohort, ~none)
        if alone.interval is None or alone.auroc < TELLING or alone.interval[0] <= 0.5:
            continue
        known = "is not known"
        columns = cohort.encode(people)
        if columns.shape[1]:  # none of an attribute with too many values
            complete = ~np.any(list(blank.values()), axis=0)
            rest = _fit_baseline(name, columns, cohort, complete)
            known = known if rest.auroc is None else f"is {rest.auroc:.2f}"
        dropped = np.any([none, *(blank[n] for n in people if n in sensitive)], axis=0)
        drop = "data.missing_groups=drop"
        if name not in sensitive:
            drop = f"Naming {name} in data.sensitive, with {drop},"
            dropped = dropped | lacking
        found.append(
            Finding(
                "warning",
                "telling-blanks",
                f"{name} is missing {_where(lacking, labels, cohort.classes)}: whether it is recorded "
                f"tells the label with an {_show_auroc(alone)}, and a model can learn that "
                "instead of the picture. In the complete rows the AUROC of demographics "
                f"({', '.join(people)}) {known}. {drop} leaves out {int(dropped.sum()):,} of "
                f"{len(dropped):,} examples; {_mix(labels, ~dropped, cohort.classes)}.",
                tuple(cohort.examples[i].id for i in np.flatnonzero(lacking)),
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


def _fit_baseline(name: str, columns: np.ndarray, cohort: Cohort, usable: np.ndarray) -> Baseline:
    """A baseline on features (N, F) of the examples that are `usable` (N,) bool."""
    rows = np.flatnonzero(usable)
    features, labels, train = columns[rows], cohort.labels()[rows], cohort.train[rows]
    units = np.array([cohort.examples[i].unit for i in rows])
    model = logistic_regression()
    present = np.bincount(labels, minlength=len(cohort.classes))
    held_out = np.bincount(labels[~train], minlength=len(cohort.classes))
    crossed = bool(held_out.min() < FEWEST) or len(np.unique(labels[train])) < 2
    if not crossed:
        judged = np.flatnonzero(~train)
        chances = predict_held_out(model, features, labels, np.flatnonzero(train), judged)
    elif (
        len(np.unique(units)) < FOLDS
        or len(np.unique(labels)) < 2
        or (present[present > 0] < FOLDS).any()
    ):
        return Baseline(name, None, None, len(labels), True)
    else:
        chances = cross_fit(model, features, labels, units, cohort.seed)
        judged = np.flatnonzero(~np.isnan(chances[:, 0]))
        chances = chances[judged]
    generator = np.random.default_rng([cohort.seed, 5])
    result = judge_probe(chances, labels[judged], units[judged], RESAMPLES, generator)
    return Baseline(name, result.auroc, result.interval, result.n, crossed)


def find_shortcuts(baselines: Sequence[Baseline]) -> list[Finding]:
    """A warning for each baseline whose interval lies above NOTABLE, a note where none could run."""
    found = [
        Finding(
            "warning",
            "shortcut",
            f"The label can be told from {b.name} alone with an {_show_auroc(b)}; only what a model "
            "reaches beyond that comes from the picture.",
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


def _show_auroc(baseline: Baseline) -> str:
    low, high = baseline.interval
    return f"AUROC of {baseline.auroc:.2f} [{low:.2f}, {high:.2f}]"


def _tabulate(baselines: Sequence[Baseline]) -> Table:
    """One row per baseline."""
    ways = {True: "cross-validated", False: "held out"}
    return text_table(
        "How well the label is told without the picture (logistic regression, AUROC; 0.5 is chance)",
        ("from", "AUROC", "95 %", "examples"),
        (
            (
                b.name,
                SCORE.show(b.auroc),
                SCORE.show_range(b.interval, UNDEFINED),
                UNDEFINED if b.auroc is None else f"{b.examples:,} {ways[b.cross_validated]}",
            )
            for b in baselines
        ),
    )
