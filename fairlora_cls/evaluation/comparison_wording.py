"""What does a comparison of runs mean, in sentences that keep chance and evidence apart?

The same words go into comparison.md, comparison.html and the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    Comparison,
    Difference,
    GapDifference,
    Pair,
    SeedContest,
    SeedDifference,
    TextComparison,
)
from fairlora_cls.evaluation.flips import Decision
from fairlora_cls.evaluation.metrics import HEADLINE_GAP, METRICS
from fairlora_cls.evaluation.summary import capitalised
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.numbers import UNDEFINED, Quantity, show_p
from fairlora_cls.statistics.intervals import ROUNDING, SIGNIFICANCE
from fairlora_cls.statistics.seeds import show_seeds

MOST_GROUPS_TOLD = 3  # of the groups in which images decide


@dataclass(frozen=True)
class Judged:
    """What a comparison judges, in words."""

    metrics: tuple[str, ...]  # of all examples; the gap is that of the first
    gap: str
    gap_title: str
    images: str  # what is compared
    is_higher_better: bool

    @classmethod
    def of(cls, comparison: Comparison) -> Judged:
        """Accuracy and AUROC of classes; the headline metric of texts."""
        if not isinstance(comparison, TextComparison):
            return cls(("accuracy", "auroc"), HEADLINE_GAP, "MaxAccGap", "images", True)
        name = comparison.headline
        metric = comparison.metrics[name]
        return cls(
            (name,), f"{name}_gap", f"gap in {metric.title}", "texts", metric.better == "higher"
        )


def is_evidence(difference: Difference) -> bool:
    """Whether swapped answers would show such a difference in fewer than 1 of 20 draws, corrected
    for the number of pairs and attributes."""
    return difference.p_holm is not None and difference.p_holm <= SIGNIFICANCE


def verdict_on(comparison: Comparison, result: AttributeDifferences) -> tuple[str, str]:
    """How a page marks an attribute, and the words for it: whether some group is served worse, or
    better, beyond chance, in any metric; a gap alone decides nothing."""
    changes = [change for of_group in result.changes.values() for change in of_group.values()]
    proven = [change for change in proven_changes(comparison, result) if change.gain]
    if moved := _moved_threshold(proven):
        return "evidence", moved
    if any(change.gain < 0 for change in proven):
        gains = any(change.gain > 0 for change in proven)
        return "evidence", "some gain, some lose" if gains else "a group loses"
    if proven:
        return "gain", "a group gains, none is shown to lose"
    if all(change.p_holm is None for change in changes):
        return "unknown", "not tested"
    return "chance", "no group is shown to gain or lose"


@dataclass(frozen=True)
class Proven:
    """A group's change that chance hardly explains."""

    metric: str
    group: str
    change: Difference
    gain: float  # above 0: served better; 0 where neither way is better


def _moved_threshold(proven: Sequence[Proven]) -> str:
    """'more cases found, more false alarms', where that is what chance does not explain; else ''."""
    signs = {
        name: {each.gain > 0 for each in proven if each.metric == name}
        for name in ("sensitivity", "specificity")
    }
    if signs == {"sensitivity": {True}, "specificity": {False}}:
        return "more cases found, more false alarms"
    if signs == {"sensitivity": {False}, "specificity": {True}}:
        return "fewer cases found, fewer false alarms"
    return ""


def proven_changes(comparison: Comparison, result: AttributeDifferences) -> list[Proven]:
    """Of every group, in every metric."""
    sign = {"higher": 1, "lower": -1, "neither": 0}
    return [
        Proven(name, group, change, sign[comparison.quantities[name].better] * change.difference)
        for group, of_group in result.changes.items()
        for name, change in of_group.items()
        if is_evidence(change)
    ]


