"""What does a wording do to the answers, beyond what any change of words does?

N answers (images, or questions about them), C of them with changed words, K neutral wordings, U units
(patients), R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fairlora_cls.statistics.intervals import (
    CONFIDENCE,
    ROUNDING,
    SIGNIFICANCE,
    holm,
    interval,
    is_small,
    tail_p_value,
    wilson_interval,
)
from fairlora_cls.statistics.resampling import bootstrap_blocks, chunks, drawn_weights

HELD = 2_000_000  # numbers of one piece of the resamples


@dataclass(frozen=True)
class Answers:
    """What the model answers under one wording."""

    name: str  # a group, "taken out", or a neutral text
    phrase: str  # what was put in; "" where words were taken out
    changed: np.ndarray  # (N,) bool: whether the wording changes the words of this patient at all
    shifts: np.ndarray  # (N,) of a probability, or of a text's score; NaN where that is undefined
    flips: np.ndarray  # (N,) bool: another decision, or another text


@dataclass(frozen=True)
class Mean:
    """A mean and its 95 % interval, None where there is none."""

    value: float
    limits: tuple[float, float] | None


@dataclass(frozen=True)
class Moved:
    """What a wording does to some people's answers."""

    count: int  # answers with changed words
    flipped: int
    shift: Mean | None  # None: undefined for all
    flips: Mean  # the share


@dataclass(frozen=True)
class Effect:
    """One wording of one attribute."""

    attribute: str
    name: str
    phrase: str
    moved: Moved | None  # None: it changes nobody's words
    groups: Mapping[str, Moved] = field(default_factory=dict)  # of the patients themselves
    neutral_shift: float = 0.0  # mean size of what the K neutral wordings do to the same people
    neutral_flips: float = 0.0
    beyond: float = 0.0  # what is tested: the mean minus what the neutral wordings explain
    hidden: float = 0.0  # a larger one would have been seen
    p: float | None = None
    p_holm: float | None = None  # over all wordings of all attributes

    @property
    def is_evidence(self) -> bool:
        return self.p_holm is not None and self.p_holm <= SIGNIFICANCE


def judge(effects: Sequence[Effect]) -> list[Effect]:
    """The effects with Holm's correction over all that were tested."""
    corrected = holm({i: e.p for i, e in enumerate(effects) if e.p is not None})
    return [replace(effect, p_holm=corrected.get(i)) for i, effect in enumerate(effects)]


def measure_effect(
    attribute: str,
    answers: Answers,
    neutral: Sequence[Answers],
    says: np.ndarray,
    units: Sequence[str],
    groups: Sequence[str],
    generator: np.random.Generator,
    *,
    resamples: int,
    of_texts: bool,
) -> Effect:
    """One wording beside the K neutral ones, on the answers whose words it changes.

    says: (N,) whether the words mention the attribute: there a wording takes the place of another, and
        a neutral one does so little that it is compared by size; elsewhere both add a clause, and what
        the neutral clauses do on average is taken off first
    groups: (N,) of the patients themselves, "" where none is known

    Of texts the share that changes is tested, and any change counts as one; of classes the mean shift,
    both ways. Two chances must be excluded, and the larger p-value counts: that of the people (signs
    of the patients' differences drawn at random) and that of the phrase (a t-test with K - 1 degrees
    of freedom of its mean against those of the neutral phrases), for any two phrases differ a little.
    """
    rows = np.flatnonzero(answers.changed)
    if len(rows) == 0:
        return Effect(attribute, answers.name, answers.phrase, None)
    own, patients = np.array(groups, dtype=object)[rows], np.array(units, dtype=object)[rows]
    shifts, flips = answers.shifts[rows], answers.flips[rows]
    moved = measure_moved(shifts, flips, patients, generator, resamples)
    by_group = {
        name: measure_moved(
            shifts[own == name], flips[own == name], patients[own == name], generator, resamples
        )
        for name in sorted(set(own) - {""})
    }
    of_neutral = np.stack([each.shifts[rows] for each in neutral])  # (K, C)
    flips_of_neutral = np.stack([each.flips[rows] for each in neutral])
    tested, null = (flips, flips_of_neutral) if of_texts else (shifts, of_neutral)
    adds = np.ones(len(rows), dtype=bool) if of_texts else ~says[rows]
    centre = np.where(adds, null.mean(axis=0), 0.0)
    beyond = tested - centre
    spread = _spread((null - centre).mean(axis=1))
    people, hidden = _p_of_people(beyond, patients, generator, resamples, one_sided=of_texts)
    phrase, noise = _p_of_phrase(float(beyond.mean()), spread, len(neutral), one_sided=of_texts)
    return Effect(
        attribute,
        answers.name,
        answers.phrase,
        moved,
        by_group,
        neutral_shift=float(np.abs(_mean(of_neutral)).mean()),
        neutral_flips=float(flips_of_neutral.mean()),
        beyond=float(beyond.mean()),
        hidden=min(1.0, abs(float(beyond.mean())) + float(np.hypot(hidden, noise))),
        p=None if resamples == 0 else max(people, phrase),
    )


