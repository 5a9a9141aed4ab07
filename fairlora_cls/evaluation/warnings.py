"""What must a reader know before trusting a report's numbers? Warnings in words, the worst first."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

import numpy as np

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import (
    AttributeResult,
    FairnessReport,
    FindingShifts,
    Report,
    TextReport,
)
from fairlora_cls.evaluation.wording import (
    enumerate_names,
    nouns_of,
)
from fairlora_cls.presentation.numbers import show_p
from fairlora_cls.statistics.intervals import SIGNIFICANCE
from fairlora_cls.texts.generations import Generations, image_ids


def describe_warnings(
    report: FairnessReport, predictions: Predictions, seen: Mapping[str, Collection[str]]
) -> list[str]:
    """Every warning. No count below `report.suppressed_below` is named.

    seen: ids and units of other splits, by the split's name
    """
    return [
        *_classifier_warnings(report, predictions),
        *_overlap_warnings(report, set(predictions.ids), set(predictions.units or ()), seen),
        *_of_attributes(report, _group_warnings),
        *_of_attributes(report, _reversal_warnings),
        *_of_attributes(report, _prevalence_warnings),
        *_computing_warnings(report),
    ]


def describe_text_warnings(
    report: TextReport, generations: Generations, seen: Mapping[str, Collection[str]]
) -> list[str]:
    """`describe_warnings` of texts; their ids are also those of their images."""
    ids = set(image_ids(generations))
    shifts = report.shifts.items()
    return [
        *_writer_warnings(report),
        *_overlap_warnings(
            report, ids, set(generations.units) - set(generations.ids), seen, "images"
        ),
        *_score_warnings(report),
        *_of_attributes(report, _group_warnings),
        *_of_attributes(report, _reversal_warnings),
        *(text for attribute, each in shifts for text in _shift_warnings(attribute, each)),
    ]


def _of_attributes(report: Report, describe) -> list[str]:
    return [
        text
        for attribute, result in report.attributes.items()
        for text in describe(report, attribute, result)
    ]


def _classifier_warnings(report: FairnessReport, predictions: Predictions) -> list[str]:
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
    auroc, limits = report.overall["auroc"].value, report.overall["auroc"].interval
    surely = auroc is not None and (auroc if limits is None else limits[1]) < 0.5
    if len(predictions.classes) == 2 and surely:
        other = predictions.classes[1 - predictions.positive]
        warnings.append(
            f"The probabilities rank the classes the wrong way round: AUROC "
            f"{METRICS['auroc'].show(auroc)}. If the column 'score' is the probability of "
            f"'{other}', say --positive {shlex.quote(other)}; if two prob_ columns are swapped, "
            "rename them."
        )
    return warnings


def _writer_warnings(report: TextReport) -> list[str]:
    counts, warnings = report.counts, []
    many = "" if report.n is None else f"{report.n:,} "
    if counts["different_texts"] == counts["questions"] < counts["different_references"]:
        warnings.append(
            f"The model has collapsed: its {many}texts are the same for every image. Gaps reflect the "
            "groups' references, not what the model sees."
        )
    blank, truncated = counts.get("blank_texts", 0), counts["truncated_texts"]
    if blank:
        warnings.append(f"{_of_all(report, blank)} texts are empty; they count as wrong.")
    if truncated:
        warnings.append(
            f"{_of_all(report, truncated)} texts were cut off at the largest number of new tokens; "
            "they are scored as they stand."
        )
    if counts.get("blank_references"):
        warnings.append(
            f"{_of_all(report, counts['blank_references'])} references are empty: there is nothing to "
            "compare their texts with."
        )
    unparsed = counts.get("diagnosis_unparsed", 0)
    if unparsed:
        warnings.append(
            f"No diagnosis could be read from {_of_all(report, unparsed, counts['diagnosis_read'])} "
            "texts that should name one; they count as wrong."
        )
    return warnings + _constant_warnings(report)


def _constant_warnings(report: TextReport) -> list[str]:
    """In which metrics one text for every image does as well, or better."""
    judged: dict[str, list[str]] = {"worse": [], "not shown to be better": []}
    for name, score in report.constant.scores.items():
        metric, limits = report.metrics[name], score.difference.interval
        if limits is None:
            continue
        low, high = limits if metric.better == "higher" else (-limits[1], -limits[0])
        if low <= 0:
            judged["worse" if high < 0 else "not shown to be better"].append(
                f"{metric.title} {metric.show(report.overall[name].value)} (constant "
                f"{metric.show(score.value)})"
            )
    return [
        f"The texts are {verdict} than one text for every image would be: {'; '.join(metrics)}."
        for verdict, metrics in judged.items()
        if metrics
    ]


def _score_warnings(report: TextReport) -> list[str]:
    warnings = []
    for name, metric in report.metrics.items():
        lacking = report.counts.get(f"{name}_without_score", 0)
        if lacking:
            warnings.append(f"{_of_all(report, lacking)} texts have no {metric.title} score.")
        if not metric.is_fraction:
            warnings.append(
                f"{metric.title} has values outside 0 to 1: it has no equity-scaled score, which is "
                "defined for fractions. Divide scores in percent by 100."
            )
    return warnings


def _overlap_warnings(
    report: Report,
    ids: set[str],
    units: set[str],
    seen: Mapping[str, Collection[str]],
    named: str = "ids",
) -> list[str]:
    warnings = []
    for split, names in seen.items():
        names = set(names)
        rows = _are_row_numbers(ids) and _are_row_numbers({n for n in names if n.isdecimal()})
        for own, what in ((set() if rows else ids, named), (units, "units")):
            shared = own & names
            if shared:
                many = _count(report, len(shared))
                warnings.append(
                    f"{many} {what} of these {nouns_of(report).counted} are also in the {split} "
                    "split: what was learned or chosen there makes these numbers too good."
                )
                break
    return warnings


def _group_warnings(report: Report, attribute: str, result: AttributeResult) -> list[str]:
    warnings = []
    nouns, hidden = nouns_of(report), result.suppressed_groups
    if hidden:
        warnings.append(
            f"{attribute}: the metrics of {enumerate_names(hidden)} are not published, because a "
            f"count below {report.suppressed_below} could be recovered from them; "
            + (
                "gaps are those between the other groups."
                if len(hidden) < len(result.groups)
                else "no group remains."
            )
        )
    missing = [group.n for name, group in result.groups.items() if _is_missing(name)]
    if missing:
        number = "some" if None in missing else f"{sum(missing):,} of {report.n:,}"
        whole = "" if INTERSECTION not in attribute else " in at least one of its columns"
        warnings.append(
            f"{attribute}: {number} {nouns.counted} have no value{whole}; they stand in the group "
            f"'{MISSING}'."
        )
    if len(result.groups) == 1:
        warnings.append(
            f"{attribute}: all {nouns.counted} are in one group, "
            f"'{next(iter(result.groups))}', so there is nothing to compare."
        )
    known = {name: group for name, group in result.groups.items() if group.n is not None}
    in_units = any(group.units is not None for group in known.values())
    small = [
        f"{name} ({group.independent}{f' with {group.n} {nouns.counted}' if in_units else ''})"
        for name, group in known.items()
        if group.independent < report.minimum_group_size
    ]
    if small:
        warnings.append(
            f"{attribute}: fewer than {report.minimum_group_size} "
            f"{nouns.grouped if in_units else nouns.sized} in {enumerate_names(small)}. Their "
            "numbers say little."
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


def _reversal_warnings(report: Report, attribute: str, result: AttributeResult) -> list[str]:
    """Gaps beyond chance whose best and worst group change places inside strata."""
    if result.controlled is None:
        return []
    turned = [
        name
        for name, inside in result.controlled.gaps.items()
        if (p_value := result.gaps[name].p_value_holm) is not None
        and p_value <= SIGNIFICANCE
        and inside.signed is not None
        and inside.signed < 0
    ]
    if not turned:
        return []
    name, *others = turned
    overall, quantity = result.gaps[name], report.gaps[name]
    also = [report.gaps[other].title for other in others]
    return [
        f"{attribute}: with {enumerate_names(result.controlled.held, 'more attributes')} held fixed "
        f"the order of the groups reverses (Simpson's paradox). {quantity.title}, {overall.best} "
        f"against {overall.worst}: {quantity.show_signed(overall.value)} over all, "
        f"{quantity.show_signed(result.controlled.gaps[name].signed)} inside strata."
        + (f" So does that in {enumerate_names(also, 'more gaps')}." if also else "")
    ]


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


def _shift_warnings(attribute: str, shifts: FindingShifts) -> list[str]:
    unequal = [
        f"{finding} (shift {100 * shifts.groups[gap.best][finding].shift:+.1f} points for {gap.best}, "
        f"{100 * shifts.groups[gap.worst][finding].shift:+.1f} for {gap.worst})"
        for finding, gap in shifts.gaps.items()
        if gap.p_value_holm is not None and gap.p_value_holm <= SIGNIFICANCE
    ]
    if not unequal:
        return []
    return [
        f"{attribute}: findings are over- or understated unequally, more than chance explains even "
        f"when all findings are counted: {enumerate_names(unequal, 'more findings')}."
    ]


def _computing_warnings(report: FairnessReport) -> list[str]:
    if report.bootstrap and 1 / (1 + report.bootstrap) > SIGNIFICANCE:
        return [
            f"With {report.bootstrap} resamples no p-value can be {SIGNIFICANCE:g} or less, so that "
            "nothing here can be evidence, and nothing says that groups are alike; 1,000 are usual."
        ]
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


def _count(report: Report, count: int) -> str:
    below = report.suppressed_below
    return "Some" if below is not None and count < below else f"{count:,}"


def _of_all(report: TextReport, count: int, whole: int | None = None) -> str:
    """'3 of 240', of all texts unless `whole` is given, where neither part is too few to be named."""
    whole, below = report.n if whole is None else whole, report.suppressed_below or 0
    if whole is None or 0 < whole - count < below:
        return "Some of the"
    return f"{_count(report, count)} of {whole:,}"
