"""What an ablation shows, in sentences that keep chance and evidence apart, and as tables of text.

The same words go into report.md, report.html and the terminal.
"""

from __future__ import annotations

from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.runs import FollowedQuantity
from fairlora_cls.ablations.selection import Selection, Validation
from fairlora_cls.ablations.statistics import Contrast, OverSeeds, SettingResult
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import show_p, show_p_value
from fairlora_cls.statistics.seeds import show_seeds

VARIETY = 0.2  # of answers, relative to that of labels; less is hardly more than a constant
RULES_IN_WORDS = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "worst_group_accuracy": "the worst group's accuracy",
    "bounded_accuracy": "accuracy under the bound on the gap",
    "bounded_auroc": "AUROC under the bound on the gap",
}


def describe_evidence(report: AblationReport) -> list[str]:
    """One sentence per comparison that the data decide."""
    return [
        f"{contrast.setting} differs from {report.reference} in {contrast.quantity.title}: "
        f"{_difference(contrast)}. {_why(contrast)}"
        for contrast in report.contrasts
        if contrast.is_evidence
    ]


def describe_undecided(report: AblationReport) -> list[str]:
    """One sentence per comparison that the data cannot decide."""
    sentences = []
    for contrast in report.contrasts:
        title = contrast.quantity.title
        if contrast.mean is None:
            sentences.append(
                f"{contrast.setting} and {report.reference} cannot be compared in {title}: it is "
                "undefined in one of their runs, or they have no seed in common."
            )
        elif not contrast.is_evidence:
            sentences.append(
                f"The data cannot decide whether {contrast.setting} and {report.reference} differ in "
                f"{title}: {_difference(contrast)}. {_why(contrast)}"
            )
    return sentences


def describe_selection(report: AblationReport) -> list[str]:
    """What the rules would choose by validation, and what that setting has on test; rules that
    choose alike in one sentence."""
    if report.selections is None:
        return []
    settings = {setting.name: setting for setting in report.settings}
    rules: dict[str, list[str]] = {}
    for selection in report.selections.chosen:
        rules.setdefault(selection.setting, []).append(_rule(report, selection))
    return [
        f"On validation {name} is chosen by {'; by '.join(said)}. On test it has "
        f"{_test_figures(report, settings[name])}.{_useless(report.selections.validation[name])}"
        for name, said in rules.items()
    ]


def _useless(validation: Validation) -> str:
    """A warning of a setting that was chosen though it answers nearly always the same."""
    if validation.variety >= VARIETY:
        return ""
    return (
        " Do not use it: it gives nearly every validation image the same answer, so that its gaps "
        "say nothing of fairness."
    )


def describe_figures(report: AblationReport) -> list[str]:
    """How to read them, and the Pareto front of each attribute."""
    fronts = [
        f"{report.metric.title} against {gap.title}: no setting beats "
        f"{enumerate_names(front, most=len(front))} in both."
        for gap, front in report.fronts().items()
        if front
    ]
    return [
        "Bars are 95% intervals, of two seeds from one value to the other; the grey band holds 95% of the gaps that chance alone would show, "
        "its dashed line their mean. Dashed steps join the settings that no other beats (the Pareto "
        "front): a front of means, on which neighbours may differ by chance. An arrow at the lower edge is "
        "a setting far below the others.",
        *fronts,
    ]


def describe_method(report: AblationReport) -> list[str]:
    """How the numbers are made, one paragraph each."""
    return [
        "Means and 95% t-intervals are over the seeds of a setting: they say how far training anew "
        "moves a number on these test images. They are taken on a logit scale, so that no limit is "
        "impossible; differences are not. Of two seeds the values themselves are shown; of a setting with one run the interval "
        "is its own bootstrap interval over test images.",
        f"Each setting is compared with {report.reference}, seed by seed. Two p-values are "
        "computed: a paired t-test over the seeds (would training anew change the difference?) and a "
        f"swap test over the test images ({report.draws:,} draws; for each image a coin decides "
        "whether the two settings exchange their answers, in all seeds alike). A difference is "
        "called evidence where neither explains it: its p is the larger of the two, corrected by "
        "Holm's method over all settings and attributes, for each quantity by itself. Few seeds "
        "give the t-test little power: not evidence does not mean no difference.",
        "By chance: the mean gap, or in figures the band that holds 95% of gaps, of equally well "
        "served groups of these sizes, averaged over the runs.",
        "A setting is chosen on validation predictions only, by the mean over its seeds; gaps there "
        "are the largest MaxAccGap of the protected attributes. Where no setting is within the "
        "bound, the smallest gap wins.",
    ]


