"""How surprising is each gap once all the gaps that a report tests are counted?"""

from collections.abc import Callable
from dataclasses import replace

from fairlora_cls.evaluation.intervals import holm
from fairlora_cls.evaluation.metrics import HEADLINE_GAP, SAME_TEST
from fairlora_cls.evaluation.results import AttributeResult, ClassGaps, ControlledGap, GapResult

Place = tuple[str, ...]  # attribute, view, …, the gap's name


def correct_for_many(
    results: dict[str, AttributeResult],
) -> tuple[dict[str, AttributeResult], int]:
    """Holm's correction over every gap tested, one test under two names counted once; and how many
    tests those are. HEADLINE_GAP, which the summary judges, is one question per attribute asked in
    advance: it is corrected over the attributes too."""
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
    headline = holm({place: p for place, p in raw.items() if place[1:] == ("all", HEADLINE_GAP)})

    def correct(place: Place, gap: GapResult | ControlledGap):
        gap = replace(gap, p_value_holm=corrected.get(test_of(place)))
        return replace(gap, p_value_headline=headline[place]) if place in headline else gap

    return _correct_larger_groups(_map_gaps(results, correct)), len(raw)


def _correct_larger_groups(results: dict[str, AttributeResult]) -> dict[str, AttributeResult]:
    """Holm's correction over the attributes, by the test of the larger groups where there is one."""
    raw = {}
    for attribute, result in results.items():
        tested = result.larger_groups or result.gaps.get("max_acc_gap")
        if tested is not None and tested.p_value is not None:
            raw[attribute] = tested.p_value
    corrected = holm(raw)
    return {
        attribute: replace(
            result,
            larger_groups=replace(result.larger_groups, p_value_headline=corrected.get(attribute)),
        )
        if result.larger_groups
        else result
        for attribute, result in results.items()
    }


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
