"""What a cohort looks like whose bias is known exactly: simulated fundus photographs.

Each eye has one latent that decides the diagnosis, its vertical cup-to-disc ratio, and a closed
form for the probability of glaucoma given that latent. Demographics are drawn independently of the
diagnosis unless a knob of the mechanism says otherwise; the stated bias is that some groups' cups
stand out less from the rim and that those groups are rare. What no classifier can avoid is thus
known, and a gap beyond it is the model's doing.

A large cup is itself pale, so the camera exposes for a mean luminance drawn apart from the diagnosis
and its white balance wanders: over 4,000 eyes, cross-validated logistic regressions on an image's
JPEG size or mean brightness reach an AUROC of 0.51, on its three mean colours 0.63. What is left in
the colours is the cup's pallor, the sign itself, not a way around it.

Images are (side, side, 3) uint8. Every record comes from a random stream of its own, keyed by
(namespace, stream, index) under the cohort's seed, so that record i is the same in a cohort of any
size and no key of one namespace ever meets one of another.
"""

import csv
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from PIL import Image

from fairlora_cls.data.examples import SPLIT_NAMES
from fairlora_cls.data.groups import age_band
from fairlora_cls.data.simulated.drawing import FundusScene, draw_fundus
from fairlora_cls.files import whole_folder

# Namespaces of random streams. The miniature's pretraining owns one of its own, so that none of its
# images can appear in a cohort, whatever the two seeds.
FUNDUS_NAMESPACE = 1
PRETRAINING_NAMESPACE = 2
DERMOSCOPY_NAMESPACE = 3
CHEST_NAMESPACE = 4

PIECE = 250  # images that one worker draws at a time


@dataclass(frozen=True)
class FundusMechanism:
    """Every knob of the process that makes a simulated eye; pairs are (least, most), uniform."""

    prevalence: float = 0.5  # share of eyes with glaucoma
    prevalence_log_odds_shift: Mapping[str, float] = field(default_factory=dict)  # by ethnicity
    healthy_ratio: tuple[float, float] = (0.40, 0.105)  # cup-to-disc ratio: mean, sd
    glaucoma_ratio: tuple[float, float] = (0.68, 0.105)  # cup-to-disc ratio: mean, sd
    ratio_limits: tuple[float, float] = (0.10, 0.95)  # both normals are cut off here

    contrast: tuple[float, float] = (0.75, 1.25)  # cup paler than rim; 1 is an ordinary eye
    contrast_factor: Mapping[str, float] = field(  # of that contrast, by ethnicity: the stated bias
        default_factory=lambda: {"Non-Hispanic": 1.0, "Hispanic": 0.25, "Unknown": 1.0}
    )

    ethnicity: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {"Non-Hispanic": 0.903, "Hispanic": 0.043, "Unknown": 0.054}
    )
    sex: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {"Female": 0.548, "Male": 0.452}
    )
    race: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {"White": 0.769, "Black": 0.149, "Asian": 0.082}
    )
    age: tuple[float, float] = (60.0, 16.0)  # years: mean, sd
    age_limits: tuple[float, float] = (18.0, 95.0)  # years; the normal is cut off here

    disc_radius: tuple[float, float] = (0.26, 0.32)  # vertical, fraction of the image's width
    disc_aspect: tuple[float, float] = (0.86, 1.0)  # disc width / height
    cup_aspect: tuple[float, float] = (0.85, 1.10)  # horizontal / vertical cup-to-disc ratio
    cup_shift: tuple[float, float] = (-0.2, 0.6)  # towards temporal, in free rim widths
    disc_shift: float = 0.04  # largest shift of the disc, fraction of the image's width
    rotation: float = 0.20  # largest rotation, radians
    pigmentation: tuple[float, float] = (0.0, 0.8)  # 0 blond fundus … 1 heavily pigmented
    redness: tuple[float, float] = (-1.0, 1.0)  # of the retina, yellowish … reddish
    warmth: tuple[float, float] = (-1.0, 1.0)  # white balance, bluish … yellowish
    vessel_count: tuple[int, int] = (6, 10)  # trunks leaving the disc, both ends included
    vessel_depth: tuple[float, float] = (0.45, 0.85)  # darkness of vessels, 0–1
    exposure: tuple[float, float] = (0.26, 0.46)  # mean luminance, fraction of full scale
    light_slope: tuple[float, float] = (0.0, 0.5)  # relative brightening, edge to edge
    vignette: tuple[float, float] = (0.0, 0.4)  # relative darkening of the corners
    noise: tuple[float, float] = (0.01, 0.04)  # sd of sensor noise, fraction of full scale
    blur: tuple[float, float] = (0.3, 0.9)  # sd of defocus, pixels of a 112-pixel image


