"""Images that are the same file, or the same picture, within a split and across splits.

N examples of all splits together, P pairs. Pictures that look alike when small are candidates;
their fine structure, which a camera's frame and a disc of skin do not share, decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import binary_erosion, gaussian_filter, label

from fairlora_cls.checking.findings import SHOWN, CheckReport, Finding, Severity, counted, list_some
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.examples import Example
from fairlora_cls.data.images import UnreadableImageError, read_image

# Chosen on real data: in HAM10000 97 pairs pass all four bounds, 96 of them of one lesion and the
# last one photograph under two lesion numbers. Within the frame their light and shade correlate at
# 0.991 or more, their fine structure at 0.34 or more; of different simulated eyes in a black frame,
# of which many pass the first two bounds, at 0.97 or less and at 0.36 or less; of different lesions
# that nearly pass them at 0.98 or less and at 0.22 or less.
HASH_DISTANCE = 10  # bits of 64 in which the difference hashes of near-identical images may differ
CORRELATION = 0.99  # least correlation of their 16 × 16 thumbnails
COARSE_CORRELATION = 0.985  # least correlation of light and shade, the camera's frame cut off
FINE_CORRELATION = 0.28  # least correlation of their fine structures

COMPARED = 2**22  # pairs of hashes at a time, so that memory stays flat
CANDIDATES = 2**14  # pairs of thumbnails at a time, for the same reason
MOST_CONFIRMED = 20_000  # pairs whose fine structure is compared: about a minute
WHOLE_CLUSTER = 16  # images; of more that are alike, each is paired with one or more, not with all
NAMED_PAIRS = 1000  # that a finding lists; the others are counted

SIDE = 256  # pixels of the square in which fine structure is compared
FINEST = 4.0  # pixels: what a Gaussian of this standard deviation smooths away is fine structure
AROUND = 16.0  # pixels over which its strength is made even
BLOCK = 8  # pixels a side of the blocks in which light and shade are compared
SHIFT = 8  # pixels by which two photographs of one thing may be moved against each other
DARK = 0.15  # of the bright end: darker places that touch the border are the camera's frame
FRAME_EDGE = 8  # pixels beside the frame that are left out


@dataclass(frozen=True)
class Pairs:
    """Pairs of examples, (P, 2) indices, first < second."""

    identical: np.ndarray  # the same bytes
    near: np.ndarray  # not the same bytes, but the same picture; see WHOLE_CLUSTER
    unconfirmed: int = 0  # pairs that look alike when small and were not looked at more closely


def find_pairs(facts: ImageFacts, paths: Sequence[Path]) -> Pairs:
    """Every pair of readable images with equal bytes or nearly equal pictures.

    `paths` (N,) are the images' files, of which those that look alike are read once more.
    """
    rows = np.flatnonzero(facts.readable)
    usable = facts.take(rows)
    by_digest: dict[str, list[int]] = defaultdict(list)
    for row, digest in zip(rows.tolist(), usable.digest.tolist(), strict=True):
        by_digest[digest].append(row)
    identical = [(same[0], other) for same in by_digest.values() for other in same[1:]]
    firsts = np.array([same[0] for same in by_digest.values()], dtype=np.int64)
    # Constant images match each other and mean nothing.
    firsts = firsts[facts.spread[firsts] > 1] if len(firsts) else firsts
    clusters = _Clusters([paths[row] for row in firsts])
    for candidates in _candidates(facts.take(firsts), clusters):
        clusters.add(candidates)
    near = firsts[np.array(clusters.pairs, dtype=np.int64).reshape(-1, 2)]
    return Pairs(
        np.array(identical, dtype=np.int64).reshape(-1, 2),
        np.sort(near, axis=1),
        clusters.unconfirmed,
    )


def _candidates(facts: ImageFacts, clusters: _Clusters) -> Iterator[np.ndarray]:
    """(P, 2) rows of `facts` at a time: all hashes against all, then thumbnails where these are
    close. Pairs of one large cluster are left out, so that many like images stay few pairs."""
    hashes = facts.hash
    pictures = facts.thumbnail.reshape(len(hashes), -1).astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True) if len(hashes) else 0
    pictures /= np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-6)
    rows = max(1, COMPARED // max(1, len(hashes)))
    for start in range(0, len(hashes), rows):
        distance = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        first, second = np.nonzero(distance <= HASH_DISTANCE)
        pairs = np.stack([first, second], axis=1)[first < second] + start
        for begin in range(0, len(pairs), CANDIDATES):
            some = clusters.without_joined(pairs[begin : begin + CANDIDATES])
            alike = np.einsum("pd,pd->p", pictures[some[:, 0]], pictures[some[:, 1]])
            yield some[alike >= CORRELATION]


class _Clusters:
    """Images joined by pairs whose fine structure is the same."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.cluster = np.arange(len(paths))  # of each image
        self.size = np.ones(len(paths), dtype=np.int64)  # of each cluster
        self.pairs: list[tuple[int, int]] = []
        self.compared = self.unconfirmed = 0
        # 70 kB each.
        self._structure = lru_cache(maxsize=4096)(lambda row: read_structure(paths[row]))

    def without_joined(self, pairs: np.ndarray) -> np.ndarray:
        """Those of `pairs` (P, 2) that are not within one large cluster."""
        first, second = self.cluster[pairs[:, 0]], self.cluster[pairs[:, 1]]
        return pairs[(first != second) | (self.size[first] < WHOLE_CLUSTER)]

    def add(self, candidates: np.ndarray) -> None:
        """Compare the fine structure of each candidate (P, 2) and join those that share it."""
        for first, second in candidates.tolist():
            if not len(self.without_joined(np.array([[first, second]]))):
                continue
            if self.compared == MOST_CONFIRMED:
                self.unconfirmed += 1
                continue
            self.compared += 1
            if are_one_picture(self._structure(first), self._structure(second)):
                self.pairs.append((first, second))
                self._join(self.cluster[first], self.cluster[second])

    def _join(self, kept: int, gone: int) -> None:
        if kept != gone:
            self.cluster[self.cluster == gone] = kept
            self.size[kept] += self.size[gone]


