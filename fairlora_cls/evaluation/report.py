"""Is the model equally good for every group, and how sure can this test set make us?

`fairness_report` and `text_report` compute, `write_report` writes: report.json, report.md,
report.html, checklist.md and figures, with every number taken from the report.
N examples, G groups, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlora_cls.data.groups import listed_names, single_attributes
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.groupings import Grouping, grouping_of, held_attributes
from fairlora_cls.evaluation.prediction_table import UNLABELLED, Predictions
from fairlora_cls.evaluation.results import (
    AttributeResult,
    Endpoints,
    EndpointVerdict,
    FairnessReport,
    GroupResult,
    QuestionResult,
    Report,
    TextEstimate,
    TextGroupResult,
    TextReport,
)
from fairlora_cls.evaluation.side_by_side import side_by_side

if TYPE_CHECKING:
    from fairlora_cls.evaluation.measuring import Measured
    from fairlora_cls.evaluation.text_sample import TextSample
    from fairlora_cls.evaluation.verdicts import Endpoint
    from fairlora_cls.presentation.document import Section
    from fairlora_cls.statistics.sample import Sample
    from fairlora_cls.statistics.suppression import Hidden
    from fairlora_cls.texts.generations import Generations
    from fairlora_cls.texts.scores import TextScores

HEADLINES = ("diagnosis", "findings_f1_micro", "rouge_l", "bleu_4", "bleu_1", "exact_match")
LEAST_SHARE = 0.1  # of the texts that the headline metric must be defined for
MOST_QUESTIONS = 12  # reported one by one
NET_BENEFIT_STREAM = 41  # of random numbers, that nothing else draws


@dataclass(frozen=True)
class Settings:
    """How a report measures."""

    bootstrap: int
    minimum_group_size: int
    minimum_stratum_size: int
    suppress_below: int | None
    seed: int
    margin: float

    def __post_init__(self) -> None:
        if self.bootstrap < 0:
            raise InputError(f"bootstrap is {self.bootstrap}; it must be 0 or more resamples.")
        if not 0 < self.margin < 1:
            raise InputError(f"margin is {self.margin:g}; it must lie between 0 and 1.")

    @property
    def publishes_everything(self) -> bool:
        return self.suppress_below is None

    def generator(self, *stream: int) -> np.random.Generator:
        """Of one view, so that its numbers depend on no other view, nor on the number of cores."""
        return np.random.default_rng([self.seed, *stream])


def fairness_report(
    predictions: Predictions,
    attributes: str | Iterable[str] | None = None,
    *,
    bootstrap: int = 1000,
    minimum_group_size: int = 20,
    minimum_stratum_size: int = 30,
    suppress_below: int | None = None,
    seed: int = 42,
    notes: str | Iterable[str] = (),
    seen: Mapping[str, Collection[str]] | None = None,
    endpoints: str | Iterable[str] | None = None,
    margin: float = 0.05,
    declared: str = "default",
    site: str | None = None,
    trained_sites: Collection[str] | None = None,
) -> FairnessReport:
    """Measures a model's predictions overall and between groups, with the uncertainty of each.

    attributes: columns of `predictions`, or intersections such as "sex×race"; None takes every
        column. Blank values form the group 'missing'.
    bootstrap: resamples per interval and null; 0 leaves both out
    minimum_group_size: smaller groups are named in the warnings; they stay in every number.
        Counted in patients or lesions (units) where these are known, and so is:
    minimum_stratum_size: examples that a stratum of the other attributes needs, to enter the
        controlled gaps
    suppress_below: for publishing: every number from which a cell of fewer examples could be
        recovered is left out; None leaves nothing out
    notes: what the training run wants repeated among the warnings
    seen: ids and units of other splits, by the split's name; shared ones are a warning
    endpoints: what is judged, declared in advance: names of metrics; None takes the usual ones
        (`verdicts.BINARY`; of K > 2 classes accuracy, AUROC, the sensitivity of each)
    margin: the largest difference between groups that counts as equal
    declared: where the endpoints come from: default, recipe or command line
    site: the column of hospitals, devices or clinics, which get a view of their own; with `attributes`
        None it is no attribute
    trained_sites: those that training saw; None: not known
    Raises InputError for unlabelled examples, an unknown attribute, or an attribute of
    more than 500 groups.
    """
    from fairlora_cls.evaluation.class_parts import (
        class_gap_results,
        class_results,
        curves,
        describe_decision,
        prevalence,
    )
    from fairlora_cls.evaluation.class_sample import class_sample, confusion_by_group
    from fairlora_cls.evaluation.measuring import group_estimates
    from fairlora_cls.evaluation.metrics import HEADLINE_GAP
    from fairlora_cls.evaluation.verdicts import class_endpoints
    from fairlora_cls.evaluation.warnings import describe_warnings
    from fairlora_cls.statistics.draws import affordable_draws
    from fairlora_cls.statistics.suppression import hide_small_cells

    settings = Settings(
        bootstrap, minimum_group_size, minimum_stratum_size, suppress_below, seed, margin
    )
    names = _attribute_names(predictions, attributes, site)
    _require_labels(predictions)
    sample = class_sample(predictions, by_class=True)
    groupings = _groupings(predictions, names)
    confusions = [confusion_by_group(predictions, g.codes, len(g.names)) for g in groupings]
    hidden = hide_small_cells(
        [grouping.codes for grouping in groupings],
        [confusion.sum(axis=(1, 2)) for confusion in confusions],
        [confusion.sum(axis=2) for confusion in confusions],
        [confusion.reshape(len(confusion), -1) for confusion in confusions],
        below=suppress_below,
    )

    def group(measured: Measured, code: int, which: Hidden) -> GroupResult:
        labels = predictions.labels[measured.members(code)]
        return GroupResult(
            n=None if which.sizes[code] else len(labels),
            positives=None if which.labels[code] else int((labels == predictions.positive).sum()),
            metrics=group_estimates(measured, code),
            units=None if measured.units is None else int(measured.units[code]),
        )

    def more(place: int, measured: Measured) -> dict[str, Any]:
        of_groups = {}
        if settings.publishes_everything:
            of_groups = {
                name: curves(predictions, measured.members(code))
                for code, name in enumerate(measured.grouping.names)
            }
        return {
            "group_classes": class_results(measured, predictions.classes),
            "class_gaps": class_gap_results(measured, predictions.classes),
            "prevalence": prevalence(
                predictions, measured, bootstrap, settings.generator(place, 2)
            ),
            "curves": of_groups,
        }

    asked = class_endpoints(predictions.classes, listed_names(endpoints or ()))
    views, results, tested, verdicts = _measure_views(
        sample, names, groupings, hidden, settings, HEADLINE_GAP, 3, group, asked, more
    )
    pooled = views[0]
    decision, everyone = describe_decision(predictions), group(pooled, 0, hidden[0])
    report = FairnessReport(
        n=everyone.n,
        classes=predictions.classes,
        positive=predictions.classes[predictions.positive],
        overall=everyone.metrics,
        attributes=results,
        endpoints=Endpoints(tuple(each.name for each in asked), margin, declared),
        verdicts=verdicts,
        warnings=(),
        bootstrap=bootstrap,
        minimum_group_size=minimum_group_size,
        seed=seed,
        decision=decision if suppress_below is None else replace(decision, threshold=None),
        units=None if predictions.units is None else len(set(predictions.units)),
        score_draws=affordable_draws(bootstrap, len(predictions.ids)),
        gaps_tested=tested,
        suppressed_below=suppress_below,
    )
    if classes := class_results(pooled, predictions.classes):
        report = replace(report, overall_classes=classes["everyone"])
    clinical, harm = _clinical_sections(report, predictions, views, settings)
    warnings = describe_warnings(report, predictions, seen or {})
    return replace(
        report,
        warnings=(*harm, *warnings, *map(str, listed_names(notes))),
        sections=(
            *clinical,
            *_sites(report, site, predictions, sample, groupings, asked, group, trained_sites),
        ),
    )


def text_report(
    generations: Generations,
    scores: TextScores,
    attributes: str | Iterable[str] | None = None,
    *,
    bootstrap: int = 1000,
    minimum_group_size: int = 20,
    minimum_stratum_size: int = 30,
    suppress_below: int | None = None,
    headline: str | None = None,
    excerpts: int = 2,
    seed: int = 42,
    notes: str | Iterable[str] = (),
    seen: Mapping[str, Collection[str]] | None = None,
    endpoints: str | Iterable[str] | None = None,
    margin: float = 0.05,
    declared: str = "default",
    site: str | None = None,
    trained_sites: Collection[str] | None = None,
) -> TextReport:
    """Measures generated texts overall and between groups, with the uncertainty of each number.

    scores: of these texts, in their order
    attributes: attributes of the texts, or intersections such as "sex×race"; None takes all. Blank
        values form the group 'missing'.
    bootstrap: resamples per interval and null; 0 leaves both out
    minimum_group_size: smaller groups are named in the warnings; they stay in every number but
        the shifts of findings. Counted in units where these are known, and so is:
    minimum_stratum_size: images that a stratum of the other attributes needs
    suppress_below: for publishing: every number from which a cell of fewer texts or images could be
        recovered is left out, and so are texts, shifts of findings and single questions
    headline: the metric whose gaps are judged; None takes the first of HEADLINES that is defined for
        at least LEAST_SHARE of the texts
    excerpts: best, median and worst texts shown, each; 0 shows none
    notes: what the training run wants repeated among the warnings
    seen: ids and units of other splits, by the split's name; shared ones are a warning
    endpoints: what is judged, declared in advance: names of metrics; None takes the headline
    margin: the largest difference between groups that counts as equal
    declared: where the endpoints come from: default, recipe or command line
    site, trained_sites: as of `fairness_report`
    Raises InputError for an unknown attribute, endpoint or headline, an attribute of more than 500 groups, and
    where no text has any score. Metrics that no text has are left out and named.
    """
    from fairlora_cls.evaluation.constant_answer import constant_answer
    from fairlora_cls.evaluation.finding_shifts import correct_shifts, finding_shifts
    from fairlora_cls.evaluation.text_examples import text_examples
    from fairlora_cls.evaluation.text_sample import text_sample
    from fairlora_cls.evaluation.verdicts import text_endpoints
    from fairlora_cls.evaluation.warnings import describe_text_warnings
    from fairlora_cls.statistics.suppression import hide_small_cells

    settings = Settings(
        bootstrap, minimum_group_size, minimum_stratum_size, suppress_below, seed, margin
    )
    names = _attribute_names(generations, attributes, site)
    sample = replace(text_sample(generations, scores), medians=True)
    chosen = headline_metric(sample, headline)
    groupings = _groupings(generations, names)
    hidden = hide_small_cells(
        [grouping.codes for grouping in groupings],
        *zip(*(_text_cells(sample, grouping) for grouping in groupings), strict=True),
        below=suppress_below,
    )
    asked = text_endpoints(sample.metrics, chosen, listed_names(endpoints or ()))
    (pooled, *_), results, tested, verdicts = _measure_views(
        sample, names, groupings, hidden, settings, f"{chosen}_gap", 2, _text_group, asked
    )
    shifts = {}
    if sample.findings is not None and settings.publishes_everything:
        drawn = side_by_side(
            lambda place: finding_shifts(
                sample,
                groupings[place],
                minimum_group_size,
                bootstrap,
                settings.generator(place, 3),
            ),
            range(1, len(groupings)),
        )
        shifts = correct_shifts(dict(zip(names, drawn, strict=True)))
    everyone = _text_group(pooled, 0, hidden[0])
    constant = constant_answer(generations, sample, bootstrap, seed)
    if not settings.publishes_everything:  # its text is somebody's; its scores tell the model's
        scores_of_it = {} if hidden[0].tables[0] else constant.scores
        constant = replace(constant, answers={}, scores=scores_of_it)
    report = TextReport(
        n=everyone.n,
        examples_n=everyone.examples,
        units=None if sample.units is None else len(set(sample.units)),
        metrics=sample.metrics,
        headline=chosen,
        overall=everyone.metrics,
        attributes=results,
        endpoints=Endpoints(tuple(each.name for each in asked), margin, declared),
        verdicts=verdicts,
        shifts=shifts,
        questions=_questions(generations, sample, names, f"{chosen}_gap", settings),
        undefined=tuple(name for name in scores.per_text if name not in sample.metrics),
        constant=constant,
        examples=text_examples(
            generations, scores, chosen, excerpts if settings.publishes_everything else 0
        ),
        counts=_counts(generations, scores),
        warnings=(),
        bootstrap=bootstrap,
        minimum_group_size=minimum_group_size,
        minimum_stratum_size=minimum_stratum_size,
        seed=seed,
        gaps_tested=tested,
        suppressed_below=suppress_below,
    )
    warnings = describe_text_warnings(report, generations, seen or {})
    return replace(
        report,
        counts=_published_counts(report),
        warnings=(*warnings, *map(str, listed_names(notes))),
        sections=_sites(
            report, site, generations, sample, groupings, asked, _text_group, trained_sites
        ),
    )


def write_report(report: Report, folder: str | Path, png: bool = False) -> None:
    """Writes report.json, report.md, report.html and figures/ into `folder`, as `write_document`, and
    checklist.md."""
    from fairlora_cls.evaluation.checklist import render_checklist
    from fairlora_cls.evaluation.document import report_document
    from fairlora_cls.evaluation.figures import draw_figures
    from fairlora_cls.presentation.writing import CHECKLIST, write_document

    document = report_document(report, draw_figures(report))
    beside = {CHECKLIST: render_checklist(report)}
    write_document(document, report.to_dict(), folder, "report", beside=beside, png=png)


def headline_metric(sample: TextSample, asked: str | None) -> str:
    """The metric asked for, or the first of HEADLINES that enough texts have. Raises InputError for
    one that no text has."""
    values, codes = sample.everyone(), np.zeros(len(sample), dtype=int)
    if asked is not None:
        if asked not in values:
            raise InputError(f"The texts have no score '{asked}'{nearest(asked, values)}")
        candidates = [asked]
    else:
        counts, least = sample.counts(codes, 1), LEAST_SHARE * len(sample)
        usual = [name for name in HEADLINES if name in values and counts[name][0] >= least]
        candidates = [*usual, *values]
    defined = [name for name in candidates if not np.isnan(values[name])]
    if not defined:
        raise InputError(f"No text has a score of '{asked}'; judge by another metric.")
    return defined[0]


def _measure_views(
    sample: Sample,
    names: tuple[str, ...],
    groupings: list[Grouping],
    hidden: list[Hidden],
    settings: Settings,
    headline_gap: str,
    larger_stream: int,
    group: Callable[[Measured, int, Hidden], GroupResult],
    endpoints: Sequence[Endpoint],
    more: Callable[[int, Measured], dict[str, Any]] | None = None,
) -> tuple[list[Measured], dict[str, AttributeResult], int, tuple[EndpointVerdict, ...]]:
    """All that is known of each grouping; every attribute with its gaps corrected for one another, and
    how many those are; and the verdicts on the declared endpoints.

    groupings: everyone, then the attributes `names`; group: the result of one group; more: what else
        is said of the attribute at a place, by field of AttributeResult
    """
    from fairlora_cls.evaluation.measuring import controlled_gaps, larger_groups, measure_groups
    from fairlora_cls.evaluation.multiplicity import correct_for_many
    from fairlora_cls.evaluation.verdicts import correct_verdicts, judge_endpoints, plan_studies

    def measure(place: int) -> Measured:
        generator = settings.generator(place)
        own = measure_groups(
            sample, groupings[place], settings.bootstrap, generator, hidden[place].tables
        )
        # No cell of patients is searched for what could be recovered from their counts.
        return own if settings.publishes_everything else replace(own, units=None)

    pooled, *measured = side_by_side(measure, range(len(groupings)))
    codes = {name: grouping.codes for name, grouping in zip(names, groupings[1:], strict=True)}

    def result(place: int) -> AttributeResult:
        own, name, grouping = measured[place - 1], names[place - 1], groupings[place]
        held = {other: codes[other] for other in held_attributes(name, names)}
        attribute = replace(
            _attribute(own, pooled, pooled, hidden[place], group),
            **more(place, own) if more else {},
        )
        if not settings.publishes_everything:
            return attribute
        return replace(
            attribute,
            controlled=controlled_gaps(
                sample,
                grouping,
                held,
                settings.minimum_stratum_size,
                settings.bootstrap,
                settings.generator(place, 1),
            ),
            larger_groups=larger_groups(
                sample,
                grouping,
                headline_gap,
                settings.minimum_group_size,
                settings.bootstrap,
                settings.generator(place, larger_stream),
            ),
        )

    found = side_by_side(result, range(1, len(groupings)))
    results, tested = correct_for_many(dict(zip(names, found, strict=True)), headline_gap)
    minimum = settings.minimum_group_size
    judged = [
        verdict
        for name, own in zip(names, measured, strict=True)
        for verdict in judge_endpoints(name, own, endpoints, minimum)
    ]
    corrected = correct_verdicts(judged, settings.margin)
    of_attributes = dict(zip(names, measured, strict=True))
    verdicts = plan_studies(corrected, endpoints, of_attributes, pooled)
    return [pooled, *measured], results, tested, verdicts


def _attribute(
    measured: Measured,
    everyone: Measured,
    planned: Measured | None,
    hidden: Hidden,
    group: Callable[[Measured, int, Hidden], GroupResult],
) -> AttributeResult:
    """Groups, gaps and equity-scaled scores of one grouping. planned: everyone, for the power."""
    from fairlora_cls.evaluation.measuring import equity_results, gap_results

    names = measured.grouping.names
    return AttributeResult(
        groups={name: group(measured, code, hidden) for code, name in enumerate(names)},
        gaps=gap_results(measured, planned),
        equity_scaled=equity_results(measured, everyone),
        suppressed_groups=tuple(np.array(names)[measured.hidden].tolist()),
    )


def _attribute_names(
    table: Predictions | Generations, attributes: str | Iterable[str] | None, site: str | None
) -> tuple[str, ...]:
    """Those asked for, or all but those that name the site."""
    if attributes is not None:
        return listed_names(attributes)
    of_site = single_attributes(site or ())
    return tuple(name for name in table.attributes if name not in of_site)


def _sites(
    report: Report,
    site: str | None,
    table: Predictions | Generations,
    sample: Sample,
    groupings: Sequence[Grouping],
    endpoints: Sequence[Endpoint],
    group: Callable[[Measured, int, Hidden], GroupResult],
    trained: Collection[str] | None,
) -> tuple[Section, ...]:
    """The report's part on sites, if a column names them. groupings: everyone, then the attributes."""
    from fairlora_cls.evaluation.site_section import site_section, withheld_sites
    from fairlora_cls.evaluation.sites import measure_sites
    from fairlora_cls.statistics.suppression import nothing_hidden

    if site is None:
        return ()
    grouping = grouping_of(table, site)
    if report.suppressed_below is not None:
        return (withheld_sites(site),)
    found = measure_sites(
        site,
        sample,
        grouping,
        dict(zip(report.attributes, groupings[1:], strict=True)),
        report.verdicts,
        endpoints,
        report.bootstrap,
        report.minimum_group_size,
        report.seed,
    )
    hidden = nothing_hidden(len(grouping.names))
    groups = {name: group(found.measured, code, hidden) for name, code in found.codes.items()}
    return (site_section(report, found, groups, trained),)


