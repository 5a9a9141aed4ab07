"""What a fairness report on generated texts holds, and its form in report.json.

N texts, F findings. None stands for what is undefined or not computed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from fairlora_cls.evaluation.results import (
    SCHEMA,
    AttributeResult,
    Estimate,
    GapResult,
    GroupResult,
    Limits,
)
from fairlora_cls.presentation.document import Section
from fairlora_cls.presentation.numbers import Quantity


@dataclass(frozen=True)
class TextMetric(Quantity):
    """What a metric is, and how the report treats it."""

    title: str
    description: str
    better: str  # higher | lower
    kind: str  # rate (a text is right or wrong) | mean (of the texts' scores) | pooled (F1)
    is_fraction: bool  # every value lies in [0, 1]

    @property
    def unit(self) -> str:
        return "rate" if self.kind == "rate" else "score"


@dataclass(frozen=True)
class TextEstimate(Estimate):
    """A mean score, or an F1 from all texts together, and the median text's score."""

    median: Estimate | None = None  # None for rates and pooled metrics


@dataclass(frozen=True)
class TextGroupResult(GroupResult):
    """One group: `n` counts its texts."""

    examples: int = 0  # images: one may have several texts


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

    minimum: int  # examples
    left_out: tuple[str, ...]  # smaller groups
    groups: dict[str, dict[str, FindingShare]]  # group -> finding -> share
    gaps: dict[str, GapResult]  # finding -> how far the groups' shifts lie apart


@dataclass(frozen=True)
class QuestionResult:
    """The answers to one question, where there are several."""

    n: int
    overall: dict[str, TextEstimate]
    attributes: dict[str, AttributeResult]


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
class TextReport:
    """Everything that the report's files say. Scores are as their metric gives them."""

    n: int
    examples_n: int  # images
    units: int | None  # patients or lesions that were drawn whole; None: examples were
    metrics: dict[str, TextMetric]
    headline: str  # the metric whose gaps the summary judges
    overall: dict[str, TextEstimate]
    attributes: dict[str, AttributeResult]
    shifts: dict[str, FindingShifts]  # by attribute; empty without findings
    questions: dict[str, QuestionResult]  # empty where there is one question only
    undefined: tuple[str, ...]  # metrics asked for that no text has
    constant: ConstantAnswer
    examples: tuple[TextExample, ...]
    counts: dict[str, int]  # empty, truncated, repeated texts, unparsed diagnoses …
    warnings: tuple[str, ...]
    bootstrap: int
    minimum_group_size: int
    minimum_stratum_size: int
    seed: int
    gaps_tested: int
    sections: tuple[Section, ...] = field(default=())

    def to_dict(self) -> dict:
        """The contents of report.json: schema 1, null where a value is undefined."""
        return {
            "schema": SCHEMA,
            "task": "generate",
            "n": self.n,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "headline": self.headline,
            "overall": {name: asdict(estimate) for name, estimate in self.overall.items()},
            "attributes": {
                name: _attribute(result)
                | {"shifts": asdict(self.shifts[name]) if name in self.shifts else None}
                for name, result in self.attributes.items()
            },
            "warnings": list(self.warnings),
            "questions": {
                name: {
                    "n": found.n,
                    "overall": {metric: asdict(e) for metric, e in found.overall.items()},
                    "attributes": {a: _attribute(result) for a, result in found.attributes.items()},
                }
                for name, found in self.questions.items()
            },
            "undefined": list(self.undefined),
            "constant": asdict(self.constant),
            "examples": [asdict(example) for example in self.examples],
            "counts": dict(self.counts),
            "method": {
                "examples": self.examples_n,
                "units": self.units,
                "bootstrap": self.bootstrap,
                "seed": self.seed,
                "minimum_group_size": self.minimum_group_size,
                "minimum_stratum_size": self.minimum_stratum_size,
                "gaps_tested": self.gaps_tested,
            },
            **{section.key: section.values for section in self.sections},
        }


def equity_nouns(metrics: Mapping[str, TextMetric]) -> dict[str, str]:
    """The metrics that equity-scaled scores are defined for: fractions of which more is better."""
    return {
        name: facts.title
        for name, facts in metrics.items()
        if facts.is_fraction and facts.better == "higher"
    }


def _attribute(result: AttributeResult) -> dict:
    return {
        "groups": {
            name: {"n": group.n, "examples": group.examples}
            | {metric: asdict(estimate) for metric, estimate in group.metrics.items()}
            for name, group in result.groups.items()
        },
        "gaps": {name: asdict(gap) for name, gap in result.gaps.items()},
        "equity_scaled": {name: asdict(score) for name, score in result.equity_scaled.items()},
        "controlled": asdict(result.controlled) if result.controlled else None,
        "larger_groups": asdict(result.larger_groups) if result.larger_groups else None,
    }
