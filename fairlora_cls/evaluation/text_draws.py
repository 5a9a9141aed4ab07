"""Every score of texts in thousands of resamples at once, and with group names dealt out anew.

N texts, M metrics that are means of the texts' scores, F findings, G groups, R resamples. A
resample is a weight per text (how often it was drawn), so that a mean is a quotient of two products
with the (R, N) weights. What a resample leaves undefined is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairlora_cls.errors import InputError
from fairlora_cls.evaluation.resampling import (
    bootstrap_blocks,
    chunks,
    dealt_codes,
    drawn_weights,
    joined,
    null_blocks,
)
from fairlora_cls.texts.finding_f1 import FindingLabels, finding_f1
from fairlora_cls.texts.scores import POOLED, TextScores

CHUNK = 1 << 20  # weights held at once


@dataclass(frozen=True)
class ScoredTexts:
    """The scores of N texts, ready to be weighted."""

    names: tuple[str, ...]  # (M,)
    values: np.ndarray  # (N, M) float64, 0 where undefined
    defined: np.ndarray  # (N, M) float64, 1 where the text has that score
    findings: FindingLabels | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.names if self.findings is None else (*self.names, *POOLED)

    def rows(self, rows: np.ndarray) -> "ScoredTexts":
        """The texts at `rows`, an int array."""
        findings = self.findings and replace(
            self.findings,
            reference=self.findings.reference[rows],
            generated=self.findings.generated[rows],
            applies=self.findings.applies[rows],
        )
        return ScoredTexts(self.names, self.values[rows], self.defined[rows], findings)

    def scores(self, name: str) -> np.ndarray:
        """(N,) scores of the metric `name`, NaN where undefined."""
        column = self.names.index(name)
        return np.where(self.defined[:, column] > 0, self.values[:, column], np.nan)

    def counts(self) -> dict[str, int]:
        """How many texts each metric rests on."""
        counts = dict(zip(self.names, self.defined.sum(axis=0).astype(int).tolist(), strict=True))
        if self.findings is not None:
            counts |= dict.fromkeys(POOLED, int(self.findings.applies.sum()))
        return counts

    def weighted(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """(R, N) weights -> metric -> (R,)."""
        weights = weights.astype(float)
        means = _quotient(weights @ self.values, weights @ self.defined)
        found = {name: means[:, column] for column, name in enumerate(self.names)}
        if self.findings is not None:
            pooled = finding_f1(self.findings, weights)
            found |= {name: getattr(pooled, part) for name, part in POOLED.items()}
        return found

    def observed(self) -> dict[str, float]:
        """Every metric of the texts themselves."""
        ones = np.ones((1, len(self.values)))
        return {name: float(value[0]) for name, value in self.weighted(ones).items()}


@dataclass(frozen=True)
class TextDraws:
    """Every metric in R resamples: metric -> (R,) of all texts, and (R, G) of the groups."""

    overall: dict[str, np.ndarray]
    by_group: dict[str, np.ndarray]
    medians: dict[str, np.ndarray]  # (R, G), of the metrics asked for


def scored_texts(scores: TextScores, wanted: Sequence[str] | None = None) -> ScoredTexts:
    """What `score_texts` found, ready to be weighted. wanted: metrics; None takes those that some
    text has.

    Raises InputError where there are none.
    """
    names = tuple(
        name
        for name, values in scores.per_text.items()
        if (name in wanted if wanted is not None else not np.isnan(values).all())
    )
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
    return ScoredTexts(names, np.where(defined, columns, 0.0), defined.astype(float), findings)


def stacked_texts(parts: Sequence[ScoredTexts]) -> ScoredTexts:
    """Texts of several models, one after the other; all have the same metrics."""
    findings = [part.findings for part in parts]
    joint = None
    if all(found is not None for found in findings):
        joint = replace(
            findings[0],
            reference=np.vstack([found.reference for found in findings]),
            generated=np.vstack([found.generated for found in findings]),
            applies=np.concatenate([found.applies for found in findings]),
        )
    values, defined = (
        np.vstack([getattr(part, name) for part in parts]) for name in ("values", "defined")
    )
    return ScoredTexts(parts[0].names, values, defined, joint)


def bootstrap_texts(
    scored: ScoredTexts,
    units: Sequence[str] | None,
    codes: np.ndarray,
    groups: int,
    resamples: int,
    generator: np.random.Generator,
    medians: Sequence[str] = (),
) -> TextDraws:
    """Draws each group's texts anew, with replacement, as many as the group has; or whole units.

    codes: (N,) group of each text, 0 .. groups-1, none empty; medians: metrics whose median is
    wanted too
    """
    members = [np.flatnonzero(codes == code) for code in range(groups)]
    parts = [scored] if groups == 1 else [scored.rows(rows) for rows in members]
    ranked = {name: [_Ranked.of(part.scores(name)) for part in parts] for name in medians}
    blocks = bootstrap_blocks(units, codes, groups)
    overall, by_group, middle = [], [], []
    for size in chunks(resamples, len(codes), CHUNK):
        weights = blocks.to_examples(drawn_weights(blocks, size, generator))
        own = [weights] if groups == 1 else [weights.take(rows, axis=1) for rows in members]
        overall.append(scored.weighted(weights))
        values = overall[-1:]
        if groups > 1:
            values = [part.weighted(drawn) for part, drawn in zip(parts, own, strict=True)]
        by_group.append(_stacked(values))
        middle.append(
            {
                name: np.stack([r.median(w) for r, w in zip(each, own, strict=True)], axis=1)
                for name, each in ranked.items()
            }
        )
    if not resamples:
        none = np.empty(0)
        several = np.empty((0, groups))
        metrics = scored.metrics
        return TextDraws(
            dict.fromkeys(metrics, none),
            dict.fromkeys(metrics, several),
            dict.fromkeys(medians, several),
        )
    return TextDraws(joined(overall), joined(by_group), joined(middle))


def null_texts(
    scored: ScoredTexts,
    units: Sequence[str] | None,
    codes: np.ndarray,
    groups: int,
    kinds: np.ndarray,
    draws: int,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Every metric of groups whose names were dealt out anew: metric -> (draws, G).

    kinds: (N,) ints, the question that each text answers: names are dealt among units that answer
        the same ones
    """
    blocks, own = null_blocks(units, codes, kinds)
    own = own.astype(np.min_scalar_type(groups))
    parts = []
    for size in chunks(draws, len(codes), CHUNK):
        dealt = blocks.to_examples(dealt_codes(blocks, own, size, generator))
        parts.append(_stacked([scored.weighted(dealt == code) for code in range(groups)]))
    return joined(parts)


