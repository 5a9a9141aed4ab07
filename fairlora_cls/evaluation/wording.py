"""What do the numbers mean, in sentences that a clinician can act on?

The same words go into report.json (warnings), report.md and report.html.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import INTERSECTION, MISSING, Predictions
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport, GapResult

SIGNIFICANCE = 0.05
LEADING_GAPS = (  # those that figures and warnings show; the tables show all
    "max_acc_gap",
    "auroc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "demographic_parity_difference",
)
UNDEFINED = "–"
MOST_NAMES = 6  # named in one sentence


def format_metric(metric: str, value: float | None) -> str:
    """'53.5%' for a rate of examples, '0.812' for what is computed from probabilities."""
    if value is None:
        return UNDEFINED
    return f"{value:.3f}" if _is_score(metric) else f"{100 * value:.1f}%"


def format_gap(gap: str, value: float | None) -> str:
    """'3.8 points' for rates, '0.041' for scores and ratios."""
    if value is None:
        return UNDEFINED
    if GAPS[gap].kind == "ratio" or _is_score(GAPS[gap].metrics[0]):
        return f"{value:.3f}"
    return f"{100 * value:.1f} points"


def format_range(name: str, limits: tuple[float, float] | None) -> str:
    """The limits of an interval of a metric or gap, without units: '51.1 to 55.8'."""
    if limits is None:
        return UNDEFINED
    score = GAPS[name].kind == "ratio" if name in GAPS else False
    score = score or _is_score(GAPS[name].metrics[0] if name in GAPS else name)
    low, high = (f"{limit:.3f}" if score else f"{100 * limit:.1f}" for limit in limits)
    return f"{low} to {high}"


def format_p_value(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def describe_overall(report: FairnessReport) -> str:
    """One sentence on how well the model does for everyone."""
    accuracy, auroc = report.overall["accuracy"], report.overall["auroc"]
    text = (
        f"The model is right for {format_metric('accuracy', accuracy.value)} of "
        f"{report.n:,} test examples{_interval_text('accuracy', accuracy.interval)}"
    )
    if auroc.value is not None:
        value = format_metric("auroc", auroc.value)
        text += f"; its AUROC is {value}{_interval_text('auroc', auroc.interval)}"
    return text + "."


def describe_gap(attribute: str, result: AttributeResult) -> str:
    """Two sentences on the accuracy gap of an attribute and on what chance alone would give."""
    gap = result.gaps["max_acc_gap"]
    if gap.value is None:
        return f"There is no accuracy gap to state for {attribute}: it has one group only."
    best, worst = (
        f"{name} {format_metric('accuracy', result.groups[name].metrics['accuracy'].value)}"
        for name in (gap.best, gap.worst)
    )
    text = (
        f"Across the {len(result.groups)} groups of {attribute}, accuracy differs by "
        f"{format_gap('max_acc_gap', gap.value)} (best: {best}; worst: {worst})."
    )
    if gap.p_value is None:
        return text
    text += (
        " If all groups were equally accurate, groups of these sizes would still differ by "
        f"{format_gap('max_acc_gap', gap.null_mean)} on average, and 95% of the time by "
        f"{format_range('max_acc_gap', gap.null_interval)} points"
    )
    if is_within_chance(gap):
        return text + (
            f": chance alone can explain this gap (p = {format_p_value(gap.p_value)}), so by "
            "itself it is no evidence that the model treats the groups differently, nor that it "
            "treats them alike."
        )
    sign = "" if gap.p_value < 0.001 else "= "
    return text + (
        f": chance alone hardly explains this gap (p {sign}{format_p_value(gap.p_value)}), so it "
        "is evidence that the model is less accurate for some groups."
    )


def describe_method(report: FairnessReport) -> list[str]:
    """How the numbers are made, one paragraph each."""
    positive = f"'{report.positive}'"
    averaged = (
        ""
        if len(report.classes) == 2
        else " AUROC, average precision and balanced accuracy are means over the classes present; "
        "calibration error is that of the most probable class, and the Brier score sums over "
        "classes."
    )
    return [
        f"Sensitivity, specificity, predictive values, F1 and the share predicted positive are "
        f"those of the class {positive} against the rest, with the predictions as the table gives "
        f"them.{averaged} Where a group has no example that a metric needs, the value is "
        f"undefined ({UNDEFINED}), and gaps are taken over the groups that remain. Calibration "
        "error uses 15 bins of equal width and is biased upward in small groups.",
        f"Intervals hold the middle 95% of {report.bootstrap:,} bootstrap resamples (percentile "
        "method) drawn within groups. A gap is a maximum minus a minimum, so noise alone makes it "
        "positive: its interval is shifted upward and can lie above the value itself. Judge a gap "
        "by what chance gives.",
        "What chance gives: group names are dealt out anew among examples that could be exchanged "
        "if the groups were equal: among all examples for accuracy, the share predicted positive "
        "and errors of probabilities; among examples of the same label for sensitivity, "
        "specificity, F1, AUROC and equalized odds; among those of the same prediction for "
        "predictive values. p is the share of such draws, the observed one counted, with a gap at "
        "least as large (for ratios, at least as small). It is not corrected for looking at many "
        "gaps.",
        "Equity-scaled scores: FairLLaVA's is overall / (1 + gap in percentage points); "
        "FairCLIP's is overall / (1 + sum of the groups' distances from overall, in fractions).",
        f"Random seed {report.seed}.",
    ]


def is_within_chance(gap: GapResult) -> bool:
    """Whether equal groups would show such a gap, or a worse one, in more than 1 of 20 draws."""
    return gap.p_value is not None and gap.p_value > SIGNIFICANCE


def describe_warnings(
    predictions: Predictions,
    overall: Mapping,
    attributes: Mapping,
    minimum_group_size: int,
) -> list[str]:
    """Everything that a reader must know before trusting the numbers; the worst first.

    overall: metric -> Estimate; attributes: name -> AttributeResult
    """
    warnings = _model_warnings(predictions, overall)
    for attribute, result in attributes.items():
        warnings += _group_warnings(predictions, attribute, result, minimum_group_size)
    for attribute, result in attributes.items():
        warnings += _chance_warnings(attribute, result)
    return warnings


def _model_warnings(predictions: Predictions, overall: Mapping) -> list[str]:
    warnings = []
    count = len(predictions.ids)
    if count > 1 and len(np.unique(predictions.predictions)) == 1:
        answer = predictions.classes[predictions.predictions[0]]
        warnings.append(
            f"The classifier has collapsed: all {count:,} predictions are '{answer}'. Its gaps "
            "reflect the groups' labels, not what the model sees."
        )
    if count > 1 and np.ptp(predictions.probabilities, axis=0).max() < 1e-6:
        warnings.append(
            f"The classifier has collapsed: all {count:,} examples have the same probabilities."
        )
    shares = np.bincount(predictions.labels, minlength=len(predictions.classes)) / count
    accuracy = overall["accuracy"].value
    if accuracy < shares.max():
        warnings.append(
            f"Accuracy is {format_metric('accuracy', accuracy)}, below the "
            f"{format_metric('accuracy', shares.max())} that answering "
            f"'{predictions.classes[shares.argmax()]}' every time would reach."
        )
    return warnings


def _group_warnings(
    predictions: Predictions, attribute: str, result: AttributeResult, minimum_group_size: int
) -> list[str]:
    warnings = []
    missing = predictions.missing_count(attribute)
    if missing:
        whole = "" if INTERSECTION not in attribute else " in at least one of its columns"
        warnings.append(
            f"{attribute}: {missing:,} of {len(predictions.ids):,} examples have no value{whole}; "
            f"they stand in the group '{MISSING}'."
        )
    if len(result.groups) == 1:
        warnings.append(
            f"{attribute}: all examples are in one group, '{next(iter(result.groups))}', so there "
            "is nothing to compare."
        )
    small = [f"{name} ({g.n})" for name, g in result.groups.items() if g.n < minimum_group_size]
    if small:
        warnings.append(
            f"{attribute}: fewer than {minimum_group_size} examples in {_enumerate(small)}. Their "
            "numbers say little, and their intervals are narrower than they should be."
        )
    one_sided = [
        f"{name} ({'no positives' if group.positives == 0 else 'no negatives'} among {group.n})"
        for name, group in result.groups.items()
        if group.positives in (0, group.n)
    ]
    if one_sided:
        warnings.append(
            f"{attribute}: labels of one kind only in {_enumerate(one_sided)}. What this leaves "
            "undefined is left out of the gaps, not counted as 0 or 1."
        )
    return warnings


def _chance_warnings(attribute: str, result: AttributeResult) -> list[str]:
    within = [
        f"{GAPS[name].title} {format_gap(name, gap.value)} (by chance "
        f"{format_gap(name, gap.null_mean)} on average)"
        for name, gap in ((name, result.gaps[name]) for name in LEADING_GAPS)
        if is_within_chance(gap)
    ]
    if not within:
        return []
    return [
        f"{attribute}: equal groups of these sizes would show such gaps by chance (p > "
        f"{SIGNIFICANCE}): {'; '.join(within)}."
    ]


def _interval_text(metric: str, limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f" (95% interval {format_range(metric, limits)})"


def _is_score(metric: str) -> bool:
    return "probabilities" in METRICS[metric].reads


def _enumerate(names: Iterable[str]) -> str:
    names = list(names)
    if len(names) > MOST_NAMES:
        rest = len(names) - MOST_NAMES
        return f"{', '.join(names[:MOST_NAMES])} and {rest} more groups"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
