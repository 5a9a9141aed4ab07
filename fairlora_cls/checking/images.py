"""Which image files cannot be read, differ from the rest, hold 16 bits or show nothing.

N files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fairlora_cls.checking.findings import (
    CheckReport,
    Finding,
    Severity,
    counted,
    list_some,
    name_some,
    tabulate_spread,
)
from fairlora_cls.checking.image_facts import ImageFacts
from fairlora_cls.data.images import LARGEST_RATIO

MOST = 0.9  # a size or mode that this share of the files has is the rule, another one odd
FAR = 4.0  # without such a rule, a side this many times the median side (or 1 / that) is odd
FLAT = 2  # grey values between the darkest and the brightest pixel of a constant image
REASONS = 10  # unreadable files that are named with what is wrong
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F", "RGB;16", "RGBA;16", "dicom")


def check_images(names: Sequence[str], facts: ImageFacts) -> CheckReport:
    """Single images; `names` (N,) are the files as the user knows them."""
    labelled = np.asarray(names, dtype=object)
    findings = _unreadable(labelled[~facts.readable], facts.error[~facts.readable])
    unreadable = {"unreadable_images": int((~facts.readable).sum())}
    if not facts.readable.any():
        return CheckReport(findings, facts=unreadable)
    readable = facts.take(facts.readable)
    return CheckReport(
        findings + _odd_images(labelled[facts.readable], readable),
        [
            tabulate_spread(
                f"Images ({len(readable.width):,} readable of {len(labelled):,})",
                (
                    ("width, px", readable.width, 0),
                    ("height, px", readable.height, 0),
                    ("file size, kB", readable.bytes / 1000, 1),
                    ("mean brightness, 0–255", readable.brightness, 0),
                ),
            )
        ],
        unreadable,
    )


def _unreadable(names: np.ndarray, reasons: np.ndarray) -> list[Finding]:
    if not len(names):
        return []
    shown = [f"'{name}' ({reason})" for name, reason in zip(names, reasons, strict=True)]
    message = (
        f"{counted(len(names), 'image')} cannot be read: {list_some(shown, REASONS)}; mend "
        "them, or train with --skip-unreadable."
    )
    return [Finding("error", "unreadable-image", message, tuple(names))]


def _odd_images(names: np.ndarray, facts: ImageFacts) -> list[Finding]:
    """Findings about readable images."""
    odd, rule = _odd_sizes(facts)
    odd &= ~facts.too_long
    sizes = {f"{w} × {h}" for w, h in zip(facts.width[odd], facts.height[odd], strict=True)}
    deep = np.isin(facts.mode, DEEP_MODES)
    return [
        *_about(
            "error",
            "too-long-image",
            names[facts.too_long],
            f"more than {LARGEST_RATIO} times longer than wide, which no model reads; crop or "
            "leave out",
        ),
        *_about(
            "warning",
            "odd-size",
            names[odd],
            f"of another size ({', '.join(sorted(sizes)[:3])}) than {rule}; see that they are the "
            "same kind of image",
        ),
        *_about(
            "error",
            "constant-image",
            names[facts.spread < FLAT],
            "one colour only; leave out or export again",
        ),
        *_about(
            "note",
            "deep-image",
            names[deep],
            "stored with more than 8 bits and rescaled to 8 when read; look at the contact sheet "
            "in check.html",
        ),
        *_odd_modes(names[~deep], facts.mode[~deep]),
    ]


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


def _odd_modes(names: np.ndarray, modes: np.ndarray) -> list[Finding]:
    if not len(names):
        return []
    usual, count = Counter(modes.tolist()).most_common(1)[0]
    if count < MOST * len(names):
        return []
    others = ", ".join(sorted(set(modes.tolist()) - {usual}))
    sentence = f"stored as {others}, the other {count:,} as {usual}; all become RGB"
    return _about("note", "odd-mode", names[modes != usual], sentence)


def _about(severity: Severity, code: str, names: np.ndarray, sentence: str) -> list[Finding]:
    """What is said of these images; nothing without any."""
    if not len(names):
        return []
    images = f"{counted(len(names), 'image is', 'images are')} {sentence}"
    return [Finding(severity, code, f"{images}: {name_some(list(names))}.", tuple(names))]