@dataclass(frozen=True)
class Structure:
    """A picture within the camera's frame, resized to a square."""

    coarse: np.ndarray  # (32, 32) float32 light and shade; NaN in what is left of the frame
    fine: np.ndarray  # (256, 256) int8 vessels, hairs, texture; 0 there


def read_structure(path: Path) -> Structure:
    """Light and shade, and what is finer than FINEST divided by its local strength.

    Nothing (NaN and 0) where the file cannot be read or is all frame.
    """
    try:
        whole = read_image(path).convert("L")
    except UnreadableImageError:
        return Structure(np.full((SIDE // BLOCK,) * 2, np.nan), np.zeros((SIDE, SIDE), np.int8))
    grey = _resized(_without_frame(whole))
    inside = binary_erosion(_inside(grey), iterations=FRAME_EDGE, border_value=1).astype(np.float32)

    fine = (grey - _smooth(grey, inside, FINEST)) * inside
    typical = np.sqrt((fine**2).sum() / max(inside.sum(), 1))
    # What is this broad loses nothing in a grid of blocks, and costs a tenth there.
    room = _blocks(inside)
    strength = np.sqrt(_smooth(_blocks(fine**2) / np.maximum(room, 1e-3), room, AROUND / BLOCK))
    # A share of the typical strength keeps the noise of empty places small.
    fine /= strength.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1) + 0.3 * typical + 1e-6
    coarse = _smooth(_blocks(grey * inside) / np.maximum(room, 1e-3), room, 1.0)
    coarse = np.where(inside[::BLOCK, ::BLOCK] > 0, coarse, np.nan)
    return Structure(coarse, np.clip(np.rint(40 * fine), -127, 127).astype(np.int8))


def _smooth(values: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """The Gaussian mean of what has weight."""
    weight = np.maximum(gaussian_filter(weights, width), 1e-3)
    return gaussian_filter(values * weights, width) / weight


def _blocks(values: np.ndarray) -> np.ndarray:
    """(32, 32): means of squares of BLOCK pixels."""
    side = SIDE // BLOCK
    return values.reshape(side, BLOCK, side, BLOCK).mean(axis=(1, 3))


def _resized(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIDE, SIDE), reducing_gap=3.0), np.float32)


def _inside(grey: np.ndarray) -> np.ndarray:
    """(256, 256) bool: all but the dark places that touch the border."""
    parts, _ = label(grey < DARK * np.percentile(grey, 99))
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return ~np.isin(parts, border[border > 0])


def _without_frame(image: Image.Image) -> Image.Image:
    """The image cut to what is not frame."""
    inside = _inside(_resized(image))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return image
    across, down = image.width / SIDE, image.height / SIDE
    return image.resize(
        (SIDE, SIDE),
        box=(
            columns[0] * across,
            rows[0] * down,
            (columns[-1] + 1) * across,
            (rows[-1] + 1) * down,
        ),
        reducing_gap=3.0,
    )


def are_one_picture(one: Structure, other: Structure) -> bool:
    """Whether light and shade agree within the frame, and the fine structure too."""
    both = ~(np.isnan(one.coarse) | np.isnan(other.coarse))
    if both.sum() < 3:
        return False
    shades = np.corrcoef(one.coarse[both], other.coarse[both])[0, 1]
    return (
        shades >= COARSE_CORRELATION and fine_correlation(one.fine, other.fine) >= FINE_CORRELATION
    )


def fine_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two fine structures, largest over shifts of up to SHIFT pixels each way."""
    spectra = [rfft2(fine.astype(np.float32)) for fine in (one, other)]
    products = irfft2(spectra[0] * spectra[1].conj(), one.shape)
    shifts = np.arange(-SHIFT, SHIFT + 1)
    strength = np.linalg.norm(one.astype(np.float32)) * np.linalg.norm(other.astype(np.float32))
    return float(products[np.ix_(shifts, shifts)].max() / max(strength, 1.0))


def check_duplicates(
    examples: Sequence[Example], homes: Sequence[str], facts: ImageFacts
) -> CheckReport:
    """Equal and nearly equal images; `homes` (N,) names each example's split."""
    pairs = find_pairs(facts, [e.image for e in examples])
    counts = {"identical_pairs": len(pairs.identical), "near_identical_pairs": len(pairs.near)}
    return CheckReport(find_duplicates(examples, homes, pairs), facts=counts)


def find_duplicates(
    examples: Sequence[Example], homes: Sequence[str], pairs: Pairs
) -> list[Finding]:
    """Findings on pairs: across splits, contradicting, of several patients, of one."""
    kinds: tuple[tuple[str, str, Severity, np.ndarray], ...] = (
        ("identical", "Byte-identical", "error", pairs.identical),
        ("near-identical", "Nearly identical", "warning", pairs.near),
    )
    found = []
    for kind, word, grave, rows in kinds:
        labels, units, splits = (
            np.array(column)[rows]
            for column in ([e.label for e in examples], [e.unit for e in examples], homes)
        )
        together = splits[:, 0] == splits[:, 1]
        of_one = units[:, 0] == units[:, 1]
        cases: tuple[tuple[str, Severity, np.ndarray, str], ...] = (
            (
                "across-splits",
                grave,
                ~together,
                "lie in two splits, so that the test is not unseen; give them one patient or "
                "lesion, or remove one",
            ),
            (
                "contradicting",
                grave,
                labels[:, 0] != labels[:, 1],
                "have different labels; see which is right",
            ),
            (
                "of-two-units",
                "warning",
                together & ~of_one,
                "within a split are of different patients or lesions; see whether these are one",
            ),
            (
                "within-unit",
                "note",
                together & of_one,
                "of one patient or lesion lie within a split and count twice",
            ),
        )
        for code, severity, chosen, sentence in cases:
            names = [f"{examples[a].id} = {examples[b].id}" for a, b in rows[chosen].tolist()]
            if names:
                pairs_of = f"{word} images {sentence} ({counted(len(names), 'pair')})"
                message = f"{pairs_of}: {list_some(names, SHOWN)}."
                found.append(
                    Finding(severity, f"{kind}-{code}", message, tuple(names[:NAMED_PAIRS]))
                )
    if pairs.unconfirmed:
        found.append(
            Finding(
                "note",
                "near-identical-unknown",
                f"Too many images look alike when small: {counted(pairs.unconfirmed, 'pair')} beyond "
                f"the first {MOST_CONFIRMED:,} were not looked at more closely.",
            )
        )
    return found
