"""What must a reader know before trusting a report on texts? Warnings in words, the worst first."""

from fairlora_cls.data.answers import MISSING
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.evaluation.results import AttributeResult
from fairlora_cls.evaluation.text_results import FindingShifts, TextReport
from fairlora_cls.evaluation.wording import SIGNIFICANCE, enumerate_names, judge
from fairlora_cls.presentation.numbers import show_p_value


def describe_text_warnings(report: TextReport) -> list[str]:
    """Every warning."""
    warnings = _model_warnings(report) + _score_warnings(report)
    for attribute, result in report.attributes.items():
        warnings += _group_warnings(report, attribute, result)
    for attribute, shifts in report.shifts.items():
        warnings += _shift_warnings(attribute, shifts)
    for attribute, result in report.attributes.items():
        warnings += _gap_warnings(report, attribute, result)
    return warnings


def _model_warnings(report: TextReport) -> list[str]:
    counts, warnings = report.counts, []
    if counts["different_texts"] == counts["questions"] < counts["different_references"]:
        warnings.append(
            f"The model has collapsed: its {report.n:,} texts are the same for every image. Gaps "
            "reflect the groups' references, not what the model sees."
        )
    blank, truncated = counts.get("blank_texts", 0), counts["truncated_texts"]
    if blank:
        warnings.append(f"{blank:,} of {report.n:,} texts are empty; they count as wrong.")
    if truncated:
        warnings.append(
            f"{truncated:,} of {report.n:,} texts were cut off at the largest number of new tokens; "
            "they are scored as they stand."
        )
    if counts.get("blank_references"):
        warnings.append(
            f"{counts['blank_references']:,} of {report.n:,} references are empty: there is nothing "
            "to compare their texts with."
        )
    unparsed = counts.get("diagnosis_unparsed", 0)
    if unparsed:
        warnings.append(
            f"No diagnosis could be read from {unparsed:,} of {counts['diagnosis_read']:,} texts "
            "that should name one; they count as wrong."
        )
    return warnings + _constant_warnings(report)


def _constant_warnings(report: TextReport) -> list[str]:
    """In which metrics one text for every image does as well, or better."""
    told: dict[str, list[str]] = {"worse": [], "not shown to be better": []}
    for name, score in report.constant.scores.items():
        metric, limits = report.metrics[name], score.difference.interval
        if limits is None:
            continue
        low, high = limits if metric.better == "higher" else (-limits[1], -limits[0])
        if low <= 0:
            told["worse" if high < 0 else "not shown to be better"].append(
                f"{metric.title} {metric.show(report.overall[name].value)} (constant "
                f"{metric.show(score.value)})"
            )
    return [
        f"The texts are {verdict} than one text for every image would be: {'; '.join(metrics)}."
        for verdict, metrics in told.items()
        if metrics
    ]


def _score_warnings(report: TextReport) -> list[str]:
    warnings = []
    for name, metric in report.metrics.items():
        lacking = report.counts.get(f"{name}_without_score", 0)
        if lacking:
            warnings.append(f"{lacking:,} of {report.n:,} texts have no {metric.title} score.")
        if not metric.is_fraction:
            warnings.append(
                f"{metric.title} has values outside 0 to 1: it has no equity-scaled score, which is "
                "defined for fractions. Divide scores in percent by 100."
            )
    return warnings


def _group_warnings(report: TextReport, attribute: str, result: AttributeResult) -> list[str]:
    warnings = []
    missing = sum(
        group.n for name, group in result.groups.items() if MISSING in name.split(INTERSECTION)
    )
    if missing:
        whole = " in at least one of its columns" if INTERSECTION in attribute else ""
        warnings.append(
            f"{attribute}: {missing:,} of {report.n:,} texts have no value{whole}; they stand in the "
            f"group '{MISSING}'."
        )
    if len(result.groups) == 1:
        warnings.append(
            f"{attribute}: all texts are in one group, '{next(iter(result.groups))}', so there is "
            "nothing to compare."
        )
    small = [
        f"{name} ({group.examples})"
        for name, group in result.groups.items()
        if group.examples < report.minimum_group_size
    ]
    if small:
        warnings.append(
            f"{attribute}: fewer than {report.minimum_group_size} images in "
            f"{enumerate_names(small)}. Their numbers say little."
        )
    return warnings


def _shift_warnings(attribute: str, shifts: FindingShifts) -> list[str]:
    told = [
        f"{finding} (shift {100 * shifts.groups[gap.best][finding].shift:+.1f} points for {gap.best}, "
        f"{100 * shifts.groups[gap.worst][finding].shift:+.1f} for {gap.worst})"
        for finding, gap in shifts.gaps.items()
        if gap.p_value_holm is not None and gap.p_value_holm <= SIGNIFICANCE
    ]
    if not told:
        return []
    return [
        f"{attribute}: findings are over- or understated unequally, more than chance explains even "
        f"when all findings are counted: {enumerate_names(told, 'more findings')}."
    ]


def _gap_warnings(report: TextReport, attribute: str, result: AttributeResult) -> list[str]:
    leads = [
        f"{report.metrics[name].title} {report.metrics[name].show_gap(gap.value)} (by chance "
        f"{report.metrics[name].show_gap(gap.null_mean)} on average, p "
        f"{show_p_value(gap.p_value)})"
        for name, gap in _gaps(report, result)
        if judge(gap) == "lead"
    ]
    chance = [
        f"{report.metrics[name].title} {report.metrics[name].show_gap(gap.value)} (by chance "
        f"{report.metrics[name].show_gap(gap.null_mean)} on average)"
        for name, gap in _gaps(report, result)
        if judge(gap) == "chance"
    ]
    warnings = []
    if leads:
        warnings.append(
            f"{attribute}: unusual by themselves (p ≤ {SIGNIFICANCE}), but not once the gaps tested "
            f"are counted: {'; '.join(leads)}."
        )
    if chance:
        warnings.append(
            f"{attribute}: equal groups of these sizes would show such gaps by chance (p > "
            f"{SIGNIFICANCE}): {'; '.join(chance)}."
        )
    return warnings


def _gaps(report: TextReport, result: AttributeResult):
    return [(name, result.gaps[f"{name}_gap"]) for name in report.metrics]
