"""The sentences that a clinician needs first: how good, who is served worse, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlora_cls.evaluation.results import (
    EndpointVerdict,
    Estimate,
    FairnessReport,
    Limits,
    Report,
    TextReport,
)
from fairlora_cls.evaluation.wording import COUNTED, enumerate_names
from fairlora_cls.presentation.numbers import RATE, Quantity, show_p
from fairlora_cls.statistics.power import TARGET_GAP

WORST_FIRST = ("evidence", "undecided", "undefined", "equal")
FEW = 0.02  # answers of the rarer kind, relative to all: hardly more than one answer for everybody
HARDLY_BETTER = 0.6  # balanced accuracy; one answer for everybody has 0.5
MOST_SENTENCES = 3  # on evidence, before the rest is only named


@dataclass(frozen=True)
class Harm:
    """How an endpoint that is a share of people is put into words."""

    title: str
    people: str  # of whom it is a share; {cases} stands for the positive class
    happens: str  # to those in whom it goes wrong


HARMS = {
    "sensitivity": Harm("Cases missed", "{cases}", "are missed"),
    "specificity": Harm("False alarms", "others", "get a false alarm"),
    "accuracy": Harm("Wrong answers", "examples", "get a wrong answer"),
}


def describe_in_short(report: Report) -> list[str]:
    """How good; then who is served worse, by attribute, the surest first; then what is not known."""
    is_of_texts = isinstance(report, TextReport)
    overall = _overall_of_texts(report) if is_of_texts else _overall_of_classes(report)
    by_kind = {kind: [v for v in report.verdicts if v.verdict == kind] for kind in WORST_FIRST}
    return [
        overall,
        *_tell_suppressed(report),
        *_tell_evidence(report, by_kind["evidence"]),
        *_tell_undecided(report, by_kind["undecided"]),
        *_tell_equal(report),
    ]


def attribute_verdict(report: Report, attribute: str) -> str:
    """The worst verdict on an attribute."""
    kinds = {v.verdict for v in report.verdicts if v.attribute == attribute}
    return next((kind for kind in WORST_FIRST if kind in kinds), "undefined")


def endpoint_title(report: Report, endpoint: str) -> str:
    """'Cases missed', 'AUROC', 'sensitivity of melanoma'."""
    if endpoint in HARMS and isinstance(report, FairnessReport) and len(report.classes) == 2:
        return HARMS[endpoint].title
    return metric_title(report, endpoint)


def metric_title(report: Report, endpoint: str) -> str:
    """'Sensitivity', also where `endpoint_title` names the harm."""
    metric = report.measures.get(endpoint)
    return capitalised(metric.title if metric else endpoint)


def quantity_of(report: Report, endpoint: str) -> Quantity:
    return report.measures.get(endpoint, RATE)


def describe_verdict(
    report: Report, verdict: EndpointVerdict, names_attribute: bool = False
) -> str:
    """One sentence, or two, on one endpoint of one attribute."""
    title = endpoint_title(report, verdict.endpoint)
    if names_attribute:
        title += f", by {verdict.attribute}"
    without = ""
    if verdict.left_out:
        without = f" (without {enumerate_names(verdict.left_out)}: too few, withheld, or nothing to measure)"
    if verdict.verdict == "undefined":
        return f"{title}: there are no two groups to compare{without}."
    rates, quantity = _both_rates(report, verdict), _quantity(report, verdict)
    if verdict.verdict == "evidence":
        return (
            f"{title}: {rates} Chance does not explain it ({show_p(verdict.p_value_family)}, all "
            f"tests counted){without}."
        )
    hidden = verdict.hidden_up_to
    if verdict.verdict == "equal":
        return (
            f"{title}: the groups differ by no more than {quantity.show_gap(hidden)}, within the "
            f"margin of {quantity.show_gap(report.endpoints.margin)}{without}."
        )
    if verdict.p_value is None:
        text = f"{title}: {rates} This was not tested{without}."
    else:
        text = f"{title}: no difference is shown{without}."
    if hidden is not None:
        text += f" One of up to {quantity.show_gap(hidden)} could hide."
    if _is_mixed(report, verdict):
        text += (
            f" Equally good answers to these groups' labels would differ by "
            f"{quantity.show_gap(verdict.null_mean)} on average."
        )
    if verdict.needed_per_group:
        counted = ""
        if verdict.tests_counted > 1:
            counted = f" that correct for {verdict.tests_counted} tests, as here"
        text += (
            f" To find one of {quantity.show_gap(TARGET_GAP)} in four of five studies{counted}, every "
            f"group needs about {_rounded(verdict.needed_per_group)} {COUNTED[verdict.counted]}."
        )
    return text


def _is_mixed(report: Report, verdict: EndpointVerdict) -> bool:
    """Whether the groups' shares of labels alone make a difference, more than chance does."""
    limits = verdict.null_interval
    return verdict.endpoint == "accuracy" and bool(limits) and limits[0] > report.endpoints.margin


