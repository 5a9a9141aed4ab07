"""What a fairness report holds: every number and sentence, and its form in report.json.

K classes. None stands for what is undefined, not computed, or suppressed.
"""

from dataclasses import asdict, dataclass, field

from fairlora_cls.presentation.document import Section

SCHEMA = 1

Limits = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, and how many examples it rests on."""

    value: float | None
    interval: Limits | None
    interval_method: str | None = None  # percentile (bootstrap) | wilson
    interval_bias_corrected: Limits | None = None  # bootstrap, Efron's BC
    count: int | None = None  # examples, positives …: what the metric divides by


@dataclass(frozen=True)
class GroupResult:
    """One group: how many examples, how many of them positive, and every metric."""

    n: int | None
    positives: int | None
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class Power:
    """What these groups could show: 80 % power, 5 % level, one group lagging, the rest equal."""

    detectable: float | None  # smallest true gap (or largest true ratio) that would be found
    lagging: str | None  # the group assumed to lag: the smallest; None: several are
    needed_per_group: int | None  # to find a gap of 5 points, all groups of that size
    counted: str  # what `needed_per_group` counts: examples | positives | negatives …


@dataclass(frozen=True)
class GapResult:
    """A gap between groups beside what equal groups of these sizes would show by chance."""

    value: float | None
    interval: Limits | None
    null_mean: float | None
    null_interval: Limits | None
    p_value: float | None
    best: str | None
    worst: str | None
    undefined_groups: tuple[str, ...]  # left out of this gap: undefined there, or suppressed
    p_value_holm: float | None = None  # corrected for all gaps that the report tests
    p_value_headline: float | None = None  # of max_acc_gap: corrected for that of each attribute
    interval_bias_corrected: Limits | None = None
    bootstrap_bias: float | None = None  # mean of the resampled gaps minus the value
    interval_is_biased: bool = False  # that is more than a quarter of their standard deviation
    power: Power | None = None


@dataclass(frozen=True)
class ClassesResult:
    """K > 2: each class against the rest, and the macro mean over classes; else empty."""

    classes: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    macro: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassGaps:
    """K > 2: gaps of each class against the rest, and of the macro means; else empty."""

    classes: dict[str, dict[str, GapResult]] = field(default_factory=dict)
    macro: dict[str, GapResult] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlledGap:
    """A gap inside strata of the other attributes, averaged with the strata's sizes as weights."""

    value: float | None
    null_mean: float | None
    null_interval: Limits | None
    p_value: float | None
    p_value_holm: float | None
    strata: int  # in which the gap is defined
    examples: int  # in those strata


@dataclass(frozen=True)
class Controlled:
    """Gaps of one attribute with the others held fixed."""

    held: tuple[str, ...]  # the other attributes, crossed
    minimum_stratum_size: int
    gaps: dict[str, ControlledGap]


@dataclass(frozen=True)
class ClassShare:
    """How often a class is the label and the prediction; shift = predicted − reference."""

    reference: float | None
    predicted: float | None
    shift: float | None
    shift_interval: Limits | None


@dataclass(frozen=True)
class Prevalence:
    """Shares of every class in every group, and how far the groups' positive labels lie apart."""

    groups: dict[str, dict[str, ClassShare]]
    gap: float | None
    gap_null_mean: float | None
    gap_p_value: float | None