def describe_overall(comparison: Comparison, pair: Pair) -> str:
    """One or two sentences on what is judged of all examples of a pair."""
    if isinstance(comparison, TextComparison):
        metric, found = comparison.metrics[comparison.headline], pair.overall[comparison.headline]
        return f"{_both_values(metric, metric.title, pair, found)}."
    accuracy, auroc = pair.overall["accuracy"], pair.overall["auroc"]
    text = (
        f"{pair.other} is right for {METRICS['accuracy'].show(accuracy.other)} of "
        f"{comparison.n:,} test images and {pair.reference} for "
        f"{METRICS['accuracy'].show(accuracy.reference)}: {_judged(METRICS['accuracy'], accuracy)}."
    )
    if auroc.difference is None:
        return text
    return text + (
        f" Their AUROCs are {METRICS['auroc'].show(auroc.other)} and "
        f"{METRICS['auroc'].show(auroc.reference)}: {_judged(METRICS['auroc'], auroc)}."
    )


def describe_gap_difference(
    comparison: Comparison, pair: Pair, attribute: str, result: AttributeDifferences
) -> str:
    """What the difference in the judged gap rests on, and whether it is evidence."""
    judged = Judged.of(comparison)
    gap, quantity = result.gaps[judged.gap], comparison.quantities[judged.gap]
    if gap.difference is None:
        if isinstance(comparison, TextComparison):
            return f"There is no {judged.gap_title} of {attribute} to compare: it is undefined."
        return f"There is no accuracy gap to compare for {attribute}: it has one group only."
    if gap.deciding is None:
        subject = f"the {judged.gap_title} between groups of {attribute}"
        both = _both_values(quantity, subject, pair, gap)
        return f"{both}. {describe_who_gains(comparison, pair, result)}"
    if gap.deciding.examples == 0:
        return (
            f"{pair.other} and {pair.reference} have the same {judged.gap_title} of {attribute}, "
            f"{quantity.show(gap.other)}. {describe_who_gains(comparison, pair, result)}"
        )
    text = (
        f"The {pair.other}–{pair.reference} difference in {judged.gap_title} of {attribute} "
        f"({quantity.show(gap.other)} against {quantity.show(gap.reference)}) is decided by "
        f"{_images(gap.deciding.examples)}: with {_change(gap.deciding, judged.metrics[0])} it would "
        "be gone."
    )
    if gap.p_holm is not None:
        verb = "hardly explains" if is_evidence(gap) else "can explain"
        text += f" Chance alone {verb} it ({show_p(gap.p_holm)})."
    return f"{text} {describe_who_gains(comparison, pair, result)}"


def is_levelling_down(comparison: Comparison, result: AttributeDifferences) -> bool:
    """Whether the judged gap shrinks though no group is served better."""
    gap = result.gaps[Judged.of(comparison).gap].difference
    gains, losses = _gains_and_losses(comparison, result)
    return gap is not None and gap < 0 and losses and not gains


def describe_gains_in_short(
    comparison: Comparison, pair: Pair, result: AttributeDifferences
) -> str:
    """What all groups' changes say together; a sentence without its full stop."""
    gains, losses = _gains_and_losses(comparison, result)
    moved = _moved_threshold(proven_changes(comparison, result))
    if moved:
        return f"The threshold moved, in effect: {moved} by {pair.other}"
    if is_levelling_down(comparison, result):
        return f"This is levelling down: no group is served better by {pair.other}"
    if gains and losses:
        return f"Some groups gain by {pair.other} and others lose"
    if gains or losses:
        return f"No group is served {'worse' if gains else 'better'} by {pair.other}"
    metric = comparison.quantities[Judged.of(comparison).metrics[0]]
    return f"No group's {metric.title} changes"


def _gains_and_losses(comparison: Comparison, result: AttributeDifferences) -> tuple[bool, bool]:
    """Whether a group gains, and whether one loses: in the judged metric at all, in others beyond
    chance."""
    judged = Judged.of(comparison)
    name, sign = judged.metrics[0], 1 if judged.is_higher_better else -1
    changes = [
        sign * of_group[name].difference
        for of_group in result.changes.values()
        if of_group[name].difference is not None
    ]
    changes = [change for change in changes if abs(change) > ROUNDING]
    changes += [p.gain for p in proven_changes(comparison, result) if p.metric != name]
    return any(change > 0 for change in changes), any(change < 0 for change in changes)


