"""Net benefit, overall and by group, as a part of the fairness report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fairlora_cls.evaluation.measuring import Measured
from fairlora_cls.evaluation.net_benefit import (
    NetBenefit,
    net_benefit_gap,
    net_benefits,
    odds_of,
    own_threshold,
    with_equal_prevalence,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.results import Decision, GapResult, Limits
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import RATE, show_p
from fairlora_cls.statistics.intervals import holm

KEY, TITLE = "net_benefit", "Is acting on the model worth its false alarms? (exploratory)"
USUAL = 0.2  # told of where a report has no threshold of its own
_ALIKE = (
    "A group with more cases gains more, whatever the model. So groups are compared as if each had "
    "everyone's share of cases, beside names dealt out anew among examples of the same label:"
)
WITHOUT = {"all": "treating all", "nobody": "treating nobody"}


@dataclass(frozen=True)
class AttributeBenefit:
    """The groups of one attribute; without a threshold of the report's own, no gap."""

    groups: dict[str, tuple[NetBenefit, ...]]  # at each threshold
    with_equal_prevalence: dict[str, float | None]  # group → net benefit at the own one
    gap: GapResult | None  # of these


def net_benefit_section(
    predictions: Predictions,
    decision: Decision | None,
    everyone: Measured,
    attributes: Mapping[str, Measured],
    resamples: int,
    minimum: int,
    generators: Sequence[np.random.Generator],
) -> tuple[Section, tuple[str, ...]]:
    """The report's part on net benefit, of the positive class against the rest; and whom acting on
    the model is shown to harm, which a reader must know first.

    minimum: examples that a group needs to take part in a gap
    generators: one for everyone, and one for each attribute
    """
    own = own_threshold(decision)
    prevalence = float((predictions.labels == predictions.positive).mean())

    def of(measured: Measured, generator: np.random.Generator) -> AttributeBenefit:
        names = measured.grouping.names
        found = net_benefits(predictions, measured, own, resamples, generator)
        groups = dict(zip(names, found, strict=True))
        if own is None:
            return AttributeBenefit(groups, {}, None)
        alike = with_equal_prevalence(measured.values, prevalence, own)
        alike = [None if np.isnan(value) else float(value) for value in alike]
        gap = net_benefit_gap(measured, prevalence, own, minimum)
        return AttributeBenefit(groups, dict(zip(names, alike, strict=True)), gap)

    (overall,) = of(everyone, generators[0]).groups.values()
    results = {
        name: of(measured, generator)
        for (name, measured), generator in zip(attributes.items(), generators[1:], strict=True)
    }
    results = _corrected(results)
    positive = predictions.classes[predictions.positive]
    gaps = [
        _describe_gap(name, result.gap, result)
        for name, result in results.items()
        if result.gap is not None and result.gap.value is not None
    ]
    harm, sentences = _describe_groups(results, own)
    section = Section(
        key=KEY,
        title=TITLE,
        is_folded=True,
        sentences=(
            f"Who acts from a probability of 20% on accepts 4 false alarms for one case ('{positive}') "
            "found. Net benefit counts the cases found among 100 examples, less the false alarms at "
            "that price. Without a model one can treat all, or nobody, whose net benefit is 0."
            f"{' Decision curves are among the pictures of each attribute.' if results else ''}",
            _describe_everyone(overall, own),
            *harm,
            *sentences,
            *([_ALIKE] if gaps else []),
        ),
        points=tuple(gaps),
        tables=(_table(overall, results, own),),
        values={
            "class": positive,
            "own_threshold": own,
            "overall": [asdict(each) for each in overall],
            "attributes": {name: _as_dict(result) for name, result in results.items()},
        },
    )
    return section, harm


def _corrected(results: Mapping[str, AttributeBenefit]) -> dict[str, AttributeBenefit]:
    """With p of each gap corrected for that of every attribute."""
    p_values = {
        name: result.gap.p_value
        for name, result in results.items()
        if result.gap is not None and result.gap.p_value is not None
    }
    corrected = holm(p_values)
    return {
        name: replace(result, gap=replace(result.gap, p_value_holm=corrected[name]))
        if name in corrected
        else result
        for name, result in results.items()
    }


def _describe_everyone(overall: Sequence[NetBenefit], own: float | None) -> str:
    """What the model brings at the report's own threshold, and where it is not shown to bring any."""
    told = _at(overall, own)
    gain, without = told.gain, WITHOUT[told.without_model]
    limits = "" if gain.interval is None else f" ({RATE.show_signed_range(gain.interval)})"
    text = (
        f"At a threshold of {_threshold(told.threshold)} (one would accept {_price(told.threshold)}), "
        f"using the model nets {RATE.show_number(abs(gain.value))} {'fewer' if gain.value < 0 else 'more'} "
        f"true cases per 100 examples than {without}{limits}, which is the better way without a model; "
        f"n = {told.n:,}."
    )
    doubtful = [
        f"{_threshold(each.threshold)} (than {WITHOUT[each.without_model]})"
        for each in overall
        if _is_doubtful(each)
    ]
    if not doubtful:
        return text
    return f"{text} It is not shown to bring more at {enumerate_names(doubtful)}."


