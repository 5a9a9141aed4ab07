"""Are the texts equally good for every group, and how sure can this test set make us?

`text_report` computes; `report.write_report` writes the same files as for predictions of classes.
N texts, G groups, R resamples.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.evaluation.constant_answer import constant_answer
from fairlora_cls.evaluation.groupings import Grouping, grouping_of, held_attributes
from fairlora_cls.evaluation.many_tests import correct_for_many
from fairlora_cls.evaluation.results import AttributeResult
from fairlora_cls.evaluation.side_by_side import side_by_side
from fairlora_cls.evaluation.text_attributes import (
    MeasuredTexts,
    Texts,
    controlled_text_gaps,
    headline_power,
    larger_text_groups,
    measure_texts,
    text_attribute,
    text_groups,
)
from fairlora_cls.evaluation.text_draws import ScoredTexts, scored_texts
from fairlora_cls.evaluation.text_examples import text_examples
from fairlora_cls.evaluation.text_findings import correct_shifts, finding_shifts
from fairlora_cls.evaluation.text_results import QuestionResult, TextMetric, TextReport
from fairlora_cls.evaluation.text_warnings import describe_text_warnings
from fairlora_cls.texts.generations import Generations, example_ids
from fairlora_cls.texts.scores import TEXT_METRICS, TextScores, metric_row

HEADLINES = ("diagnosis", "findings_f1_micro", "rouge_l", "bleu_4", "bleu_1", "exact_match")
RATES = ("exact_match", "diagnosis")  # each text is right or wrong
LEAST_SHARE = 0.1  # of the texts that the headline metric must be defined for
FEWEST_ALIKE = 20  # images that are asked the same, for names to be dealt out among them alone
MOST_QUESTIONS = 12  # reported one by one
POOLED_TITLES = {
    "findings_f1_micro": ("micro F1 of findings", "over all findings of all texts together"),
    "findings_f1_macro": ("macro F1 of findings", "mean over the findings, each over all texts"),
}


def text_report(
    generations: Generations,
    scores: TextScores,
    attributes: str | Iterable[str] | None = None,
    *,
    bootstrap: int = 1000,
    minimum_group_size: int = 20,
    minimum_stratum_size: int = 30,
    headline: str | None = None,
    excerpts: int = 2,
    seed: int = 42,
    notes: str | Iterable[str] = (),
) -> TextReport:
    """Measures generated texts overall and between groups, with the uncertainty of each number.

    scores: of these texts, in their order
    attributes: attributes of the texts, or intersections such as "sex×race"; None takes all. Blank
        values form the group 'missing'.
    bootstrap: resamples per interval and null; 0 leaves both out
    minimum_group_size: smaller groups are named in the warnings; they stay in every number but
        the shifts of findings
    minimum_stratum_size: images that a stratum of the other attributes needs
    headline: the metric whose gaps are judged; None takes the first of HEADLINES that is defined for
        at least LEAST_SHARE of the texts
    excerpts: best, median and worst texts shown, each; 0 shows none
    notes: what the training run wants repeated among the warnings
    Raises InputError for an unknown attribute or headline, an attribute of more than 500 groups, and
    where no text has any score. Metrics that no text has are left out and named.
    """
    if bootstrap < 0:
        raise ValueError(f"bootstrap is {bootstrap}; it must be 0 or more resamples")
    names = listed_names(generations.attributes if attributes is None else attributes)
    scored = scored_texts(scores)
    metrics = describe_metrics(scored)
    chosen = headline_metric(scored, headline)
    texts = _texts(generations, scored, metrics)
    everyone = Grouping(("everyone",), np.zeros(len(generations), dtype=int))
    groupings = [everyone, *(grouping_of(generations, name) for name in names)]
    pooled, *measured = side_by_side(
        lambda place: measure_texts(
            texts, groupings[place], bootstrap, np.random.default_rng([seed, place])
        ),
        range(len(groupings)),
    )
    overall = {name: float(values[0]) for name, values in pooled.values.items()}
    codes = dict(zip(names, (grouping.codes for grouping in groupings[1:]), strict=True))

    def result(place: int) -> AttributeResult:
        own, name = measured[place], names[place]
        power = headline_power(
            texts, own, chosen, overall[chosen], pooled.bootstrap.overall[chosen]
        )
        generators = [np.random.default_rng([seed, place + 1, view]) for view in (1, 2)]
        held = {other: codes[other] for other in held_attributes(name, names)}
        return replace(
            text_attribute(texts, own, overall, {chosen: power}),
            controlled=controlled_text_gaps(
                texts, codes[name], held, minimum_stratum_size, bootstrap, generators[0]
            ),
            larger_groups=larger_text_groups(
                texts, own.grouping, chosen, minimum_group_size, bootstrap, generators[1]
            ),
        )

    found = dict(zip(names, side_by_side(result, range(len(names))), strict=True))
    results, tested = correct_for_many(found, f"{chosen}_gap")
    shifts = {}
    if scored.findings is not None:
        drawn = side_by_side(
            lambda place: finding_shifts(
                texts,
                groupings[place + 1],
                minimum_group_size,
                bootstrap,
                np.random.default_rng([seed, place + 1, 3]),
            ),
            range(len(names)),
        )
        shifts = correct_shifts(dict(zip(names, drawn, strict=True)))
    report = TextReport(
        n=len(generations),
        examples_n=len(np.unique(texts.examples)),
        units=None if texts.units is None else len(set(texts.units)),
        metrics=metrics,
        headline=chosen,
        overall=text_groups(texts, pooled)["everyone"].metrics,
        attributes=results,
        shifts=shifts,
        questions=_questions(generations, texts, names, f"{chosen}_gap", bootstrap, seed),
        undefined=tuple(name for name in scores.per_text if name not in metrics),
        constant=constant_answer(generations, scored, bootstrap, seed, texts.units),
        examples=text_examples(generations, scores, chosen, excerpts),
        counts=_counts(generations, scores),
        warnings=(),
        bootstrap=bootstrap,
        minimum_group_size=minimum_group_size,
        minimum_stratum_size=minimum_stratum_size,
        seed=seed,
        gaps_tested=tested,
    )
    return replace(
        report, warnings=(*describe_text_warnings(report), *map(str, listed_names(notes)))
    )


def describe_metrics(scored: ScoredTexts) -> dict[str, TextMetric]:
    """Every metric in the order of the scores, those pooled over the findings last."""
    found = {}
    for name in scored.names:
        row, values = metric_row(name), scored.scores(name)
        values = values[~np.isnan(values)]
        is_rate = name in RATES or (name not in TEXT_METRICS and np.isin(values, (0, 1)).all())
        found[name] = TextMetric(
            title=row.label,
            description=row.description,
            better="higher" if row.higher_is_better else "lower",
            kind="rate" if is_rate else "mean",
            is_fraction=bool(((values >= 0) & (values <= 1)).all()),
        )
    for name in scored.metrics[len(scored.names) :]:
        title, description = POOLED_TITLES[name]
        found[name] = TextMetric(title, description, "higher", "pooled", True)
    return found


def headline_metric(scored: ScoredTexts, asked: str | None) -> str:
    """The metric asked for, or the first of HEADLINES that enough texts have. Raises InputError for
    one that no text has."""
    observed = scored.observed()
    if asked is not None:
        if asked not in observed:
            raise InputError(f"The texts have no score '{asked}'{nearest(asked, observed)}")
        candidates = [asked]
    else:
        counts, least = scored.counts(), LEAST_SHARE * len(scored.values)
        usual = [name for name in HEADLINES if name in observed and counts[name] >= least]
        candidates = [*usual, *observed]
    defined = [name for name in candidates if not np.isnan(observed[name])]
    if not defined:
        raise InputError(f"No text has a score of '{asked}'; judge by another metric.")
    return defined[0]


def _texts(
    generations: Generations, scored: ScoredTexts, metrics: Mapping[str, TextMetric]
) -> Texts:
    examples = example_ids(generations)
    return Texts(
        scored,
        metrics,
        units_of(generations),
        np.unique(examples, return_inverse=True)[1],
        _kinds(examples, generations.questions),
    )


def units_of(generations: Generations) -> tuple[str, ...] | None:
    """(N,) what belongs together: a patient's or lesion's texts, and those of one image. A unit that
    is only the text's own id says nothing; None where every text is alone."""
    units = tuple(
        example if unit == identity else unit
        for example, unit, identity in zip(
            example_ids(generations), generations.units, generations.ids, strict=True
        )
    )
    return None if len(set(units)) == len(units) else units