def median_of(scores: np.ndarray) -> float:
    """The median of (N,) scores, over those that are not NaN; NaN where none is."""
    defined = scores[~np.isnan(scores)]
    return float(np.median(defined)) if len(defined) else np.nan


@dataclass(frozen=True)
class _Ranked:
    """The texts that have a score, in the order of it."""

    order: np.ndarray  # rows
    values: np.ndarray  # their scores, ascending

    @classmethod
    def of(cls, scores: np.ndarray) -> "_Ranked":
        rows = np.flatnonzero(~np.isnan(scores))
        order = rows[np.argsort(scores[rows], kind="stable")]
        return cls(order, scores[order])

    def median(self, weights: np.ndarray) -> np.ndarray:
        """(R, N) int weights -> (R,): the median of each resample, the mean of the two middle
        scores where their number is even."""
        if not len(self.order):
            return np.full(len(weights), np.nan)
        reached = np.cumsum(weights.take(self.order, axis=1), axis=1)
        total = reached[:, -1:]
        last = len(self.order) - 1
        lower, upper = (
            np.minimum((reached <= place).sum(axis=1), last)
            for place in ((total - 1) // 2, total // 2)
        )
        middle = (self.values[lower] + self.values[upper]) / 2
        return np.where(total[:, 0] > 0, middle, np.nan)


def _quotient(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _stacked(values: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([group[name] for group in values], axis=1) for name in values[0]}