def settings_table(report: AblationReport) -> Table:
    """A row per setting: every quantity with its interval, gaps with what chance would show."""
    header = ("Setting", "Seeds", *(q.title for q in report.quantities))
    rows = tuple(
        (
            Cell(setting.name, "reference" if setting.name == report.reference else ""),
            Cell(str(len(setting.seeds)), ", ".join(map(str, setting.seeds))),
            *(_mean_cell(q, setting.numbers[q]) for q in report.quantities),
        )
        for setting in report.settings
    )
    caption = "Every setting: mean over its seeds with its 95% interval, of two seeds their values"
    return Table(caption, header, rows)


def contrast_table(report: AblationReport, quantity: FollowedQuantity) -> Table:
    """Each setting against the reference in one quantity."""
    header = ("Setting", "Difference", "p (seeds)", "p (images)", "p (Holm)", "")
    rows = tuple(
        (
            Cell(each.setting),
            Cell(quantity.show_signed(each.mean), show_seeds(quantity, each, signed=True)),
            *(Cell(show_p_value(p)) for p in (each.p_seeds, each.p_images, each.p_holm)),
            Cell("evidence" if each.is_evidence else "undecided"),
        )
        for each in report.contrasts
        if each.quantity == quantity
    )
    return Table(f"{quantity.title}: setting − {report.reference}", header, rows)


def selection_table(report: AblationReport) -> Table:
    """A row per rule: the choice, its validation numbers, its test numbers."""
    shown = [report.quantities[0], *report.gaps()]
    header = (
        "Chosen on validation by",
        "Setting",
        "Validation accuracy",
        "Largest validation gap",
        *(f"Test: {quantity.title}" for quantity in shown),
    )
    numbers = {setting.name: setting.numbers for setting in report.settings}
    rows = tuple(
        (
            Cell(RULES_IN_WORDS[chosen.rule]),
            Cell(chosen.setting),
            Cell(METRICS["accuracy"].show(validation.accuracy)),
            Cell(GAPS["max_acc_gap"].show(validation.gap)),
            *(_mean_cell(quantity, numbers[chosen.setting][quantity]) for quantity in shown),
        )
        for chosen in report.selections.chosen
        for validation in [report.selections.validation[chosen.setting]]
    )
    return Table("The setting that each rule chooses", header, rows)


def _difference(contrast: Contrast) -> str:
    text = contrast.quantity.show_signed(contrast.mean)
    if len(contrast.seeds) == 1:
        return f"{text} (one seed: of these two models, not yet of the settings)"
    limits = show_seeds(contrast.quantity, contrast, signed=True)
    if contrast.interval is None:
        return f"{text} (of the seeds {limits})"
    return f"{text} (95% t-interval {limits} over {len(contrast.seeds)} seeds)"


def _why(contrast: Contrast) -> str:
    """Which kinds of chance were asked, and what they say."""
    asked = []
    if contrast.p_seeds is not None:
        asked.append(f"other seeds ({show_p(contrast.p_seeds)})")
    if contrast.p_images is not None:
        asked.append(f"the choice of test images ({show_p(contrast.p_images)})")
    if not asked:
        return "It was not tested."
    corrected = f"{show_p(contrast.p_holm)} for all comparisons together"
    if contrast.is_evidence and len(asked) > 1:
        return f"Neither {' nor '.join(asked)} explains it; {corrected}."
    if contrast.is_evidence:
        return f"Asked was {asked[0]} only, which hardly explains it; {corrected}."
    return f"Asked were {' and '.join(asked)}; {corrected}."


def _rule(report: AblationReport, selection: Selection) -> str:
    words = RULES_IN_WORDS[selection.rule]
    if selection.bound_met is None:
        return words
    bound = f"{words} of {100 * report.selections.gap_bound:g} points"
    return bound if selection.bound_met else f"{bound} (none is within it: by the smallest gap)"


def _test_figures(report: AblationReport, setting: SettingResult) -> str:
    return ", ".join(f"{q.title} {q.show(setting.numbers[q].mean)}" for q in report.leading())


def _mean_cell(quantity: FollowedQuantity, values: OverSeeds) -> Cell:
    limits = show_seeds(quantity, values)
    parts = [limits] if limits else []
    if values.null_mean is not None:
        parts.append(f"by chance {quantity.show(values.null_mean)}")
    return Cell(quantity.show(values.mean), "; ".join(parts))
