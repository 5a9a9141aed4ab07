"""How few images decide a difference between two models' gaps? An exact search over group counts.

G groups. A rate of a group is hits / size: right answers among its images, positives found among
its positives, and so on. To flip an image is to turn one model's answer on it from right to wrong,
or back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.statistics.gaps import Gap
from fairlora_cls.statistics.intervals import ROUNDING

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


def fewest_deciding(
    gap: Gap, hits: Mapping[str, Mapping[str, Counts]], names: Sequence[str]
) -> Decision | None:
    """The least number of images on which one of two models' answers must flip for the difference
    between their gaps to vanish or change sign.

    hits: run → metric → its hits and sizes in each group, of exactly two runs
    names: of the groups
    None where a gap is undefined, a ratio, or of a metric that is no share of a group's images. Of
    equally few, a change of the second run is told.
    """
    if gap.kind != "difference" or not all(set(gap.metrics) <= set(of) for of in hits.values()):
        return None
    counts = {run: [of[metric] for metric in gap.metrics] for run, of in hits.items()}
    if any((sizes > 0).sum() < 2 for pairs in counts.values() for _, sizes in pairs):
        return None
    widths = {run: max(_width(*pair) for pair in pairs) for run, pairs in counts.items()}
    first, second = hits
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