def measure_moved(
    shifts: np.ndarray,
    flips: np.ndarray,
    units: Sequence[str],
    generator: np.random.Generator,
    resamples: int,
) -> Moved:
    """Means with intervals by resampling units; a small share has Wilson's interval."""
    defined = ~np.isnan(shifts)
    columns = np.column_stack([np.where(defined, shifts, 0.0), defined, flips, np.ones(len(flips))])
    sums, draws = _resampled(columns, units, generator, resamples)
    with np.errstate(invalid="ignore", divide="ignore"):
        limits = interval(draws[:, 0] / draws[:, 1]), interval(draws[:, 2] / draws[:, 3])
    shift = Mean(float(sums[0] / sums[1]), limits[0]) if sums[1] else None
    share, patients = float(sums[2] / sums[3]), len(set(units))
    if is_small(share, patients):
        limits = limits[0], wilson_interval(share, patients)
    return Moved(len(flips), int(sums[2]), shift, Mean(share, limits[1]))


def _resampled(
    columns: np.ndarray, units: Sequence[str], generator: np.random.Generator, resamples: int
) -> tuple[np.ndarray, np.ndarray]:
    """The sums of (C, M) columns, (M,), and those of each resample of units, (R, M)."""
    blocks = bootstrap_blocks(units, np.zeros(len(columns), dtype=np.int64), 1)
    of_units = np.zeros((blocks.count, columns.shape[1]))
    np.add.at(of_units, blocks.of_example, columns)
    draws = [
        drawn_weights(blocks, size, generator) @ of_units
        for size in chunks(resamples, blocks.count, HELD)
    ]
    return columns.sum(axis=0), np.concatenate([np.empty((0, columns.shape[1])), *draws])


def _p_of_people(
    beyond: np.ndarray,
    units: Sequence[str],
    generator: np.random.Generator,
    resamples: int,
    *,
    one_sided: bool,
) -> tuple[float, float]:
    """The p-value of a mean under random signs of the units' sums, and the half width of its null."""
    _, numbers = np.unique(np.array(units, dtype=str), return_inverse=True)
    sums = np.bincount(numbers, weights=beyond) / len(beyond)
    null = [
        (2 * generator.integers(0, 2, (size, len(sums))) - 1) @ sums
        for size in chunks(resamples, len(sums), HELD)
    ]
    drawn, observed = np.concatenate([np.empty(0), *null]), float(sums.sum())
    if not one_sided:
        drawn, observed = np.abs(drawn), abs(observed)
    half = float(np.quantile(np.abs(drawn), CONFIDENCE)) if resamples else 0.0
    return tail_p_value(observed, drawn), half


def _spread(means: np.ndarray) -> float:
    """How far the neutral phrases' means (K,) lie from their centre, which one mean was spent on."""
    return float(np.sqrt((means**2).sum() / (len(means) - 1)))


def _p_of_phrase(
    beyond: float, spread: float, count: int, *, one_sided: bool
) -> tuple[float, float]:
    """The p-value of a mean as one more phrase among `count` neutral ones, and the half width of what
    such a phrase does in 95 of 100 cases."""
    from scipy import stats

    scale = spread * np.sqrt(1 + 1 / count)
    noise = float(scale * stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    size = beyond if one_sided else abs(beyond)
    if scale <= ROUNDING:
        return float(size <= ROUNDING), noise
    tail = float(stats.t.sf(size / scale, count - 1))
    return (tail if one_sided else 2 * tail), noise


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean of each row (K, C) over what is defined, (K,); 0 where nothing is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0.0).sum(axis=1) / np.maximum(defined.sum(axis=1), 1)
