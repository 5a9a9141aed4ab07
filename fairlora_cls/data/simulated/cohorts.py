"""What every simulated cohort shares: random streams, draws, and a folder written whole.

Every record comes from a random stream of its own, keyed by (namespace, stream, index) under the
cohort's seed, so that record i is the same in a cohort of any size and no key of one namespace ever
meets one of another.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from PIL import Image

from fairlora_cls.data.examples import SPLIT_NAMES
from fairlora_cls.files import whole_folder

# Namespaces of random streams. The miniature's pretraining owns one of its own, so that none of its
# images can appear in a cohort, whatever the two seeds.
FUNDUS_NAMESPACE = 1
PRETRAINING_NAMESPACE = 2
DERMOSCOPY_NAMESPACE = 3
CHEST_NAMESPACE = 4
NOTES_NAMESPACE = 5

PIECE = 250  # images that one worker draws at a time


@dataclass(frozen=True)
class Cohort:
    """One kind of simulated data set: how a record is made, and how its table is read."""

    name: str
    draw: Callable[..., Any]  # (index, seed, mechanism, **size, stream) → id, patient, image …
    describe: Callable[[Any], dict[str, object]]  # a record's further columns of the table
    mechanism: Any  # the default one, a frozen dataclass
    size: Mapping[str, int]  # of an image, pixels
    classes: tuple[str, ...]
    attributes: tuple[str, ...]


def write_cohort(
    cohort: Cohort,
    folder: Path | str,
    *,
    train: int = 2000,
    validation: int = 500,
    test: int = 2000,
    seed: int = 42,
    mechanism: Any = None,
    **size: int,
) -> Path:
    """Write a cohort folder: `images/*.jpg`, `table.csv` (a row per record) and `mechanism.json`.

    The folder appears whole or not at all; of two processes that write the same one, the second to
    finish discards its copy. Each split has a random stream and patients of its own. `mechanism` and
    `size` replace the cohort's.
    """
    by_split = dict(zip(SPLIT_NAMES, (train, validation, test), strict=True))
    mechanism, size = mechanism or cohort.mechanism, {**cohort.size, **size}
    draw = partial(cohort.draw, seed=seed, mechanism=mechanism, **size)
    with whole_folder(Path(folder)) as draft:
        (draft / "images").mkdir()
        jobs = [
            delayed(_write_piece)(
                draw, cohort.describe, draft, split, stream, range(first, min(first + PIECE, count))
            )
            for stream, (split, count) in enumerate(by_split.items())
            for first in range(0, count, PIECE)
        ]
        # Processes of their own pay only for a cohort of some size.
        workers = 1 if sum(by_split.values()) <= 2 * PIECE else -1
        rows = itertools.chain.from_iterable(Parallel(n_jobs=workers)(jobs))
        if workers != 1:  # else they wait for more, and a process of multiprocessing for them
            get_reusable_executor().shutdown(wait=True)
        write_table(draft / "table.csv", rows)
        facts = {"cohort": cohort.name, "seed": seed, **size, "counts": by_split}
        text = json.dumps({**facts, "mechanism": asdict(mechanism)}, indent=2, ensure_ascii=False)
        (draft / "mechanism.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)


def _write_piece(
    draw: Callable[..., Any],
    describe: Callable[[Any], dict[str, object]],
    folder: Path,
    split: str,
    stream: int,
    indices: range,
) -> list[dict[str, object]]:
    """Draw some records of a split and write their photographs; return their rows of the table."""
    rows = []
    for index in indices:
        record = draw(index, stream=stream)
        image = f"images/{record.id}.jpg"
        write_photograph(folder / image, record.image)
        own = {"id": record.id, "patient": record.patient, "split": split, "image": image}
        rows.append(own | describe(record))
    return rows


def describe_record(record: Any, classes: tuple[str, ...]) -> dict[str, object]:
    """A record's fields as columns of the table, the label by its name, numbers to six digits."""
    columns = {"label": classes[record.label]}
    for name, value in vars(record).items():
        if name not in ("id", "patient", "image", "label"):
            columns[name] = round(value, 6) if isinstance(value, float) else value
    return columns


def write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows with equal keys as CSV (UTF-8, a header line)."""
    rows = iter(rows)
    first = next(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(first))
        table.writeheader()
        table.writerow(first)
        table.writerows(rows)


def write_photograph(path: Path, image: np.ndarray) -> None:
    """Write a JPEG of high quality with colour at full resolution (4:4:4)."""
    Image.fromarray(image).save(path, quality=95, subsampling=0)


def stream_generator(seed: int, *key: int) -> np.random.Generator:
    """A generator whose stream belongs to this seed and key alone (key parts below 2**32)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def sample_category(generator: np.random.Generator, frequencies: Mapping[str, float]) -> str:
    """One name, drawn by its frequency; frequencies need not add up to one."""
    bounds = list(itertools.accumulate(frequencies.values()))
    point = generator.random() * bounds[-1]
    return next(name for name, bound in zip(frequencies, bounds, strict=True) if point < bound)


def draw_knobs(generator: np.random.Generator, mechanism: Any, *names: str) -> dict[str, float]:
    """A uniform draw for each of these knobs of a mechanism, in this order: name → value."""
    return {name: uniform(generator, getattr(mechanism, name)) for name in names}


def uniform(generator: np.random.Generator, limits: tuple[float, float]) -> float:
    """A draw between the limits."""
    return float(generator.uniform(*limits))


def draw_age(generator: np.random.Generator, mechanism: Any) -> float:
    """An age in years, to a tenth."""
    return round(sample_truncated_normal(generator, mechanism.age, mechanism.age_limits), 1)


def sample_truncated_normal(
    generator: np.random.Generator,
    distribution: tuple[float, float],
    limits: tuple[float, float],
) -> float:
    """A draw of N(mean, sd) cut off at the limits, by rejection."""
    while True:
        value = float(generator.normal(*distribution))
        if limits[0] <= value <= limits[1]:
            return value


def prevalence_of(mechanism: Any, group: str, condition: Any = None) -> float:
    """P(condition | group): logit P = logit(prevalence) + the shift (nats) stated for the group.

    The prevalence is that of the condition, or of the mechanism where it has one alone.
    """
    share = (condition or mechanism).prevalence
    odds = share / (1.0 - share) * math.exp(mechanism.prevalence_log_odds_shift.get(group, 0.0))
    return odds / (1.0 + odds)


def truncated_share(
    bounds: tuple[float, float], distribution: tuple[float, float], limits: tuple[float, float]
) -> float:
    """Share of N(mean, sd), cut off at the limits, that lies between the bounds."""
    mean, sd = distribution
    below = [0.5 * (1.0 + math.erf((x - mean) / (sd * math.sqrt(2.0)))) for x in (*bounds, *limits)]
    return (below[1] - below[0]) / (below[3] - below[2])


def truncated_density(
    value: float, distribution: tuple[float, float], limits: tuple[float, float]
) -> float:
    """Density of N(mean, sd) cut off at the limits (the lost mass divided out)."""
    mean, sd = distribution

    def below(x: float) -> float:
        return 0.5 * (1.0 + math.erf((x - mean) / (sd * math.sqrt(2.0))))

    kept = below(limits[1]) - below(limits[0])
    return math.exp(-0.5 * ((value - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi) * kept)
