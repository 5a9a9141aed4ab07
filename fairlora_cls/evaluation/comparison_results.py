"""What a comparison of runs holds: every number, and its form in comparison.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fairlora_cls.evaluation.flips import Decision
from fairlora_cls.evaluation.metrics import QUANTITIES
from fairlora_cls.evaluation.results import Estimate
from fairlora_cls.evaluation.text_sample import TextMetric, text_equity, text_gaps
from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.seeds import SeedValues

SCHEMA = 1


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs compared: `seed` is None for a prediction table that is no run."""

    name: str
    method: str
    seed: int | None


@dataclass(frozen=True)
class Difference:
    """Other minus reference in one number, on the same examples; None where undefined.

    interval: 95 % paired bootstrap; p_value: swap test, two-sided; p_holm: p_value corrected by
    Holm's method for having asked the same of several pairs of runs and attributes
    """

    reference: float | None
    other: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_holm: float | None
    interval_bias_corrected: tuple[float, float] | None = None  # Efron's BC


@dataclass(frozen=True)
class GapDifference(Difference):
    """The difference of two gaps, and how few images decide it (None where not defined)."""

    deciding: Decision | None = None


@dataclass(frozen=True)
class AttributeDifferences:
    """All gaps and equity-scaled scores of one attribute, other minus reference."""

    groups: dict[str, int]  # name -> examples
    gaps: dict[str, GapDifference]
    equity_scaled: dict[str, Difference]


@dataclass(frozen=True)
class Pair:
    """One run against the run it is compared with."""

    reference: str
    other: str
    overall: dict[str, Difference]
    attributes: dict[str, AttributeDifferences]


@dataclass(frozen=True)
class SeedDifference(SeedValues):
    """Other minus reference, paired by seed, and how often the other is the better one."""

    wins: int | None  # None where neither way is better
    ties: int | None
    share_won: float | None  # a tie counts half


@dataclass(frozen=True)
class MethodSeeds:
    """Every number of one method over its seeds; quantities of attributes by attribute and name."""

    method: str
    seeds: tuple[int, ...]
    overall: dict[str, SeedValues]
    attributes: dict[str, dict[str, SeedValues]]


@dataclass(frozen=True)
class SeedContest:
    """One method against the reference method over the seeds that both have."""

    reference: str
    other: str
    seeds: tuple[int, ...]
    overall: dict[str, SeedDifference]
    attributes: dict[str, dict[str, SeedDifference]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that the files of a comparison say. Rates are fractions in [0, 1]."""

    n: int
    units: int | None  # patients or lesions that were drawn whole; None: examples were
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    methods: tuple[MethodSeeds, ...]  # of two seeds or more
    contests: tuple[SeedContest, ...]
    notes: tuple[str, ...]
    bootstrap: int
    seed: int

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Every metric, gap and equity-scaled score by name."""
        return QUANTITIES


@dataclass(frozen=True, kw_only=True)
class ClassComparison(Comparison):
    """Of predictions of classes."""

    classes: tuple[str, ...]
    positive: str

    def to_dict(self) -> dict[str, Any]:
        """The contents of comparison.json: schema 1, null where a value is undefined."""
        first = {"n": self.n, "units": self.units, "classes": None, "positive": None}
        return {"schema": SCHEMA, **first, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class TextComparison(Comparison):
    """Of generated texts."""

    metrics: Mapping[str, TextMetric]
    headline: str  # the metric that is judged

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        return {**self.metrics, **text_gaps(self.metrics), **text_equity(self.metrics)}

    def to_dict(self) -> dict[str, Any]:
        """The contents of comparison.json: schema 1, null where a value is undefined."""
        return {
            "schema": SCHEMA,
            "task": "generate",
            **asdict(self),
            "runs": [run.name for run in self.runs],
            "pairs": [_text_pair(pair) for pair in self.pairs],
        }


def _text_pair(pair: Pair) -> dict[str, Any]:
    """Gaps stand under their metric's name, each difference with its intervals."""
    attributes = pair.attributes.items()
    return {
        "reference": pair.reference,
        "other": pair.other,
        "overall": {name: _text_difference(each) for name, each in pair.overall.items()},
        "gaps": {
            attribute: {
                name.removesuffix("_gap"): _text_difference(each) for name, each in of.gaps.items()
            }
            for attribute, of in attributes
        },
        "equity_scaled": {
            attribute: {name: _text_difference(each) for name, each in of.equity_scaled.items()}
            for attribute, of in attributes
        },
        "groups": {attribute: of.groups for attribute, of in attributes},
    }


def _text_difference(found: Difference) -> dict[str, Any]:
    values = asdict(found)
    limits, corrected = values.pop("interval"), values.pop("interval_bias_corrected")
    method = "percentile" if limits else None
    return values | {"difference": asdict(Estimate(found.difference, limits, method, corrected))}
