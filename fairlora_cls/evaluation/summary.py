"""The three sentences that a clinician needs first: how good, how fair, and how sure?"""

from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.wording import (
    describe_larger_groups,
    describe_overall,
    describe_power,
    enumerate_names,
    format_gap,
    format_range,
    judge_attribute,
    name_extremes,
    shown_by_larger_groups,
)


def describe_in_short(report: FairnessReport) -> list[str]:
    """The three sentences that a clinician needs: how good, how fair, and how sure."""
    judged = {name: judge_attribute(result) for name, result in report.attributes.items()}
    sentences = [describe_overall(report)]
    for verdict, tell in (
        ("evidence", _tell_evidence),
        ("lead", _tell_lead),
        ("chance", _tell_chance),
    ):
        chosen = {n: report.attributes[n] for n, found in judged.items() if found == verdict}
        if chosen:
            return sentences + tell(report, chosen, judged)
    return [*sentences, "No gap between groups was tested."] if judged else sentences


def _tell_evidence(report: FairnessReport, chosen: dict, judged: dict) -> list[str]:
    name, result = max(chosen.items(), key=lambda item: item[1].gaps["max_acc_gap"].value)
    gap = result.gaps["max_acc_gap"]
    others = [n for n in chosen if n != name]
    also = f" (so are the gaps of {enumerate_names(others)})" if others else ""
    if shown_by_larger_groups(result):
        return [
            f"{name}{also}: {describe_larger_groups(result)}",
            f"Ask what this would do to {result.larger_groups.worst} before the model is used.",
        ]
    limits = format_range("max_acc_gap", gap.interval_bias_corrected or gap.interval)
    low, high = limits.split(" to ")
    return [
        f"Accuracy differs between the groups of {name} by "
        f"{format_gap('max_acc_gap', gap.value)} ({name_extremes(result)}), where equally well served "
        f"groups of these sizes would differ by {format_gap('max_acc_gap', gap.null_mean)} on "
        f"average: this is evidence that the model serves {gap.worst} worse{also}.",
        f"The true gap plausibly lies between {low} and {high} points (95% interval), so ask what "
        f"such a gap would do to {gap.worst} before the model is used.",
    ]


def _tell_lead(report: FairnessReport, chosen: dict, judged: dict) -> list[str]:
    gaps = _beside_chance(chosen)
    one = len(chosen) == 1
    return [
        f"The accuracy gap{'' if one else 's'} of {gaps} would be unusual by "
        f"{'itself' if one else 'themselves'}, but not among the {len(judged)} attributes that "
        f"this report compares: {'it is a lead' if one else 'they are leads'} to be tested on new "
        "data, not evidence that the model treats the groups differently.",
        *filter(None, [_least_power(chosen)]),
    ]


def _tell_chance(report: FairnessReport, chosen: dict, judged: dict) -> list[str]:
    one = len(chosen) == 1
    if one:
        ((name, result),) = chosen.items()
        gap = result.gaps["max_acc_gap"]
        sentence = (
            f"Accuracy differs between the groups of {name} by "
            f"{format_gap('max_acc_gap', gap.value)} ({name_extremes(result)}), but equally accurate "
            f"groups of these sizes would differ by {format_gap('max_acc_gap', gap.null_mean)} on "
            "average: this gap is not evidence that the model treats the groups differently."
        )
    else:
        sentence = (
            f"The accuracy gaps of {_beside_chance(chosen)} are no larger than chance explains: "
            "they are not evidence that the model treats any group differently."
        )
    unseen = _least_power(chosen)
    equal = f"Nor {'is it' if one else 'are they'} evidence of equal treatment"
    return [sentence, f"{equal}: {unseen[0].lower()}{unseen[1:]}" if unseen else f"{equal}."]


def _beside_chance(chosen: dict[str, AttributeResult]) -> str:
    gaps = ((name, result.gaps["max_acc_gap"]) for name, result in chosen.items())
    return enumerate_names(
        [
            f"{name} ({format_gap('max_acc_gap', gap.value)}; by chance "
            f"{format_gap('max_acc_gap', gap.null_mean)} on average)"
            for name, gap in gaps
        ],
        "more attributes",
    )


def _least_power(chosen: dict[str, AttributeResult]) -> str:
    """The power of the attribute whose groups can show the least."""

    def detectable(result: AttributeResult) -> float:
        power = result.gaps["max_acc_gap"].power
        return 2.0 if power is None or power.detectable is None else power.detectable

    name, result = max(chosen.items(), key=lambda item: detectable(item[1]))
    text = describe_power("max_acc_gap", result.gaps["max_acc_gap"])
    return text if len(chosen) == 1 or not text else f"For {name}, {text[0].lower()}{text[1:]}"