def _clinical_sections(
    report: FairnessReport, predictions: Predictions, views: Sequence[Measured], settings: Settings
) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """The report's parts on calibration and on net benefit, and whom acting on the model harms. views:
    everyone, then the attributes."""
    from fairlora_cls.evaluation import calibration_section, net_benefit_section
    from fairlora_cls.evaluation.sections import withheld

    if not settings.publishes_everything:
        parts = (calibration_section, net_benefit_section)
        return tuple(withheld(part.KEY, part.TITLE) for part in parts), ()
    everyone, *others = views
    attributes = dict(zip(report.attributes, others, strict=True))
    groupings = {name: measured.grouping for name, measured in attributes.items()}
    generators = [settings.generator(place, NET_BENEFIT_STREAM) for place in range(len(views))]
    benefit, harm = net_benefit_section.net_benefit_section(
        predictions,
        report.decision,
        everyone,
        attributes,
        settings.bootstrap,
        settings.minimum_group_size,
        generators,
    )
    return (calibration_section.calibration_section(predictions, groupings), benefit), harm


def _groupings(table: Predictions | Generations, names: tuple[str, ...]) -> list[Grouping]:
    everyone = Grouping(("everyone",), np.zeros(len(table.ids), dtype=int))
    return [everyone, *(grouping_of(table, name) for name in names)]


