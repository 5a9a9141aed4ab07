"""Which image files cannot be read, differ from the rest, hold 16 bits or show nothing.

N files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fairlora_cls.checking.findings import Finding, counted, name_some
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.images import LARGEST_RATIO
from fairlora_cls.presentation.document import Table, text_table

MOST = 0.9  # a size or mode that this share of the files has is the rule, another one odd
FAR = 4.0  # without such a rule, a side this many times the median side (or 1 / that) is odd
FLAT = 2  # grey values between the darkest and the brightest pixel of a constant image
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F", "RGB;16", "RGBA;16", "dicom")


def find_bad_images(names: Sequence[str], facts: ImageFacts) -> list[Finding]:
    """Findings about single images; `names` (N,) are the files as the user knows them."""
    labelled = np.asarray(names, dtype=object)
    found = _unreadable(labelled, facts)
    labelled, facts = labelled[facts.readable], facts.take(facts.readable)
    if not len(labelled):
        return found
    odd, rule = _odd_sizes(facts)
    ratio = np.maximum(facts.width, facts.height) / np.minimum(facts.width, facts.height)
    long = ratio > LARGEST_RATIO
    if long.any():
        found.append(
            _about(
                "error",
                "too-long-image",
                labelled[long],
                f"{_are(long)} more than {LARGEST_RATIO} times longer than wide, which no model "
                "reads; crop or leave out",
            )
        )
    if (odd & ~long).any():
        sizes = sorted(
            {f"{w} × {h}" for w, h in zip(facts.width[odd], facts.height[odd], strict=True)}
        )
        found.append(
            _about(
                "warning",
                "odd-size",
                labelled[odd & ~long],
                f"{_are(odd & ~long)} of another size ({', '.join(sizes[:3])}) than {rule}; see "
                "that they are the same kind of image",
            )
        )
    flat = facts.spread < FLAT
    if flat.any():
        found.append(
            _about(
                "error",
                "constant-image",
                labelled[flat],
                f"{_are(flat)} one colour only; leave out or export again",
            )
        )
    deep = np.isin(facts.mode, DEEP_MODES)
    if deep.any():
        found.append(
            _about(
                "note",
                "deep-image",
                labelled[deep],
                f"{_are(deep)} stored with more than 8 bits and rescaled to 8 when read; look at "
                "the contact sheet in check.html",
            )
        )
    return found + _odd_modes(labelled[~deep], facts.take(~deep))


def _unreadable(names: np.ndarray, facts: ImageFacts) -> list[Finding]:
    found = []
    reasons = {f"'{name}' ({e})" for name, e in zip(names, facts.error, strict=True) if e}
    if reasons:
        bad = names[~facts.readable]
        shown = [f"'{n}' ({e})" for n, e in zip(bad, facts.error[~facts.readable], strict=True)]
        rest = f" and {len(shown) - 10:,} more" if len(shown) > 10 else ""
        found.append(
            Finding(
                "error",
                "unreadable-image",
                f"{counted(len(bad), 'image')} cannot be read: {', '.join(shown[:10])}{rest}; mend "
                "them, or train with --skip-unreadable.",
                tuple(bad),
            )
        )
    return found


def _odd_sizes(facts: ImageFacts) -> tuple[np.ndarray, str]:
    """(N,) bool, and the rule that the others follow."""
    sizes = Counter(zip(facts.width.tolist(), facts.height.tolist(), strict=True))
    (width, height), count = sizes.most_common(1)[0]
    if count >= MOST * len(facts.width):
        odd = (facts.width != width) | (facts.height != height)
        return odd, f"the other {count:,} ({width} × {height} px)"
    side = np.sqrt(facts.width.astype(float) * facts.height)
    middle = float(np.median(side))
    return (side > FAR * middle) | (side < middle / FAR), f"the rest (about {middle:.0f} px)"


def _odd_modes(names: np.ndarray, facts: ImageFacts) -> list[Finding]:
    modes = Counter(facts.mode.tolist())
    if not modes:
        return []
    usual, count = modes.most_common(1)[0]
    if count == len(names) or count < MOST * len(names):
        return []
    odd = facts.mode != usual
    others = ", ".join(sorted(set(facts.mode[odd].tolist())))
    return [
        _about(
            "note",
            "odd-mode",
            names[odd],
            f"{_are(odd)} stored as {others}, the other {count:,} as {usual}; all become RGB",
        )
    ]


def _are(which: np.ndarray) -> str:
    count = int(which.sum())
    return "1 image is" if count == 1 else f"{count:,} images are"


def _about(severity, code: str, names: np.ndarray, sentence: str) -> Finding:
    return Finding(severity, code, f"{sentence}: {name_some(list(names))}.", tuple(names))


def tabulate_images(facts: ImageFacts) -> Table:
    """Least, median and most of size, brightness and bytes of the readable files."""
    readable = facts.take(facts.readable)
    rows = [
        ("width, px", readable.width, 0),
        ("height, px", readable.height, 0),
        ("file size, kB", readable.bytes / 1000, 1),
        ("mean brightness, 0–255", readable.brightness, 0),
    ]
    return text_table(
        f"Images ({len(readable.width):,} readable of {len(facts.width):,})",
        ("", "least", "median", "most"),
        tuple(
            (name, *(f"{value:,.{digits}f}" for value in np.percentile(column, (0, 50, 100))))
            for name, column, digits in rows
            if len(column)
        ),
    )