def _tell_evidence(report: Report, verdicts: Sequence[EndpointVerdict]) -> list[str]:
    first = sorted(verdicts, key=lambda v: (v.p_value_family, -v.gap))
    told = [describe_verdict(report, v, names_attribute=True) for v in first[:MOST_SENTENCES]]
    if first[MOST_SENTENCES:]:
        others = [
            f"{v.attribute} ({endpoint_title(report, v.endpoint)})" for v in first[MOST_SENTENCES:]
        ]
        told.append(f"There is evidence of a difference also by {enumerate_names(others)}.")
    return told


def _tell_undecided(report: Report, verdicts: Sequence[EndpointVerdict]) -> list[str]:
    """What the data cannot decide, with the widest difference that could hide by each attribute."""
    if not verdicts:
        return []
    widest: dict[str, EndpointVerdict] = {}
    for verdict in (v for v in verdicts if not _is_mixed(report, v)):
        before = widest.get(verdict.attribute)
        if before is None or (verdict.hidden_up_to or 0) > (before.hidden_up_to or 0):
            widest[verdict.attribute] = verdict
    decided = {v.attribute for v in report.verdicts if v.verdict in ("evidence", "equal")}
    partly = [name for name in widest if name in decided]
    wholly_open = [name for name in widest if name not in decided]
    if all(verdict.p_value is None for verdict in verdicts):
        return [f"What was asked by {enumerate_names(widest)} was not tested, without resamples."]
    hidden = [
        f"{name} up to {_quantity(report, v).show_gap(v.hidden_up_to)} "
        f"({endpoint_title(report, v.endpoint)})"
        for name, v in widest.items()
        if v.hidden_up_to is not None
    ]
    mixed = [
        f"Wrong answers differ by {_quantity(report, v).show_gap(v.gap)} between the groups of "
        f"{v.attribute}; their shares of labels alone would give "
        f"{_quantity(report, v).show_gap(v.null_mean)}."
        for v in verdicts
        if _is_mixed(report, v)
    ]
    if not widest:
        return mixed
    if not wholly_open:
        text = f"These data decide only a part of what was asked by {enumerate_names(partly)}."
    else:
        also = f"; by {enumerate_names(partly)} they decide only a part" if partly else ""
        text = f"These data cannot decide what was asked by {enumerate_names(wholly_open)}{also}."
    if hidden:
        text += f" Differences that could hide: {enumerate_names(hidden, 'more attributes')}."
    return [text, *mixed]


def _tell_equal(report: Report) -> list[str]:
    """What is shown to be equal: attributes in all that was asked, then others in a part of it."""
    shown: dict[str, list[EndpointVerdict]] = {}
    for verdict in report.verdicts:
        if verdict.verdict == "equal":
            shown.setdefault(verdict.attribute, []).append(verdict)
    wholly = [name for name in shown if attribute_verdict(report, name) == "equal"]
    partly = [name for name in shown if name not in wholly]
    margin = next(iter(report.measures.values())).show_gap(report.endpoints.margin)
    told = []
    if wholly:
        without = _without([v for name in wholly for v in shown[name]])
        told.append(
            f"By {enumerate_names(wholly)} the groups are equal within {margin} in all that was "
            f"asked{without}: shown, not merely not refuted."
        )
    if partly:
        without = _without([v for name in partly for v in shown[name]])
        parts = [
            f"{name} ({enumerate_names([endpoint_title(report, v.endpoint) for v in shown[name]])})"
            for name in partly
        ]
        told.append(
            f"In a part of what was asked the groups are equal within {margin}{without}: "
            f"{enumerate_names(parts, 'more attributes')}."
        )
    return told


def _without(verdicts: Sequence[EndpointVerdict]) -> str:
    left_out = dict.fromkeys(group for verdict in verdicts for group in verdict.left_out)
    return f" (without {enumerate_names(left_out)}, too few to tell)" if left_out else ""


def _tell_suppressed(report: Report) -> list[str]:
    names = [name for name, result in report.attributes.items() if result.suppressed_groups]
    if not names:
        return []
    return [
        f"Numbers of some groups are withheld ({enumerate_names(names)}): what is said of these "
        "attributes is said of the groups that remain, if any."
    ]