@dataclass(frozen=True)
class CalibrationBin:
    """Examples whose confidence lies in [low, high): K = 2 the positive class's probability."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    outcome: float  # share of positives; K > 2: share of correct answers
    interval: Limits  # Wilson's, of the outcome


@dataclass(frozen=True)
class Curves:
    """What the figures of one group draw, of the positive class against the rest."""

    confusion: tuple[tuple[int, ...], ...]  # K labels × K predictions
    roc: tuple[tuple[float, float], ...]  # false and true positive rates; empty if undefined
    reliability: tuple[CalibrationBin, ...]
    score_histogram: tuple[tuple[int, ...], tuple[int, ...]]  # of negatives, of positives


@dataclass(frozen=True)
class LargerGroups:
    """The accuracy gap among groups of at least the minimum size, where others are smaller."""

    minimum: int  # examples
    left_out: tuple[str, ...]  # the smaller groups
    value: float
    null_mean: float
    p_value: float
    best: str
    worst: str
    p_value_headline: float | None = None  # corrected together with max_acc_gap of all attributes


@dataclass(frozen=True)
class AttributeResult:
    """All groups of one attribute, or of one intersection."""

    groups: dict[str, GroupResult]
    gaps: dict[str, GapResult]
    equity_scaled: dict[str, Estimate]
    group_classes: dict[str, ClassesResult] = field(default_factory=dict)  # K > 2
    class_gaps: ClassGaps = ClassGaps()
    prevalence: Prevalence | None = None
    controlled: Controlled | None = None
    curves: dict[str, Curves] = field(default_factory=dict)  # group → curves
    suppressed_groups: tuple[str, ...] = ()  # whose metrics are not published
    larger_groups: LargerGroups | None = None  # None: no group is small, or nothing to compare


@dataclass(frozen=True)
class Decision:
    """How the table's predictions follow from its probabilities."""

    rule: str  # argmax | threshold (on the positive class) | given (neither explains them)
    threshold: Limits | None  # the threshold lies between these two


@dataclass(frozen=True)
class FairnessReport:
    """Everything that the report's files say. Rates are fractions in [0, 1]."""

    n: int | None
    classes: tuple[str, ...]
    positive: str
    overall: dict[str, Estimate]
    attributes: dict[str, AttributeResult]
    warnings: tuple[str, ...]
    bootstrap: int  # resamples behind each interval
    minimum_group_size: int
    seed: int
    decision: Decision | None = None
    overall_classes: ClassesResult = ClassesResult()
    units: int | None = None  # patients or lesions that were drawn whole; None: examples were
    score_draws: int | None = None  # resamples behind AUROC, average precision, Brier and ECE
    gaps_tested: int = 0  # distinct tests that Holm's correction counts
    suppressed_below: int | None = None
    sections: tuple[Section, ...] = ()  # parts that joined it

    def to_dict(self) -> dict:
        """The contents of report.json: schema 1, null where a value is undefined."""
        return {
            "schema": SCHEMA,
            "n": self.n,
            "classes": list(self.classes),
            "positive": self.positive,
            "overall": {name: asdict(estimate) for name, estimate in self.overall.items()},
            "attributes": {n: _attribute(result) for n, result in self.attributes.items()},
            "warnings": list(self.warnings),
            "decision": asdict(self.decision) if self.decision else None,
            "one_vs_rest": asdict(self.overall_classes),
            "method": {
                "bootstrap": self.bootstrap,
                "bootstrap_of_scores": self.score_draws,
                "units": self.units,
                "seed": self.seed,
                "minimum_group_size": self.minimum_group_size,
                "gaps_tested": self.gaps_tested,
                "suppressed_below": self.suppressed_below,
            },
            **{section.key: section.values for section in self.sections},
        }


def _attribute(result: AttributeResult) -> dict:
    return {
        "groups": {
            name: {"n": group.n, "positives": group.positives}
            | {metric: asdict(estimate) for metric, estimate in group.metrics.items()}
            for name, group in result.groups.items()
        },
        "gaps": {name: asdict(gap) for name, gap in result.gaps.items()},
        "equity_scaled": {name: asdict(score) for name, score in result.equity_scaled.items()},
        "one_vs_rest": {
            "groups": {name: asdict(each) for name, each in result.group_classes.items()},
            "gaps": asdict(result.class_gaps),
        },
        "prevalence": asdict(result.prevalence) if result.prevalence else None,
        "controlled": asdict(result.controlled) if result.controlled else None,
        "curves": {name: asdict(curves) for name, curves in result.curves.items()},
        "suppressed_groups": list(result.suppressed_groups),
        "larger_groups": asdict(result.larger_groups) if result.larger_groups else None,
    }