def describe_who_gains(comparison: Comparison, pair: Pair, result: AttributeDifferences) -> str:
    """Who is served better by the other model, who worse, and how many people that is; and in words
    where a gap shrinks because the best-served fall."""
    judged = Judged.of(comparison)
    name = judged.metrics[0]
    metric = comparison.quantities[name]
    changes = {
        group: of_group[name]
        for group, of_group in result.changes.items()
        if of_group[name].difference is not None
    }
    start = describe_gains_in_short(comparison, pair, result)
    if not any(_gains_and_losses(comparison, result)):
        return f"{start}."
    others = [each for each in proven_changes(comparison, result) if each.metric != name]
    told = [
        _told_change(metric, group, change, result.groups[group], judged.images)
        for group, change in sorted(changes.items(), key=lambda item: item[1].difference)
    ]
    text = f"{start} ({metric.title}, change by group: {'; '.join(told)})."
    if others:
        beyond = enumerate_names(
            [
                f"{comparison.quantities[each.metric].title} of {each.group} "
                f"{comparison.quantities[each.metric].show_signed(each.change.difference)} "
                f"({show_p(each.change.p_holm)})"
                for each in others
            ],
            "more changes",
        )
        text += f" Beyond chance also: {beyond}."
    return text + _other_worst(judged, pair, changes)


def _other_worst(judged: Judged, pair: Pair, changes: Mapping[str, Difference]) -> str:
    """Which group is served worst by each model, where it is another one."""
    sign = 1 if judged.is_higher_better else -1

    def worst(side: str) -> str:
        return min(changes, key=lambda group: sign * getattr(changes[group], side))

    before, after = worst("reference"), worst("other")
    gained = sign * (changes[before].other - changes[after].other)
    if before == after or gained <= ROUNDING:
        return ""
    return (
        f" The group served worst by {pair.other} is {after}; by {pair.reference} it is {before}."
    )


def _told_change(metric: Quantity, group: str, change: Difference, count: int, images: str) -> str:
    text = f"{group} {metric.show_signed(change.difference)}"
    if change.interval is not None:
        text += f" ({metric.show_signed_range(change.interval)})"
    if is_evidence(change):
        text += f", evidence ({show_p(change.p_holm)})"
    return f"{text}, {count:,} {images}"


def describe_contest(comparison: Comparison, contest: SeedContest) -> list[str]:
    """One sentence on what is judged over the seeds, then one on its gap of each attribute."""
    count, judged = len(contest.seeds), Judged.of(comparison)
    metric, quantities = judged.metrics[0], comparison.quantities
    better = f"{'higher' if judged.is_higher_better else 'lower'} in {quantities[metric].title}"
    if not isinstance(comparison, TextComparison):
        better = "more accurate"
    texts = []
    if contest.overall[metric].mean is not None:
        won = _won(quantities[metric], contest.overall[metric], count)
        texts.append(f"{contest.other} is {better} than {contest.reference} in {won}.")
    for attribute, differences in contest.attributes.items():
        gap = differences[judged.gap]
        if gap.mean is not None:
            texts.append(
                f"{contest.other} has a smaller {judged.gap_title} of {attribute} than "
                f"{contest.reference} in {_won(quantities[judged.gap], gap, count)}."
            )
    return texts


def describe_deciding(gap: GapDifference) -> str:
    """'2 images', or what stands in for it."""
    return UNDEFINED if gap.deciding is None else _images(gap.deciding.examples)


