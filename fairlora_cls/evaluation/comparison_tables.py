"""Every number of a comparison as tables of text, for comparison.md and comparison.html alike."""

from collections.abc import Mapping

from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    Comparison,
    Difference,
    Pair,
    SeedContest,
    SeedDifference,
    SeedValues,
)
from fairlora_cls.evaluation.comparison_wording import (
    describe_deciding,
)
from fairlora_cls.evaluation.metrics import QUANTITIES
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import UNDEFINED, show_p_value


def overall_differences_table(pair: Pair) -> Table:
    """All examples: one row per metric."""
    rows = tuple(_difference_row(name, found) for name, found in pair.overall.items())
    return Table(f"{_title(pair)}: all images", _header(pair, "Metric"), rows)


def gap_differences_table(pair: Pair, attribute: str, result: AttributeDifferences) -> Table:
    """One row per gap, with the images that decide."""
    rows = tuple(
        (*_difference_row(name, found), Cell(describe_deciding(found)))
        for name, found in result.gaps.items()
    )
    header = (*_header(pair, "Gap"), "Images that decide")
    return Table(f"{_title(pair)}: gaps of {attribute}", header, rows)


def equity_differences_table(pair: Pair, attribute: str, result: AttributeDifferences) -> Table:
    """One row per equity-scaled score."""
    rows = tuple(_difference_row(name, found) for name, found in result.equity_scaled.items())
    caption = f"{_title(pair)}: equity-scaled scores for {attribute}"
    return Table(caption, _header(pair, "Score"), rows)


def pair_tables(pair: Pair) -> list[Table]:
    """All tables of one pair of runs."""
    tables = [overall_differences_table(pair)]
    for attribute, result in pair.attributes.items():
        tables.append(gap_differences_table(pair, attribute, result))
        tables.append(equity_differences_table(pair, attribute, result))
    return tables


def contest_tables(comparison: Comparison, contest: SeedContest) -> list[Table]:
    """Two methods over their common seeds: all images, then each attribute."""
    methods = {method.method: method for method in comparison.methods}
    both = methods[contest.reference], methods[contest.other]
    title = f"{contest.other} – {contest.reference} over the seeds"
    seeds = ", ".join(map(str, contest.seeds))
    tables = [
        _contest_table(
            f"{title} {seeds}: all images",
            contest,
            (both[0].overall, both[1].overall),
            contest.overall,
        )
    ]
    for attribute, found in contest.attributes.items():
        means = both[0].attributes[attribute], both[1].attributes[attribute]
        tables.append(_contest_table(f"{title} {seeds}: {attribute}", contest, means, found))
    return tables


def methods_table(comparison: Comparison) -> Table:
    """Accuracy, AUROC and the accuracy gaps of every method with several seeds: means."""
    attributes = list(comparison.methods[0].attributes)
    header = ("Method", "Seeds", "Accuracy", "AUROC", *(f"MaxAccGap of {a}" for a in attributes))
    rows = tuple(
        (
            Cell(method.method),
            Cell(", ".join(map(str, method.seeds))),
            *(_mean_cell(name, method.overall[name]) for name in ("accuracy", "auroc")),
            *(_mean_cell("max_acc_gap", method.attributes[a]["max_acc_gap"]) for a in attributes),
        )
        for method in comparison.methods
    )
    return Table("Mean over seeds, with its 95% t-interval", header, rows)


def _contest_table(
    caption: str,
    contest: SeedContest,
    means: tuple[Mapping[str, SeedValues], Mapping[str, SeedValues]],
    differences: Mapping[str, SeedDifference],
) -> Table:
    header = ("", contest.reference, contest.other, "Mean difference", f"{contest.other} wins")
    rows = tuple(
        (
            Cell(QUANTITIES[name].title),
            _mean_cell(name, means[0][name]),
            _mean_cell(name, means[1][name]),
            Cell(
                QUANTITIES[name].show_signed(found.mean),
                QUANTITIES[name].show_signed_range(found.interval),
            ),
            Cell(_wins(found, len(contest.seeds))),
        )
        for name, found in differences.items()
    )
    return Table(caption, header, rows)


def _wins(found: SeedDifference, seeds: int) -> str:
    if found.share_won is None:
        return UNDEFINED
    ties = f", {found.ties} ties" if found.ties else ""
    return f"{found.wins} of {seeds}{ties} ({100 * found.share_won:.0f}%)"


def _mean_cell(name: str, found: SeedValues) -> Cell:
    return Cell(QUANTITIES[name].show(found.mean), QUANTITIES[name].show_range(found.interval))


def _title(pair: Pair) -> str:
    return f"{pair.other} – {pair.reference}"


def _header(pair: Pair, first: str) -> tuple[str, ...]:
    return (first, pair.reference, pair.other, "Difference", "p", "p (Holm)")


def _difference_row(name: str, found: Difference) -> tuple[Cell, ...]:
    return (
        Cell(QUANTITIES[name].title),
        Cell(QUANTITIES[name].show(found.reference)),
        Cell(QUANTITIES[name].show(found.other)),
        Cell(
            QUANTITIES[name].show_signed(found.difference),
            QUANTITIES[name].show_signed_range(found.interval),
        ),
        Cell(show_p_value(found.p_value)),
        Cell(show_p_value(found.p_holm)),
    )
