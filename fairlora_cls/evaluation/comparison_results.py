"""What a comparison of runs holds: every number, and its form in comparison.json."""

from dataclasses import asdict, dataclass

from fairlora_cls.evaluation.flips import Decision

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


@dataclass(frozen=True)
class GapDifference(Difference):
    """The difference of two gaps, and how few images decide it (None where not defined)."""

    deciding: Decision | None


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
class SeedValues:
    """One number over the seeds of a method: mean and 95 % t-interval over the seeds."""

    mean: float | None
    interval: tuple[float, float] | None
    values: tuple[float | None, ...]  # in the order of the seeds


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


@dataclass(frozen=True)
class Comparison:
    """Everything that the files of a comparison say. Rates are fractions in [0, 1]."""

    n: int
    units: int | None  # patients or lesions that were drawn whole; None: examples were
    classes: tuple[str, ...]
    positive: str
    runs: tuple[ComparedRun, ...]
    pairs: tuple[Pair, ...]
    methods: tuple[MethodSeeds, ...]  # of two seeds or more
    contests: tuple[SeedContest, ...]
    notes: tuple[str, ...]
    bootstrap: int
    seed: int

    def to_dict(self) -> dict:
        """The contents of comparison.json: schema 1, null where a value is undefined."""
        return {"schema": SCHEMA, **asdict(self)}