def describe_comparison_method(comparison: Comparison) -> list[str]:
    """How the numbers are made, one paragraph each."""
    of_texts = isinstance(comparison, TextComparison)
    images = Judged.of(comparison).images
    ranks = (
        ""
        if of_texts
        else " For AUROC and average precision the ranks of the images are exchanged, because two "
        "models may use the scale of probabilities differently."
    )
    several = (
        " Intervals over seeds are t-intervals of the mean: they say how far training anew moves a "
        "number on these test images, not how far other test images would. Those of "
        "fractions are taken on a logit scale, so that no limit is impossible; of two seeds the values stand there. A tie counts as half a "
        "win."
        if comparison.contests or comparison.methods
        else ""
    )
    whole = (
        f"{'Units' if of_texts else 'Patients or lesions'} ({comparison.units:,}) are drawn, and "
        "exchanged, whole. "
        if comparison.units
        else ""
    )
    return [
        f"Every difference is the second run minus the reference, on the same {images}. Intervals hold "
        f"the middle 95% of {comparison.bootstrap:,} bootstrap resamples (percentile method), drawn "
        f"within groups, the same {images} for both runs. A gap is a maximum minus a minimum, and "
        "resampling widens both gaps, so the interval of their difference is a rough guide: judge "
        "by p.",
        f"p is a swap test, two-sided: for each {images.removesuffix('s')}, a coin decides whether "
        "the two runs exchange their answers; p is the share of draws, the observed one counted, "
        "with a difference at least as large. It asks whether the two runs could be one and the same "
        f"model.{ranks} Holm's correction is over all pairs and attributes, for each quantity by "
        "itself; not over the different quantities.",
        "Images that decide: the least number of images on which one run's answer would have to "
        "flip (right to wrong, or back) for the two gaps to be equal or to change places, found by "
        "an exact search over the groups' counts. It is stated for gaps of rates that are shares of "
        f"a group's images; elsewhere {UNDEFINED}.",
        f"{whole}Random seed {comparison.seed}.{several}",
    ]


def _both_values(quantity: Quantity, subject: str, pair: Pair, found: Difference) -> str:
    """A sentence without its full stop: both models' values, and what their difference says."""
    if found.difference is None:
        return f"{capitalised(subject)} is undefined for {pair.other} or {pair.reference}"
    return (
        f"{capitalised(subject)} is {quantity.show(found.other)} for {pair.other} and "
        f"{quantity.show(found.reference)} for {pair.reference}: {_judged(quantity, found)}"
    )


def _judged(quantity: Quantity, found: Difference) -> str:
    if found.difference == 0:
        return "no difference"
    text = f"a difference of {quantity.show_signed(found.difference)}"
    if found.interval is not None:
        text += f" (95% interval {quantity.show_signed_range(found.interval)})"
    if found.p_holm is None:
        return text
    verb = "hardly explains" if is_evidence(found) else "can explain"
    return f"{text}, which chance alone {verb} ({show_p(found.p_holm)})"


def _won(quantity: Quantity, found: SeedDifference, count: int) -> str:
    ties = f" and equal in {found.ties}" if found.ties else ""
    text = (
        f"{found.wins} of {count} seeds{ties}; the mean difference is "
        f"{quantity.show_signed(found.mean)}"
    )
    if found.interval is None:
        return f"{text}, by seed {show_seeds(quantity, found, signed=True)}"
    low, high = found.interval
    sure = "all on one side of 0" if low > 0 or high < 0 else "which does not exclude 0"
    return f"{text}, 95% t-interval {quantity.show_signed_range(found.interval)}, {sure}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _change(decision: Decision, metric: str) -> str:
    changes = decision.changes[metric]
    if len(changes) > MOST_GROUPS_TOLD:
        return f"as many other answers of {decision.run} in {len(changes)} groups"
    parts = [
        f"on {abs(count):,} {'more' if count > 0 else 'fewer'} images of the group {group}"
        if abs(count) > 1
        else f"on one {'more' if count > 0 else 'fewer'} image of the group {group}"
        for group, count in changes.items()
    ]
    return f"{decision.run} right {' and '.join(parts)}"
