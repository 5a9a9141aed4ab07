"""How a report's numbers are made, in words, one paragraph each."""

from __future__ import annotations

from fairlora_cls.evaluation.results import FairnessReport, Report, TextReport
from fairlora_cls.evaluation.wording import nouns_of
from fairlora_cls.presentation.numbers import UNDEFINED


def describe_method(report: Report) -> list[str]:
    """How the numbers are made, one paragraph each."""
    of_texts = isinstance(report, TextReport)
    several = "texts" if of_texts else "examples"
    whole = "patients, lesions or images" if of_texts else "patients or lesions"
    drawn = (
        f"{several} drawn within groups"
        if report.units is None
        else f"whole units drawn within groups ({report.units:,} {whole}, each with all of its "
        f"{several}); group names are dealt to whole units too"
    )
    ratios = "" if of_texts else " (for ratios, at least as small)"
    return [
        _metrics_of_texts(report) if of_texts else _metrics_of_classes(report),
        _intervals_of_texts(report, drawn) if of_texts else _intervals_of_classes(report, drawn),
        "The interval of a gap holds for all pairs of groups at once (Tukey and Kramer), so it can "
        "reach down to no difference at all; the observed gap does not: a gap is a largest "
        "difference, so noise alone makes it positive. Judge it by what chance gives. An "
        "equity-scaled score's goes from the lower end of the overall value, with the groups as far "
        "apart as their interval allows, to its upper end with them as close.",
        f"What chance gives: group names are dealt out anew among "
        f"{_exchanged_texts() if of_texts else _exchanged_examples()} p is the share of such draws, "
        f"the observed one counted, with a gap at least as large{ratios}; beyond the draws it is "
        "continued by an exponential tail, an approximation. Corrected p: Holm's method over all "
        f"{report.gaps_tested} different gaps tested in this report. {_judged(report)}",
        f"What could be found: each group's value is taken as normal, one group (the one with the "
        f"fewest {nouns_of(report).grouped}) lags and the others are at the level of all. Shares"
        f"{'' if of_texts else ' and AUROCs'} vary as much as they do at their own level. The gap is "
        "found when it is larger than 95% of gaps between equal groups. Stated are the smallest true "
        f"gap found in 80% of such studies{'' if of_texts else ' (for ratios, the largest ratio)'} "
        "and the size that equal groups would need for 5 points, by this one test; sentences on "
        "verdicts state the size for all tests of their family. Approximate for small counts.",
        "Controlled gaps hold the other attributes fixed: the gap inside each stratum of their "
        f"crossed groups that has enough {nouns_of(report).grouped}, averaged with the "
        "strata's sizes as weights, beside the same mean when group names are dealt out anew inside "
        "each stratum.",
        "Equity-scaled scores: FairLLaVA's is overall / (1 + gap in percentage points); "
        "FairCLIP's is overall / (1 + sum of the groups' distances from overall, in fractions).",
        *([_CONSTANT_ANSWER] if of_texts else []),
        f"Random seed {report.seed}.",
    ]


def _intervals_of_classes(report: FairnessReport, drawn: str) -> str:
    whole = (
        ""
        if report.units is None
        else " As units are drawn whole, so are all others, with Student's t for few units."
    )
    return (
        "Intervals (95%) are made so that they hold in small groups too. Rates: Wilson's; AUROC: "
        "Newcombe's (his method 5). F1: Wilson's of the share of hits among all that are labelled or "
        "predicted so. Balanced accuracy: Wilson's of its rates, put together. Average precision and "
        "Brier score: Wilson's of as many independent examples as would vary as much as "
        f"{report.bootstrap:,} bootstrap resamples of {drawn}.{whole} Calibration error has none: "
        "noise alone raises it, so it stands beside what it would be if the probabilities were right "
        "(labels drawn from them, middle 95%). Where no interval holds, the reason stands in its "
        "place."
    )


def _intervals_of_texts(report: TextReport, drawn: str) -> str:
    return (
        f"Intervals (95%) rest on {report.bootstrap:,} bootstrap resamples of {drawn}. Shares of right "
        "texts have Wilson's, other scores between 0 and 1 Wilson's of as many independent texts as "
        "would vary as much as the resamples do, scores on other scales Student's t. Medians have the "
        "middle of the resamples. Where no interval holds, the reason stands in its place."
    )


