"""What do the numbers mean, in sentences that a clinician can act on?

The same words go into report.json (warnings), report.md and report.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fairlora_cls.evaluation.metrics import HEADLINE_GAP, METRICS
from fairlora_cls.evaluation.results import AttributeResult, GapResult, Report, TextReport
from fairlora_cls.evaluation.text_sample import TextMetric
from fairlora_cls.presentation.numbers import Quantity, show_p

SIGNIFICANCE = 0.05
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
    "negatives": "examples of the other classes",
    "selected": "examples predicted positive",
    "rejected": "examples not predicted positive",
    "rarer": "examples outside the commonest class",
}
MOST_NAMES = 6  # named in one sentence


@dataclass(frozen=True)
class Headline:
    """The one gap per attribute that a report judges, and how it is put into words."""

    gap: str
    metric: str
    noun: str  # what differs between groups: "accuracy"
    if_equal: str  # groups without a gap are: "equally accurate"
    if_worse: str  # a gap says that: "the model is less accurate for some groups"
    counted: str  # what the metric is averaged over: "examples"
    grouped: str  # what the size of a group counts: "examples"
    planned: str  # the gap that studies are planned for: "5 points"
    quantity: Quantity  # shows the metric and its gaps


ACCURACY = Headline(
    gap=HEADLINE_GAP,
    metric="accuracy",
    noun="accuracy",
    if_equal="equally accurate",
    if_worse="the model is less accurate for some groups",
    counted="examples",
    grouped="examples",
    planned="5 points",
    quantity=METRICS["accuracy"],
)


def headline_of(report: Report) -> Headline:
    """The gap that the report judges, in words."""
    if not isinstance(report, TextReport):
        return ACCURACY
    return text_headline(report.headline, report.metrics[report.headline])


def text_headline(name: str, metric: TextMetric) -> Headline:
    """The gap in a metric of texts, in words."""
    return Headline(
        gap=f"{name}_gap",
        metric=name,
        noun=metric.title,
        if_equal="equally well served",
        if_worse="the texts are worse for some groups",
        counted="texts",
        grouped="images",
        planned="5 points" if metric.is_in_points else "0.05",
        quantity=metric,
    )


def judge(gap: GapResult) -> str:
    """What a gap's p-value says: `untested`, `chance`, `lead` (unusual by itself, but not once the
    gaps tested are counted) or `evidence` (unusual even so). Counted are the accuracy gaps of all
    attributes for an accuracy gap, and every gap for the others."""
    if gap.p_value is None:
        return "untested"
    if is_within_chance(gap):
        return "chance"
    corrected = _corrected(gap)
    return "evidence" if corrected is not None and corrected <= SIGNIFICANCE else "lead"


def judge_attribute(result: AttributeResult, headline_gap: str) -> str:
    """The verdict on an attribute: of its headline gap, or `evidence` where the groups that are
    large enough show it although small ones drown it."""
    if shown_by_larger_groups(result, headline_gap):
        return "evidence"
    return judge(result.gaps[headline_gap])


def shown_by_larger_groups(result: AttributeResult, headline_gap: str) -> bool:
    """Whether the larger groups show a gap that the one over all groups does not."""
    larger = result.larger_groups
    if larger is None or larger.p_value_headline is None:
        return False
    drowned = judge(result.gaps[headline_gap]) != "evidence"
    return drowned and larger.p_value_headline <= SIGNIFICANCE


def describe_larger_groups(result: AttributeResult, headline: Headline) -> str:
    """One sentence: the headline gap without the small groups; '' where no group is small."""
    larger = result.larger_groups
    if larger is None:
        return ""
    best, worst = (_group_value(result, name, headline) for name in (larger.best, larger.worst))
    text = (
        f"Among the groups of {larger.minimum} {headline.grouped} or more (without "
        f"{enumerate_names(larger.left_out)}) {headline.noun} differs by "
        f"{headline.quantity.show_gap(larger.value)} (best: {best}; worst: {worst}), by chance "
        f"{headline.quantity.show_gap(larger.null_mean)} on average ({show_p(larger.p_value)}"
    )
    if shown_by_larger_groups(result, headline.gap):
        return (
            f"{text}; corrected for the attributes compared, {show_p(larger.p_value_headline)}): "
            f"this is evidence that {headline.if_worse}, which the few {headline.grouped} of the "
            "small ones hide."
        )
    return f"{text})."


def _corrected(gap: GapResult) -> float | None:
    return gap.p_value_holm if gap.p_value_headline is None else gap.p_value_headline


def is_within_chance(gap: GapResult) -> bool:
    """Whether equal groups would show such a gap, or a worse one, in more than 1 of 20 draws."""
    return gap.p_value is not None and gap.p_value > SIGNIFICANCE


def describe_gap(attribute: str, result: AttributeResult, headline: Headline) -> str:
    """The headline gap of an attribute, what chance alone would give, and what could be seen."""
    gap = result.gaps[headline.gap]
    if gap.value is None:
        shown = len(result.groups) - len(gap.undefined_groups)
        groups = "one group only" if len(result.groups) == 1 else f"{shown} groups to compare"
        return f"There is no {headline.noun} gap to state for {attribute}: it has {groups}."
    compared = len(result.groups) - len(gap.undefined_groups)
    text = (
        f"Across {compared} groups of {attribute}, {headline.noun} differs by "
        f"{headline.quantity.show_gap(gap.value)} ({name_extremes(result, headline)})."
    )
    if gap.p_value is None:
        return text
    text += (
        f" If all groups were {headline.if_equal}, groups of these sizes would still differ by "
        f"{headline.quantity.show_gap(gap.null_mean)} on average, and 95% of the time by "
        f"{headline.quantity.show_gap_range(gap.null_interval)}"
    )
    raw, corrected = show_p(gap.p_value), show_p(_corrected(gap))
    verdict = judge(gap)
    if shown_by_larger_groups(result, headline.gap):
        text += f" ({raw}): over all groups, chance alone could explain this gap."
    elif verdict == "chance":
        text += (
            f": chance alone can explain this gap ({raw}), so by itself it is no evidence that "
            "the model treats the groups differently, nor that it treats them alike."
        )
    elif verdict == "lead":
        text += (
            f": by itself this gap would be unusual ({raw}), but not among the attributes compared "
            f"here (corrected {corrected}), so it is a lead for new data and not yet evidence."
        )
    else:
        text += (
            f": chance alone hardly explains this gap ({raw}; corrected for the attributes "
            f"compared, {corrected}), so it is evidence that {headline.if_worse}."
        )
    parts = (text, describe_larger_groups(result, headline), describe_power(gap, headline))
    return " ".join(part for part in parts if part)


def describe_power(gap: GapResult, headline: Headline) -> str:
    """What these groups could have shown, and what it takes to find a planned gap; '' if unknown."""
    power = gap.power
    if power is None:
        return ""
    if power.detectable is None:
        text = "Groups of these sizes cannot show any gap reliably"
    else:
        text = (
            f"With groups of these sizes a true gap is found with 80% probability only from "
            f"{headline.quantity.show_gap(power.detectable)} on, if {power.lagging or 'one group'} lags"
        )
    if power.needed_per_group:
        text += (
            f"; to find one of {headline.planned}, every group needs about "
            f"{_rounded(power.needed_per_group)} {headline.counted}"
        )
    return text + "."


def name_extremes(result: AttributeResult, headline: Headline) -> str:
    """'best: A 0.9; worst: B 0.7'."""
    gap = result.gaps[headline.gap]
    best, worst = (_group_value(result, name, headline) for name in (gap.best, gap.worst))
    return f"best: {best}; worst: {worst}"


def _group_value(result: AttributeResult, group: str, headline: Headline) -> str:
    estimate = result.groups[group].metrics[headline.metric]
    return f"{group} {headline.quantity.show(estimate.value)}"


def _rounded(count: int) -> str:
    """Two digits: a planned size is no more exact than that."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def enumerate_names(
    names: Iterable[str], of_more: str = "more groups", most: int = MOST_NAMES
) -> str:
    """'A', 'A and B', or the first `most` 'and 3 more groups'."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} {of_more}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
