"""What must a reader know before trusting a report's numbers? Warnings in words, the worst first."""

import shlex
from collections.abc import Collection, Mapping

import numpy as np

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.wording import (
    LEADING_GAPS,
    SIGNIFICANCE,
    enumerate_names,
    judge,
)
from fairlora_cls.presentation.numbers import show_p


def describe_warnings(
    report: FairnessReport, predictions: Predictions, seen: Mapping[str, Collection[str]]
) -> list[str]:
    """Every warning. No count below `report.suppressed_below` is named.

    seen: ids and units of other splits, by the split's name
    """
    warnings = _model_warnings(report, predictions)
    warnings += _overlap_warnings(report, predictions, seen)
    for attribute, result in report.attributes.items():
        warnings += _group_warnings(report, attribute, result)
    for attribute, result in report.attributes.items():
        warnings += _prevalence_warnings(report, attribute, result)
    for attribute, result in report.attributes.items():
        warnings += _gap_warnings(attribute, result)
    return warnings + _computing_warnings(report)


def _model_warnings(report: FairnessReport, predictions: Predictions) -> list[str]:
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
    accuracy = report.overall["accuracy"].value
    if accuracy is not None and accuracy < shares.max():
        warnings.append(
            f"Accuracy is {METRICS['accuracy'].show(accuracy)}, below the "
            f"{METRICS['accuracy'].show(shares.max())} that answering "
            f"'{predictions.classes[shares.argmax()]}' every time would reach."
        )
    if report.decision is not None and report.decision.rule == "given":
        warnings.append(
            "The predictions are neither the most probable classes nor those of one threshold: "
            "AUROC, average precision, Brier score and calibration describe the probabilities, all "
            "other numbers the predictions."
        )
    auroc = report.overall["auroc"].value
    if len(predictions.classes) == 2 and auroc is not None and auroc < 0.5:
        other = predictions.classes[1 - predictions.positive]
        warnings.append(
            f"The probabilities rank the classes the wrong way round: AUROC "
            f"{METRICS['auroc'].show(auroc)}. If the column 'score' is the probability of "
            f"'{other}', say --positive {shlex.quote(other)}; if two prob_ columns are swapped, "
            "rename them."
        )
    return warnings


def _overlap_warnings(
    report: FairnessReport, predictions: Predictions, seen: Mapping[str, Collection[str]]
) -> list[str]:
    ids = set(predictions.ids)
    units = set(predictions.units or ())
    warnings = []
    for split, names in seen.items():
        names = set(names)
        rows = _are_row_numbers(ids) and _are_row_numbers({n for n in names if n.isdecimal()})
        for own, what in ((set() if rows else ids, "ids"), (units, "units")):
            shared = own & names
            if shared:
                many = _count(report, len(shared))
                warnings.append(
                    f"{many} {what} of these examples are also in the {split} split: what was "
                    "learned or chosen there makes these numbers too good."
                )
                break
    return warnings


def _group_warnings(report: FairnessReport, attribute: str, result: AttributeResult) -> list[str]:
    warnings = []
    hidden = result.suppressed_groups
    if hidden:
        warnings.append(
            f"{attribute}: the numbers of {enumerate_names(hidden)} are not published, because a "
            f"count below {report.suppressed_below} could be recovered from them; gaps are those "
            "between the other groups."
        )
    missing = [group.n for name, group in result.groups.items() if _is_missing(name)]
    if missing:
        number = "some" if None in missing else f"{sum(missing):,} of {report.n:,}"
        whole = "" if INTERSECTION not in attribute else " in at least one of its columns"
        warnings.append(
            f"{attribute}: {number} examples have no value{whole}; they stand in the group "
            f"'{MISSING}'."
        )
    if len(result.groups) == 1:
        warnings.append(
            f"{attribute}: all examples are in one group, '{next(iter(result.groups))}', so there "
            "is nothing to compare."
        )
    known = {name: group for name, group in result.groups.items() if group.n is not None}
    small = [f"{n} ({g.n})" for n, g in known.items() if g.n < report.minimum_group_size]
    if small:
        warnings.append(
            f"{attribute}: fewer than {report.minimum_group_size} examples in "
            f"{enumerate_names(small)}. Their numbers say little."
        )
    one_sided = [
        f"{name} ({'no positives' if group.positives == 0 else 'no negatives'} among {group.n})"
        for name, group in known.items()
        if group.positives in (0, group.n)
    ]
    if one_sided:
        warnings.append(
            f"{attribute}: labels of one kind only in {enumerate_names(one_sided)}. What this leaves "
            "undefined is left out of the gaps, not counted as 0 or 1."
        )
    return warnings


def _prevalence_warnings(
    report: FairnessReport, attribute: str, result: AttributeResult
) -> list[str]:
    found = result.prevalence
    if found is None or found.gap_p_value is None or found.gap_p_value > SIGNIFICANCE:
        return []
    shares = {name: shares[report.positive].reference for name, shares in found.groups.items()}
    shares = {name: share for name, share in shares.items() if share is not None}
    low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    # Of two classes: right for the share of one label, or of the other, in every group.
    constant = (
        f" One and the same answer for all has an accuracy gap of "
        f"{GAPS['max_acc_gap'].show(shares[high] - shares[low])}."
        if len(report.classes) == 2
        else ""
    )
    return [
        f"{attribute}: '{report.positive}' is the label of {100 * shares[low]:.1f}% of {low} and "
        f"{100 * shares[high]:.1f}% of {high}, more than chance explains ("
        f"{show_p(found.gap_p_value)}). Accuracy, predictive values, F1 and the share predicted "
        f"positive differ for that reason alone; sensitivity, specificity and AUROC need not.{constant}"
    ]


def _gap_warnings(attribute: str, result: AttributeResult) -> list[str]:
    judged: dict[str, list[str]] = {"chance": [], "lead": []}
    for name in LEADING_GAPS:
        gap = result.gaps[name]
        verdict = judge(gap)
        if verdict in judged:
            judged[verdict].append(
                f"{GAPS[name].title} {GAPS[name].show(gap.value)} (by chance "
                f"{GAPS[name].show(gap.null_mean)} on average)"
            )
    warnings = []
    if judged["lead"]:
        warnings.append(
            f"{attribute}: unusual by themselves (p ≤ {SIGNIFICANCE}), but not once the gaps tested "
            f"are counted: {'; '.join(judged['lead'])}."
        )
    if judged["chance"]:
        warnings.append(
            f"{attribute}: equal groups of these sizes would show such gaps by chance (p > "
            f"{SIGNIFICANCE}): {'; '.join(judged['chance'])}."
        )
    return warnings


def _computing_warnings(report: FairnessReport) -> list[str]:
    if report.score_draws is None or report.score_draws >= report.bootstrap:
        return []
    return [
        f"AUROC, average precision, Brier score and calibration error rest on "
        f"{report.score_draws:,} resamples instead of {report.bootstrap:,}, because the table is "
        "large; their gaps on no more."
    ]


def _are_row_numbers(ids: Collection[str]) -> bool:
    """Whether ids run from 0 or 1 without a gap, as any table's rows do: they name no image."""
    return any(ids == set(map(str, range(first, first + len(ids)))) for first in (0, 1))


def _is_missing(group: str) -> bool:
    return MISSING in group.split(INTERSECTION)


def _count(report: FairnessReport, count: int) -> str:
    below = report.suppressed_below
    return "Some" if below is not None and count < below else f"{count:,}"
