"""How surprising is each gap once all the gaps that a report tests are counted?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fairlora_cls.evaluation.metrics import SAME_TEST
from fairlora_cls.evaluation.results import AttributeResult, ClassGaps, ControlledGap, GapResult
from fairlora_cls.statistics.intervals import holm

Place = tuple[str, ...]  # attribute, view, …, the gap's name


def correct_for_many(
    results: dict[str, AttributeResult],
    headline_gap: str,
) -> tuple[dict[str, AttributeResult], int]:
    """Holm's correction over every gap tested, one test under two names counted once; and how many
    tests those are. `headline_gap`, which the summary judges, is one question per attribute asked in
    advance, and a second one where larger groups are tested by themselves: those are corrected
    together."""
    raw: dict[Place, float] = {}

    def test_of(place: Place) -> Place:
        *view, name = place
        return (*view, SAME_TEST.get(name, name)) if view[1] == "all" else place

    def collect(place: Place, gap: GapResult | ControlledGap):
        if gap.p_value is not None:
            raw[test_of(place)] = gap.p_value
        return gap

    _map_gaps(results, collect)
    corrected = holm(raw)
    asked = {place: p for place, p in raw.items() if place[1:] == ("all", headline_gap)}
    for attribute, result in results.items():
        if result.larger_groups:  # a second test of the same question: it counts
            asked[attribute, "larger"] = result.larger_groups.p_value
    headline = holm(asked)

    def correct(place: Place, gap: GapResult | ControlledGap):
        gap = replace(gap, p_value_holm=corrected.get(test_of(place)))
        return replace(gap, p_value_headline=headline[place]) if place in headline else gap

    found = _map_gaps(results, correct)
    for attribute, result in found.items():
        if result.larger_groups:
            larger = replace(result.larger_groups, p_value_headline=headline[attribute, "larger"])
            found[attribute] = replace(result, larger_groups=larger)
    return found, len(raw)


def _map_gaps(results: dict[str, AttributeResult], change: Callable) -> dict[str, AttributeResult]:
    """The results with `change(place, gap)` in place of every gap; a place is (attribute, view,
    …, gap's name)."""

    def changed(gaps: dict, *place: str) -> dict:
        return {name: change((*place, name), gap) for name, gap in gaps.items()}

    found = {}
    for attribute, result in results.items():
        by_class = result.class_gaps
        controlled = result.controlled and replace(
            result.controlled, gaps=changed(result.controlled.gaps, attribute, "controlled")
        )
        found[attribute] = replace(
            result,
            gaps=changed(result.gaps, attribute, "all"),
            controlled=controlled,
            class_gaps=ClassGaps(
                {
                    label: changed(gaps, attribute, "class", label)
                    for label, gaps in by_class.classes.items()
                },
                changed(by_class.macro, attribute, "macro"),
            ),
        )
    return found
