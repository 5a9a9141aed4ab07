"""How a simulated frontal chest radiograph is painted, pixel by pixel.

As in `drawing.py`: a scene says what there is to see, the function takes from its generator only
what a scene leaves open. Lengths are fractions of the image's side; brightness is what a film shows,
0 black (air) to 1 white (bone, fluid). Images are (side, side, 3) uint8, grey.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlora_cls.data.simulated.drawing import photograph, pixel_grid, smooth_noise


@dataclass(frozen=True)
class ChestScene:
    """A frontal radiograph; left and right are the image's."""

    cardiothoracic_ratio: float  # width of the heart / width of the chest
    effusion: float  # height of the fluid / height of the lung
    effusion_left: bool  # on the image's left
    pneumothorax: float  # width of the air rim at the side / width of the lung
    pneumothorax_left: bool
    contrast: float  # how far findings stand out; 1 is an ordinary film
    breast: float  # opacity of the soft-tissue shadows over the lower lungs
    chest_width: float
    lung_height: float
    lung_brightness: float  # of aerated lung
    body_brightness: float  # of soft tissue beside the lungs
    ribs: float  # brightness of the ribs above their surroundings
    shift: tuple[float, float]  # of the chest's centre from the image's, (x, y)
    rotation: float  # radians
    markings: float  # strength of the vessels' texture in the lungs
    exposure: float  # mean brightness that the film aims at
    noise: float  # standard deviation of the quantum noise
    blur: float  # standard deviation of the unsharpness, in pixels of a 112-pixel image


def draw_chest(scene: ChestScene, side: int, generator: np.random.Generator) -> np.ndarray:
    """Paint a radiograph, uint8 (side, side, 3).

    The film is exposed for the scene's stated mean brightness: fluid and a large heart are white
    and would otherwise brighten the whole image and give themselves away.
    """
    x, y = pixel_grid(side, side)
    x, y = x - scene.shift[0], y - scene.shift[1]
    c, s = np.float32(np.cos(scene.rotation)), np.float32(np.sin(scene.rotation))
    x, y = c * x + s * y, c * y - s * x

    film = np.full((side, side), scene.body_brightness, np.float32)
    film *= 1.0 + 0.05 * smooth_noise(generator, side, side, 4)
    film *= _inside(np.abs(x) / (0.62 * scene.chest_width), np.maximum(y + 0.30, 0) / 0.9, 0.05)
    spine = np.exp(-((x / 0.045) ** 2))
    film = film + 0.25 * spine * (1.0 - film)

    lungs = np.zeros_like(film)
    markings = scene.markings * smooth_noise(generator, side, side, 22)
    for sign in (-1.0, 1.0):
        lung, reach = _lung(scene, x, y, sign)
        left = sign < 0
        air = scene.lung_brightness + 0.05 * markings
        if scene.effusion > 0 and left == scene.effusion_left:
            # Fluid lies at the bottom and climbs at the outer wall (the meniscus).
            level = 1.0 - scene.effusion * (1.7 + 0.9 * np.clip(sign * reach[0], 0, 1) ** 2)
            fluid = _step((reach[1] - level) / 0.04)
            air = air + fluid * scene.contrast * (scene.body_brightness - air)
        if scene.pneumothorax > 0 and left == scene.pneumothorax_left:
            # A rim of air without markings outside a thin white line, the edge of the lung.
            edge = 1.0 - 2.0 * scene.pneumothorax
            outside = _step((sign * reach[0] - edge) / 0.03) * _step((0.35 - reach[1]) / 0.15)
            dark = 0.3 * scene.lung_brightness
            air = air + outside * scene.contrast * (dark - air)
            line = np.exp(-(((sign * reach[0] - edge) / 0.035) ** 2)) * _step(
                (0.35 - reach[1]) / 0.15
            )
            air = air + 0.25 * scene.contrast * line
        film = film + lung * (air - film)
        lungs = np.maximum(lungs, lung)

    film = film + scene.ribs * _ribs(scene, x, y) * (0.35 + 0.65 * lungs)
    for sign in (-1.0, 1.0):
        veil = np.exp(
            -(((x - sign * 0.25 * scene.chest_width / 0.8) / 0.17) ** 2)
            - (((y - 0.20) / 0.16) ** 2)
        )
        film = film + scene.breast * veil * (0.85 - film)

    half = 0.5 * scene.cardiothoracic_ratio * scene.chest_width
    heart_x = (x - 0.22 * half) / half
    heart_y = (y - 0.17) / (0.20 + 0.35 * half)
    tilt = heart_x * heart_x + heart_y * heart_y - 0.5 * heart_x * heart_y
    heart = _step((1.0 - np.sqrt(tilt)) / 0.07)
    film = film + heart * (0.75 * scene.body_brightness + 0.2 - film)
    film = film + 0.5 * np.exp(-(((x - 0.01) / 0.055) ** 2)) * _step((0.05 - y) / 0.1) * (
        0.7 - film
    ) * _step((y + 0.42) / 0.05)

    film = film * (scene.exposure / float(film.mean()))
    grey = np.repeat(film[..., None], 3, axis=2)
    image = photograph(grey, scene.blur * side / 112, 0.0, generator)
    grain = generator.standard_normal((side, side, 1), dtype=np.float32)
    return np.clip(image + grain * np.float32(255 * scene.noise), 0, 255).astype(np.uint8)


def _lung(
    scene: ChestScene, x: np.ndarray, y: np.ndarray, sign: float
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """One lung's opacity (side, side), and its own coordinates: −1 … 1 across, −1 top … 1 base."""
    middle = sign * 0.26 * scene.chest_width
    half_width = 0.215 * scene.chest_width
    top, base = -0.52 * scene.lung_height, 0.40 * scene.lung_height
    down = 2.0 * (y - top) / (base - top) - 1.0
    # The lung narrows to its apex, and its base is the dome of the diaphragm.
    narrow = half_width * np.sqrt(np.clip(1.0 - np.clip(-0.1 - 1.05 * down, 0, 1) ** 2, 0.02, 1))
    across = (x - middle) / narrow
    dome = 1.0 - 0.16 * (1.0 - np.clip((x - middle) / half_width, -1, 1) ** 2)
    opacity = (
        _step((1.0 - np.abs(across)) / 0.12)
        * _step((down + 1.0) / 0.08)
        * _step((dome - down) / 0.07)
    )
    return opacity.astype(np.float32), (across, down / dome)


def _ribs(scene: ChestScene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Arching bands, 0–1 (side, side)."""
    arch = y + 0.9 * (x / scene.chest_width) ** 2
    bands = 0.5 + 0.5 * np.cos(2 * np.pi * arch / 0.105)
    within = _inside(np.abs(x) / (0.52 * scene.chest_width), np.abs(y) / 0.48, 0.06)
    return np.clip(2.2 * bands - 1.2, 0, 1) * within


def _inside(across: np.ndarray, down: np.ndarray, fade: float) -> np.ndarray:
    """1 within the unit superellipse, 0 beyond, over a fade of that width."""
    return _step((1.0 - (across**4 + down**4) ** 0.25) / fade)


def _step(value: np.ndarray) -> np.ndarray:
    """Logistic step: 0 below, 1 above, 1/2 at zero."""
    return 1.0 / (1.0 + np.exp(-np.clip(4.0 * value, -30, 30)))
