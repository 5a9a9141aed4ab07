"""One labelled image with its attributes, and the three splits that a run reads.

N examples in a split, K classes, A attributes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fairlora_cls.errors import InputError

SPLIT_NAMES = ("train", "validation", "test")
LARGEST_SEED = 2**32 - 1  # that numpy's and scikit-learn's generators take
UNLABELLED = "unlabelled"  # the one class of data without labels, which can only be written about


@dataclass(frozen=True)
class Example:
    """One image and what is known of it."""

    id: str  # unique over the whole data set
    image: Path
    label: int  # index into Splits.classes
    attributes: Mapping[str, str | None]  # group names; None where not recorded
    unit: str  # patient, lesion …: examples of one unit stay in one split
    text: str | None = None  # report or findings, where the data set has them
    conversation: tuple[tuple[str, str], ...] = ()  # questions and answers that the data set brings
    # What a prompt may say of the patient besides the attributes, or, once it is known, what the
    # prompt's fields say: these are in no file that a run writes.
    words: Mapping[str, str | None] = field(default_factory=dict)

    def known_words(self, name: str) -> str | None:
        """What a prompt's field of this name says; None where nothing is recorded."""
        return self.words[name] if name in self.words else self.attributes.get(name)

    def with_groups(self, groups: Mapping[str, str]) -> Example:
        """The same example, with these groups for these attributes."""
        return replace(self, attributes={**self.attributes, **groups}) if groups else self


@dataclass(frozen=True)
class Splits:
    """A data set, ready for a run: no unit (patient, lesion) is in two splits."""

    source: str
    classes: tuple[str, ...]  # the last one is the positive class of a binary task
    attributes: tuple[str, ...]  # every attribute the data set knows
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    notes: tuple[str, ...] = ()  # what the loader took for granted, a sentence each
    words: tuple[str, ...] = ()  # fields of a prompt besides the attributes
    question: str = ""  # asked where the recipe names no prompt

    def split(self, name: str) -> tuple[Example, ...]:
        """The examples of `train`, `validation` or `test`."""
        if name not in SPLIT_NAMES:
            raise InputError(f"There is no split '{name}'; choose one of {', '.join(SPLIT_NAMES)}.")
        return getattr(self, name)

    def everything(self) -> Iterable[Example]:
        for name in SPLIT_NAMES:
            yield from self.split(name)

    def changed(self, change: Callable[[Example], Example | None]) -> Splits:
        """Every example as `change` makes it; where it makes None, the example is left out."""
        parts = {
            name: tuple(e for e in map(change, self.split(name)) if e is not None)
            for name in SPLIT_NAMES
        }
        return replace(self, **parts)


class BadRowsError(InputError):
    """Rows of a data set cannot be used; `rest` is what the other ones make."""

    def __init__(self, problems: str | Iterable[str], rest: Splits | None = None):
        super().__init__(problems)
        self.rest = rest


@dataclass(frozen=True)
class Fault:
    """What keeps splits from an honest run."""

    code: str  # stable, for machines
    message: str
    examples: tuple[str, ...] = ()  # ids, patients or classes that it speaks of, all of them


def find_faults(splits: Splits, *, classifies: bool) -> list[Fault]:
    """All that makes an honest run impossible: an empty split, a doubled id, a unit in two splits.

    Of a classifier also fewer than two classes, no class of three examples, and a class without a
    training example.
    """
    faults = [
        Fault(
            "empty-split",
            f"The {name} split of '{splits.source}' is empty; a run needs all of train, validation "
            "and test: name the column that says the split, or bring more patients.",
        )
        for name in SPLIT_NAMES
        if not splits.split(name)
    ]
    doubled = [i for i, n in Counter(e.id for e in splits.everything()).items() if n > 1]
    if doubled:
        message = f"'{doubled[0]}' occurs more than once ({len(doubled):,} such ids)"
        faults.append(
            Fault("doubled-id", f"Example ids must be unique: {message}.", tuple(doubled))
        )
    homes: dict[str, list[str]] = {}
    for name in SPLIT_NAMES:
        for unit in dict.fromkeys(e.unit for e in splits.split(name)):
            homes.setdefault(unit, []).append(name)
    torn = [unit for unit, names in homes.items() if len(names) > 1]
    if torn:
        more = f", and {len(torn) - 1:,} more are in several" if len(torn) > 1 else ""
        faults.append(
            Fault(
                "unit-in-two-splits",
                f"Patient or lesion '{torn[0]}' is in both {' and '.join(homes[torn[0]])}"
                f"{more}; put all images of one into one split, or name the right column of patients "
                "(data.options.unit_column; null: none).",
                tuple(torn),
            )
        )
    return faults + (_class_faults(splits) if classifies else [])


