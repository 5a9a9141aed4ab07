"""Counterfactual gaps as a part of the fairness report: sentences, tables and JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from fairlora_cls.evaluation.matching import (
    FEWEST_PAIRS,
    MOST_MATCHED_GROUPS,
    CounterfactualGaps,
    MatchedGroups,
)
from fairlora_cls.presentation.document import Cell, Section, Table
from fairlora_cls.presentation.numbers import RATE, SCORE, UNDEFINED, Quantity, show_p, show_p_value
from fairlora_cls.statistics.intervals import SIGNIFICANCE


def counterfactual_section(results: Sequence[CounterfactualGaps], source: str) -> Section:
    """The report's part on matched pairs. `source`: what the features are, in words."""
    return Section(
        key="counterfactual",
        title="Counterfactual gaps: matched pairs of images",
        sentences=(*map(describe_counterfactual, results), _method(results, source)),
        tables=tuple(_table(result) for result in results if result.groups),
        values={
            "features": source,
            "attributes": {result.attribute: asdict(result) for result in results},
        },
    )


def describe_counterfactual(result: CounterfactualGaps) -> str:
    """Two sentences: how many pairs and what they show on the whole, and the worst pair of groups."""
    if result.group_count > MOST_MATCHED_GROUPS:
        return (
            f"{result.attribute}: its {result.group_count} groups are more than the "
            f"{MOST_MATCHED_GROUPS} that matching compares with one another."
        )
    if not result.pairs:
        return (
            f"{result.attribute}: no two images of different groups and the same {result.alike} are "
            f"similar enough (cosine {result.minimum_similarity:g} or more), so there is nothing to compare."
        )
    text = (
        f"{result.attribute}: in {result.pairs:,} matched pairs of images, {result.metric} differs "
        f"by {_quantity(result).show_gap(result.weighted_gap)} between the groups (mean over pairs)"
    )
    if result.chance_gap is not None:
        text += f"; by chance it would be {_quantity(result).show_gap(result.chance_gap)}"
    if result.worst is None:
        return f"{text}. No two groups have {FEWEST_PAIRS} pairs, too few to name the worst."
    worst = next(m for m in result.groups if (m.group, m.other) == result.worst)
    text += (
        f". It differs most for {worst.group} beside matched images of {worst.other}: "
        f"{_quantity(result).show_signed(worst.difference)} in {worst.pairs:,} pairs"
    )
    if worst.p_holm is None or worst.interval is None:
        return f"{text}."
    chance = "hardly explains" if worst.p_holm <= SIGNIFICANCE else "can explain"
    return (
        f"{text} (95% interval {_quantity(result).show_signed_range(worst.interval)}), which chance alone "
        f"{chance} ({show_p(worst.p_holm)})."
    )


def _method(results: Sequence[CounterfactualGaps], source: str) -> str:
    similarity = results[0].minimum_similarity if results else 0
    alike = results[0].alike if results else "label"
    return (
        f"Features: {source}, minus their mean. Each image is matched with the image of the other "
        f"group that has the same {alike} and the highest cosine similarity, if that is {similarity:g} "
        "or more; an image may be the match of several. Intervals resample, and p flips the signs "
        "of, all pairs of one match together; p is corrected for the pairs of groups (Holm). Two images "
        f"alike in {alike} and features are not the same patient: what the features do not see can still "
        "differ."
    )


def _table(result: CounterfactualGaps) -> Table:
    header = (
        "Images of",
        "Matched with",
        "Pairs",
        "Similarity",
        f"{result.metric[0].upper()}{result.metric[1:]}",
        "of the matches",
        "Difference",
        "p (Holm)",
    )
    return Table(
        f"Matched pairs between groups of {result.attribute}",
        header,
        tuple(_row(result, matched) for matched in result.groups),
    )


def _row(result: CounterfactualGaps, matched: MatchedGroups) -> tuple[Cell, ...]:
    quantity = _quantity(result)
    return (
        Cell(matched.group),
        Cell(matched.other),
        Cell(f"{matched.pairs:,}", f"of {matched.images:,} images"),
        Cell(UNDEFINED if matched.similarity is None else f"{matched.similarity:.2f}"),
        Cell(quantity.show(matched.score)),
        Cell(quantity.show(matched.other_score)),
        Cell(
            quantity.show_signed(matched.difference), quantity.show_signed_range(matched.interval)
        ),
        Cell(show_p_value(matched.p_holm)),
    )


def _quantity(result: CounterfactualGaps) -> Quantity:
    return RATE if result.is_rate else SCORE
