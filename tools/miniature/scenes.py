"""What the miniature is shown and told: random scenes, and questions and answers about them.

The ranges are those of the simulated cohorts and wider. Answers name what can be seen; none names
a diagnosis.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fairlora_cls.data.simulated.drawing import (
    FundusScene,
    LesionScene,
    blend,
    draw_fundus,
    draw_lesion,
    smooth_noise,
    stroke_mask,
)

LESION_SHARE = 0.35  # of the batches; the rest are fundus scenes
DESCRIBED_SHARE = 0.8  # of the batches; the rest ask two questions an image
KEY_QUESTIONS = 9  # after the two that ask for a description, those that matter most
FUNDUS_SIZES = ((112, 112), (112, 112), (112, 112), (112, 112), (112, 112), (140, 140), (84, 84))
LESION_SIZES = ((140, 196), (112, 140), (84, 112), (84, 112), (84, 112))

FUNDUS_MEASURES, LESION_MEASURES = 10, 18
MEASURES = FUNDUS_MEASURES + LESION_MEASURES

QuestionAnswer = tuple[str, str]

COLOURS = {
    "tan": (0.74, 0.55, 0.42),
    "light brown": (0.62, 0.42, 0.31),
    "brown": (0.46, 0.29, 0.21),
    "dark brown": (0.29, 0.18, 0.14),
    "black": (0.13, 0.10, 0.11),
    "red": (0.63, 0.24, 0.26),
    "pink": (0.84, 0.54, 0.53),
    "blue grey": (0.42, 0.45, 0.53),
    "white": (0.88, 0.81, 0.78),
}
SKINS = {
    "pale": (0.90, 0.76, 0.73),
    "pink": (0.86, 0.64, 0.62),
    "light": (0.84, 0.67, 0.57),
    "tan": (0.70, 0.51, 0.40),
    "dark": (0.42, 0.29, 0.23),
}


@dataclass(frozen=True)
class Conversation:
    """An image and one or more questions with their answers."""

    image: np.ndarray  # (height, width, 3) uint8
    turns: list[QuestionAnswer]
    measures: np.ndarray  # (MEASURES,) float32, the scene's knobs on a scale of about −1 to 1

    def messages(self) -> list[dict]:
        """The conversation in the form that chat templates read; the image comes first."""
        messages = []
        for question, answer in self.turns:
            messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
            messages.append({"role": "assistant", "content": answer})
        messages[0]["content"].insert(0, {"type": "image"})
        return messages


@dataclass(frozen=True)
class PatternedLesion(LesionScene):
    """A lesion with structures that those of the simulated cohort lack."""

    globules: int  # number of dark dots
    vessels: int  # number of fine red vessels
    veil: float  # opacity of a blue-white veil, 0–1
    scale: float  # opacity of pale scale and crust, 0–1


def paint_structures(
    scene: PatternedLesion, image: np.ndarray, inside: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The image with the lesion's structures, where it is `inside` (opacity, height × width)."""
    height, width = inside.shape
    if scene.globules:
        dots = _dot_mask(scene, height, width, generator)
        image = blend(image, 0.35 * np.asarray(scene.colours[0], "f4"), 0.8 * dots * inside)
    if scene.vessels:
        lines = stroke_mask(scene.vessels, 0.12, 1.2, scene, height, width, generator)
        image = blend(image, np.array([0.72, 0.18, 0.18], "f4"), 0.7 * lines)
    if scene.veil > 0:
        cloud = np.clip(smooth_noise(generator, height, width, 4) + 0.4, 0, 1)
        image = blend(image, np.array([0.50, 0.56, 0.68], "f4"), scene.veil * cloud * inside)
    if scene.scale > 0:
        flakes = np.clip(2.0 * smooth_noise(generator, height, width, 12) - 0.8, 0, 1)
        image = blend(image, np.array([0.93, 0.88, 0.78], "f4"), scene.scale * flakes * inside)
    return image