def _kinds(examples: Sequence[str], questions: Sequence[str]) -> np.ndarray:
    """(N,) the question of each text, among whose like group names are dealt out. All alike where
    images are asked so differently that few could change places."""
    asked: dict[str, set[str]] = {}
    for example, question in zip(examples, questions, strict=True):
        asked.setdefault(example, set()).add(question)
    sets = Counter(map(frozenset, asked.values()))
    if min(sets.values()) < FEWEST_ALIKE:
        return np.zeros(len(questions), dtype=int)
    return np.unique(np.array(questions, dtype=str), return_inverse=True)[1]


def _questions(
    generations: Generations,
    texts: Texts,
    names: tuple[str, ...],
    headline_gap: str,
    bootstrap: int,
    seed: int,
) -> dict[str, QuestionResult]:
    """The results of each question by itself, at most of the MOST_QUESTIONS most frequent; none where
    there is only one. Their gaps are corrected for one another."""
    counts = Counter(generations.questions)
    if len(counts) == 1:
        return {}
    shown = {question for question, _ in counts.most_common(MOST_QUESTIONS)}
    questions = tuple(question for question in counts if question in shown)
    asked = np.array(generations.questions, dtype=str)
    attributes: dict[tuple[str, str], AttributeResult] = {}
    overall = {}

    def measured(part: Texts, grouping: Grouping, *stream: int) -> MeasuredTexts:
        return measure_texts(part, grouping, bootstrap, np.random.default_rng([seed, 4, *stream]))

    for place, question in enumerate(questions):
        rows = np.flatnonzero(asked == question)
        part = texts.rows(rows)
        kept = {m: f for m, f in texts.metrics.items() if part.scored.counts()[m]}
        everyone = measured(part, Grouping(("everyone",), np.zeros(len(rows), dtype=int)), place)
        values = {name: float(value[0]) for name, value in everyone.values.items()}
        defined = replace(part, metrics=kept)
        overall[question] = len(rows), text_groups(defined, everyone)["everyone"].metrics
        for number, name in enumerate(names):
            grouping = _present(grouping_of(generations, name), rows)
            own = measured(part, grouping, place, number + 1)
            attributes[question, name] = text_attribute(defined, own, values, {})
    corrected, _ = correct_for_many(attributes, headline_gap)
    return {
        question: QuestionResult(n, metrics, {name: corrected[question, name] for name in names})
        for question, (n, metrics) in overall.items()
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
