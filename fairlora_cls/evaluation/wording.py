"""What do the numbers mean, in sentences that a clinician can act on?

The same words go into report.json (warnings), report.md and report.html.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fairlora_cls.evaluation.metrics import HEADLINE_GAP, METRICS, QUANTITIES
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport, GapResult
from fairlora_cls.presentation.numbers import UNDEFINED, Quantity, show_p

SIGNIFICANCE = 0.05
LEADING_GAPS = (  # those that figures and warnings show; the tables show all
    "max_acc_gap",
    "auroc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "demographic_parity_difference",
)
COUNTED = {  # `Metric.rests_on` in words
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


def judge_attribute(result: AttributeResult, headline_gap: str = HEADLINE_GAP) -> str:
    """The verdict on an attribute: of its headline gap, or `evidence` where the groups that are
    large enough show it although small ones drown it."""
    if shown_by_larger_groups(result, headline_gap):
        return "evidence"
    return judge(result.gaps[headline_gap])


def shown_by_larger_groups(result: AttributeResult, headline_gap: str = HEADLINE_GAP) -> bool:
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


def describe_overall(report: FairnessReport) -> str:
    """One sentence on how well the model does for everyone."""
    accuracy, auroc = report.overall["accuracy"], report.overall["auroc"]
    if accuracy.value is None:
        return "How well the model does for all examples together is not published."
    text = (
        f"The model is right for {METRICS['accuracy'].show(accuracy.value)} of "
        f"{report.n:,} test examples{_interval_text('accuracy', accuracy.interval)}"
    )
    if auroc.value is not None:
        value = METRICS["auroc"].show(auroc.value)
        text += f"; its AUROC is {value}{_interval_text('auroc', auroc.interval)}"
    return text + "."


def describe_gap(attribute: str, result: AttributeResult, headline: Headline = ACCURACY) -> str:
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


def describe_method(report: FairnessReport) -> list[str]:
    """How the numbers are made, one paragraph each."""
    averaged = (
        ""
        if len(report.classes) == 2
        else " AUROC, average precision and balanced accuracy are means over the classes present; "
        "calibration error is that of the most probable class, and the Brier score sums over "
        "classes. Each class against the rest, and the plain (macro) mean over classes, have tables "
        "of their own."
    )
    drawn = (
        "examples drawn within groups"
        if report.units is None
        else f"whole units drawn within groups ({report.units:,} patients or lesions, each with all "
        "of its examples); group names are dealt to whole units too"
    )
    return [
        f"Sensitivity, specificity, predictive values, F1 and the share predicted positive are "
        f"those of the class '{report.positive}' against the rest. {_decision_text(report)}"
        f"{averaged} Where a group has no example that a metric needs, the value is undefined "
        f"({UNDEFINED}), and gaps are taken over the groups that remain. Calibration error uses 15 "
        "bins of equal width and is biased upward in small groups.",
        f"Intervals hold the middle 95% of {report.bootstrap:,} bootstrap resamples of {drawn} "
        "(percentile method); bias-corrected (BC) ones move those percentiles by the share of "
        "resamples below the value. Rates of fewer than 100 examples, or of fewer than 10 hits or "
        "misses, have Wilson's interval instead (W), counted in units where units are known. A gap "
        "is a maximum minus a minimum, so noise alone makes it positive: where resampling raises it "
        "by more than a quarter of its standard error, its interval is marked as biased. Judge a "
        "gap by what chance gives.",
        "What chance gives: group names are dealt out anew among examples that could be exchanged "
        "if the groups were equal: among all examples for accuracy, the share predicted positive "
        "and errors of probabilities; among examples of the same label for sensitivity, "
        "specificity, F1, AUROC and equalized odds; among those of the same prediction for "
        "predictive values. p is the share of such draws, the observed one counted, with a gap at "
        "least as large (for ratios, at least as small); beyond the draws it is continued by an "
        f"exponential tail, which overstates it. Corrected p: Holm's method over all "
        f"{report.gaps_tested} different gaps tested in this report. The accuracy gap, which the "
        "summary judges, is one question per attribute asked in advance: its verdict rests on Holm's "
        "correction over the attributes alone.",
        "What could be found: each group's value is taken as normal, one group (the one with the "
        "fewest examples) lags and the others are equal; the gap is found when it is larger than "
        "95% of gaps between equal groups. Stated are the smallest true gap found in 80% of such "
        "studies (for ratios, the largest ratio) and the size that equal groups would need for 5 "
        "points. Approximate for small counts.",
        "Controlled gaps hold the other attributes fixed: the gap inside each stratum of their "
        "crossed groups that has enough examples, averaged with the strata's sizes as weights, "
        "beside the same mean when group names are dealt out anew inside each stratum.",
        "Equity-scaled scores: FairLLaVA's is overall / (1 + gap in percentage points); "
        "FairCLIP's is overall / (1 + sum of the groups' distances from overall, in fractions).",
        f"Random seed {report.seed}.",
    ]


def _decision_text(report: FairnessReport) -> str:
    decision = report.decision
    if decision is None or decision.rule == "given":
        return "The predictions are those of the table; no single threshold explains them."
    if decision.rule == "argmax":
        cut = f", which is a threshold of 0.5 on '{report.positive}'" if decision.threshold else ""
        return f"An example's prediction is its most probable class{cut}."
    if decision.threshold is None:
        return f"The predictions are a threshold's on the probability of '{report.positive}'."
    low, high = decision.threshold
    return (
        f"The predictions are those of a threshold between {low:.3g} and {high:.3g} on the "
        f"probability of '{report.positive}'."
    )


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


def _interval_text(metric: str, limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f" (95% interval {QUANTITIES[metric].show_range(limits)})"


def enumerate_names(names: Iterable[str], of_more: str = "more groups") -> str:
    """'A', 'A and B', or the first six 'and 3 more groups'."""
    names = list(names)
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} {of_more}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
