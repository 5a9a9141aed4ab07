"""What an ablation shows, in sentences that keep chance and evidence apart, and as tables of text.

The same words go into report.md, report.html and the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlora_cls.ablations.results import AblationReport
from fairlora_cls.ablations.runs import FollowedQuantity
from fairlora_cls.ablations.selection import Selection, Validation
from fairlora_cls.ablations.statistics import Contrast, OverSeeds, SettingResult
from fairlora_cls.ablations.verdicts import EndpointOverSeeds
from fairlora_cls.evaluation.comparison_results import AttributeDifferences, Comparison
from fairlora_cls.evaluation.comparison_tables import changes_table
from fairlora_cls.evaluation.comparison_wording import (
    Judged,
    describe_gains_in_short,
    describe_who_gains,
    is_levelling_down,
    proven_changes,
    verdict_on,
)
from fairlora_cls.evaluation.metrics import GAPS, METRICS
from fairlora_cls.evaluation.wording import enumerate_names
from fairlora_cls.presentation.document import Cell, Table
from fairlora_cls.presentation.numbers import UNDEFINED, show_p, show_p_value
from fairlora_cls.statistics.seeds import show_seeds

KINDS = ("evidence", "equal", "undecided", "undefined")
MOST_HARMS = 3  # told of one setting, before the rest is only counted
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
        f"{_difference(contrast)}. {_why(contrast)}{_who_gains(report, contrast)}"
        for contrast in report.contrasts
        if contrast.is_evidence
    ]


def _who_gains(report: AblationReport, contrast: Contrast) -> str:
    """A smaller gap is no good by itself: what it rests on."""
    pair = report.pair(contrast.setting)
    result = pair.attributes.get(contrast.quantity.attribute) if pair else None
    if result is None:
        return ""
    return f" {describe_gains_in_short(report.comparison, pair, result)}."


def describe_settings(report: AblationReport) -> list[str]:
    """One or two sentences on every setting: what its own reports say of its groups, and who gains
    and loses by it."""
    return [
        f"{setting.name}: {_own_verdicts(report.verdicts.get(setting.name, ()))}."
        f"{_beside_reference(report, setting.name)}"
        for setting in report.settings
    ]


def _own_verdicts(verdicts: Sequence[EndpointOverSeeds]) -> str:
    if not verdicts:
        return "its reports judge no endpoint"
    seeds = len(verdicts[0].verdicts)
    harms = [each for each in verdicts if each.harmed()]
    equal = [each for each in verdicts if each.counts()["equal"] == seeds]
    said: dict[str, list[str]] = {}
    for each in harms:
        said.setdefault(f"by {each.attribute} {_worst(each)}", []).append(each.title)
    told = [
        f"{whom} in {enumerate_names(titles)}" for whom, titles in list(said.items())[:MOST_HARMS]
    ]
    if more := sum(len(titles) for titles in list(said.values())[MOST_HARMS:]):
        told.append(f"evidence in {more} more questions")
    if equal:
        every = " in every seed" if seeds > 1 else ""
        names = [f"{each.title} by {each.attribute}" for each in equal]
        told.append(f"shown equal{every}: {enumerate_names(names, 'more')}")
    undefined = sum(each.counts()["undefined"] == seeds for each in verdicts)
    if undecided := len(verdicts) - len(harms) - len(equal) - undefined:
        told.append(f"{undecided} of {len(verdicts)} questions undecided")
    if undefined:
        told.append(f"{undefined} undefined, for there are no two groups to compare")
    return "; ".join(told)


def _worst(each: EndpointOverSeeds) -> str:
    """'Hispanic is served worst (2 of 3 seeds)'."""
    seeds = len(each.verdicts)
    return ", ".join(
        f"{group} is served worst" + (f" ({count} of {seeds} seeds)" if seeds > 1 else "")
        for group, count in each.harmed().most_common()
    )


def _beside_reference(report: AblationReport, setting: str) -> str:
    """What it does to the groups, attributes of which the same is said together."""
    pair = report.pair(setting)
    if pair is None:
        return ""
    said: dict[str, list[str]] = {}
    for attribute, result in pair.attributes.items():
        words = verdict_on(report.comparison, result)[1] + _for_whom(report.comparison, result)
        if is_levelling_down(report.comparison, result):
            words += "; in these runs the gap shrinks by levelling down, no group is served better"
        said.setdefault(words, []).append(attribute)
    told = [f"by {enumerate_names(names)} {words}" for words, names in said.items()]
    return f" Beside {report.reference}: {'; '.join(told)}." if told else ""


def _for_whom(comparison: Comparison, result: AttributeDifferences) -> str:
    """': worse for Hispanic (97 images)', of the changes that chance hardly explains; else ''."""
    proven, images = proven_changes(comparison, result), Judged.of(comparison).images
    told = []
    for sign, word in ((1, "better"), (-1, "worse")):
        groups = dict.fromkeys(each.group for each in proven if sign * each.gain > 0)
        if groups:
            names = [f"{group} ({result.groups[group]:,} {images})" for group in groups]
            told.append(f"{word} for {enumerate_names(names)}")
    return f": {', '.join(told)}" if told else ""


def describe_changes(report: AblationReport) -> list[str]:
    """Who gains and who loses by each setting, of every attribute, with how many they are."""
    pairs = () if report.comparison is None else report.comparison.pairs
    return [
        f"{pair.other}, by {attribute}: {describe_who_gains(report.comparison, pair, result)}"
        for pair in pairs
        for attribute, result in pair.attributes.items()
    ]


def change_tables(report: AblationReport) -> list[Table]:
    """Every group's change by each setting."""
    pairs = () if report.comparison is None else report.comparison.pairs
    return [
        changes_table(
            f"{pair.other} – {pair.reference}: groups of {attribute}",
            report.comparison,
            pair,
            result,
        )
        for pair in pairs
        for attribute, result in pair.attributes.items()
    ]


