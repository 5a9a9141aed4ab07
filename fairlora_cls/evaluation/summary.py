"""The three sentences that a clinician needs first: how good, how fair, and how sure?"""

from __future__ import annotations

from collections.abc import Mapping

from fairlora_cls.evaluation.results import AttributeResult, Limits, Report, TextReport
from fairlora_cls.evaluation.wording import (
    Headline,
    describe_larger_groups,
    describe_power,
    enumerate_names,
    headline_of,
    judge_attribute,
    name_extremes,
    shown_by_larger_groups,
)
from fairlora_cls.presentation.numbers import Quantity


def describe_in_short(report: Report) -> list[str]:
    """The three sentences that a clinician needs: how good, how fair, and how sure."""
    is_of_texts = isinstance(report, TextReport)
    overall = _overall_of_texts(report) if is_of_texts else _overall_of_classes(report)
    return [overall, *tell_gaps(report.attributes, headline_of(report))]


def _overall_of_classes(report: Report) -> str:
    accuracy, auroc = report.overall["accuracy"], report.overall["auroc"]
    metrics = report.measures
    if accuracy.value is None:
        return "How well the model does for all examples together is not published."
    text = (
        f"The model is right for {metrics['accuracy'].show(accuracy.value)} of {report.n:,} test "
        f"examples{_in_brackets(metrics['accuracy'], accuracy.interval)}"
    )
    if auroc.value is not None:
        value = metrics["auroc"].show(auroc.value)
        text += f"; its AUROC is {value}{_in_brackets(metrics['auroc'], auroc.interval)}"
    return f"{text}."


def _overall_of_texts(report: TextReport) -> str:
    """How good beside a constant answer."""
    metric, estimate = report.metrics[report.headline], report.overall[report.headline]
    if estimate.value is None:
        return "How good all texts together are is not published."
    text = (
        f"Over {report.n:,} texts, {metric.title} is {metric.show(estimate.value)}"
        f"{_in_brackets(metric, estimate.interval)}"
    )
    score = report.constant.scores.get(report.headline)
    if score is not None and score.value is not None:
        text += f"; {_beside_constant(report)}"
    return f"{text}."


def _beside_constant(report: TextReport) -> str:
    metric, score = report.metrics[report.headline], report.constant.scores[report.headline]
    limits = score.difference.interval
    text = f"the same text for every image would score {metric.show(score.value)}"
    if limits is None:
        return text
    low, high = limits if metric.better == "higher" else (-limits[1], -limits[0])
    if low > 0:
        reading = "the texts are better than that"
    elif high < 0:
        reading = "the texts are worse than that"
    else:
        reading = "the texts are not shown to be better than that"
    difference = metric.show_signed(score.difference.value)
    return f"{text}: {reading} (difference {difference}, {metric.show_range(limits)})"


def _in_brackets(quantity: Quantity, limits: Limits | None) -> str:
    return "" if limits is None else f" (95% interval {quantity.show_range(limits)})"


def tell_gaps(attributes: Mapping[str, AttributeResult], headline: Headline) -> list[str]:
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
