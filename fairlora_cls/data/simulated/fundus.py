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

Images are (side, side, 3) uint8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from fairlora_cls.data.groups import age_band
from fairlora_cls.data.simulated.cohorts import (
    FUNDUS_NAMESPACE,
    Cohort,
    describe_record,
    draw_age,
    draw_knobs,
    prevalence_of,
    sample_category,
    sample_truncated_normal,
    stream_generator,
    truncated_density,
    uniform,
)
from fairlora_cls.data.simulated.drawing import FundusScene, draw_fundus

CLASSES = ("no", "yes")  # glaucoma
ATTRIBUTES = ("ethnicity", "sex", "race", "age_group")


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


def simulate_eye(
    index: int,
    seed: int,
    mechanism: FundusMechanism = DEFAULT_FUNDUS_MECHANISM,
    side: int = 112,
    stream: int = 0,
) -> SimulatedEye:
    """Draw one person, one diagnosis, one cup-to-disc ratio, and paint the eye.

    It depends on (seed, stream, index) and the mechanism alone.
    """
    generator = stream_generator(seed, FUNDUS_NAMESPACE, stream, index)
    ethnicity = sample_category(generator, mechanism.ethnicity)
    sex = sample_category(generator, mechanism.sex)
    race = sample_category(generator, mechanism.race)
    age = draw_age(generator, mechanism)
    label = int(generator.random() < prevalence_of(mechanism, ethnicity))
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


def glaucoma_probability(ratio: float, ethnicity: str, mechanism: FundusMechanism) -> float:
    """P(glaucoma | cup-to-disc ratio r, ethnicity e), in closed form.

    P = p f1(r) / (p f1(r) + (1 - p) f0(r)) with p = P(glaucoma | e) and f1, f0 the two normals cut
    off at `ratio_limits` (their lost mass divided out).
    """
    prevalence = prevalence_of(mechanism, ethnicity)
    sick = prevalence * truncated_density(ratio, mechanism.glaucoma_ratio, mechanism.ratio_limits)
    well = truncated_density(ratio, mechanism.healthy_ratio, mechanism.ratio_limits)
    return sick / (sick + (1.0 - prevalence) * well)


def _fundus_scene(
    generator: np.random.Generator,
    mechanism: FundusMechanism,
    ratio: float,
    contrast_factor: float,
) -> FundusScene:
    """A scene with this cup-to-disc ratio and everything else drawn from the mechanism."""

    shift, turn = mechanism.disc_shift, mechanism.rotation
    return FundusScene(
        vertical_cup_to_disc_ratio=ratio,
        **draw_knobs(generator, mechanism, "cup_aspect", "cup_shift", "disc_radius", "disc_aspect"),
        disc_shift=(uniform(generator, (-shift, shift)), uniform(generator, (-shift, shift))),
        rotation=uniform(generator, (-turn, turn)),
        right_eye=bool(generator.random() < 0.5),
        contrast=contrast_factor * uniform(generator, mechanism.contrast),
        **draw_knobs(generator, mechanism, "pigmentation", "redness", "warmth"),
        vessel_count=int(generator.integers(*mechanism.vessel_count, endpoint=True)),
        **draw_knobs(generator, mechanism, "vessel_depth", "exposure", "light_slope"),
        light_angle=uniform(generator, (0.0, 2 * math.pi)),
        **draw_knobs(generator, mechanism, "vignette", "noise", "blur"),
    )


FUNDUS = Cohort(
    "fundus",
    simulate_eye,
    partial(describe_record, classes=CLASSES),
    DEFAULT_FUNDUS_MECHANISM,
    {"side": 112},
    CLASSES,
    ATTRIBUTES,
)
