"""How good is each text? The table TEXT_METRICS, and the scores of N texts by its rows.

N texts, F findings. A text is scored only where there is something to compare it with: NaN where
the reference is blank, or does not say what the metric asks for. All values lie in [0, 1]; those
from outside are as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fairlora_cls.data.groups import listed_names
from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.texts.clinical_metrics import chexbert_findings, green, radgraph_f1
from fairlora_cls.texts.diagnoses import READERS, reader_for
from fairlora_cls.texts.finding_f1 import FindingLabels, text_f1
from fairlora_cls.texts.generations import Generations
from fairlora_cls.texts.report_labels import NO_FINDING, label_reports
from fairlora_cls.texts.word_overlap import bleu, exact_match, rouge_l

REPORT = "report"  # the question whose answers are reports
LEAST_SHARE = 0.05  # of the references that must state a finding for findings to be compared
POOLED = {  # metrics that all texts' findings give together → the part of `FindingF1` that they are
    "findings_f1_micro": "micro",
    "findings_f1_macro": "macro",
}


@dataclass(frozen=True)
class Scored:
    """What one metric says: a score per text, and what else came of it."""

    values: np.ndarray  # (N,) float64; NaN where undefined
    findings: FindingLabels | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TextScorer:
    """One row of TEXT_METRICS."""

    label: str
    description: str
    function: Callable[[Generations], Scored] | None  # None: scored outside
    higher_is_better: bool = True
    needs: str | None = None  # the optional extra that has its package


@dataclass(frozen=True)
class TextScores:
    """All scores of N texts."""

    per_text: Mapping[str, np.ndarray]  # metric → (N,) float64; NaN where undefined for that text
    findings: FindingLabels | None  # of `chexbert_f1` where it was asked for, else of `findings`
    counts: Mapping[str, int]  # blank texts and references, unread diagnoses, missing scores

    @property
    def defined(self) -> tuple[str, ...]:
        """The metrics of which some text has a score."""
        return tuple(name for name, values in self.per_text.items() if not np.isnan(values).all())


def score_texts(
    generations: Generations,
    metrics: str | Sequence[str],
    outside: Mapping[str, Mapping[str, float]] | None = None,
) -> TextScores:
    """The scores of every text by `metrics`, rows of TEXT_METRICS, and by `outside`, metric → id →
    value (`read_scores`), which may leave texts out.

    Raises InputError for an unknown metric, one that is asked for and comes from outside too, an
    outside score of an unknown id, and where a metric's package or weights are missing.
    """
    outside, metrics = outside or {}, listed_names(metrics)
    for name in metrics:
        if name not in TEXT_METRICS:
            raise InputError(f"There is no text metric '{name}'{nearest(name, TEXT_METRICS)}")
        if name in outside:
            raise InputError(
                f"The metric '{name}' is asked for and comes from outside too; leave out one of them."
            )
    per_text: dict[str, np.ndarray] = {}
    findings: FindingLabels | None = None
    counts = {
        "blank_texts": sum(not text.strip() for text in generations.texts),
        "blank_references": sum(not text.strip() for text in generations.references),
    }
    for name in metrics:
        scored = TEXT_METRICS[name].function(generations)
        per_text[name] = scored.values
        counts |= scored.counts
        if scored.findings is not None and (findings is None or name == "chexbert_f1"):
            findings = scored.findings
    for name, values in outside.items():
        per_text[name] = _joined(name, values, generations)
        counts[f"{name}_without_score"] = int(np.isnan(per_text[name]).sum())
    return TextScores(per_text, findings, counts)


def usual_metrics(generations: Generations) -> tuple[str, ...]:
    """The rows of TEXT_METRICS for who names none: those that need no other package, but `findings`
    only where references state two different ones or more: answers about skin would agree in having
    none, and "the lesion" is not one of the lung."""
    stated = np.delete(label_reports(generations.references), FINDINGS.index(NO_FINDING), axis=1)
    of_chest = stated.any(axis=0).sum() >= 2 and stated.any(axis=1).mean() >= LEAST_SHARE
    without = () if of_chest else ("findings",)
    return tuple(
        name for name, row in TEXT_METRICS.items() if row.needs is None and name not in without
    )


def needed_metrics(asked: Iterable[str]) -> tuple[str, ...]:
    """The rows of TEXT_METRICS that give the metrics asked for: `findings` gives the pooled F1."""
    return tuple(dict.fromkeys("findings" if name in POOLED else name for name in asked))


def metric_row(name: str) -> TextScorer:
    """The row of a metric; one that no row describes is taken as higher is better."""
    return TEXT_METRICS.get(name) or TextScorer(name, "scored outside this package", None)


def _joined(name: str, values: Mapping[str, float], generations: Generations) -> np.ndarray:
    unknown = sorted(set(values) - set(generations.ids))
    if unknown:
        raise InputError(
            f"The outside metric '{name}' scores {len(unknown)} ids that no text has (first: "
            f"'{unknown[0]}'){nearest(unknown[0], generations.ids)}"
        )
    return np.array([values.get(identity, np.nan) for identity in generations.ids])


def _by_pair(function: Callable[..., float], **options: int) -> Callable[[Generations], Scored]:
    """A row's function of one that scores a text beside its reference; equal pairs are scored once."""

    def score(generations: Generations) -> Scored:
        pairs = list(zip(generations.texts, generations.references, strict=True))
        known = {pair: function(*pair, **options) for pair in dict.fromkeys(pairs)}
        return Scored(np.array([known[pair] for pair in pairs], dtype=np.float64))

    return score


