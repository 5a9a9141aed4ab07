"""What a fairness report holds: every number and sentence, and its form in report.json."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlora_cls.evaluation.sections import Section

SCHEMA = 1


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % bootstrap interval; None where undefined."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class GroupResult:
    """One group: how many examples, how many of them positive, and every metric."""

    n: int
    positives: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class GapResult:
    """A gap between groups beside what equal groups of these sizes would show by chance."""

    value: float | None
    interval: tuple[float, float] | None
    null_mean: float | None
    null_interval: tuple[float, float] | None
    p_value: float | None
    best: str | None
    worst: str | None
    undefined_groups: tuple[str, ...]  # left out of this gap: the metric is undefined there


@dataclass(frozen=True)
class AttributeResult:
    """All groups of one attribute, or of one intersection."""

    groups: dict[str, GroupResult]
    gaps: dict[str, GapResult]
    equity_scaled: dict[str, Estimate]


@dataclass(frozen=True)
class FairnessReport:
    """Everything that the report's files say. Rates are fractions in [0, 1]."""

    n: int
    classes: tuple[str, ...]
    positive: str
    overall: dict[str, Estimate]
    attributes: dict[str, AttributeResult]
    warnings: tuple[str, ...]
    bootstrap: int  # resamples behind each interval
    minimum_group_size: int
    seed: int
    sections: tuple["Section", ...] = ()  # parts that joined it

    def to_dict(self) -> dict:
        """The contents of report.json: schema 1, null where a value is undefined."""
        attributes = {
            name: {
                "groups": {
                    group: {"n": result.n, "positives": result.positives}
                    | {metric: asdict(estimate) for metric, estimate in result.metrics.items()}
                    for group, result in attribute.groups.items()
                },
                "gaps": {gap: asdict(result) for gap, result in attribute.gaps.items()},
                "equity_scaled": {
                    score: asdict(estimate) for score, estimate in attribute.equity_scaled.items()
                },
            }
            for name, attribute in self.attributes.items()
        }
        return {
            "schema": SCHEMA,
            "n": self.n,
            "classes": list(self.classes),
            "positive": self.positive,
            "overall": {name: asdict(estimate) for name, estimate in self.overall.items()},
            "attributes": attributes,
            "warnings": list(self.warnings),
            **{section.key: section.values for section in self.sections},
        }
