"""What do the numbers on texts mean, in sentences? The words that report.md and report.html share."""

from fairlora_cls.evaluation.summary import tell_gaps
from fairlora_cls.evaluation.text_results import TextReport
from fairlora_cls.evaluation.wording import Headline
from fairlora_cls.presentation.numbers import UNDEFINED


def headline_of(report: TextReport) -> Headline:
    """The gap that the report judges, in words."""
    metric = report.metrics[report.headline]
    return Headline(
        gap=f"{report.headline}_gap",
        metric=report.headline,
        noun=metric.title,
        if_equal="equally well served",
        if_worse="the texts are worse for some groups",
        counted="texts",
        grouped="images",
        planned="5 points" if metric.is_in_points else "0.05",
        quantity=metric,
    )


def describe_texts_in_short(report: TextReport) -> list[str]:
    """How good beside a constant answer, how fair, and how sure."""
    metric, estimate = report.metrics[report.headline], report.overall[report.headline]
    text = f"Over {report.n:,} texts, {metric.title} is {metric.show(estimate.value)}"
    if estimate.interval is not None:
        text += f" (95% interval {metric.show_range(estimate.interval)})"
    score = report.constant.scores.get(report.headline)
    if score is not None and score.value is not None:
        text += f"; {_beside_constant(report)}"
    return [f"{text}.", *tell_gaps(report.attributes, headline_of(report))]


def _beside_constant(report: TextReport) -> str:
    metric, score = report.metrics[report.headline], report.constant.scores[report.headline]
    limits = score.difference.interval
    text = f"the same text for every image would score {metric.show(score.value)}"
    if limits is None:
        return text
    low, high = limits if metric.better == "higher" else (-limits[1], -limits[0])
    if low > 0:
        reading = "the texts are better than that"
    elif high < 0:
        reading = "the texts are worse than that"
    else:
        reading = "the texts are not shown to be better than that"
    difference = metric.show_signed(score.difference.value)
    return f"{text}: {reading} (difference {difference}, {metric.show_range(limits)})"


def describe_text_method(report: TextReport) -> list[str]:
    """How the numbers are made, one paragraph each."""
    drawn = (
        "texts drawn within groups"
        if report.units is None
        else f"whole units drawn within groups ({report.units:,} patients, lesions or images, each "
        "with all of its texts); group names are dealt to whole units too"
    )
    without = ""
    if report.undefined:
        without = f" No text has a score of {', '.join(report.undefined)}."
    metrics = "; ".join(f"{facts.title}: {facts.description}" for facts in report.metrics.values())
    return [
        f"Metrics. {metrics}. A score is the mean over the texts that have it; F1 of findings, micro "
        "and macro, is computed from the counts of all texts together. Where no text of a group has "
        f"a score it is undefined ({UNDEFINED}), and gaps are taken over the groups that remain."
        f"{without}",
        f"Intervals hold the middle 95% of {report.bootstrap:,} bootstrap resamples of {drawn} "
        "(percentile method); bias-corrected (BC) ones move those percentiles by the share of "
        "resamples below the value. Shares of right texts that rest on fewer than 100 texts, or on "
        "fewer than 10 right or wrong ones, have Wilson's interval instead (W), counted in units "
        "where units are known. A gap is a maximum minus a minimum, so noise alone makes it "
        "positive: judge it by what chance gives.",
        "What chance gives: group names are dealt out anew among all texts that answer the same "
        "question, or among units that answer the same questions (among all, where fewer than 20 "
        "images are asked the same). This takes references as "
        "exchangeable too: groups whose references are harder to match, or hold other findings, "
        "differ for that reason as well. p is the share of such draws, the observed one counted, "
        "with a gap at least as large; beyond the draws it is continued by an exponential tail, "
        f"which overstates it. Corrected p: Holm's method over all {report.gaps_tested} gaps of the "
        f"pooled texts. The gap in {report.metrics[report.headline].title}, which the summary "
        "judges, is one question per attribute asked in advance: its verdict rests on Holm's "
        "correction over the attributes alone. Gaps of single questions, and shifts of findings, "
        "are corrected among themselves.",
        "Controlled gaps (cross-sectional) hold the other attributes fixed: the gap inside each "
        f"stratum of their crossed groups that has {report.minimum_stratum_size} images, averaged "
        "with the strata's sizes as weights, beside the same mean when group names are dealt out "
        "anew inside each stratum.",
        "Equity-scaled scores: FairLLaVA's is overall / (1 + gap in percentage points); "
        "FairCLIP's is overall / (1 + sum of the groups' distances from overall, in fractions). "
        "Overall is the score of all texts.",
        "The constant answer is, for each question, the reference that shares most words with all "
        "references of that question (F1 of word counts, over the 400 most frequent different "
        "references): it knows the test set's references and the model does not, so it is not an "
        "easy opponent. Its difference from the model is paired: both are drawn alike.",
        f"Random seed {report.seed}.",
    ]
