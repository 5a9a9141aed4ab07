"""What a fairness report holds: every number and sentence, and its form in report.json.

K classes. None stands for what is undefined, not computed, or suppressed. The metrics of classes are
imported where they are asked for: scikit-learn takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlora_cls.evaluation.text_sample import TextMetric, text_equity, text_gaps
from fairlora_cls.presentation.document import Section
from fairlora_cls.presentation.numbers import Quantity
from fairlora_cls.statistics.gaps import EquityScaled, Gap
from fairlora_cls.statistics.sample import Measure

SCHEMA = 1

Limits = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, and how many examples it rests on."""

    value: float | None
    interval: Limits | None
    interval_method: str | None = None  # wilson | newcombe | … | none: the reason
    interval_bias_corrected: Limits | None = None  # bootstrap, Efron's BC
    count: int | None = None  # examples, positives …: what the metric divides by
    null_mean: float | None = None  # of a distance: what noise alone would show
    null_interval: Limits | None = None


@dataclass(frozen=True)
class TextEstimate(Estimate):
    """A mean score, or an F1 from all texts together, and the median text's score."""

    median: Estimate | None = None  # None for rates and pooled metrics


@dataclass(frozen=True)
class GroupResult:
    """One group: how many examples, how many of them positive, and every metric."""

    n: int | None
    positives: int | None
    metrics: dict[str, Estimate]
    units: int | None = None  # patients or lesions; None: not known, or withheld

    def sizes(self) -> dict[str, int | None]:
        """What report.json says of its size."""
        return {"n": self.n, "positives": self.positives} | self._units_known()

    def _units_known(self) -> dict[str, int]:
        return {} if self.units is None else {"units": self.units}

    @property
    def independent(self) -> int | None:
        """What minimum sizes count: a patient's images tell less than as many patients'."""
        return self.n if self.units is None else self.units


@dataclass(frozen=True)
class TextGroupResult(GroupResult):
    """One group: `n` counts its texts."""

    examples: int | None = None  # images: one may have several texts

    def sizes(self) -> dict[str, int | None]:
        return {"n": self.n, "examples": self.examples} | self._units_known()

    @property
    def independent(self) -> int | None:
        return self.examples if self.units is None else self.units


@dataclass(frozen=True)
class Power:
    """What these groups could show: 80 % power, 5 % level, one group lagging, the rest equal."""

    detectable: float | None  # smallest true gap (or largest true ratio) that would be found
    lagging: str | None  # the group assumed to lag: the smallest; None: several are
    needed_per_group: (
        int | None
    )  # to find a gap of 5 points by this test alone, groups of that size
    counted: str  # what `needed_per_group` counts: a key of `wording.COUNTED`


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
    interval_method: str | None = None  # simultaneous (over all pairs of groups) | none: the reason


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
    best: str | None = None  # inside strata, on average
    worst: str | None = None
    # Mean inside strata of the difference between the groups that are best and worst over all:
    # below 0 the order reverses. Of two groups the signed mean of the gap.
    signed: float | None = None


@dataclass(frozen=True)
class Controlled:
    """Gaps of one attribute with the others held fixed."""

    held: tuple[str, ...]  # the other attributes, crossed
    minimum_stratum_size: int  # examples, images, or units where those are known
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
    # By threshold: net benefit of acting on the model, and of treating all.
    decision: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class LargerGroups:
    """The accuracy gap among groups of at least the minimum size, where others are smaller."""

    minimum: int  # examples, or units where those are known
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

    def to_dict(self) -> dict[str, Any]:
        """Its part of report.json."""
        return {
            "groups": {
                name: group.sizes() | _as_dicts(group.metrics)
                for name, group in self.groups.items()
            },
            "gaps": _as_dicts(self.gaps),
            "equity_scaled": _as_dicts(self.equity_scaled),
            "one_vs_rest": {
                "groups": _as_dicts(self.group_classes),
                "gaps": asdict(self.class_gaps),
            },
            "prevalence": asdict(self.prevalence) if self.prevalence else None,
            "controlled": asdict(self.controlled) if self.controlled else None,
            "curves": _as_dicts(self.curves),
            "suppressed_groups": list(self.suppressed_groups),
            "larger_groups": asdict(self.larger_groups) if self.larger_groups else None,
        }


