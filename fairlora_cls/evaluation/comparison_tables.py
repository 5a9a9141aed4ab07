"""Every number of a comparison as tables of text, for comparison.md and comparison.html alike."""

from __future__ import annotations

from collections.abc import Mapping

from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    Comparison,
    Difference,
    GapDifference,
    Pair,
    SeedContest,
    SeedDifference,
)
from fairlora_cls.evaluation.comparison_wording import Judged, describe_deciding
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import UNDEFINED, Quantity, show_p_value
from fairlora_cls.statistics.seeds import SeedValues, show_seeds


def pair_tables(comparison: Comparison, pair: Pair) -> list[Table]:
    """All tables of one pair of runs."""
    title, judged = f"{pair.other} – {pair.reference}", Judged.of(comparison)
    tables = [
        _differences_table(
            f"{title}: all {judged.images}", "Metric", comparison, pair, pair.overall
        )
    ]
    for attribute, result in pair.attributes.items():
        caption = f"{title}: gaps of {attribute}"
        tables.append(_differences_table(caption, "Gap", comparison, pair, result.gaps))
        tables.append(changes_table(f"{title}: groups of {attribute}", comparison, pair, result))
        caption = f"{title}: equity-scaled scores for {attribute}"
        tables.append(_differences_table(caption, "Score", comparison, pair, result.equity_scaled))
    return tables


def _differences_table(
    caption: str,
    first: str,
    comparison: Comparison,
    pair: Pair,
    differences: Mapping[str, Difference],
) -> Table:
    """One row per quantity; of gaps with the images that decide, where such a number exists."""
    header = (first, pair.reference, pair.other, "Difference", "p", "p (Holm)")
    decidable = any(isinstance(d, GapDifference) and d.deciding for d in differences.values())
    rows = tuple(
        (
            *_difference_row(comparison.quantities[name], found),
            *([Cell(describe_deciding(found))] if decidable else []),
        )
        for name, found in differences.items()
    )
    return Table(caption, (*header, "Images that decide") if decidable else header, rows)


def changes_table(
    caption: str, comparison: Comparison, pair: Pair, result: AttributeDifferences
) -> Table:
    """Every group's change in every metric."""
    header = ("Group", "Metric", pair.reference, pair.other, "Difference", "p", "p (Holm)")
    rows = tuple(
        (Cell(group, f"{result.groups[group]:,}"), *_difference_row(comparison.quantities[name], d))
        for group, metrics in result.changes.items()
        for name, d in metrics.items()
    )
    return Table(caption, header, rows)


def contest_tables(comparison: Comparison, contest: SeedContest) -> list[Table]:
    """Two methods over their common seeds: all images, then each attribute."""
    methods = {method.method: method for method in comparison.methods}
    both = methods[contest.reference], methods[contest.other]
    title = f"{contest.other} – {contest.reference} over the seeds"
    seeds = ", ".join(map(str, contest.seeds))
    tables = [
        _contest_table(
            f"{title} {seeds}: all {Judged.of(comparison).images}",
            comparison,
            contest,
            (both[0].overall, both[1].overall),
            contest.overall,
        )
    ]
    for attribute, found in contest.attributes.items():
        means = both[0].attributes[attribute], both[1].attributes[attribute]
        caption = f"{title} {seeds}: {attribute}"
        tables.append(_contest_table(caption, comparison, contest, means, found))
    return tables


def methods_table(comparison: Comparison) -> Table:
    """The judged metrics and gaps of every method with several seeds: means."""
    judged, quantities = Judged.of(comparison), comparison.quantities
    attributes = list(comparison.methods[0].attributes)
    titles = (quantities[name].title for name in judged.metrics)
    header = (
        "Method",
        "Seeds",
        *titles,
        *(f"{capitalised(judged.gap_title)} of {a}" for a in attributes),
    )
    rows = tuple(
        (
            Cell(method.method),
            Cell(", ".join(map(str, method.seeds))),
            *(_mean_cell(quantities[name], method.overall[name]) for name in judged.metrics),
            *(
                _mean_cell(quantities[judged.gap], method.attributes[a][judged.gap])
                for a in attributes
            ),
        )
        for method in comparison.methods
    )
    caption = "Mean over seeds, with its 95% t-interval, of two seeds with their values"
    return Table(caption, header, rows)


def _contest_table(
    caption: str,
    comparison: Comparison,
    contest: SeedContest,
    means: tuple[Mapping[str, SeedValues], Mapping[str, SeedValues]],
    differences: Mapping[str, SeedDifference],
) -> Table:
    header = ("", contest.reference, contest.other, "Mean difference", f"{contest.other} wins")
    rows = tuple(
        (
            Cell(quantity.title),
            _mean_cell(quantity, means[0][name]),
            _mean_cell(quantity, means[1][name]),
            Cell(quantity.show_signed(found.mean), show_seeds(quantity, found, signed=True)),
            Cell(_wins(found, len(contest.seeds))),
        )
        for name, found in differences.items()
        for quantity in (comparison.quantities[name],)
    )
    return Table(caption, header, rows)


def _wins(found: SeedDifference, seeds: int) -> str:
    if found.share_won is None:
        return UNDEFINED
    ties = f", {found.ties} ties" if found.ties else ""
    return f"{found.wins} of {seeds}{ties} ({100 * found.share_won:.0f}%)"


def _mean_cell(quantity: Quantity, found: SeedValues) -> Cell:
    return Cell(quantity.show(found.mean), show_seeds(quantity, found))


def _difference_row(quantity: Quantity, found: Difference) -> tuple[Cell, ...]:
    return (
        Cell(quantity.title),
        Cell(quantity.show(found.reference)),
        Cell(quantity.show(found.other)),
        Cell(quantity.show_signed(found.difference), quantity.show_signed_range(found.interval)),
        Cell(show_p_value(found.p_value)),
        Cell(show_p_value(found.p_holm)),
    )