def _require_labels(predictions: Predictions) -> None:
    unlabelled = int((predictions.labels == UNLABELLED).sum())
    if unlabelled:
        raise InputError(
            f"{unlabelled} of {len(predictions.labels)} examples have no label; a report needs the "
            "true class of each in the column 'label'"
        )


def _text_group(measured: Measured, code: int, hidden: Hidden) -> TextGroupResult:
    from fairlora_cls.evaluation.measuring import group_estimates, group_median

    secret = hidden.sizes[code]
    return TextGroupResult(
        n=None if secret else len(measured.members(code)),
        positives=None,
        metrics={
            name: TextEstimate(**vars(estimate), median=group_median(measured, name, code))
            for name, estimate in group_estimates(measured, code).items()
        },
        examples=None if secret else int(measured.sizes[code]),
        units=None if measured.units is None else int(measured.units[code]),
    )


def _text_cells(
    sample: TextSample, grouping: Grouping
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a published report would let a reader count in each group: images; texts and those with
    each score; right and wrong answers, and findings stated, missed and made up. (G, cells) each but
    for the first, (G,)."""
    codes, groups = grouping.codes, len(grouping.names)
    texts = [np.bincount(codes, minlength=groups), *sample.counts(codes, groups).values()]
    answers = list(texts)
    for hits, size in sample.hits(codes, groups).values():
        answers += [hits, size - hits]
    if sample.findings is not None:
        for reference in (True, False):
            for generated in (True, False):
                cells = (sample.findings.reference == reference) & (
                    sample.findings.generated == generated
                )
                cells &= sample.findings.applies[:, None]
                answers += [np.bincount(codes, column, groups) for column in cells.T]
    return sample.sizes(codes, groups), np.column_stack(texts), np.column_stack(answers)


def _questions(
    generations: Generations,
    sample: TextSample,
    names: tuple[str, ...],
    headline_gap: str,
    settings: Settings,
) -> dict[str, QuestionResult]:
    """The results of each question by itself, at most of the MOST_QUESTIONS most frequent; none where
    there is only one, or small cells are hidden. Their gaps are corrected for one another."""
    from fairlora_cls.evaluation.measuring import measure_groups
    from fairlora_cls.evaluation.multiplicity import correct_for_many
    from fairlora_cls.statistics.suppression import nothing_hidden

    counts = Counter(generations.questions)
    if len(counts) == 1 or not settings.publishes_everything:
        return {}
    shown = {question for question, _ in counts.most_common(MOST_QUESTIONS)}
    questions = tuple(question for question in counts if question in shown)
    asked = np.array(generations.questions, dtype=str)
    attributes: dict[tuple[str, str], AttributeResult] = {}
    overall = {}
    for place, question in enumerate(questions):
        rows = np.flatnonzero(asked == question)
        part = sample.rows(rows)
        scored = part.counts(np.zeros(len(rows), dtype=int), 1)
        part = part.only([name for name in part.metrics if scored[name][0]])
        everyone, *groupings = (_present(g, rows) for g in _groupings(generations, names))
        pooled, *measured = (
            measure_groups(
                part, grouping, settings.bootstrap, settings.generator(4, place, *number)
            )
            for grouping, number in [
                (everyone, ()),
                *((g, (k + 1,)) for k, g in enumerate(groupings)),
            ]
        )
        overall[question] = _text_group(pooled, 0, nothing_hidden(1))
        for name, own in zip(names, measured, strict=True):
            hidden = nothing_hidden(len(own.grouping.names))
            attributes[question, name] = _attribute(own, pooled, None, hidden, _text_group)
    corrected, _ = correct_for_many(attributes, headline_gap)
    return {
        question: QuestionResult(
            group.n, group.metrics, {name: corrected[question, name] for name in names}
        )
        for question, group in overall.items()
    }


def _present(grouping: Grouping, rows: np.ndarray) -> Grouping:
    """The groups that some of the texts at `rows` are in."""
    present, codes = np.unique(grouping.codes[rows], return_inverse=True)
    return Grouping(tuple(grouping.names[code] for code in present), codes)


def _counts(generations: Generations, scores: TextScores) -> dict[str, int]:
    answered = list(zip(generations.questions, generations.texts, strict=True))
    return {
        "questions": len(set(generations.questions)),
        "truncated_texts": sum(not complete for complete in generations.complete),
        "different_texts": len(set(answered)),
        "different_references": len(
            set(zip(generations.questions, generations.references, strict=True))
        ),
        **{name: int(count) for name, count in scores.counts.items()},
    }


def _published_counts(report: TextReport) -> dict[str, int | None]:
    """None for counts of texts that are too few to be named, or leave too few others."""
    below, whole = report.suppressed_below or 0, report.n or 0
    return {
        name: None if 0 < count < below or 0 < whole - count < below else count
        for name, count in report.counts.items()
    }