@dataclass(frozen=True)
class Decision:
    """How the table's predictions follow from its probabilities."""

    rule: str  # argmax | threshold (on the positive class) | given (neither explains them)
    threshold: Limits | None  # the threshold lies between these two


@dataclass(frozen=True)
class FindingShare:
    """How often a finding is in the references and in the texts of a group."""

    reference: float
    generated: float
    shift: float  # generated - reference
    shift_interval: Limits | None
    f1: float | None


@dataclass(frozen=True)
class FindingShifts:
    """Prevalence shift of findings in every group that is large enough."""

    minimum: int  # images, or units where those are known
    left_out: tuple[str, ...]  # smaller groups
    groups: dict[str, dict[str, FindingShare]]  # group -> finding -> share
    gaps: dict[str, GapResult]  # finding -> how far the groups' shifts lie apart


@dataclass(frozen=True)
class QuestionResult:
    """The answers to one question, where there are several."""

    n: int
    overall: dict[str, TextEstimate]
    attributes: dict[str, AttributeResult]

    def to_dict(self) -> dict[str, Any]:
        """Its part of report.json."""
        return {
            "n": self.n,
            "overall": _as_dicts(self.overall),
            "attributes": {name: each.to_dict() for name, each in self.attributes.items()},
        }


@dataclass(frozen=True)
class ConstantScore:
    """What a constant answer scores, and how far the model's texts are above it."""

    value: float | None
    difference: Estimate  # model - constant, paired


@dataclass(frozen=True)
class ConstantAnswer:
    """A model that says the same of every image."""

    answers: dict[str, str]  # question -> the reference that it always gives
    scores: dict[str, ConstantScore]


@dataclass(frozen=True)
class TextExample:
    """One text for the reader to judge."""

    place: str  # best | median | worst
    ranked_by: str  # metric
    score: float
    id: str
    question: str
    reference: str
    text: str


@dataclass(frozen=True)
class EndpointVerdict:
    """What the data say of one declared endpoint between the groups of one attribute."""

    attribute: str
    endpoint: str
    verdict: str  # evidence | equal | undecided | undefined
    worse: str | None = None  # the group served worst, and best
    better: str | None = None
    worse_value: float | None = None
    better_value: float | None = None
    gap: float | None = None
    interval: Limits | None = None  # simultaneous, of the largest true difference
    null_mean: float | None = None  # among examples of the same label
    null_interval: Limits | None = None
    p_value: float | None = None
    p_value_family: float | None = None  # Holm's, over all endpoints and attributes
    hidden_up_to: float | None = None  # the largest true difference that the data allow
    left_out: tuple[str, ...] = ()  # groups that are too small, undefined there, or suppressed
    needed_per_group: int | None = None  # to find a difference of 5 points, the family corrected
    counted: str | None = None  # what that counts: a key of `wording.COUNTED`
    tests_counted: int | None = None  # by that correction


