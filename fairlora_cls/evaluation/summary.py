"""The three sentences that a clinician needs first: how good, how fair, and how sure?"""

from fairlora_cls.evaluation.results import AttributeResult, FairnessReport
from fairlora_cls.evaluation.wording import (
    ACCURACY,
    Headline,
    describe_larger_groups,
    describe_overall,
    describe_power,
    enumerate_names,
    judge_attribute,
    name_extremes,
    shown_by_larger_groups,
)


def describe_in_short(report: FairnessReport) -> list[str]:
    """The three sentences that a clinician needs: how good, how fair, and how sure."""
    return [describe_overall(report), *tell_gaps(report.attributes, ACCURACY)]


def tell_gaps(attributes: dict[str, AttributeResult], headline: Headline) -> list[str]:
    """How fair, and how sure: what the headline gaps of all attributes say, the worst verdict
    first; nothing without attributes."""
    judged = {name: judge_attribute(result, headline.gap) for name, result in attributes.items()}
    for verdict, tell in (
        ("evidence", _tell_evidence),
        ("lead", _tell_lead),
        ("chance", _tell_chance),
    ):
        chosen = {name: attributes[name] for name, found in judged.items() if found == verdict}
        if chosen:
            return tell(chosen, len(judged), headline)
    return ["No gap between groups was tested."] if judged else []


def _tell_evidence(
    chosen: dict[str, AttributeResult], attributes: int, headline: Headline
) -> list[str]:
    name, result = max(chosen.items(), key=lambda item: item[1].gaps[headline.gap].value)
    gap = result.gaps[headline.gap]
    others = [n for n in chosen if n != name]
    also = f" (so are the gaps of {enumerate_names(others)})" if others else ""
    if shown_by_larger_groups(result, headline.gap):
        return [
            f"{name}{also}: {describe_larger_groups(result, headline)}",
            f"Ask what this would do to {result.larger_groups.worst} before the model is used.",
        ]
    limits = headline.quantity.show_gap_range(gap.interval_bias_corrected or gap.interval)
    return [
        f"{capitalised(headline.noun)} differs between the groups of {name} by "
        f"{headline.quantity.show_gap(gap.value)} ({name_extremes(result, headline)}), where equally well "
        f"served groups of these sizes would differ by {headline.quantity.show_gap(gap.null_mean)} on "
        f"average: this is evidence that the model serves {gap.worst} worse{also}.",
        f"The true gap plausibly lies between {limits.replace(' to ', ' and ')} (95% interval), so "
        f"ask what such a gap would do to {gap.worst} before the model is used.",
    ]


def _tell_lead(
    chosen: dict[str, AttributeResult], attributes: int, headline: Headline
) -> list[str]:
    gaps = _beside_chance(chosen, headline)
    one = len(chosen) == 1
    return [
        f"The {headline.noun} gap{'' if one else 's'} of {gaps} would be unusual by "
        f"{'itself' if one else 'themselves'}, but not among the {attributes} attributes that "
        f"this report compares: {'it is a lead' if one else 'they are leads'} to be tested on new "
        "data, not evidence that the model treats the groups differently.",
        *filter(None, [_least_power(chosen, headline)]),
    ]


def _tell_chance(
    chosen: dict[str, AttributeResult], attributes: int, headline: Headline
) -> list[str]:
    one = len(chosen) == 1
    if one:
        ((name, result),) = chosen.items()
        gap = result.gaps[headline.gap]
        sentence = (
            f"{capitalised(headline.noun)} differs between the groups of {name} by "
            f"{headline.quantity.show_gap(gap.value)} ({name_extremes(result, headline)}), but "
            f"{headline.if_equal} groups of these sizes would differ by "
            f"{headline.quantity.show_gap(gap.null_mean)} on "
            "average: this gap is not evidence that the model treats the groups differently."
        )
    else:
        sentence = (
            f"The {headline.noun} gaps of {_beside_chance(chosen, headline)} are no larger than "
            "chance explains: they are not evidence that the model treats any group differently."
        )
    unseen = _least_power(chosen, headline)
    equal = f"Nor {'is it' if one else 'are they'} evidence of equal treatment"
    return [sentence, f"{equal}: {unseen[0].lower()}{unseen[1:]}" if unseen else f"{equal}."]


def _beside_chance(chosen: dict[str, AttributeResult], headline: Headline) -> str:
    gaps = ((name, result.gaps[headline.gap]) for name, result in chosen.items())
    return enumerate_names(
        [
            f"{name} ({headline.quantity.show_gap(gap.value)}; by chance "
            f"{headline.quantity.show_gap(gap.null_mean)} on average)"
            for name, gap in gaps
        ],
        "more attributes",
    )


def _least_power(chosen: dict[str, AttributeResult], headline: Headline) -> str:
    """The power of the attribute whose groups can show the least."""

    def detectable(result: AttributeResult) -> float:
        power = result.gaps[headline.gap].power
        return 2.0 if power is None or power.detectable is None else power.detectable

    name, result = max(chosen.items(), key=lambda item: detectable(item[1]))
    text = describe_power(result.gaps[headline.gap], headline)
    return text if len(chosen) == 1 or not text else f"For {name}, {text[0].lower()}{text[1:]}"


def capitalised(noun: str) -> str:
    """With a capital at its beginning only."""
    return noun[0].upper() + noun[1:]