def _diagnosis(generations: Generations) -> Scored:
    """1 where the text names the diagnosis, by the reader that the labels call for.

    A text counts only where its reference, read alike, names its label (without a label: names
    any): other questions' answers are left out. A text that names none is wrong, and counted.
    """
    labels = [label for label in generations.labels if label is not None]
    reader = reader_for(labels) if labels else READERS[0]
    values = np.full(len(generations), np.nan)
    unparsed = differing = 0
    for row, (text, reference, label) in enumerate(
        zip(generations.texts, generations.references, generations.labels, strict=True)
    ):
        truth = reader.read(reference)
        if truth is None:
            continue
        if label is not None and reader.class_of(label) != truth:
            differing += 1
            continue
        said = reader.read(text)
        values[row] = said == truth
        unparsed += said is None
    counts = {
        "diagnosis_read": int((~np.isnan(values)).sum()),
        "diagnosis_unparsed": unparsed,
        "diagnosis_reference_differs": differing,
    }
    return Scored(values, counts=counts)


def _findings(generations: Generations) -> Scored:
    """The findings of each report by rules (`report_labels`), uncertain ones counted as there."""
    return _by_findings(generations, label_reports, "rules")


def _chexbert(generations: Generations) -> Scored:
    """The findings of each report by CheXbert; a blank text has none."""
    applies = _is_report(generations)

    def read(texts: Sequence[str]) -> np.ndarray:
        labels = np.zeros((len(texts), len(FINDINGS)), dtype=bool)
        rows = [k for k, text in enumerate(texts) if applies[k] and text.strip()]
        if rows:
            labels[rows] = chexbert_findings([texts[k] for k in rows])
        return labels

    return _by_findings(generations, read, "CheXbert")


def _by_findings(
    generations: Generations, read: Callable[[Sequence[str]], np.ndarray], labeller: str
) -> Scored:
    findings = FindingLabels(
        FINDINGS,
        read(generations.references),
        read(generations.texts),
        _is_report(generations),
        labeller,
    )
    return Scored(text_f1(findings), findings)


def _of_reports(
    function: Callable[[Sequence[str], Sequence[str]], np.ndarray],
) -> Callable[[Generations], Scored]:
    """A row's function of one that scores references beside texts; a blank text of a report is 0."""

    def score(generations: Generations) -> Scored:
        applies = _is_report(generations)
        values = np.where(applies, 0.0, np.nan)
        rows = [k for k, text in enumerate(generations.texts) if applies[k] and text.strip()]
        if rows:
            references = [generations.references[k] for k in rows]
            values[rows] = function(references, [generations.texts[k] for k in rows])
        return Scored(values)

    return score


def _is_report(generations: Generations) -> np.ndarray:
    """(N,) bool: the reference is not blank and, where some texts answer the question `report`,
    so does this one."""
    asked = REPORT in generations.questions
    return np.array(
        [
            bool(reference.strip()) and (not asked or question == REPORT)
            for reference, question in zip(
                generations.references, generations.questions, strict=True
            )
        ]
    )


TEXT_METRICS: dict[str, TextScorer] = {
    "exact_match": TextScorer(
        "exact match",
        "the same words in the same order; case, punctuation and spaces do not count",
        _by_pair(exact_match),
    ),
    "bleu_1": TextScorer(
        "BLEU-1",
        "sacrebleu sentence BLEU of words: lower case, 13a tokens, brevity penalty; mean over texts",
        _by_pair(bleu, order=1),
    ),
    "bleu_4": TextScorer(
        "BLEU-4",
        "sacrebleu sentence BLEU up to 4-grams: lower case, 13a tokens, exponential smoothing, "
        "effective order, brevity penalty; mean over texts",
        _by_pair(bleu, order=4),
    ),
    "rouge_l": TextScorer(
        "ROUGE-L",
        "rouge-score's F-measure of the longest common subsequence of words, without stemming",
        _by_pair(rouge_l),
    ),
    "diagnosis": TextScorer(
        "diagnosis accuracy",
        "the diagnosis read from the text, earliest name first; a text that names none is wrong",
        _diagnosis,
    ),
    "findings": TextScorer(
        "findings F1",
        "CheXpert's 14 findings read by rules from text and reference (not the CheXpert labeler), "
        "uncertain ones counted as there; per text the F1 of its set of findings",
        _findings,
    ),
    "radgraph_f1": TextScorer(
        "RadGraph-F1",
        "overlap of clinical entities and whether they stand in a relation (package radgraph)",
        _of_reports(radgraph_f1),
        needs="clinical",
    ),
    "chexbert_f1": TextScorer(
        "CheXbert-F1",
        "CheXpert's 14 findings read by CheXbert (package f1chexbert), uncertain ones counted as "
        "there; per text the F1 of its set of findings",
        _chexbert,
        needs="clinical",
    ),
    "green": TextScorer(
        "GREEN",
        "matched findings over those and clinically significant errors, counted by a language model "
        "(package green-score)",
        _of_reports(green),
        needs="green",
    ),
}
