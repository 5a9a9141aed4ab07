"""How few images decide a difference between two models' gaps? An exact search over group counts.

G groups. A rate of a group is hits / size: right answers among its images, positives found among
its positives, and so on. To flip an image is to turn one model's answer on it from right to wrong,
or back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairlora_cls.evaluation.metrics import GAPS, Gap

ROUNDING = 1e-9  # equal gaps reached by different fractions must count as equal
HELD = 1 << 22  # numbers held at once

Counts = tuple[np.ndarray, np.ndarray]  # hits (G,), sizes (G,)


@dataclass(frozen=True)
class Decision:
    """The least change of one model's answers that undoes the difference between two gaps."""

    examples: int  # 0 where the gaps are equal already
    run: str  # whose answers change
    changes: dict[str, dict[str, int]]  # metric -> group -> +k: k more hits, -k: k fewer

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(group for changes in self.changes.values() for group in changes))


def _right(confusion: np.ndarray, positive: int) -> Counts:
    return np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=(1, 2))


def _found(confusion: np.ndarray, positive: int) -> Counts:
    return confusion[:, positive, positive], confusion[:, positive].sum(axis=1)


def _alarms(confusion: np.ndarray, positive: int) -> Counts:
    hits, positives = _found(confusion, positive)
    return confusion[:, :, positive].sum(axis=1) - hits, confusion.sum(axis=(1, 2)) - positives


def _cleared(confusion: np.ndarray, positive: int) -> Counts:
    alarms, negatives = _alarms(confusion, positive)
    return negatives - alarms, negatives


def _selected(confusion: np.ndarray, positive: int) -> Counts:
    return confusion[:, :, positive].sum(axis=1), confusion.sum(axis=(1, 2))


# The metrics whose value in a group is a share of its images; (G, K label, K prediction) -> counts.
RATES: dict[str, Callable[[np.ndarray, int], Counts]] = {
    "accuracy": _right,
    "sensitivity": _found,
    "specificity": _cleared,
    "fpr": _alarms,
    "selection_rate": _selected,
}
DECIDABLE_GAPS = tuple(
    name
    for name, gap in GAPS.items()
    if gap.kind == "difference" and all(metric in RATES for metric in gap.metrics)
)


def fewest_deciding(
    gap: Gap,
    confusions: dict[str, np.ndarray],
    names: tuple[str, ...],
    positive: int,
) -> Decision | None:
    """The least number of images on which one of two models' answers must flip for the difference
    between their gaps to vanish or change sign.

    gap: one of DECIDABLE_GAPS
    confusions: run -> (G, K label, K prediction) counts, of exactly two runs
    names: of the groups
    None where a gap is undefined. Of equally few, a change of the second run is told.
    """
    counts = {
        run: [RATES[metric](confusion, positive) for metric in gap.metrics]
        for run, confusion in confusions.items()
    }
    if any((sizes > 0).sum() < 2 for pairs in counts.values() for _, sizes in pairs):
        return None
    widths = {run: max(_width(*pair) for pair in pairs) for run, pairs in counts.items()}
    first, second = confusions
    if abs(widths[first] - widths[second]) <= ROUNDING:
        return Decision(0, second, {})
    ways = []
    for run, target in ((second, widths[first]), (first, widths[second])):
        if widths[run] > target:  # every metric must come down; they count different images
            changes = [flips_to_narrow(*pair, target) for pair in counts[run]]
            ways.append((run, dict(zip(gap.metrics, changes, strict=True))))
        else:
            ways += [
                (run, {metric: flips_to_widen(*pair, target)})
                for metric, pair in zip(gap.metrics, counts[run], strict=True)
            ]
    run, changes = min(ways, key=lambda way: _flipped(way[1]))
    return Decision(
        examples=_flipped(changes),
        run=run,
        changes={
            metric: {names[code]: int(change[code]) for code in np.flatnonzero(change)}
            for metric, change in changes.items()
            if change.any()
        },
    )


def flips_to_narrow(hits: np.ndarray, sizes: np.ndarray, target: float) -> np.ndarray:
    """The fewest changes of `hits`, (G,) signed, that bring max - min of hits / sizes to `target`
    or below. Groups of size 0 are left out.

    All rates must end in a window [low, low + target]; the lowest rate that remains is k / size of
    some group, so every such value is tried as `low`.
    """
    hits, present = np.asarray(hits, dtype=float), np.flatnonzero(sizes)
    wide = np.zeros(len(hits), dtype=np.int64)
    hits, sizes = hits[present], np.asarray(sizes)[present]
    lows = np.unique(np.concatenate([np.arange(size + 1) / size for size in sizes]))
    best, fewest = None, np.inf
    step = max(1, HELD // len(sizes))
    for part in (lows[start : start + step, None] for start in range(0, len(lows), step)):
        least = np.ceil(part * sizes - ROUNDING * sizes)
        most = np.minimum(np.floor((part + target) * sizes + ROUNDING * sizes), sizes)
        change = np.clip(hits, least, most) - hits
        cost = np.where((least <= most).all(axis=1), np.abs(change).sum(axis=1), np.inf)
        row = int(cost.argmin())
        if cost[row] < fewest:
            best, fewest = change[row], cost[row]
    wide[present] = best.astype(np.int64)
    return wide


def flips_to_widen(hits: np.ndarray, sizes: np.ndarray, target: float) -> np.ndarray:
    """The fewest changes of `hits`, (G,) signed, that bring max - min of hits / sizes to `target`
    or above. Groups of size 0 are left out.

    Only two groups need to change: one is raised by `up`, the other lowered by what is then
    missing; all pairs and all `up` below the best found are tried.
    """
    present = np.flatnonzero(sizes)
    wide = np.zeros(len(hits), dtype=np.int64)
    hits, sizes = np.asarray(hits)[present], np.asarray(sizes)[present]
    best, fewest = (0, 0, 0, 0), np.inf  # raised, lowered, up, down
    for raised in np.argsort(-hits / sizes):
        room = int(min(sizes[raised] - hits[raised], fewest))
        ups = np.arange(room + 1)
        allowed = (hits[raised] + ups) / sizes[raised] - target  # the lowest rate may be this
        for lowered in np.flatnonzero(np.arange(len(sizes)) != raised):
            downs = np.ceil(hits[lowered] - (allowed + ROUNDING) * sizes[lowered])
            downs = np.where(allowed + ROUNDING >= 0, np.maximum(downs, 0), np.inf)
            place = int((ups + downs).argmin())
            if ups[place] + downs[place] < fewest:
                fewest = ups[place] + downs[place]
                best = (raised, lowered, int(ups[place]), int(downs[place]))
    raised, lowered, up, down = best
    wide[present[raised]] += up
    wide[present[lowered]] -= down
    return wide


def _flipped(changes: dict[str, np.ndarray]) -> int:
    return int(sum(np.abs(change).sum() for change in changes.values()))


def _width(hits: np.ndarray, sizes: np.ndarray) -> float:
    rates = hits[sizes > 0] / sizes[sizes > 0]
    return float(rates.max() - rates.min())
