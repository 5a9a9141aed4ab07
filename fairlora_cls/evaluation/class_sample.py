"""Predictions of classes as a sample: every metric of METRICS under any weights.

N examples, K classes, G groups, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from fairlora_cls.evaluation.metrics import (
    CALIBRATION_BINS,
    EQUITY_SCALED,
    GAPS,
    METRICS,
    ONE_VS_REST,
    calibration_terms,
    confidences,
)
from fairlora_cls.evaluation.prediction_table import Predictions
from fairlora_cls.evaluation.vectorised import (
    COUNTED,
    ScoredRows,
    counted_metrics,
    denominators,
    error_by_group,
    error_metrics,
    mean_over_classes,
    prepare_scores,
    ranking_by_class,
    ranking_by_group,
)
from fairlora_cls.statistics.draws import HELD, affordable_draws
from fairlora_cls.statistics.resampling import chunks
from fairlora_cls.statistics.sample import Cells, Key, Measures, stacked, units_by_group

SHIFT = "shift"  # of a class: predicted minus reference share
WITHIN_LABELS = "within labels"  # of accuracy: names dealt among examples of the same label
CALIBRATED_DRAWS = 400
CONTROLLED_GAPS = (  # means over strata of what counts decide
    "max_acc_gap",
    "sensitivity_gap",
    "fpr_gap",
    "equalized_odds_difference",
    "demographic_parity_difference",
)


@dataclass(frozen=True)
class ClassSample:
    """N answers of a classifier; a `Sample`. Of K > 2 classes with `by_class` also each class against
    the rest, under the keys (metric, code)."""

    labels: np.ndarray  # (N,) codes
    predictions: np.ndarray  # (N,) codes
    probabilities: np.ndarray  # (N, K)
    positive: int
    units: np.ndarray | None  # (N,) names
    ranked_by: np.ndarray  # (N, K): what AUROC and average precision rank
    counted: bool = True  # measures what counts decide
    scored: bool = True  # measures what reads probabilities
    by_class: bool = False
    schemes = ("label", "all")  # in which order they are dealt where counts do not decide
    equity_scaled = EQUITY_SCALED

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        return self.probabilities.shape[1]

    @property
    def metrics(self) -> Mapping:
        return METRICS if self.scored else {name: METRICS[name] for name in COUNTED}

    @property
    def gaps(self) -> Mapping:
        return GAPS if self.scored else {name: GAPS[name] for name in CONTROLLED_GAPS}

    def rows(self, rows: np.ndarray) -> ClassSample:
        return replace(
            self,
            labels=self.labels[rows],
            predictions=self.predictions[rows],
            probabilities=self.probabilities[rows],
            units=None if self.units is None else self.units[rows],
            ranked_by=self.ranked_by[rows],
        )

    def quick(self) -> ClassSample:
        return replace(self, scored=False, by_class=False)

    def weighted(self, weights: np.ndarray) -> Measures:
        """(R, N) int32 → (R,) each."""
        values: Measures = {}
        if self.counted:
            values |= self._from_counts((self._cell_matrix @ weights.T).T)
        if self.scored:
            ranked = ranking_by_class(weights, self._scored_rows)
            values |= self._ranked(ranked) | error_metrics(weights, self._scored_rows)
        return values

    def dealt(self, codes: Mapping[str, np.ndarray], sizes: np.ndarray) -> Measures:
        """Of what counts do not decide: the rest is dealt as `cells`."""
        ranked, erring, rows = codes["label"], codes["all"], self._scored_rows
        if self.units is None:  # the groups keep their sizes: all of them at once
            by_group = ranking_by_group(ranked, sizes, rows)
            return self._ranked(by_group) | error_by_group(erring, sizes, rows)
        return stacked(
            [
                self._ranked(ranking_by_class((ranked == code).astype(np.int32), rows))
                | error_metrics((erring == code).astype(float), rows)
                for code in range(len(sizes))
            ]
        )

    def observed(self, codes: np.ndarray, groups: int) -> Measures:
        """Every metric, where all are asked for by the functions of METRICS."""
        if not self.scored:
            return self._from_counts(confusion_by_group(self, codes, groups))
        members = [self.rows(np.flatnonzero(codes == code)) for code in range(groups)]
        values: Measures = {
            name: np.array(
                [
                    metric.function(m.labels, m.predictions, m.probabilities, m.positive)
                    for m in members
                ]
            )
            for name, metric in METRICS.items()
        }
        if self.by_class:
            ones = [np.ones((1, len(part)), dtype=np.int32) for part in members]
            own = stacked([part.weighted(w) for part, w in zip(members, ones, strict=True)])
            values |= {key: value[0] for key, value in own.items() if not isinstance(key, str)}
        return values

    def counts(self, codes: np.ndarray, groups: int) -> Measures:
        confusion = confusion_by_group(self, codes, groups)
        return self._by_metric(lambda code: denominators(confusion, code))

    def independent(self, codes: np.ndarray, groups: int) -> Measures:
        if self.units is None:
            return self.counts(codes, groups)
        of_labels = confusion_by_group(self, codes, groups).sum(axis=2)
        rarer = self.labels != of_labels.argmax(axis=1)[codes]

        def units_of(code: int) -> Measures:
            labelled, selected = self.labels == code, self.predictions == code
            counted = {
                "examples": np.ones_like(labelled),
                "positives": labelled,
                "negatives": ~labelled,
                "selected": selected,
                "rejected": ~selected,
                "rarer": rarer,
            }
            return {
                kind: units_by_group(self.units, codes, groups, mask)
                for kind, mask in counted.items()
            }

        return self._by_metric(units_of)

    def sizes(self, codes: np.ndarray, groups: int) -> np.ndarray:
        return np.bincount(codes, minlength=groups)

    def hits(self, codes: np.ndarray, groups: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        counts = denominators(confusion := confusion_by_group(self, codes, groups), self.positive)
        right = np.trace(confusion, axis1=1, axis2=2)
        detected = confusion[:, self.positive, self.positive]
        alarms = counts["selected"] - detected
        return {
            "accuracy": (right, counts["examples"]),
            "sensitivity": (detected, counts["positives"]),
            "specificity": (counts["negatives"] - alarms, counts["negatives"]),
            "fpr": (alarms, counts["negatives"]),
            "selection_rate": (counts["selected"], counts["examples"]),
        }

    def calibrated(
        self, codes: np.ndarray, groups: int, generator: np.random.Generator
    ) -> Measures:
        """Labels are drawn from the probabilities: what is left of the calibration error is noise."""
        if not self.scored:
            return {}
        confidence = confidences(self.probabilities, self.positive).astype(np.float32)
        bins, _ = calibration_terms(self.labels, self.probabilities, self.positive)
        ones = np.ones(len(self), dtype=np.float32)
        cells = csr_array(
            (ones, (codes * CALIBRATION_BINS + bins, np.arange(len(self)))),
            (groups * CALIBRATION_BINS, len(self)),
        )
        drawn = []
        for size in chunks(affordable_draws(CALIBRATED_DRAWS, len(self)), len(self), HELD):
            outcomes = generator.random((len(self), size), dtype=np.float32) < confidence[:, None]
            apart = np.abs(cells @ (outcomes - confidence[:, None]))
            drawn.append(apart.reshape(groups, CALIBRATION_BINS, size).sum(axis=1).T)
        return {"ece": np.concatenate(drawn) / self.sizes(codes, groups)}

    def kinds(self, scheme: str) -> np.ndarray:
        kinds = {"label": self.labels, "prediction": self.predictions}
        return kinds.get(scheme, np.zeros(len(self), dtype=int))

    def paired(self, other: ClassSample) -> ClassSample:
        """For AUROC and average precision an example's rank among all of its model's probabilities
        is exchanged (Venkatraman and Begg 1996), because two models may use the scale differently."""
        from scipy.stats import rankdata

        ranks = [rankdata(sample.ranked_by, axis=0) for sample in (self, other)]
        return replace(
            self,
            labels=np.concatenate([self.labels, other.labels]),
            predictions=np.concatenate([self.predictions, other.predictions]),
            probabilities=np.concatenate([self.probabilities, other.probabilities]),
            units=None,
            ranked_by=np.concatenate(ranks),
        )

    def cells(self) -> Cells | None:
        if not self.counted:
            return None
        order = np.argsort(self.probabilities[:, self.positive], kind="stable")
        along = np.arange(self.classes)
        return Cells(
            self.labels * self.classes + self.predictions,
            self.classes**2,
            {
                "all": (np.arange(self.classes**2),),
                "label": tuple(code * self.classes + along for code in along),
                "prediction": tuple(along * self.classes + code for code in along),
            },
            self._from_counts,
            _scheme_of,
            replace(self.rows(order), counted=False) if self.scored else None,
            order,
        )

    @cached_property
    def _cell_matrix(self) -> csr_array:
        """(K·K, N): 1 where an example's label and prediction meet."""
        cell = self.labels * self.classes + self.predictions
        ones = np.ones(len(self), dtype=np.int32)
        return csr_array((ones, (cell, np.arange(len(self)))), (self.classes**2, len(self)))

    @cached_property
    def _scored_rows(self) -> ScoredRows:
        return prepare_scores(self.labels, self.probabilities, self.positive, self.ranked_by)

    @property
    def _each_class(self) -> range:
        return range(self.classes if self.by_class and self.classes > 2 else 0)

    def _from_counts(self, counts: np.ndarray) -> Measures:
        """(..., K·K) or (..., K, K) → (...) each, and of `by_class` each class and its shift."""
        shape = counts.shape[: -1 if counts.shape[-1] == self.classes**2 else -2]
        tables = counts.reshape(*shape, self.classes, self.classes)
        values: Measures = dict(counted_metrics(tables, self.positive))
        for code in self._each_class:
            own = counted_metrics(tables, code)
            values |= {(name, code): own[name] for name in ONE_VS_REST if name in own}
        if self.by_class:
            values["accuracy", WITHIN_LABELS] = values["accuracy"]
            total = np.maximum(tables.sum(axis=(-2, -1)), 1)
            for code in range(self.classes):
                more = tables[..., :, code].sum(axis=-1) - tables[..., code, :].sum(axis=-1)
                values[SHIFT, code] = more / total
        return values

    def _ranked(self, by_class: Measures) -> Measures:
        """(..., rankings) → their means, and each class's."""
        values: Measures = {name: mean_over_classes(each) for name, each in by_class.items()}
        for code in self._each_class:
            values |= {(name, code): each[..., code] for name, each in by_class.items()}
        return values

    def _by_metric(self, count_kinds) -> Measures:
        """Each metric's kind of count; count_kinds: code of a class → kind → (G,)."""
        own = count_kinds(self.positive)
        values: Measures = {name: own[metric.rests_on] for name, metric in self.metrics.items()}
        for code in self._each_class:
            own = count_kinds(code)
            values |= {(name, code): own[METRICS[name].rests_on] for name in ONE_VS_REST}
        return values


def _scheme_of(key: Key) -> str | None:
    """Among which examples group names are dealt out for this metric."""
    if key == ("accuracy", WITHIN_LABELS):
        return "label"
    metric = METRICS.get(key if isinstance(key, str) else key[0])
    return metric.exchangeable_within if metric else None


def class_sample(predictions: Predictions, by_class: bool = False) -> ClassSample:
    """The sample that a table of predictions is. by_class: each of K > 2 classes too, and shifts."""
    units = None if predictions.units is None else np.array(predictions.units, dtype=str)
    return ClassSample(
        predictions.labels,
        predictions.predictions,
        predictions.probabilities,
        predictions.positive,
        units,
        predictions.probabilities,
        by_class=by_class,
    )


def confusion_by_group(
    answers: Predictions | ClassSample, codes: np.ndarray, groups: int
) -> np.ndarray:
    """(G, K label, K prediction) counts."""
    classes = answers.probabilities.shape[1]
    cells = (codes * classes + answers.labels) * classes + answers.predictions
    counts = np.bincount(cells, minlength=groups * classes**2)
    return counts.reshape(groups, classes, classes)