def _class_faults(splits: Splits) -> list[Fault]:
    faults = []
    if len(splits.classes) < 2:
        message = f"{len(splits.classes)} class ({', '.join(splits.classes) or 'none'})"
        faults.append(
            Fault(
                "one-class",
                f"The data has {message}; a classifier needs at least two. Check the label column.",
            )
        )
    sizes = Counter(e.label for e in splits.everything())
    if sizes and max(sizes.values()) < len(SPLIT_NAMES):
        faults.append(
            Fault(
                "few-examples",
                f"No class of '{splits.source}' has more than {max(sizes.values())} examples; "
                "training, validation and test need at least one each.",
            )
        )
    present = {example.label for example in splits.train}
    absent = [c for k, c in enumerate(splits.classes) if k not in present]
    if absent and splits.train:
        named = " or ".join(f"'{name}'" for name in absent)
        faults.append(
            Fault(
                "absent-class",
                f"No training example has class {named}; a class absent from training cannot be learned.",
                tuple(absent),
            )
        )
    return faults


def validate_splits(splits: Splits, *, classifies: bool = True) -> None:
    """Raise InputError listing all that `find_faults` finds."""
    faults = find_faults(splits, classifies=classifies)
    if faults:
        raise InputError(fault.message for fault in faults)


def limit_splits(splits: Splits, limit: int | None) -> Splits:
    """At most `limit` examples of every split, for trying things out; None keeps all.

    They are spread evenly over the split, because tables are often sorted by class. Where they
    would miss a class, the earliest example of that class takes the place of the last one that can
    be spared, so that a small trial still has every class.
    """
    if limit is None:
        return splits
    return replace(splits, **{name: _spread(splits.split(name), limit) for name in SPLIT_NAMES})


def _spread(examples: tuple[Example, ...], limit: int) -> tuple[Example, ...]:
    count = min(limit, len(examples))
    kept = [place * len(examples) // count for place in range(count)]
    earliest: dict[int, int] = {}
    for i, example in enumerate(examples):
        earliest.setdefault(example.label, i)
    counts = Counter(examples[i].label for i in kept)
    missing = sorted(i for label, i in earliest.items() if not counts[label])
    if missing and len(kept) >= len(earliest):
        for i in missing:
            spare = next(j for j in reversed(kept) if counts[examples[j].label] > 1)
            counts[examples[spare].label] -= 1
            kept.remove(spare)
            kept.append(i)
            counts[examples[i].label] = 1
    return tuple(examples[i] for i in sorted(kept))


def fingerprint(splits: Splits) -> str:
    """A hash of all that is known of every example, and of the splits: the same data, the same hash."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\x1f".join(splits.classes).encode())
    for name in SPLIT_NAMES:
        for e in splits.split(name):
            attributes = "\x1f".join(f"{k}={v}" for k, v in sorted(e.attributes.items()))
            text = "" if e.text is None else f"\x1e{e.text}"
            turns = "".join(f"\x1d{question}\x1f{answer}" for question, answer in e.conversation)
            words = "".join(f"\x1c{k}={v}" for k, v in sorted(e.words.items()))
            digest.update(
                f"{name}\x1e{e.id}\x1e{e.label}\x1e{attributes}\x1e{e.unit}{text}{turns}{words}\n".encode()
            )
    return digest.hexdigest()
