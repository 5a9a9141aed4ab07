"""Images that are the same file, or the same picture, within a split and across splits.

N examples of all splits together, P pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlora_cls.checking.findings import SHOWN, Finding, Severity, counted
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.examples import Example

# Chosen on real data: in HAM10000 97 pairs pass both bounds, 96 of them of one lesion and the last
# one photograph under two lesion numbers; among 4,500 simulated eyes, which look alike, none does.
HASH_DISTANCE = 10  # bits of 64 in which the difference hashes of near-identical images may differ
CORRELATION = 0.99  # least correlation of their 16 × 16 thumbnails
COMPARED = 2**22  # pairs of hashes at a time, so that memory stays flat


@dataclass(frozen=True)
class Pairs:
    """Pairs of examples, (P, 2) indices, first < second."""

    identical: np.ndarray  # the same bytes
    near: np.ndarray  # not the same bytes, but the same picture


def find_pairs(facts: ImageFacts) -> Pairs:
    """Every pair of readable images with equal bytes or nearly equal pictures."""
    rows = np.flatnonzero(facts.readable)
    usable = facts.take(rows)
    by_digest: dict[str, list[int]] = defaultdict(list)
    for row, digest in zip(rows.tolist(), usable.digest.tolist(), strict=True):
        by_digest[digest].append(row)
    identical = [(same[0], other) for same in by_digest.values() for other in same[1:]]
    firsts = np.array([same[0] for same in by_digest.values()], dtype=np.int64)
    # Constant images match each other and mean nothing.
    firsts = firsts[facts.spread[firsts] > 1] if len(firsts) else firsts
    near = firsts[_near_pairs(facts.take(firsts))]
    return Pairs(np.array(identical, dtype=np.int64).reshape(-1, 2), np.sort(near, axis=1))


def _near_pairs(facts: ImageFacts) -> np.ndarray:
    """(P, 2) rows of `facts`: all hashes against all, then thumbnails where hashes are close."""
    hashes = facts.hash
    pictures = facts.thumbnail.reshape(len(hashes), -1).astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True) if len(hashes) else 0
    pictures /= np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-6)
    found = [np.zeros((0, 2), dtype=np.int64)]
    rows = max(1, COMPARED // max(1, len(hashes)))
    for start in range(0, len(hashes), rows):
        distance = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        first, second = np.nonzero(distance <= HASH_DISTANCE)
        first, second = (first + start)[first < second], (second + start)[first < second]
        alike = np.einsum("pd,pd->p", pictures[first], pictures[second]) >= CORRELATION
        found.append(np.stack([first[alike], second[alike]], axis=1))
    return np.concatenate(found)


def find_duplicates(
    examples: Sequence[Example], homes: Sequence[str], pairs: Pairs
) -> list[Finding]:
    """Findings on equal and nearly equal images: across splits, of several patients, contradicting.

    `homes` (N,) names each example's split.
    """
    labels = np.array([e.label for e in examples])
    units = np.array([e.unit for e in examples])
    splits = np.array(homes)
    found = []
    for kind, rows, across, word in (
        ("identical", pairs.identical, "error", "byte-identical"),
        ("near-identical", pairs.near, "warning", "nearly identical"),
    ):
        first, second = rows[:, 0], rows[:, 1]
        torn = splits[first] != splits[second]
        found += _listed(
            examples,
            rows[torn],
            across,
            f"{kind}-across-splits",
            f"{word} images lie in two splits, so that the test is not unseen; give them one "
            "patient or lesion, or remove one",
        )
        found += _listed(
            examples,
            rows[(labels[first] != labels[second])],
            "error" if kind == "identical" else "warning",
            f"{kind}-contradicting",
            f"{word} images have different labels; see which is right",
        )
        found += _listed(
            examples,
            rows[~torn & (units[first] != units[second])],
            "warning",
            f"{kind}-of-two-units",
            f"{word} images within a split are of different patients or lesions; see whether "
            "these are one",
        )
        found += _listed(
            examples,
            rows[~torn & (units[first] == units[second])],
            "note",
            f"{kind}-within-unit",
            f"{word} images of one patient or lesion lie within a split and count twice",
        )
    return found


def _listed(
    examples: Sequence[Example], rows: np.ndarray, severity: Severity, code: str, sentence: str
) -> list[Finding]:
    if not len(rows):
        return []
    names = [f"{examples[a].id} = {examples[b].id}" for a, b in rows.tolist()]
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return [
        Finding(
            severity,
            code,
            f"{sentence[:1].upper()}{sentence[1:]} ({counted(len(rows), 'pair')}): "
            f"{', '.join(names[:SHOWN])}{more}.",
            tuple(names),
        )
    ]
