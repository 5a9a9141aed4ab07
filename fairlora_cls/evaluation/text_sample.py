"""Scored texts as a sample: means of their scores, F1 of all findings together, medians.

N texts, M metrics that are means of the texts' scores, F findings, G groups, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fairlora_cls.errors import InputError
from fairlora_cls.statistics.gaps import EquityScaled, Gap, equity_scaled
from fairlora_cls.statistics.sample import (
    MEDIAN,
    Measure,
    Measures,
    quotient,
    stacked,
    units_by_group,
)
from fairlora_cls.texts.finding_f1 import FindingLabels, finding_f1
from fairlora_cls.texts.generations import Generations, image_ids
from fairlora_cls.texts.scores import POOLED, TEXT_METRICS, TextScores, metric_row

RATES = ("exact_match", "diagnosis")  # each text is right or wrong
FEWEST_ALIKE = 20  # images that are asked the same, for names to be dealt out among them alone


@dataclass(frozen=True)
class TextMetric(Measure):
    """What a metric is, and how the report treats it."""

    title: str
    description: str
    better: str  # higher | lower
    kind: str  # rate (a text is right or wrong) | mean (of the texts' scores) | pooled (F1)
    is_fraction: bool  # every value lies in [0, 1]
    exchangeable_within = "question"
    rests_on = "texts"

    @property
    def unit(self) -> str:
        return "rate" if self.kind == "rate" else "score"

    @property
    def is_share(self) -> bool:
        return self.kind == "rate"


POOLED_METRICS = {
    "findings_f1_micro": TextMetric(
        "micro F1 of findings", "over all findings of all texts together", "higher", "pooled", True
    ),
    "findings_f1_macro": TextMetric(
        "macro F1 of findings",
        "mean over the findings, each over all texts",
        "higher",
        "pooled",
        True,
    ),
}


@dataclass(frozen=True)
class TextSample:
    """N scored texts; a `Sample`."""

    metrics: Mapping[str, TextMetric]  # those of `values`, in their order, and those pooled
    values: np.ndarray  # (N, M) float64, 0 where undefined
    defined: np.ndarray  # (N, M) float64, 1 where the text has that score
    findings: FindingLabels | None
    units: np.ndarray | None  # (N,) patient or lesion, and the texts of one image
    images: np.ndarray  # (N,) ints: which image each text is about
    questions: np.ndarray  # (N,) ints: which question it answers
    medians: bool = False  # measures those, too
    schemes = ("question",)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that single texts have."""
        return tuple(self.metrics)[: self.values.shape[1]]

    @property
    def gaps(self) -> dict[str, Gap]:
        return text_gaps(self.metrics)

    @property
    def equity_scaled(self) -> dict[str, EquityScaled]:
        return text_equity(self.metrics)

    def rows(self, rows: np.ndarray) -> TextSample:
        return replace(
            self,
            values=self.values[rows],
            defined=self.defined[rows],
            findings=_findings_at(self.findings, rows),
            units=None if self.units is None else self.units[rows],
            images=self.images[rows],
            questions=self.questions[rows],
        )

    def only(self, names: Sequence[str]) -> TextSample:
        """Without the other metrics."""
        columns = [place for place, name in enumerate(self.names) if name in names]
        return replace(
            self,
            metrics={name: self.metrics[name] for name in self.metrics if name in names},
            values=self.values[:, columns],
            defined=self.defined[:, columns],
            findings=self.findings if any(name in names for name in POOLED) else None,
        )

    def quick(self) -> TextSample:
        return replace(self, medians=False)

    def scores(self, name: str) -> np.ndarray:
        """(N,) scores of the metric `name`, NaN where undefined."""
        column = self.names.index(name)
        return np.where(self.defined[:, column] > 0, self.values[:, column], np.nan)

    def weighted(self, weights: np.ndarray) -> Measures:
        values: Measures = {}
        for name, ranked in self._ranked.items():
            values[name, MEDIAN] = _weighted_median(*ranked, weights)
        weights = weights.astype(float)
        means = quotient(weights @ self.values, weights @ self.defined)
        values |= {name: means[:, column] for column, name in enumerate(self.names)}
        if self.findings is not None:
            pooled = finding_f1(self.findings, weights)
            values |= {name: getattr(pooled, part) for name, part in POOLED.items()}
        return values

    def dealt(self, codes: Mapping[str, np.ndarray], sizes: np.ndarray) -> Measures:
        means = self.quick()
        return stacked([means.weighted(codes["question"] == code) for code in range(len(sizes))])

    def observed(self, codes: np.ndarray, groups: int) -> Measures:
        members = [self.rows(np.flatnonzero(codes == code)) for code in range(groups)]
        by_group = stacked([part.weighted(np.ones((1, len(part)), int)) for part in members])
        return {key: values[0] for key, values in by_group.items()}

    def everyone(self) -> dict[str, float]:
        """Every metric of all texts."""
        values = self.observed(np.zeros(len(self), dtype=int), 1)
        return {name: float(values[name][0]) for name in self.metrics}

    def counts(self, codes: np.ndarray, groups: int) -> Measures:
        return {
            name: np.bincount(codes[mask], minlength=groups) for name, mask in self._masks.items()
        }

    def independent(self, codes: np.ndarray, groups: int) -> Measures:
        if self.units is None:
            return self.counts(codes, groups)
        return {
            name: units_by_group(self.units, codes, groups, mask)
            for name, mask in self._masks.items()
        }

    def sizes(self, codes: np.ndarray, groups: int) -> np.ndarray:
        pairs = np.unique(np.column_stack([codes, self.images]), axis=0)
        return np.bincount(pairs[:, 0], minlength=groups)

    def hits(self, codes: np.ndarray, groups: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {
            name: tuple(
                np.bincount(codes, side[:, column], groups).astype(int)
                for side in (self.values, self.defined)
            )
            for column, name in enumerate(self.names)
            if self.metrics[name].is_share
        }

    def calibrated(
        self, codes: np.ndarray, groups: int, generator: np.random.Generator
    ) -> Measures:
        return {}

    def kinds(self, scheme: str) -> np.ndarray:
        return self.questions

    def paired(self, other: TextSample) -> TextSample:
        findings = self.findings
        if findings is not None:
            findings = replace(
                findings,
                **{
                    side: np.concatenate([getattr(each.findings, side) for each in (self, other)])
                    for side in ("reference", "generated", "applies")
                },
            )
        return replace(
            self,
            values=np.vstack([self.values, other.values]),
            defined=np.vstack([self.defined, other.defined]),
            findings=findings,
            units=None,
            images=np.tile(self.images, 2),
            questions=np.tile(self.questions, 2),
        )

    def cells(self) -> None:
        return None

    @cached_property
    def _masks(self) -> dict[str, np.ndarray]:
        """(N,) which texts each metric rests on."""
        masks = {name: self.defined[:, column] > 0 for column, name in enumerate(self.names)}
        if self.findings is not None:
            masks |= dict.fromkeys(POOLED, self.findings.applies)
        return masks

    @cached_property
    def _ranked(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Of metrics whose median says something: the rows with a score in order of it, and those
        scores. Right and wrong alone have none."""
        ranked = {}
        for name in self.names if self.medians else ():
            if self.metrics[name].kind == "mean":
                scores = self.scores(name)
                rows = np.flatnonzero(~np.isnan(scores))
                order = rows[np.argsort(scores[rows], kind="stable")]
                ranked[name] = order, scores[order]
        return ranked


def given_metrics(asked: Sequence[str]) -> list[str]:
    """What a report on texts holds where these rows of TEXT_METRICS are asked for."""
    pooled = POOLED if {"findings", "chexbert_f1"} & set(asked) else ()
    return [*asked, *pooled]


def text_gaps(metrics: Mapping[str, TextMetric]) -> dict[str, Gap]:
    """The largest difference between groups in each metric; called as the metric is."""
    return {
        f"{name}_gap": Gap(
            metric.title,
            (name,),
            "points" if metric.is_in_points else "score",
            metric.exchangeable_within,
        )
        for name, metric in metrics.items()
    }


def text_equity(metrics: Mapping[str, TextMetric]) -> dict[str, EquityScaled]:
    """Equity-scaled scores of fractions of which more is better."""
    return equity_scaled(
        {
            name: metric.title
            for name, metric in metrics.items()
            if metric.is_fraction and metric.better == "higher"
        }
    )


def text_sample(
    generations: Generations,
    scores: TextScores,
    wanted: Sequence[str] | None = None,
    described: Sequence[TextScores] = (),
) -> TextSample:
    """What `score_texts` gave for these texts, as a sample.

    wanted: metrics; None takes those that some text has
    described: what else is compared: a metric is a rate, or a fraction, if it is one in all of them

    Raises InputError where there are none.
    """
    wanted = scores.defined if wanted is None else wanted
    names = tuple(name for name in scores.per_text if name in wanted)
    if not names:
        raise InputError(
            f"No text has a score of {', '.join(scores.per_text) or 'any metric'}: are the references "
            "blank, or is another metric needed?"
        )
    columns = np.column_stack([np.asarray(scores.per_text[name], float) for name in names])
    defined = ~np.isnan(columns)
    findings = scores.findings
    if findings is not None and not findings.applies.any():
        findings = None
    pooled = {} if findings is None else POOLED_METRICS
    images, units = image_ids(generations), units_of(generations)
    described = described or [scores]
    return TextSample(
        {
            name: _describe(name, np.concatenate([each.per_text[name] for each in described]))
            for name in names
        }
        | pooled,
        np.where(defined, columns, 0.0),
        defined.astype(float),
        findings,
        None if units is None else np.array(units, dtype=str),
        np.unique(images, return_inverse=True)[1],
        _kinds(images, generations.questions),
    )


def shared_samples(
    tables: Mapping[str, Generations], scores: Mapping[str, TextScores]
) -> dict[str, TextSample]:
    """Run → its aligned texts as a sample, with the metrics that some text of every run has."""
    runs = [scores[run] for run in tables]
    shared = [name for name in runs[0].defined if all(name in run.defined for run in runs)]
    samples = {run: text_sample(table, scores[run], shared, runs) for run, table in tables.items()}
    if len({tuple(sample.metrics) for sample in samples.values()}) > 1:  # some have no findings
        samples = {run: sample.only(sample.names) for run, sample in samples.items()}
    return samples


def units_of(generations: Generations) -> tuple[str, ...] | None:
    """(N,) what belongs together: a patient's or lesion's texts, and those of one image. A unit that
    is only the text's own id says nothing; None where every text is alone."""
    units = tuple(
        image if unit == identity else unit
        for image, unit, identity in zip(
            image_ids(generations), generations.units, generations.ids, strict=True
        )
    )
    return None if len(set(units)) == len(units) else units


def _describe(name: str, scores: np.ndarray) -> TextMetric:
    row, values = metric_row(name), scores[~np.isnan(scores)]
    is_rate = name in RATES or (name not in TEXT_METRICS and np.isin(values, (0, 1)).all())
    return TextMetric(
        title=row.label,
        description=row.description,
        better="higher" if row.higher_is_better else "lower",
        kind="rate" if is_rate else "mean",
        is_fraction=bool(((values >= 0) & (values <= 1)).all()),
    )


def _kinds(images: Sequence[str], questions: Sequence[str]) -> np.ndarray:
    """(N,) the question of each text, among whose like group names are dealt out. All alike where
    images are asked so differently that few could change places."""
    asked: dict[str, set[str]] = {}
    for image, question in zip(images, questions, strict=True):
        asked.setdefault(image, set()).add(question)
    if min(Counter(map(frozenset, asked.values())).values()) < FEWEST_ALIKE:
        return np.zeros(len(questions), dtype=int)
    return np.unique(np.array(questions, dtype=str), return_inverse=True)[1]


def _findings_at(findings: FindingLabels | None, rows: np.ndarray) -> FindingLabels | None:
    return findings and replace(
        findings,
        reference=findings.reference[rows],
        generated=findings.generated[rows],
        applies=findings.applies[rows],
    )


def _weighted_median(order: np.ndarray, ascending: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R, N) int weights → (R,): the median of each resample, the mean of the two middle scores where
    their number is even; `order` are the rows of the scores `ascending`."""
    if not len(order):
        return np.full(len(weights), np.nan)
    reached = np.cumsum(weights.take(order, axis=1), axis=1)
    total = reached[:, -1:]
    lower, upper = (
        np.minimum((reached <= place).sum(axis=1), len(order) - 1)
        for place in ((total - 1) // 2, total // 2)
    )
    return np.where(total[:, 0] > 0, (ascending[lower] + ascending[upper]) / 2, np.nan)
