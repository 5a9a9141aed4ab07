"""What does a comparison of runs mean, in sentences that keep chance and evidence apart?

The same words go into comparison.md, comparison.html and the terminal.
"""

from fairlora_cls.evaluation.comparison_results import (
    AttributeDifferences,
    Comparison,
    Difference,
    GapDifference,
    Pair,
    SeedContest,
    SeedDifference,
)
from fairlora_cls.evaluation.flips import Decision
from fairlora_cls.evaluation.metrics import GAPS, METRICS, QUANTITIES
from fairlora_cls.evaluation.wording import (
    SIGNIFICANCE,
)
from fairlora_cls.presentation.numbers import UNDEFINED, show_p

MOST_GROUPS_TOLD = 3  # of the groups in which images decide


def is_evidence(difference: Difference) -> bool:
    """Whether swapped answers would show such a difference in fewer than 1 of 20 draws, corrected
    for the number of pairs and attributes."""
    return difference.p_holm is not None and difference.p_holm <= SIGNIFICANCE


def verdict_of(difference: Difference) -> tuple[str, str]:
    """How a page marks the difference (evidence, chance or unknown), and the words for it."""
    if difference.difference == 0:
        return "chance", "no difference"
    if difference.p_holm is None:
        return "unknown", "not tested"
    return ("evidence", "evidence") if is_evidence(difference) else ("chance", "not evidence")


def describe_accuracy(comparison: Comparison, pair: Pair) -> str:
    """One or two sentences on accuracy and AUROC of a pair."""
    accuracy, auroc = pair.overall["accuracy"], pair.overall["auroc"]
    text = (
        f"{pair.other} is right for {METRICS['accuracy'].show(accuracy.other)} of "
        f"{comparison.n:,} test images and {pair.reference} for "
        f"{METRICS['accuracy'].show(accuracy.reference)}: {_judged('accuracy', accuracy)}."
    )
    if auroc.difference is None:
        return text
    return text + (
        f" Their AUROCs are {METRICS['auroc'].show(auroc.other)} and "
        f"{METRICS['auroc'].show(auroc.reference)}: {_judged('auroc', auroc)}."
    )


def describe_gap_difference(pair: Pair, attribute: str, result: AttributeDifferences) -> str:
    """What the difference in MaxAccGap rests on, and whether it is evidence."""
    gap = result.gaps["max_acc_gap"]
    if gap.difference is None:
        return f"There is no accuracy gap to compare for {attribute}: it has one group only."
    if gap.deciding.examples == 0:
        return (
            f"{pair.other} and {pair.reference} have the same MaxAccGap of {attribute}, "
            f"{GAPS['max_acc_gap'].show(gap.other)}."
        )
    images = _images(gap.deciding.examples)
    text = (
        f"The {pair.other}–{pair.reference} difference in MaxAccGap of {attribute} "
        f"({GAPS['max_acc_gap'].show(gap.other)} against "
        f"{GAPS['max_acc_gap'].show(gap.reference)}) is decided by {images}: "
        f"with {_change(gap.deciding)} it would be gone."
    )
    if gap.p_holm is None:
        return text
    p_value = show_p(gap.p_holm)
    if not is_evidence(gap):
        return text + (
            f" Chance alone can explain it ({p_value}): it is not evidence that either model is "
            "the fairer one."
        )
    smaller = pair.other if gap.difference < 0 else pair.reference
    return text + (
        f" Chance alone hardly explains it ({p_value}): it is evidence that {smaller} has the "
        "smaller gap."
    )


def describe_contest(contest: SeedContest) -> list[str]:
    """One sentence on accuracy over the seeds, then one on the MaxAccGap of each attribute."""
    count = len(contest.seeds)
    texts = [
        f"{contest.other} is more accurate than {contest.reference} in "
        f"{_won('accuracy', contest.overall['accuracy'], count)}."
    ]
    for attribute, quantities in contest.attributes.items():
        gap = quantities["max_acc_gap"]
        if gap.mean is not None:
            texts.append(
                f"{contest.other} has a smaller MaxAccGap of {attribute} than "
                f"{contest.reference} in {_won('max_acc_gap', gap, count)}."
            )
    return texts


def describe_deciding(gap: GapDifference) -> str:
    """'2 images', or what stands in for it."""
    return UNDEFINED if gap.deciding is None else _images(gap.deciding.examples)


def describe_comparison_method(comparison: Comparison) -> list[str]:
    """How the numbers are made, one paragraph each."""
    several = (
        " Intervals over seeds are t-intervals of the mean: they say how far training anew moves a "
        "number on these test images, not how far other test images would. A tie counts as half a "
        "win."
        if comparison.contests or comparison.methods
        else ""
    )
    whole = (
        f"Patients or lesions ({comparison.units:,}) are drawn, and exchanged, whole. "
        if comparison.units
        else ""
    )
    return [
        "Every difference is the second run minus the reference, on the same images. Intervals hold "
        f"the middle 95% of {comparison.bootstrap:,} bootstrap resamples (percentile method), drawn "
        "within groups, the same images for both runs. A gap is a maximum minus a minimum, and "
        "resampling widens both gaps, so the interval of their difference is a rough guide: judge "
        "by p.",
        "p is a swap test, two-sided: for each image, a coin decides whether the two runs exchange "
        "their answers; p is the share of draws, the observed one counted, with a difference at "
        "least as large. It asks whether the two runs could be one and the same model. For AUROC "
        "and average precision the ranks of the images are exchanged, because two models may use "
        "the scale of probabilities differently. Holm's correction is over all pairs and "
        "attributes, for each quantity by itself; not over the different quantities.",
        "Images that decide: the least number of images on which one run's answer would have to "
        "flip (right to wrong, or back) for the two gaps to be equal or to change places, found by "
        "an exact search over the groups' counts. It is stated for gaps of rates that are shares of "
        f"a group's images; elsewhere {UNDEFINED}.",
        f"{whole}Random seed {comparison.seed}.{several}",
    ]


def _judged(quantity: str, difference: Difference) -> str:
    if difference.difference == 0:
        return "no difference"
    text = f"a difference of {QUANTITIES[quantity].show_signed(difference.difference)}"
    if difference.interval is not None:
        text += f" (95% interval {QUANTITIES[quantity].show_signed_range(difference.interval)})"
    if difference.p_holm is None:
        return text
    verb = "hardly explains" if is_evidence(difference) else "can explain"
    return f"{text}, which chance alone {verb} ({show_p(difference.p_holm)})"


def _won(quantity: str, difference: SeedDifference, count: int) -> str:
    ties = f" and as much so in {difference.ties}" if difference.ties else ""
    text = (
        f"{difference.wins} of {count} seeds{ties}; the mean difference is "
        f"{QUANTITIES[quantity].show_signed(difference.mean)}"
    )
    if difference.interval is None:
        return text
    low, high = difference.interval
    sure = "all on one side of 0" if low > 0 or high < 0 else "which does not exclude 0"
    return f"{text}, 95% t-interval {QUANTITIES[quantity].show_signed_range(difference.interval)}, {sure}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _change(decision: Decision) -> str:
    changes = decision.changes["accuracy"]
    if len(changes) > MOST_GROUPS_TOLD:
        return f"as many other answers of {decision.run} in {len(changes)} groups"
    parts = [
        f"on {abs(count):,} {'more' if count > 0 else 'fewer'} images of the group {group}"
        if abs(count) > 1
        else f"on one {'more' if count > 0 else 'fewer'} image of the group {group}"
        for group, count in changes.items()
    ]
    return f"{decision.run} right {' and '.join(parts)}"