def _dot_mask(
    scene: PatternedLesion, height: int, width: int, generator: np.random.Generator
) -> np.ndarray:
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    short = 2 * min(height, width)
    spread = 0.6 * scene.radius
    centres = generator.normal(0, spread, (scene.globules, 2)) + scene.centre
    sizes = generator.uniform(0.007, 0.02, scene.globules)
    for (x, y), size in zip(centres.tolist(), sizes.tolist(), strict=True):
        left, top = (x - size) * short + width, (y - size) * short + height
        pen.ellipse((left, top, left + 2 * size * short, top + 2 * size * short), fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / np.float32(255)


def draw_conversation(generator: np.random.Generator, count: int) -> list[Conversation]:
    """Conversations about `count` images of one kind and one size."""
    lesion = generator.random() < LESION_SHARE
    sizes = LESION_SIZES if lesion else FUNDUS_SIZES
    height, width = sizes[generator.integers(len(sizes))]
    described = generator.random() < DESCRIBED_SHARE
    talks = []
    for _ in range(count):
        if lesion:
            scene, facts = sample_lesion(generator)
            image = draw_lesion(scene, height, width, generator, paint_structures)
            measures = measure_lesion(scene)
        else:
            scene, facts = sample_fundus(generator)
            image, measures = draw_fundus(scene, height, width, generator), measure_fundus(scene)
        talks.append(Conversation(image, _choose(generator, facts, described), measures))
    return talks


def sample_conversation(generator: np.random.Generator) -> list[QuestionAnswer]:
    """All questions and answers about one random scene, for the tokenizer to learn words from."""
    sample = sample_lesion if generator.random() < LESION_SHARE else sample_fundus
    return sample(generator)[1]


def sample_fundus(generator: np.random.Generator) -> tuple[FundusScene, list[QuestionAnswer]]:
    """A random eye, and what can be said of it."""
    draw = generator.uniform
    scene = FundusScene(
        vertical_cup_to_disc_ratio=float(draw(0.10, 0.95)),
        cup_aspect=float(draw(0.82, 1.14)),
        cup_shift=float(draw(-0.3, 0.7)),
        disc_radius=float(draw(0.22, 0.36)),
        disc_aspect=float(draw(0.84, 1.04)),
        disc_shift=(float(draw(-0.07, 0.07)), float(draw(-0.07, 0.07))),
        rotation=float(draw(-0.3, 0.3)),
        right_eye=bool(generator.random() < 0.5),
        contrast=float(draw(0.15, 1.4)),
        pigmentation=float(draw(0.0, 0.9)),
        redness=float(draw(-1.2, 1.2)),
        warmth=float(draw(-1.1, 1.1)),
        vessel_count=int(generator.integers(4, 13)),
        vessel_depth=float(draw(0.35, 0.9)),
        exposure=float(draw(0.20, 0.50)),
        light_slope=float(draw(0.0, 0.6)),
        light_angle=float(draw(0.0, 2 * np.pi)),
        vignette=float(draw(0.0, 0.5)),
        noise=float(draw(0.005, 0.05)),
        blur=float(draw(0.2, 1.1)),
    )
    return scene, describe_fundus(scene, generator)


def describe_fundus(scene: FundusScene, generator: np.random.Generator) -> list[QuestionAnswer]:
    """Questions about an eye and their answers; those about the cup come first."""
    ratio = scene.vertical_cup_to_disc_ratio
    fine = f"{round(ratio * 20) * 5:02d}"
    size = _bin(ratio, (0.25, 0.4, 0.5, 0.6, 0.75), "tiny small medium wide large huge")
    rim = _bin(ratio, (0.35, 0.55, 0.75), "thick medium thin lost")
    contrast = _bin(scene.contrast, (0.35, 0.65, 1.0), "faint low fair strong")
    light = _bin(scene.exposure, (0.26, 0.32, 0.38, 0.44), "dark dim medium bright brilliant")
    pigment = _bin(scene.pigmentation, (0.3, 0.6), "blond medium dark")
    vessels = _bin(scene.vessel_count, (6.5, 9.5), "few some many")
    side = "right" if scene.right_eye else "left"
    disc = f"{round(scene.disc_radius * 50) * 2:02d}"
    grain = _bin(scene.noise, (0.015, 0.03), "clean grainy noisy")
    focus = _bin(scene.blur, (0.5, 0.8), "sharp soft blurred")
    threshold = float(generator.uniform(0.15, 0.9))
    bound = f"{threshold:.2f}"
    caption = (
        f"{size} cup 0.{fine}, {rim} rim, {contrast}, {light}, {pigment} fundus, "
        f"{vessels} vessels, {side} eye, disc {disc}, {grain}, {focus}"
    )
    asked = str(generator.choice(["tiny", "small", "large", "huge", "wide", "medium"]))
    return [
        ("Describe the image.", caption),
        ("What do you see in this fundus photograph?", caption),
        ("What is the cup-to-disc ratio?", f"0.{fine}"),
        ("How many percent of the disc does the cup fill?", fine),
        ("How large is the cup?", size),
        ("Does the patient have a large cup?", _yes(ratio > 0.55)),
        ("Is the cup large? Answer yes or no.", _yes(ratio > 0.55)),
        (f"Is the cup-to-disc ratio above {bound}?", _yes(ratio > threshold)),
        (f"Does the eye have a {asked} cup?", _yes(asked == size)),
        ("Does the patient have a thin rim?", _yes(ratio > 0.55)),
        ("How thick is the rim?", rim),
        ("Which eye is it?", side),
        ("How bright is the image?", light),
        ("How clear is the border of the cup?", contrast),
        ("How many vessels leave the disc?", str(scene.vessel_count)),
        ("How dark is the fundus?", pigment),
        ("How large is the disc?", disc),
        ("Is the image sharp?", f"{focus}, {grain}"),
    ]


def measure_fundus(scene: FundusScene) -> np.ndarray:
    """An eye's knobs as numbers, (MEASURES,); those of a lesion are NaN."""
    knobs = [
        _scaled(scene.vertical_cup_to_disc_ratio, 0.10, 0.95),
        _scaled(scene.vertical_cup_to_disc_ratio * scene.disc_radius, 0.02, 0.34),
        _scaled(scene.disc_radius, 0.22, 0.36),
        _scaled(scene.contrast, 0.15, 1.4),
        _scaled(scene.exposure, 0.20, 0.50),
        _scaled(scene.pigmentation, 0.0, 0.9),
        _scaled(scene.vessel_count, 4, 12),
        1.0 if scene.right_eye else -1.0,
        _scaled(scene.noise, 0.005, 0.05),
        _scaled(scene.blur, 0.2, 1.1),
    ]
    return np.array(knobs + [np.nan] * LESION_MEASURES, np.float32)


def measure_lesion(scene: PatternedLesion) -> np.ndarray:
    """A lesion's knobs as numbers, (MEASURES,); those of an eye are NaN."""
    knobs = [
        *(2 * value - 1 for value in scene.skin),
        *(2 * value - 1 for value in scene.colours[0]),
        _scaled(len(scene.colours), 1, 4),
        _scaled(float(np.log(scene.radius)), float(np.log(0.12)), float(np.log(0.55))),
        _scaled(scene.elongation, 1.0, 1.8),
        _scaled(scene.irregularity, 0.0, 0.16),
        _scaled(scene.asymmetry, 0.0, 0.24),
        _scaled(float(np.log(scene.softness)), float(np.log(0.05)), float(np.log(0.8))),
        _scaled(scene.network, 0.0, 1.0),
        1.0 if scene.globules else -1.0,
        1.0 if scene.vessels else -1.0,
        _scaled(scene.veil, 0.0, 0.9),
        _scaled(scene.scale, 0.0, 1.0),
        _scaled(scene.hairs, 0, 15),
    ]
    return np.array([np.nan] * FUNDUS_MEASURES + knobs, np.float32)


def sample_lesion(generator: np.random.Generator) -> tuple[PatternedLesion, list[QuestionAnswer]]:
    """A random skin lesion, and what can be said of it."""
    draw = generator.uniform
    skin_name = _pick(generator, SKINS, (0.25, 0.35, 0.2, 0.12, 0.08))
    main = _pick(generator, COLOURS, (0.12, 0.2, 0.22, 0.14, 0.06, 0.08, 0.12, 0.04, 0.02))
    others = [name for name in COLOURS if name != main]
    further = generator.choice(
        len(others), int(generator.choice(4, p=(0.3, 0.35, 0.2, 0.15))), False
    )
    names = [main, *(others[i] for i in further)]

    def sometimes(share: float, least: float, most: float) -> float:
        return float(draw(least, most)) if generator.random() < share else 0.0

    scene = PatternedLesion(
        skin=_jitter(generator, SKINS[skin_name], 0.04),
        colours=tuple(_jitter(generator, COLOURS[name], 0.04) for name in names),
        centre=(float(generator.normal(0, 0.06)), float(generator.normal(0, 0.06))),
        radius=float(np.exp(draw(np.log(0.12), np.log(0.55)))),
        elongation=float(draw(1.0, 1.8)),
        angle=float(draw(0, np.pi)),
        irregularity=float(draw(0.0, 0.16)),
        asymmetry=float(draw(0.0, 0.24)),
        softness=float(np.exp(draw(np.log(0.05), np.log(0.8)))),
        patchiness=float(draw(0.15, 0.6)),
        network=sometimes(0.4, 0.3, 1.0),
        globules=int(sometimes(0.35, 4, 40)),
        vessels=int(sometimes(0.25, 4, 22)),
        veil=sometimes(0.2, 0.4, 0.9),
        scale=sometimes(0.2, 0.4, 1.0),
        hairs=int(sometimes(0.4, 1, 16)),
        exposure=float(draw(0.78, 1.1)),
        warmth=float(draw(-1, 1)),
        vignette=sometimes(0.6, 0.0, 0.9),
        noise=float(draw(0.003, 0.025)),
        blur=float(draw(0.2, 1.0)),
    )
    return scene, describe_lesion(scene, skin_name, names)


def describe_lesion(scene: PatternedLesion, skin: str, names: list[str]) -> list[QuestionAnswer]:
    """Questions about a skin lesion and their answers."""
    main, count = names[0], len(names)
    size = f"{round(scene.radius * 20) * 5:02d}"
    edge = min(9, int(scene.irregularity / 0.016))
    skew = min(9, int(scene.asymmetry / 0.024))
    fade = _bin(scene.softness, (0.12, 0.3), "sharp soft blurred")
    parts = [
        name
        for name, there in (
            ("network", scene.network > 0),
            ("globules", scene.globules > 0),
            ("vessels", scene.vessels > 0),
            ("veil", scene.veil > 0),
            ("scale", scene.scale > 0),
        )
        if there
    ]
    structures = " and ".join(parts) if parts else "none"
    hairs = _bin(scene.hairs, (0.5, 5.5), "no few many")
    colours = ", ".join(names)
    caption = (
        f"{colours}; {structures}; size {size}, border {edge}, asymmetry {skew}, "
        f"{fade} edge, {skin} skin, {hairs} hairs"
    )
    return [
        ("Describe the image.", caption),
        ("What do you see in this skin image?", caption),
        ("What is the main colour of this lesion?", main),
        ("How many colours does this lesion have?", str(count)),
        ("Which colours are in this lesion?", colours),
        ("Is this lesion made of several colours?", _yes(count > 2)),
        ("Is this lesion irregular?", _yes(edge > 4)),
        ("How irregular is the border?", str(edge)),
        ("Is this lesion asymmetric? Answer yes or no.", _yes(skew > 4)),
        ("How asymmetric is this lesion?", str(skew)),
        ("Which structures does this lesion have?", structures),
        ("Does the patient have a veil over the lesion?", _yes(scene.veil > 0)),
        ("Is there a network in this lesion?", _yes(scene.network > 0)),
        ("Are there vessels in this lesion?", _yes(scene.vessels > 0)),
        ("How large is this lesion?", size),
        ("How sharp is the border?", fade),
        ("What is the skin like?", skin),
        ("Are there hairs?", hairs),
    ]


def _choose(
    generator: np.random.Generator, facts: list[QuestionAnswer], described: bool
) -> list[QuestionAnswer]:
    """A full description, or a question about what matters most and another, in either order."""
    if described:
        return [facts[generator.integers(2)]]
    first = facts[2 + generator.integers(KEY_QUESTIONS)]
    second = facts[2 + generator.integers(len(facts) - 2)]
    return [first, second] if generator.random() < 0.7 else [second, first]


def _bin(value: float, bounds: tuple[float, ...], names: str) -> str:
    return names.split()[int(np.searchsorted(bounds, value))]


def _scaled(value: float, least: float, most: float) -> float:
    """−1 at the least, 1 at the most."""
    return 2 * (value - least) / (most - least) - 1


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _pick(
    generator: np.random.Generator,
    table: dict[str, tuple[float, float, float]],
    shares: tuple[float, ...],
) -> str:
    return list(table)[generator.choice(len(table), p=np.array(shares) / sum(shares))]


def _jitter(
    generator: np.random.Generator, colour: tuple[float, float, float], sd: float
) -> tuple[float, float, float]:
    """The colour, lighter or darker and a little off in hue."""
    shifted = np.asarray(colour) * (1 + generator.normal(0, 2 * sd)) + generator.normal(
        0, sd / 2, 3
    )
    return tuple(np.clip(shifted, 0.02, 1.0).tolist())