def describe_verdicts(report: AblationReport) -> list[str]:
    """How to read `verdict_tables`."""
    margins = {run.margin for run in report.runs if run.margin is not None}
    margin = METRICS["accuracy"].show_gap(margins.pop()) if len(margins) == 1 else "the run's"
    return [
        "What the report of each run says of the endpoints that its recipe declares. evidence: "
        "chance does not explain that a group is served worse; equal: the groups are shown to differ "
        f"by less than the margin ({margin}); undecided: neither; undefined: no two groups to compare. "
        "Each run corrects for its own tests only, and nothing is pooled: evidence in one of several "
        "seeds may be chance."
    ]


def verdict_tables(report: AblationReport) -> list[Table]:
    """Of each attribute, a row per setting and a column per endpoint."""
    places: dict[str, dict[str, str]] = {}  # attribute → endpoint → title
    for verdicts in report.verdicts.values():
        for each in verdicts:
            places.setdefault(each.attribute, {})[each.endpoint] = each.title
    tables = []
    for attribute, endpoints in places.items():
        rows = []
        for setting, verdicts in report.verdicts.items():
            own = {each.endpoint: each for each in verdicts if each.attribute == attribute}
            rows.append((Cell(setting), *(_verdict_cell(own.get(name)) for name in endpoints)))
        header = ("Setting", *endpoints.values())
        tables.append(Table(f"{attribute}: verdicts in how many seeds", header, tuple(rows)))
    return tables


def _verdict_cell(each: EndpointOverSeeds | None) -> Cell:
    counts = {} if each is None else each.counts()
    if not counts:
        return Cell(UNDEFINED)
    kinds = [kind for kind in KINDS if counts[kind]]
    return Cell(", ".join(f"{kind} {counts[kind]}" for kind in kinds), _worst(each))


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
        *(
            f"On validation {name} is chosen by {'; by '.join(said)}. On test it has "
            f"{_test_figures(report, settings[name])}.{_useless(report.selections.validation[name])}"
            for name, said in rules.items()
        ),
        *(_refused(report, name, costs) for name, costs in report.selections.refused.items()),
    ]


def _refused(report: AblationReport, name: str, costs: Mapping[str, float]) -> str:
    """Why a setting within the bound is not chosen."""
    show = METRICS["accuracy"].show_gap
    told = [f"{group} {show(cost)}" for group, cost in costs.items()]
    return (
        f"{name} is within the bound, but refused: beside the most accurate setting it costs "
        f"{enumerate_names(told)} of validation accuracy, more than the "
        f"{show(report.selections.gap_cost)} that training.gap_cost allows. A gap that is small "
        "because the best-served fall is levelling down."
    )


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
        f"{enumerate_names([_on_front(report, gap, name) for name in front], most=len(front))} in both."
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


def _on_front(report: AblationReport, gap: FollowedQuantity, setting: str) -> str:
    """A setting whose small gap is no merit is marked."""
    pair = report.pair(setting)
    result = pair.attributes.get(gap.attribute) if pair else None
    if result is None or not is_levelling_down(report.comparison, result):
        return setting
    return f"{setting} (levelling down)"


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
        "Who gains, who loses: each group's change beside the reference on the same test images, a mean "
        "over the seeds. Its p is the larger one of both tests, corrected over all settings, attributes "
        "and groups, for each metric by itself; its interval reaches as far as the wider one of the "
        "bootstrap interval over test images and the t-interval over seeds, so that it excludes 0 only "
        "where both do. A gap that shrinks though no group is served better is called levelling down.",
        "By chance: the mean gap, or in figures the band that holds 95% of gaps, of equally well "
        "served groups of these sizes, averaged over the runs.",
        "A setting is chosen on validation predictions only, by the mean over its seeds; gaps there "
        "are the largest MaxAccGap of the protected attributes. A bound must not be met by harming a "
        "group: a setting counts only where no group's accuracy lies more than training.gap_cost below "
        "what the group has in the most accurate setting (levelling down: Zietlow et al. 2022, CVPR; "
        "Mittelstadt et al. 2023). Where none of these is within the bound, the smallest gap of them "
        "wins.",
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
            Cell("evidence" if each.is_evidence else "undecided", _gains_cell(report, each)),
        )
        for each in report.contrasts
        if each.quantity == quantity
    )
    return Table(f"{quantity.title}: setting − {report.reference}", header, rows)


def _gains_cell(report: AblationReport, contrast: Contrast) -> str:
    pair = report.pair(contrast.setting)
    result = pair.attributes.get(contrast.quantity.attribute) if pair else None
    return "" if result is None else verdict_on(report.comparison, result)[1]


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
    return bound if selection.bound_met else f"{bound} (none meets it: by the smallest gap)"


def _test_figures(report: AblationReport, setting: SettingResult) -> str:
    return ", ".join(f"{q.title} {q.show(setting.numbers[q].mean)}" for q in report.leading())


def _mean_cell(quantity: FollowedQuantity, values: OverSeeds) -> Cell:
    limits = show_seeds(quantity, values)
    parts = [limits] if limits else []
    if values.null_mean is not None:
        parts.append(f"by chance {quantity.show(values.null_mean)}")
    return Cell(quantity.show(values.mean), "; ".join(parts))
