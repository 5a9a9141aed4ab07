"""Calibration by group as a part of the fairness report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np

from fairlora_cls.evaluation.calibration import NEAREST, Calibration, calibration
from fairlora_cls.evaluation.groupings import Grouping
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import Estimate
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import RATE, SCORE, UNDEFINED

KEY, TITLE = "calibration", "Do the probabilities mean what they say? Calibration (exploratory)"
READINGS = {  # an interval wholly above (1) or below (-1) one, in words
    ("observed_expected", 1): "risk is understated (O:E above 1)",
    ("observed_expected", -1): "risk is overstated (O:E below 1)",
    ("slope", -1): "probabilities are too extreme (slope below 1)",
    ("slope", 1): "probabilities are too timid (slope above 1)",
}


def calibration_section(predictions: Predictions, groupings: Mapping[str, Grouping]) -> Section:
    """The report's part on calibration, of the positive class against the rest.

    groupings: by attribute
    """
    truth = predictions.labels == predictions.positive
    score = predictions.probabilities[:, predictions.positive]
    units = None if predictions.units is None else np.array(predictions.units, dtype=str)

    def of(rows: np.ndarray) -> Calibration:
        return calibration(truth[rows], score[rows], None if units is None else units[rows])

    everyone = of(np.arange(len(truth)))
    groups = {
        attribute: {
            name: of(np.flatnonzero(grouping.codes == code))
            for code, name in enumerate(grouping.names)
        }
        for attribute, grouping in groupings.items()
    }
    named = {f"{a}: {name}": each for a, own in groups.items() for name, each in own.items()}
    at_the_ends = int(((score < NEAREST) | (score > 1 - NEAREST)).sum())
    positive = predictions.classes[predictions.positive]
    return Section(
        key=KEY,
        title=TITLE,
        is_folded=True,
        sentences=(
            f"O:E is the observed cases ('{positive}') divided by the expected ones, the sum of all "
            "probabilities: above 1 risk is understated, below 1 overstated. The slope is 1 where "
            "probabilities are as spread as they should be; below 1 they are too extreme: high ones "
            "too high, low ones too low. The intercept (logits, slope held at 1) is above 0 where "
            "risk is understated.",
            _describe_everyone(everyone, positive),
            *_describe_groups(named),
            *([_describe_ends(at_the_ends, len(score))] if at_the_ends else []),
        ),
        tables=(_table({"all examples": everyone, **named}),),
        values={
            "class": positive,
            "nearest_to_0_or_1": NEAREST,
            "moved_there": at_the_ends,
            "overall": asdict(everyone),
            "attributes": {
                attribute: {name: asdict(each) for name, each in own.items()}
                for attribute, own in groups.items()
            },
        },
    )


def _describe_everyone(everyone: Calibration, positive: str) -> str:
    text = (
        f"Of all {everyone.n:,} examples, {everyone.positives:,} are '{positive}', and "
        f"{everyone.n * everyone.expected:,.0f} were to be expected: O:E "
        f"{_shown(everyone.observed_expected)}; slope {_shown(everyone.slope)}"
    )
    said = [words for (name, side), words in READINGS.items() if _side(everyone, name) == side]
    return f"{text}: {' and '.join(said)}." if said else f"{text}."


def _describe_groups(named: Mapping[str, Calibration]) -> list[str]:
    if not named:
        return []
    said = []
    for (name, side), words in READINGS.items():
        beyond = [
            f"{group} ({SCORE.show(getattr(each, name).value)}, n = {each.n:,})"
            for group, each in named.items()
            if _side(each, name) == side
        ]
        if beyond:
            all_of_them = len(beyond) == len(named) > 1
            whom = "every group" if all_of_them else enumerate_names(beyond)
            said.append(f"{capitalised(words)} for {whom}.")
    if not said:
        return [f"In none of the {len(named)} groups does an interval of O:E or slope exclude 1."]
    alone = "Each interval stands by itself: of 20 such, one excludes the truth by chance."
    return [*said, alone]


def _describe_ends(count: int, total: int) -> str:
    return (
        f"{count:,} of {total:,} probabilities are 0 or 1, or nearer than {NEAREST:g} to it; slope and "
        "intercept take them as that near, because 0 and 1 have no logit."
    )


def _side(found: Calibration, name: str) -> int:
    """1: wholly above 1; -1: wholly below; 0: neither."""
    limits = getattr(found, name).interval
    return 0 if limits is None else int(limits[0] > 1) - int(limits[1] < 1)


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"undefined ({_reason(estimate)})"
    return f"{SCORE.show(estimate.value)} ({SCORE.show_range(estimate.interval)})"


def _reason(estimate: Estimate) -> str:
    return (estimate.interval_method or "").removeprefix("none: ")


def _table(named: Mapping[str, Calibration]) -> Table:
    columns: dict[str, Callable[[Calibration], Cell]] = {
        "Examples": lambda each: Cell(f"{each.n:,}", f"{each.positives:,} cases"),
        "Expected": lambda each: Cell(RATE.show(each.expected)),
        "Observed": lambda each: Cell(RATE.show(each.observed)),
        "O:E": lambda each: _cell(each.observed_expected),
        "Slope": lambda each: _cell(each.slope),
        "Intercept": lambda each: _cell(each.intercept),
    }
    return Table(
        "Calibration by group, with 95% intervals",
        ("Group", *columns),
        tuple(
            (Cell(name), *(column(each) for column in columns.values()))
            for name, each in named.items()
        ),
    )


def _cell(estimate: Estimate) -> Cell:
    if estimate.value is None:
        return Cell(UNDEFINED, _reason(estimate))
    shown = SCORE.show_range(estimate.interval)
    return Cell(SCORE.show(estimate.value), shown)