DEFAULT_FUNDUS_MECHANISM = FundusMechanism()


@dataclass(frozen=True)
class SimulatedEye:
    """One fundus photograph, its diagnosis, its person and what nature alone would know."""

    id: str
    patient: str
    image: np.ndarray  # (side, side, 3) uint8
    label: int  # 1 glaucoma, 0 none
    sex: str
    race: str
    ethnicity: str
    age: float  # years
    age_group: str
    vertical_cup_to_disc_ratio: float
    bayes_probability: float  # P(glaucoma | that ratio, ethnicity)


def simulate_fundus(
    count: int,
    seed: int,
    mechanism: FundusMechanism = DEFAULT_FUNDUS_MECHANISM,
    side: int = 112,
    stream: int = 0,
) -> Iterator[SimulatedEye]:
    """Yield `count` simulated eyes; eye i depends on (seed, stream, i) and the mechanism alone."""
    for index in range(count):
        yield simulate_eye(index, seed, mechanism, side, stream)


def simulate_eye(
    index: int, seed: int, mechanism: FundusMechanism, side: int, stream: int = 0
) -> SimulatedEye:
    """Draw one person, one diagnosis, one cup-to-disc ratio, and paint the eye."""
    generator = stream_generator(seed, FUNDUS_NAMESPACE, stream, index)
    ethnicity = sample_category(generator, mechanism.ethnicity)
    sex = sample_category(generator, mechanism.sex)
    race = sample_category(generator, mechanism.race)
    age = round(sample_truncated_normal(generator, mechanism.age, mechanism.age_limits), 1)
    label = int(generator.random() < glaucoma_prevalence(mechanism, ethnicity))
    distribution = mechanism.glaucoma_ratio if label else mechanism.healthy_ratio
    ratio = sample_truncated_normal(generator, distribution, mechanism.ratio_limits)
    scene = _fundus_scene(generator, mechanism, ratio, mechanism.contrast_factor[ethnicity])
    return SimulatedEye(
        id=f"eye-{seed}-{stream}-{index:06d}",
        patient=f"patient-{seed}-{stream}-{index:06d}",
        image=draw_fundus(scene, side, side, generator),
        label=label,
        sex=sex,
        race=race,
        ethnicity=ethnicity,
        age=age,
        age_group=age_band(age),
        vertical_cup_to_disc_ratio=ratio,
        bayes_probability=glaucoma_probability(ratio, ethnicity, mechanism),
    )


def glaucoma_prevalence(mechanism: FundusMechanism, ethnicity: str) -> float:
    """P(glaucoma | ethnicity): logit P = logit(prevalence) + the shift stated for the group."""
    shift = mechanism.prevalence_log_odds_shift.get(ethnicity, 0.0)
    return shifted_probability(mechanism.prevalence, shift)


def shifted_probability(probability: float, shift: float) -> float:
    """The probability whose log odds are those of `probability` plus `shift` (nats)."""
    odds = probability / (1.0 - probability) * math.exp(shift)
    return odds / (1.0 + odds)


def glaucoma_probability(ratio: float, ethnicity: str, mechanism: FundusMechanism) -> float:
    """P(glaucoma | cup-to-disc ratio r, ethnicity e), in closed form.

    P = p f1(r) / (p f1(r) + (1 - p) f0(r)) with p = P(glaucoma | e) and f1, f0 the two normals cut
    off at `ratio_limits` (their lost mass divided out).
    """
    prevalence = glaucoma_prevalence(mechanism, ethnicity)
    sick = prevalence * truncated_density(ratio, mechanism.glaucoma_ratio, mechanism.ratio_limits)
    well = truncated_density(ratio, mechanism.healthy_ratio, mechanism.ratio_limits)
    return sick / (sick + (1.0 - prevalence) * well)


def write_fundus_cohort(
    folder: Path | str,
    *,
    train: int = 2000,
    validation: int = 500,
    test: int = 2000,
    seed: int = 42,
    side: int = 112,
    mechanism: FundusMechanism = DEFAULT_FUNDUS_MECHANISM,
) -> Path:
    """Write a cohort: `images/*.jpg`, `table.csv` (a row per eye) and `mechanism.json`.

    The folder appears whole or not at all; of two processes that write the same one, the second to
    finish discards its copy. Each split has a random stream and patients of its own.
    """
    counts = (train, validation, test)
    return write_cohort(
        folder, "fundus", counts, seed, {"side": side}, mechanism, simulate_eye, _eye_row
    )