def _both_rates(report: Report, verdict: EndpointVerdict) -> str:
    """'of 100 cases in the group Hispanic, 40 (27 to 55) are missed; of 100 in … 13 (11 to 15).'"""
    worse, better = (
        estimate_of(report, verdict.attribute, verdict.endpoint, group)
        for group in (verdict.worse, verdict.better)
    )
    harm = HARMS.get(verdict.endpoint) if isinstance(report, FairnessReport) else None
    if harm is None or (len(report.classes) > 2 and verdict.endpoint != "accuracy"):
        quantity = _quantity(report, verdict)
        return (
            f"{quantity.show(verdict.worse_value)}{_of(quantity, worse)} in the group "
            f"{verdict.worse} and {quantity.show(verdict.better_value)}{_of(quantity, better)} in "
            f"{verdict.better}."
        )
    people = harm.people.format(cases=f"cases ('{report.positive}')")
    rarer = 1 - worse.value
    whole = 100 if rarer >= 0.05 else 1000 if rarer >= 0.005 else 10_000
    return (
        f"of {whole:,} {people} in the group {verdict.worse}, {_of_people(worse, whole)} "
        f"{harm.happens}; of {whole:,} in the group {verdict.better}, {_of_people(better, whole)}"
        f"{_sizes(worse, better)}."
    )


def estimate_of(report: Report, attribute: str, endpoint: str, group: str) -> Estimate | None:
    """What a report says of an endpoint in one group."""
    result = report.attributes[attribute]
    if endpoint in result.groups[group].metrics:
        return result.groups[group].metrics[endpoint]
    name, _, label = endpoint.partition(" of ")
    classes = result.group_classes.get(group)
    return classes.classes[label][name] if classes and label in classes.classes else None


def overall_of(report: Report, endpoint: str) -> Estimate:
    """What a report says of an endpoint in all examples."""
    if endpoint in report.overall:
        return report.overall[endpoint]
    name, _, label = endpoint.partition(" of ")
    return report.overall_classes.classes[label][name]


def _of_people(estimate: Estimate, whole: int) -> str:
    """'40 (27 to 55)' of a hundred: whom it goes wrong with."""
    text = f"{whole * (1 - estimate.value):.0f}"
    if estimate.interval is None:
        return text
    low, high = estimate.interval
    return f"{text} ({whole * (1 - high):.0f} to {whole * (1 - low):.0f})"


def _sizes(worse: Estimate, better: Estimate) -> str:
    """Rates are never told without the sizes of their groups."""
    if worse.count is None or better.count is None:
        return ""
    return f" ({worse.count:,} and {better.count:,} of them are in this test)"


def _of(quantity: Quantity, estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    count = "" if estimate.count is None else f", of {estimate.count:,}"
    limits = quantity.show_range(estimate.interval)
    return f" ({limits}{count})" if limits else (f" ({count[2:]})" if count else "")


def _quantity(report: Report, verdict: EndpointVerdict) -> Quantity:
    return report.measures.get(verdict.endpoint, RATE)


def _overall_of_classes(report: FairnessReport) -> str:
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
    if len(report.classes) > 2:
        return f"{text}."
    return f"{text}.{_detected(report)}{_one_answer(report)}"


def _detected(report: FairnessReport) -> str:
    """How many cases it finds, and how often it raises a false alarm."""
    sensitivity, specificity = report.overall["sensitivity"], report.overall["specificity"]
    if sensitivity.value is None or not sensitivity.count:
        return ""
    hits = round(sensitivity.value * sensitivity.count)
    text = f" It finds {hits:,} of {sensitivity.count:,} cases ('{report.positive}')"
    if specificity.value is not None and specificity.count:
        alarms = round((1 - specificity.value) * specificity.count)
        text += f" and raises {alarms:,} false alarms among {specificity.count:,} others"
    return f"{text}."


def _one_answer(report: FairnessReport) -> str:
    share, balanced = (
        report.overall[name].value for name in ("selection_rate", "balanced_accuracy")
    )
    if share is None or FEW <= share <= 1 - FEW or (balanced or 0) > HARDLY_BETTER:
        return ""
    other = next((name for name in report.classes if name != report.positive), report.positive)
    answer = report.positive if share > 0.5 else other
    return f" It answers '{answer}' almost always, so differences between groups say little of it."


def _overall_of_texts(report: TextReport) -> str:
    """How good beside a constant answer."""
    metric, estimate = report.metrics[report.headline], report.overall[report.headline]
    if estimate.value is None:
        return "How good all texts together are is not published."
    text = (
        f"Over {estimate.count or report.n:,} texts, {metric.title} is {metric.show(estimate.value)}"
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


def _rounded(count: int) -> str:
    """Two digits: a planned size is no more exact than that."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def capitalised(noun: str) -> str:
    """With a capital at its beginning only."""
    return noun[0].upper() + noun[1:]