@dataclass(frozen=True)
class Endpoints:
    """What was declared in advance."""

    names: tuple[str, ...]
    margin: float  # the largest difference that counts as equal
    declared: str  # default | recipe | command line


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the reports on classes and on texts have in common. Rates are fractions in [0, 1]."""

    n: int | None
    units: int | None = None  # patients or lesions that were drawn whole; None: examples were
    overall: Mapping[str, Estimate]
    attributes: Mapping[str, AttributeResult]
    endpoints: Endpoints
    verdicts: tuple[EndpointVerdict, ...]  # of every attribute and endpoint
    warnings: tuple[str, ...]
    bootstrap: int  # resamples behind each interval
    minimum_group_size: int
    seed: int
    gaps_tested: int = 0  # distinct tests that Holm's correction counts
    suppressed_below: int | None = None
    sections: tuple[Section, ...] = ()  # parts that joined it

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Every metric, gap and equity-scaled score by name."""
        return {**self.measures, **self.gaps, **self.equity_scaled}

    def to_dict(self) -> dict[str, Any]:
        """The contents of report.json: schema 1, null where a value is undefined."""
        subject, parts, method = self._own_values()
        return {
            "schema": SCHEMA,
            "n": self.n,
            **subject,
            "endpoints": asdict(self.endpoints),
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "overall": _as_dicts(self.overall),
            "attributes": {name: result.to_dict() for name, result in self.attributes.items()},
            "warnings": list(self.warnings),
            **parts,
            "method": {
                "bootstrap": self.bootstrap,
                **method,
                "units": self.units,
                "seed": self.seed,
                "minimum_group_size": self.minimum_group_size,
                "gaps_tested": self.gaps_tested,
                "suppressed_below": self.suppressed_below,
            },
            **{section.key: section.values for section in self.sections},
        }


@dataclass(frozen=True, kw_only=True)
class FairnessReport(Report):
    """Everything that the files of a report on predictions of classes say."""

    classes: tuple[str, ...]
    positive: str
    decision: Decision | None = None
    overall_classes: ClassesResult = ClassesResult()
    score_draws: int | None = None  # resamples behind AUROC, average precision, Brier and ECE

    @property
    def measures(self) -> Mapping[str, Measure]:
        from fairlora_cls.evaluation.metrics import METRICS

        return METRICS

    @property
    def gaps(self) -> Mapping[str, Gap]:
        from fairlora_cls.evaluation.metrics import GAPS

        return GAPS

    @property
    def equity_scaled(self) -> Mapping[str, EquityScaled]:
        from fairlora_cls.evaluation.metrics import EQUITY_SCALED

        return EQUITY_SCALED

    def _own_values(self) -> tuple[dict, dict, dict]:
        return (
            {"classes": list(self.classes), "positive": self.positive},
            {
                "decision": asdict(self.decision) if self.decision else None,
                "one_vs_rest": asdict(self.overall_classes),
            },
            {"bootstrap_of_scores": self.score_draws},
        )


@dataclass(frozen=True, kw_only=True)
class TextReport(Report):
    """Everything that the files of a report on texts say. Scores are as their metric gives them."""

    examples_n: int | None  # images
    metrics: Mapping[str, TextMetric]
    headline: str  # the metric whose gaps the summary judges
    shifts: Mapping[str, FindingShifts]  # by attribute; empty without findings
    questions: Mapping[str, QuestionResult]  # empty where there is one question only
    undefined: tuple[str, ...]  # metrics asked for that no text has
    constant: ConstantAnswer
    examples: tuple[TextExample, ...]
    counts: Mapping[str, int | None]  # empty, truncated, repeated texts, unparsed diagnoses …
    minimum_stratum_size: int

    @property
    def measures(self) -> Mapping[str, Measure]:
        return self.metrics

    @property
    def gaps(self) -> Mapping[str, Gap]:
        return text_gaps(self.metrics)

    @property
    def equity_scaled(self) -> Mapping[str, EquityScaled]:
        return text_equity(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        for name, attribute in values["attributes"].items():
            shifts = self.shifts.get(name)
            attribute["shifts"] = asdict(shifts) if shifts else None
        return values

    def _own_values(self) -> tuple[dict, dict, dict]:
        return (
            {
                "task": "generate",
                "metrics": _as_dicts(self.metrics),
                "headline": self.headline,
            },
            {
                "questions": {name: each.to_dict() for name, each in self.questions.items()},
                "undefined": list(self.undefined),
                "constant": asdict(self.constant),
                "examples": [asdict(example) for example in self.examples],
                "counts": dict(self.counts),
            },
            {"examples": self.examples_n, "minimum_stratum_size": self.minimum_stratum_size},
        )


def _as_dicts(values: Mapping[str, Any]) -> dict[str, dict]:
    return {name: asdict(value) for name, value in values.items()}