def write_cohort(
    folder: Path | str,
    cohort: str,
    counts: tuple[int, int, int],
    seed: int,
    size: Mapping[str, int],
    mechanism: Any,
    draw: Callable[..., Any],
    describe: Callable[[Any], dict[str, object]],
) -> Path:
    """Write a cohort folder, whole or not at all: `images`, `table.csv`, `mechanism.json`.

    `counts` are the examples of train, validation and test. `draw(index, seed=, mechanism=, stream=,
    **size)` makes one record with `id`, `patient` and `image`; `describe` gives the further columns
    of its row. Both may run in another process.
    """
    by_split = dict(zip(SPLIT_NAMES, counts, strict=True))
    draw_one = partial(draw, seed=seed, mechanism=mechanism, **size)
    with whole_folder(Path(folder)) as draft:
        (draft / "images").mkdir()
        jobs = [
            delayed(_write_piece)(draw_one, describe, draft, split, stream, range(first, last))
            for stream, (split, count) in enumerate(by_split.items())
            for first, last in _pieces(count)
        ]
        # Processes of their own pay only for a cohort of some size.
        workers = 1 if sum(counts) <= 2 * PIECE else -1
        rows = itertools.chain.from_iterable(Parallel(n_jobs=workers)(jobs))
        if workers != 1:  # else they wait for more, and a process of multiprocessing for them
            get_reusable_executor().shutdown(wait=True)
        write_table(draft / "table.csv", rows)
        facts = {"cohort": cohort, "seed": seed, **size, "counts": by_split}
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


def stream_generator(seed: int, *key: int) -> np.random.Generator:
    """A generator whose stream belongs to this seed and key alone (key parts below 2**32)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def sample_category(generator: np.random.Generator, frequencies: Mapping[str, float]) -> str:
    """One name, drawn by its frequency; frequencies need not add up to one."""
    bounds = list(itertools.accumulate(frequencies.values()))
    point = generator.random() * bounds[-1]
    return next(name for name, bound in zip(frequencies, bounds, strict=True) if point < bound)


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


def _pieces(count: int) -> list[tuple[int, int]]:
    """(first, last + 1) of runs of at most PIECE indices that cover 0 … count - 1."""
    return [(first, min(first + PIECE, count)) for first in range(0, count, PIECE)]


def _eye_row(eye: SimulatedEye) -> dict[str, object]:
    return {
        "label": ("no", "yes")[eye.label],
        "sex": eye.sex,
        "race": eye.race,
        "ethnicity": eye.ethnicity,
        "age": eye.age,
        "age_group": eye.age_group,
        "vertical_cup_to_disc_ratio": round(eye.vertical_cup_to_disc_ratio, 6),
        "bayes_probability": round(eye.bayes_probability, 6),
    }


def _fundus_scene(
    generator: np.random.Generator,
    mechanism: FundusMechanism,
    ratio: float,
    contrast_factor: float,
) -> FundusScene:
    """A scene with this cup-to-disc ratio and everything else drawn from the mechanism."""

    def draw(limits: tuple[float, float]) -> float:
        return float(generator.uniform(*limits))

    shift, turn = mechanism.disc_shift, mechanism.rotation
    return FundusScene(
        vertical_cup_to_disc_ratio=ratio,
        cup_aspect=draw(mechanism.cup_aspect),
        cup_shift=draw(mechanism.cup_shift),
        disc_radius=draw(mechanism.disc_radius),
        disc_aspect=draw(mechanism.disc_aspect),
        disc_shift=(draw((-shift, shift)), draw((-shift, shift))),
        rotation=draw((-turn, turn)),
        right_eye=bool(generator.random() < 0.5),
        contrast=contrast_factor * draw(mechanism.contrast),
        pigmentation=draw(mechanism.pigmentation),
        redness=draw(mechanism.redness),
        warmth=draw(mechanism.warmth),
        vessel_count=int(generator.integers(*mechanism.vessel_count, endpoint=True)),
        vessel_depth=draw(mechanism.vessel_depth),
        exposure=draw(mechanism.exposure),
        light_slope=draw(mechanism.light_slope),
        light_angle=draw((0.0, 2 * math.pi)),
        vignette=draw(mechanism.vignette),
        noise=draw(mechanism.noise),
        blur=draw(mechanism.blur),
    )


def truncated_density(
    value: float, distribution: tuple[float, float], limits: tuple[float, float]
) -> float:
    """Density of N(mean, sd) cut off at the limits (the lost mass divided out)."""
    mean, sd = distribution

    def below(x: float) -> float:
        return 0.5 * (1.0 + math.erf((x - mean) / (sd * math.sqrt(2.0))))

    kept = below(limits[1]) - below(limits[0])
    return math.exp(-0.5 * ((value - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi) * kept)