def _describe_groups(
    results: Mapping[str, AttributeBenefit], own: float | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which groups the model harms; and which it is not shown to serve, or that it serves all."""
    told = {
        f"{name}: {group}": _at(each, own)
        for name, result in results.items()
        for group, each in result.groups.items()
    }
    judged = [each for each in told.values() if each.gain.interval is not None]
    if not judged:
        return (), ()
    at = _threshold(judged[0].threshold)
    doubtful = [
        f"{name} ({RATE.show_signed_range(each.gain.interval)}, n = {each.n:,})"
        for name, each in told.items()
        if _is_doubtful(each) and not _is_harm(each.gain.interval)
    ]
    harm, sentences = _describe_harm(told, at), ()
    if doubtful:
        sentences = (
            f"At {at} it is not shown to bring more than treating all or nobody for "
            f"{enumerate_names(doubtful)}.",
        )
    elif not harm and len(judged) == len(told):
        sentences = (f"At {at} it brings more than treating all or nobody in every group.",)
    return harm, sentences


def _describe_harm(told: Mapping[str, NetBenefit], at: str) -> tuple[str, ...]:
    """The groups for which acting on the model is shown to be worse than doing without it, each with
    the better way."""
    ways: dict[str, list[str]] = {}
    for name, each in told.items():
        if _is_harm(each.gain.interval):
            limits = RATE.show_signed_range(each.gain.interval)
            group = f"{name} ({limits} cases per 100 examples, n = {each.n:,})"
            ways.setdefault(WITHOUT[each.without_model], []).append(group)
    return tuple(
        f"Acting on the model from {at} on is worse than {way} for {enumerate_names(groups)}."
        for way, groups in ways.items()
    )


def _is_harm(interval: Limits | None) -> bool:
    return interval is not None and interval[1] < 0


def _is_doubtful(found: NetBenefit) -> bool:
    return found.gain.interval is not None and found.gain.interval[0] <= 0


def _describe_gap(name: str, gap: GapResult, result: AttributeBenefit) -> str:
    best, worst = (
        f"{RATE.show_number(result.with_equal_prevalence[group])} per 100 for {group} (n = "
        f"{result.groups[group][0].n:,})"
        for group in (gap.best, gap.worst)
    )
    text = f"By {name}: {best} and {worst}, {RATE.show_number(gap.value)} apart"
    if gap.p_value is not None:
        text += (
            f"; {RATE.show_number(gap.null_mean)} by chance ({show_p(gap.p_value_holm)}, corrected for "
            "the attributes)"
        )
    if gap.undefined_groups:
        text += f"; without {enumerate_names(gap.undefined_groups)}, too few to tell"
    return f"{text}."


def _table(
    overall: Sequence[NetBenefit], results: Mapping[str, AttributeBenefit], own: float | None
) -> Table:
    header = ["Group", "Examples", *(_threshold(each.threshold) for each in overall)]
    rows = [_row("all examples", overall)]
    if own is not None:
        header[2 + [each.threshold for each in overall].index(own)] += " (used here)"
        header.append(f"with equal shares of cases, {_threshold(own)}")
        rows = [(*rows[0], Cell(RATE.show_number(_at(overall, own).model.value)))]
    for name, result in results.items():
        for group, each in result.groups.items():
            row = _row(f"{name}: {group}", each)
            if own is not None:
                row = (*row, Cell(RATE.show_number(result.with_equal_prevalence[group])))
            rows.append(row)
    return Table(
        "Net benefit per 100 examples, acting from each probability on; in small print its 95% "
        "interval, and that of treating all",
        tuple(header),
        tuple(rows),
    )


def _row(name: str, each: Sequence[NetBenefit]) -> tuple[Cell, ...]:
    size = Cell(f"{each[0].n:,}", f"{each[0].cases:,} cases")
    return (Cell(name), size, *map(_cell, each))


def _cell(found: NetBenefit) -> Cell:
    limits = RATE.show_range(found.model.interval)
    all_of_them = f"all {RATE.show_number(found.treat_all)}"
    return Cell(
        RATE.show_number(found.model.value), f"{limits}; {all_of_them}" if limits else all_of_them
    )


def _at(each: Sequence[NetBenefit], own: float | None) -> NetBenefit:
    """At the report's own threshold, or the usual one."""
    wanted = USUAL if own is None else own
    return next(found for found in each if found.threshold == wanted)


def _threshold(threshold: float) -> str:
    return f"{100 * threshold:.4g}%"


def _price(threshold: float) -> str:
    """How many false alarms are as bad as one case is good."""
    odds = odds_of(threshold)
    if round(odds, 2) == 1:
        return "one false alarm for one case found"
    if odds < 1:
        return f"{1 / odds:.2g} false alarms for one case found"
    return f"one false alarm for {odds:.2g} cases found"


def _as_dict(result: AttributeBenefit) -> dict[str, Any]:
    """Its part of report.json."""
    return {
        "groups": {
            name: {
                "with_equal_prevalence": result.with_equal_prevalence.get(name),
                "at": [asdict(found) for found in each],
            }
            for name, each in result.groups.items()
        },
        "gap": asdict(result.gap) if result.gap else None,
    }