def _metrics_of_classes(report: FairnessReport) -> str:
    averaged = (
        ""
        if len(report.classes) == 2
        else " AUROC, average precision and balanced accuracy are means over the classes present; "
        "calibration error is that of the most probable class, and the Brier score sums over "
        "classes. Each class against the rest, and the plain (macro) mean over classes, have tables "
        "of their own."
    )
    return (
        f"Sensitivity, specificity, predictive values, F1 and the share predicted positive are "
        f"those of the class '{report.positive}' against the rest. {_decision_text(report)}"
        f"{averaged} Where a group has no example that a metric needs, the value is undefined "
        f"({UNDEFINED}), and gaps are taken over the groups that remain. Calibration error uses 15 "
        "bins of equal width and is biased upward in small groups."
    )


def _metrics_of_texts(report: TextReport) -> str:
    metrics = "; ".join(f"{each.title}: {each.description}" for each in report.metrics.values())
    undefined = ", ".join(report.undefined)
    return (
        f"Metrics. {metrics}. A score is the mean over the texts that have it; F1 of findings, micro "
        "and macro, is computed from the counts of all texts together. Where no text of a group has "
        f"a score it is undefined ({UNDEFINED}), and gaps are taken over the groups that remain."
        f"{f' No text has a score of {undefined}.' if undefined else ''}"
    )


def _exchanged_examples() -> str:
    return (
        "examples that could be exchanged if the groups were equal: among all examples for accuracy, "
        "the share predicted positive and errors of probabilities; among examples of the same label "
        "for sensitivity, specificity, F1, AUROC and equalized odds; among those of the same "
        "prediction for predictive values."
    )


def _exchanged_texts() -> str:
    return (
        "all texts that answer the same question, or among units that answer the same questions "
        "(among all, where fewer than 20 images are asked the same). This takes references as "
        "exchangeable too: groups whose references are harder to match, or hold other findings, "
        "differ for that reason as well."
    )


def _judged(report: Report) -> str:
    """How the verdicts come about."""
    of_texts = isinstance(report, TextReport)
    margin = next(iter(report.measures.values())).show_gap(report.endpoints.margin)
    within = (
        ""
        if of_texts
        else (
            " Names are dealt out among examples of the same label, for accuracy too, so that groups "
            "with other shares of disease are no evidence against a model."
        )
    )
    others = (
        " Gaps of single questions, and shifts of findings, are corrected among themselves."
        if of_texts
        else ""
    )
    return (
        f"Verdicts are on what was declared in advance ({', '.join(report.endpoints.names)}); all "
        "else is exploratory. Each of these for each attribute is one test, and all of them are "
        f"corrected together (Holm).{within} Equal means that the upper end of an interval that holds "
        "for all pairs of groups at once (Tukey and Kramer) lies below "
        f"{margin}; otherwise that end is what could hide. Groups of fewer than "
        f"{report.minimum_group_size} {nouns_of(report).grouped} take no part while two larger ones "
        f"remain.{others}"
    )


_CONSTANT_ANSWER = (
    "The constant answer is, for each question, the reference that shares most words with all "
    "references of that question (F1 of word counts, over the 400 most frequent different "
    "references): it knows the test set's references and the model does not, so it is not an easy "
    "opponent. Its difference from the model is paired: both are drawn alike."
)


def _decision_text(report: FairnessReport) -> str:
    decision = report.decision
    if decision is None or decision.rule == "given":
        return "The predictions are those of the table; no single threshold explains them."
    if decision.rule == "argmax":
        cut = f", which is a threshold of 0.5 on '{report.positive}'" if decision.threshold else ""
        return f"An example's prediction is its most probable class{cut}."
    if decision.threshold is None:
        return f"The predictions are a threshold's on the probability of '{report.positive}'."
    low, high = decision.threshold
    return (
        f"The predictions are those of a threshold between {low:.3g} and {high:.3g} on the "
        f"probability of '{report.positive}'."
    )
