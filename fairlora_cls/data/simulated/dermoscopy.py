"""Simulated dermoscopy: skin lesions of people of every skin tone, with a bias known exactly.

A lesion has four latents that speak of malignancy, the dermatologist's A, B, C and D: asymmetry,
irregularity of the border, number of colours, and diameter. Given the diagnosis they are
independent, so the probability of malignancy given all four has a closed form. Skin tone is an
individual typology angle (ITA) within the range of a Fitzpatrick group; the stated bias is that
lesions stand out less from dark skin, which is rare.

A large or dark lesion darkens its image, so the camera exposes for a mean luminance drawn apart
from the diagnosis.

Images are (height, width, 3) uint8; random streams are those of `cohorts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from fairlora_cls.data.groups import age_band
from fairlora_cls.data.simulated.cohorts import (
    DERMOSCOPY_NAMESPACE,
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
from fairlora_cls.data.simulated.drawing import LUMINANCE, LesionScene, draw_lesion
from fairlora_cls.data.simulated.skin import ITA_RANGES, skin_colour

CLASSES = ("benign", "malignant")
ATTRIBUTES = ("skin_tone", "sex", "age_group")
LATENTS = ("asymmetry", "irregularity", "colours", "radius")  # in the order they are drawn

# Colours a lesion can have beside its main one, as factors on it.
TINTS = {
    "dark brown": (0.50, 0.45, 0.45),
    "black": (0.22, 0.22, 0.26),
    "blue grey": (0.75, 0.95, 1.30),
    "red": (1.30, 0.72, 0.75),
    "white": (1.60, 1.65, 1.70),
}


@dataclass(frozen=True)
class DermoscopyMechanism:
    """Every knob of the process that makes a simulated lesion; pairs are (least, most), uniform."""

    prevalence: float = 0.35  # share of malignant lesions
    prevalence_log_odds_shift: Mapping[str, float] = field(default_factory=dict)  # by skin tone
    asymmetry: Mapping[str, tuple[float, float]] = field(  # by class: mean, sd
        default_factory=lambda: {"benign": (0.08, 0.045), "malignant": (0.12, 0.045)}
    )
    asymmetry_limits: tuple[float, float] = (0.0, 0.24)  # the normals are cut off here
    irregularity: Mapping[str, tuple[float, float]] = field(  # by class: mean, sd
        default_factory=lambda: {"benign": (0.045, 0.028), "malignant": (0.075, 0.03)}
    )
    irregularity_limits: tuple[float, float] = (0.0, 0.16)  # the normals are cut off here
    colours: Mapping[str, Mapping[int, float]] = field(  # by class: number of colours → share
        default_factory=lambda: {
            "benign": {1: 0.50, 2: 0.35, 3: 0.12, 4: 0.03},
            "malignant": {1: 0.10, 2: 0.25, 3: 0.40, 4: 0.25},
        }
    )
    radius: Mapping[str, tuple[float, float]] = field(  # by class: mean, sd, in shorter sides
        default_factory=lambda: {"benign": (0.25, 0.05), "malignant": (0.34, 0.05)}
    )
    radius_limits: tuple[float, float] = (0.14, 0.44)  # the normals are cut off here

    contrast_factor: Mapping[str, float] = field(  # lesion against skin: the stated bias
        default_factory=lambda: {"I-II": 1.0, "III-IV": 1.0, "V-VI": 0.5}
    )
    hair_share: Mapping[str, float] = field(  # share of lesions under hairs, by class
        default_factory=lambda: {"benign": 0.3, "malignant": 0.3}
    )

    skin_tone: Mapping[str, float] = field(  # frequencies, Fitzpatrick groups
        default_factory=lambda: {"I-II": 0.70, "III-IV": 0.22, "V-VI": 0.08}
    )
    sex: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {"Female": 0.46, "Male": 0.54}
    )
    age: tuple[float, float] = (52.0, 17.0)  # years: mean, sd
    age_limits: tuple[float, float] = (18.0, 90.0)  # years; the normal is cut off here

    redness: tuple[float, float] = (8.0, 14.0)  # a* of the skin, CIELAB
    yellowness: tuple[float, float] = (11.0, 16.0)  # b* of the skin, CIELAB
    darkness: tuple[float, float] = (0.45, 0.70)  # main colour of the lesion / skin
    centre_shift: float = 0.06  # largest, of the lesion's centre
    elongation: tuple[float, float] = (1.0, 1.4)  # long axis / short axis
    softness: tuple[float, float] = (0.06, 0.20)  # width of the border's fade-out, in radii
    patchiness: tuple[float, float] = (0.35, 0.50)  # share of the lesion for each further colour
    network_share: float = 0.4  # of lesions with a pigment network
    hairs: tuple[int, int] = (2, 12)  # number where there are any, both ends included
    exposure: tuple[float, float] = (0.65, 0.95)  # mean luminance / that of the bare skin
    warmth: tuple[float, float] = (-1.0, 1.0)  # white balance, bluish … yellowish
    vignette: tuple[float, float] = (0.0, 0.4)  # relative darkening of the corners
    noise: tuple[float, float] = (0.005, 0.025)  # sd of sensor noise, fraction of full scale
    blur: tuple[float, float] = (0.2, 0.8)  # sd of defocus, pixels of a 112-pixel image


DEFAULT_DERMOSCOPY_MECHANISM = DermoscopyMechanism()


@dataclass(frozen=True)
class SimulatedLesion:
    """One photograph, its diagnosis, its person and what nature alone would know."""

    id: str
    patient: str
    image: np.ndarray  # (height, width, 3) uint8
    label: int  # index into CLASSES
    skin_tone: str
    ita: float  # degrees
    sex: str
    age: float  # years
    age_group: str
    asymmetry: float
    irregularity: float
    colours: int
    radius: float  # fraction of the shorter side
    bayes_probability: float  # P(malignant | the four latents, skin tone)


def simulate_lesion(
    index: int,
    seed: int,
    mechanism: DermoscopyMechanism = DEFAULT_DERMOSCOPY_MECHANISM,
    height: int = 112,
    width: int = 140,
    stream: int = 0,
) -> SimulatedLesion:
    """Draw one person, one diagnosis and its latents, and paint the lesion.

    It depends on (seed, stream, index) and the mechanism alone.
    """
    generator = stream_generator(seed, DERMOSCOPY_NAMESPACE, stream, index)
    tone = sample_category(generator, mechanism.skin_tone)
    ita = float(generator.uniform(*ITA_RANGES[tone]))
    sex = sample_category(generator, mechanism.sex)
    age = draw_age(generator, mechanism)
    label = int(generator.random() < prevalence_of(mechanism, tone))
    latents = _draw_latents(generator, mechanism, CLASSES[label])
    hairy = generator.random() < mechanism.hair_share[CLASSES[label]]
    scene = _lesion_scene(
        generator, mechanism, ita, mechanism.contrast_factor[tone], latents, hairy
    )

    def paint(painted: LesionScene) -> np.ndarray:
        brush = stream_generator(seed, DERMOSCOPY_NAMESPACE, stream, index, 1)
        return draw_lesion(painted, height, width, brush)

    wanted = float(np.array(scene.skin) @ LUMINANCE) * scene.exposure
    measured = float((paint(replace(scene, exposure=1.0)) @ LUMINANCE).mean()) / 255
    image = paint(replace(scene, exposure=wanted / measured))
    return SimulatedLesion(
        id=f"lesion-{seed}-{stream}-{index:06d}",
        patient=f"patient-{seed}-{stream}-{index:06d}",
        image=image,
        label=label,
        skin_tone=tone,
        ita=round(ita, 1),
        sex=sex,
        age=age,
        age_group=age_band(age),
        **latents,
        bayes_probability=malignant_probability(latents, tone, mechanism),
    )


def _draw_latents(
    generator: np.random.Generator, mechanism: DermoscopyMechanism, name: str
) -> dict[str, float]:
    """The four latents of a lesion of the class."""

    def draw(latent: str) -> float:
        if latent == "colours":
            return sample_category(generator, mechanism.colours[name])
        limits = getattr(mechanism, f"{latent}_limits")
        return sample_truncated_normal(generator, getattr(mechanism, latent)[name], limits)

    return {latent: draw(latent) for latent in LATENTS}


def malignant_probability(
    latents: Mapping[str, float], tone: str, mechanism: DermoscopyMechanism
) -> float:
    """P(malignant | asymmetry a, irregularity b, colours c, radius r, skin tone), in closed form.

    P = p f1 / (p f1 + (1 - p) f0) with f = f(a) f(b) P(c) f(r) of the class: given the diagnosis
    the latents are independent. f(a), f(b), f(r) are normals cut off at the stated limits.
    """

    def density(latent: str, name: str) -> float:
        stated = getattr(mechanism, latent)[name]
        if latent == "colours":
            return stated[latents[latent]] / sum(stated.values())
        return truncated_density(latents[latent], stated, getattr(mechanism, f"{latent}_limits"))

    prevalence = prevalence_of(mechanism, tone)
    well, sick = (math.prod(density(latent, name) for latent in LATENTS) for name in CLASSES)
    return prevalence * sick / (prevalence * sick + (1.0 - prevalence) * well)


def _lesion_scene(
    generator: np.random.Generator,
    mechanism: DermoscopyMechanism,
    ita: float,
    contrast: float,
    latents: Mapping[str, float],
    hairy: bool,
) -> LesionScene:
    """A scene with these latents and everything else drawn from the mechanism."""

    skin = np.array(
        skin_colour(
            ita,
            uniform(generator, mechanism.redness),
            uniform(generator, mechanism.yellowness),
        )
    )
    main = skin * uniform(generator, mechanism.darkness) * np.array([1.0, 0.88, 0.82])
    names = generator.permutation(list(TINTS))[: latents["colours"] - 1]
    painted = [main, *(main * np.array(TINTS[name]) for name in names)]
    shift = mechanism.centre_shift
    return LesionScene(
        skin=tuple(skin.tolist()),
        colours=tuple(
            tuple(np.clip(skin + contrast * (c - skin), 0.0, 1.0).tolist()) for c in painted
        ),
        centre=(uniform(generator, (-shift, shift)), uniform(generator, (-shift, shift))),
        radius=latents["radius"],
        elongation=uniform(generator, mechanism.elongation),
        angle=uniform(generator, (0.0, math.pi)),
        irregularity=latents["irregularity"],
        asymmetry=latents["asymmetry"],
        **draw_knobs(generator, mechanism, "softness", "patchiness"),
        network=uniform(generator, (0.3, 0.8)) * contrast
        if generator.random() < mechanism.network_share
        else 0.0,
        hairs=int(generator.integers(*mechanism.hairs, endpoint=True)) if hairy else 0,
        **draw_knobs(generator, mechanism, "exposure", "warmth", "vignette", "noise", "blur"),
    )


DERMOSCOPY = Cohort(
    "dermoscopy",
    simulate_lesion,
    partial(describe_record, classes=CLASSES),
    DEFAULT_DERMOSCOPY_MECHANISM,
    {"height": 112, "width": 140},
    CLASSES,
    ATTRIBUTES,
)
