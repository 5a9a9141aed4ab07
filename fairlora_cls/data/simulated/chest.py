"""Simulated chest radiographs with findings in words, and a bias that is known exactly.

Three conditions are drawn independently: an enlarged heart, a pleural effusion, a pneumothorax.
Each has one latent that can be measured on the film (cardiothoracic ratio, height of the fluid,
width of the air rim), and a closed form for its probability given that latent. The stated bias is
that soft tissue lies over the lungs of female patients and their findings stand out less.

Images are (side, side, 3) uint8, grey; random streams are those of `cohorts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fairlora_cls.data.groups import age_band
from fairlora_cls.data.simulated.cohorts import (
    CHEST_NAMESPACE,
    Cohort,
    draw_age,
    draw_knobs,
    prevalence_of,
    sample_category,
    sample_truncated_normal,
    stream_generator,
    truncated_density,
    uniform,
)
from fairlora_cls.data.simulated.drawing_chest import ChestScene, draw_chest

CLASSES = ("no", "yes")
ATTRIBUTES = ("sex", "race", "age_group")
CONDITIONS = ("cardiomegaly", "effusion", "pneumothorax")
TASKS = ("abnormal", *CONDITIONS)  # abnormal: any of the three


@dataclass(frozen=True)
class Condition:
    """One condition: how frequent it is, and its latent without and with it."""

    prevalence: float
    absent: tuple[float, float]  # latent: mean, sd
    present: tuple[float, float]  # latent: mean, sd
    limits: tuple[float, float]  # both normals are cut off here


@dataclass(frozen=True)
class ChestMechanism:
    """Every knob of the process that makes a simulated radiograph; pairs are (least, most), uniform."""

    cardiomegaly: Condition = Condition(0.12, (0.45, 0.04), (0.58, 0.045), (0.34, 0.72))
    effusion: Condition = Condition(0.35, (0.0, 0.07), (0.26, 0.09), (0.0, 0.50))
    pneumothorax: Condition = Condition(0.08, (0.0, 0.04), (0.15, 0.05), (0.0, 0.32))
    prevalence_log_odds_shift: Mapping[str, float] = field(default_factory=dict)  # by sex

    contrast_factor: Mapping[str, float] = field(  # of findings in the lungs, by sex: the bias
        default_factory=lambda: {"Male": 1.0, "Female": 0.3}
    )
    breast: Mapping[str, tuple[float, float]] = field(  # opacity of soft tissue, by sex
        default_factory=lambda: {"Male": (0.0, 0.08), "Female": (0.10, 0.30)}
    )

    sex: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {"Female": 0.48, "Male": 0.52}
    )
    race: Mapping[str, float] = field(  # frequencies
        default_factory=lambda: {
            "White": 0.65,
            "Black": 0.17,
            "Hispanic": 0.07,
            "Asian": 0.04,
            "Other": 0.07,
        }
    )
    age: tuple[float, float] = (60.0, 17.0)  # years: mean, sd
    age_limits: tuple[float, float] = (18.0, 95.0)  # years; the normal is cut off here

    chest_width: tuple[float, float] = (0.76, 0.92)  # fraction of the image's side
    lung_height: tuple[float, float] = (0.74, 0.92)  # fraction of the image's side
    lung_brightness: tuple[float, float] = (0.16, 0.28)  # film, 0 black … 1 white
    body_brightness: tuple[float, float] = (0.62, 0.80)  # film
    ribs: tuple[float, float] = (0.04, 0.12)  # film, above the surroundings
    shift: float = 0.04  # largest shift of the chest's centre, fraction of the side
    rotation: float = 0.07  # largest rotation, radians
    markings: tuple[float, float] = (0.3, 1.0)  # strength of the lungs' texture
    exposure: tuple[float, float] = (0.36, 0.50)  # mean brightness of the film
    noise: tuple[float, float] = (0.005, 0.03)  # sd of the noise, fraction of full scale
    blur: tuple[float, float] = (0.2, 0.8)  # sd of unsharpness, pixels of a 112-pixel image


DEFAULT_CHEST_MECHANISM = ChestMechanism()


@dataclass(frozen=True)
class SimulatedChest:
    """One radiograph, its conditions, its person, its findings and what nature alone would know."""

    id: str
    patient: str
    image: np.ndarray  # (side, side, 3) uint8
    present: Mapping[str, bool]  # by condition
    latents: Mapping[str, float]  # by condition
    bayes: Mapping[str, float]  # P(task = yes | its latents, sex), by task
    sex: str
    race: str
    age: float  # years
    age_group: str
    findings: str  # as a radiologist would write them


def simulate_chest(
    index: int,
    seed: int,
    mechanism: ChestMechanism = DEFAULT_CHEST_MECHANISM,
    side: int = 112,
    stream: int = 0,
) -> SimulatedChest:
    """Draw one person, three conditions and their latents, and paint the radiograph.

    It depends on (seed, stream, index) and the mechanism alone.
    """
    generator = stream_generator(seed, CHEST_NAMESPACE, stream, index)
    sex = sample_category(generator, mechanism.sex)
    race = sample_category(generator, mechanism.race)
    age = draw_age(generator, mechanism)
    present, latents = {}, {}
    for name in CONDITIONS:
        condition: Condition = getattr(mechanism, name)
        present[name] = bool(generator.random() < prevalence_of(mechanism, sex, condition))
        normal = condition.present if present[name] else condition.absent
        latents[name] = sample_truncated_normal(generator, normal, condition.limits)
    sides = {name: "right" if generator.random() < 0.5 else "left" for name in CONDITIONS[1:]}
    scene = _chest_scene(generator, mechanism, sex, latents, sides)
    return SimulatedChest(
        id=f"chest-{seed}-{stream}-{index:06d}",
        patient=f"patient-{seed}-{stream}-{index:06d}",
        image=draw_chest(scene, side, generator),
        present=present,
        latents=latents,
        bayes=bayes_probabilities(latents, sex, mechanism),
        sex=sex,
        race=race,
        age=age,
        age_group=age_band(age),
        findings=describe_findings(present, latents, sides),
    )


def bayes_probabilities(
    latents: Mapping[str, float], sex: str, mechanism: ChestMechanism
) -> dict[str, float]:
    """P(task = yes | latents, sex) of every task, in closed form.

    For a condition P = p f1(z) / (p f1(z) + (1 - p) f0(z)), f1 and f0 the two normals cut off at
    `limits`; for `abnormal`, the conditions being independent, 1 - Π (1 - P).
    """
    bayes = {}
    for name in CONDITIONS:
        condition: Condition = getattr(mechanism, name)
        p = prevalence_of(mechanism, sex, condition)
        sick = p * truncated_density(latents[name], condition.present, condition.limits)
        well = (1.0 - p) * truncated_density(latents[name], condition.absent, condition.limits)
        bayes[name] = sick / (sick + well)
    return {"abnormal": 1.0 - math.prod(1.0 - p for p in bayes.values()), **bayes}


def describe_findings(
    present: Mapping[str, bool], latents: Mapping[str, float], sides: Mapping[str, str]
) -> str:
    """The findings in words: true of the person, whether or not the film shows them well.

    `sides` are the patient's: the image's left is the patient's right.
    """
    heart = "The heart is enlarged." if present["cardiomegaly"] else "The heart size is normal."
    fluid = "There is no pleural effusion."
    if present["effusion"]:
        size = _size(latents["effusion"], (0.2, 0.32), ("small", "moderate", "large"))
        fluid = f"There is a {size} {sides['effusion']} pleural effusion."
    air = "There is no pneumothorax."
    if present["pneumothorax"]:
        size = _size(latents["pneumothorax"], (0.13, 0.19), ("small", "moderate", "large"))
        air = f"There is a {size} {sides['pneumothorax']} pneumothorax."
    return f"{heart} {fluid} {air}"


def _describe(chest: SimulatedChest) -> dict[str, object]:
    """Columns of yes and no, and of Bayes-optimal probabilities, for every task."""
    truth = {"abnormal": any(chest.present.values()), **chest.present}
    return {
        **{task: CLASSES[int(truth[task])] for task in TASKS},
        "sex": chest.sex,
        "race": chest.race,
        "age": chest.age,
        "age_group": chest.age_group,
        "findings": chest.findings,
        "cardiothoracic_ratio": round(chest.latents["cardiomegaly"], 6),
        "effusion_height": round(chest.latents["effusion"], 6),
        "pneumothorax_width": round(chest.latents["pneumothorax"], 6),
        **{f"bayes_{task}": round(chest.bayes[task], 6) for task in TASKS},
    }


def _chest_scene(
    generator: np.random.Generator,
    mechanism: ChestMechanism,
    sex: str,
    latents: Mapping[str, float],
    sides: Mapping[str, str],
) -> ChestScene:
    """A scene with these latents and everything else drawn from the mechanism."""

    shift, turn = mechanism.shift, mechanism.rotation
    return ChestScene(
        cardiothoracic_ratio=latents["cardiomegaly"],
        effusion=latents["effusion"],
        effusion_left=sides["effusion"] == "right",
        pneumothorax=latents["pneumothorax"],
        pneumothorax_left=sides["pneumothorax"] == "right",
        contrast=mechanism.contrast_factor[sex],
        breast=uniform(generator, mechanism.breast[sex]),
        **draw_knobs(generator, mechanism, "chest_width", "lung_height", "lung_brightness"),
        **draw_knobs(generator, mechanism, "body_brightness", "ribs"),
        shift=(uniform(generator, (-shift, shift)), uniform(generator, (-shift, shift))),
        rotation=uniform(generator, (-turn, turn)),
        **draw_knobs(generator, mechanism, "markings", "exposure", "noise", "blur"),
    )


def _size(value: float, bounds: tuple[float, float], names: tuple[str, str, str]) -> str:
    return names[int(np.searchsorted(bounds, value))]


CHEST = Cohort(
    "chest",
    simulate_chest,
    _describe,
    DEFAULT_CHEST_MECHANISM,
    {"side": 112},
    CLASSES,
    ATTRIBUTES,
)
